//! Checks the floors described in `src/lib.rs`: modules import downwards only, and the pure
//! floors touch no runtime.
//!
//! Write `use crate::module::…`, one module a line; a grouped `use crate::{…}` fails here.

use std::{collections::BTreeMap, fs, path::Path};

/// Lowest first. A module may import from any lower line, never from its own or above.
const FLOORS: &[&[&str]] = &[
    &["units", "ids", "gs1"],
    &["store"],
    &["observation"],
    &["presence", "tracking", "shelf"],
    &["fusion"],
    &["basket", "insight"],
    &["engine"],
    &["wire"],
    &["clock"],
    &["link"],
    &[
        "rfid",
        "camera",
        "scale",
        "gate",
        "vision",
        "recording",
        "outbox",
        "uplink",
        "console",
    ],
    &["sim"],
    &["app"],
];

/// Floors below this index are pure.
const FIRST_IMPURE: usize = 8;

const RUNTIME: &[&str] = &["tokio::", "std::fs", "std::net", "std::thread", "rand::"];

#[test]
fn modules_import_downwards_only() {
    let floor = floor_by_module();
    check(|own, line| {
        line.split("crate::")
            .skip(1)
            .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_'))
            .filter_map(|mut words| words.next())
            .filter(|used| *used != own && floor.get(used).is_none_or(|f| *f >= floor[own]))
            .map(|used| format!("`{own}` may not import `{used}`"))
            .collect()
    });
}

#[test]
fn pure_floors_touch_no_runtime() {
    let floor = floor_by_module();
    check(|own, line| {
        RUNTIME
            .iter()
            .filter(|_| floor[own] < FIRST_IMPURE)
            .filter(|path| line.contains(**path))
            .map(|path| format!("`{own}` is pure and may not use `{path}`"))
            .collect()
    });
}

fn check(rule: impl Fn(&str, &str) -> Vec<String>) {
    let floor = floor_by_module();
    let mut broken = Vec::new();
    visit(Path::new("src"), &mut |path, text| {
        let top = path.iter().nth(1).and_then(|s| s.to_str()).unwrap_or("");
        let own = top.trim_end_matches(".rs");
        if matches!(own, "lib" | "main") {
            return;
        }
        assert!(
            floor.contains_key(own),
            "{path:?} has no floor; add `{own}` to FLOORS"
        );
        for (i, line) in text.lines().enumerate() {
            if !line.trim_start().starts_with("//") {
                let at = format!("{}:{}", path.display(), i + 1);
                broken.extend(
                    rule(own, line)
                        .into_iter()
                        .map(|what| format!("{at}: {what}")),
                );
            }
        }
    });
    assert!(broken.is_empty(), "floors broken:\n{}", broken.join("\n"));
}

fn floor_by_module() -> BTreeMap<&'static str, usize> {
    let numbered = FLOORS.iter().enumerate();
    numbered
        .flat_map(|(n, names)| names.iter().map(move |name| (*name, n)))
        .collect()
}

fn visit(dir: &Path, f: &mut dyn FnMut(&Path, &str)) {
    let mut paths: Vec<_> = fs::read_dir(dir)
        .expect("src is readable")
        .map(|e| e.expect("entry is readable").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            visit(&path, f);
        } else if path.extension().is_some_and(|e| e == "rs") {
            f(&path, &fs::read_to_string(&path).expect("source is UTF-8"));
        }
    }
}

//! The unit that ships with the project: systemd understands all of it, and finds it closed enough.
//! `tests/trials/systemd.sh` runs it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Tenths of the exposure level that `systemd-analyze security` gives, 0 to 100.
const MOST: &str = "15";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// `None`, with a printed line, where there is no such program.
fn analyze(arguments: &[&str]) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).output() {
        Ok(output) => Some(output),
        Err(why) => {
            println!("skipped: no systemd-analyze: {why}");
            None
        }
    }
}

/// The unit with a program that exists, and with a drop-in where one is named.
fn unit(with: Option<&str>) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(root().join("systemd/basketd.service")).unwrap();
    let ours = "ExecStart=/usr/bin/basketd run ";
    assert!(text.contains(ours));
    let text = text.replace(ours, "ExecStart=/bin/true run ");
    let file = folder.path().join("basketd.service");
    std::fs::write(&file, text).unwrap();
    if let Some(name) = with {
        let beside = folder.path().join("basketd.service.d");
        std::fs::create_dir(&beside).unwrap();
        let from = root().join("systemd/basketd.service.d").join(name);
        std::fs::copy(from, beside.join(name)).unwrap();
    }
    let file = file.display().to_string();
    (folder, file)
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(both).unwrap()
}

#[test]
fn systemd_understands_the_unit() {
    for with in [None, Some("lan-only.conf")] {
        let (_folder, file) = unit(with);
        let Some(output) = analyze(&["verify", "--man=no", &file]) else {
            return;
        };
        // Other units of this machine that it pulls in are not our business.
        let said = text(&output);
        let ours = said.lines().filter(|line| line.contains("basketd"));
        assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new());
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn systemd_finds_the_unit_closed_enough() {
    let (_folder, file) = unit(None);
    let threshold = format!("--threshold={MOST}");
    let arguments = ["security", "--offline=yes", "--no-pager", &threshold, &file];
    if let Some(output) = analyze(&arguments) {
        assert!(output.status.success(), "{}", text(&output));
    }
}

#[test]
fn the_examples_are_drop_ins() {
    let folder = root().join("systemd/basketd.service.d");
    let all = std::fs::read_dir(folder).unwrap();
    let names: Vec<_> = all.map(|one| one.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .all(|name| Path::new(name).extension().is_some_and(|e| e == "conf"))
    );
    assert_eq!(names, ["lan-only.conf"], "verify the others, too");
}

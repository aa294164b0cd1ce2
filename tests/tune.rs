//! `basketd tune` as a user runs it: a store file with a bad value is mended, and what bad input
//! does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use basketd::sim;

fn basketd(args: &[&str], folders: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_basketd"));
    let done = command.args(args).args(folders).output();
    done.expect("the program starts")
}

fn refusal(args: &[&str], folders: &[PathBuf]) -> String {
    let done = basketd(args, folders);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    String::from_utf8(done.stderr).unwrap()
}

/// A morning in a small shop with its four files; `tables` end the store file.
fn day(folder: &Path, seed: u64, tables: &str) -> PathBuf {
    let folder = folder.join(format!("day-{seed}"));
    fs::create_dir(&folder).unwrap();
    let day = sim::Day::new(sim::Options {
        seed,
        story: sim::Story::Day {
            visits: 2,
            crowd: 1.0,
        },
        sensors: sim::Sensors::ScaleFloor,
        noise: sim::Noise::Nominal,
        shop: sim::ShopKind::Kiosk,
        given: None,
    })
    .unwrap();
    fs::write(
        folder.join("store.toml"),
        format!("{}\n{tables}", day.store),
    )
    .unwrap();
    fs::write(folder.join("catalog.csv"), &day.catalog).unwrap();
    let out = File::create(folder.join("recording.mcap")).unwrap();
    let truth = day.run(BufWriter::new(out)).unwrap().truth;
    fs::write(folder.join("truth.jsonl"), truth).unwrap();
    folder
}

#[test]
fn a_bad_value_is_found_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    // As likely as not that goods walk out by themselves: nobody is ever charged.
    let bad = "[fusion]\nnobody = 0.99\n";
    let days = [2, 4, 5].map(|seed| day(folder.path(), seed, bad));
    let out = folder.path().join("tuned.toml");
    let args = ["tune", "--out", out.to_str().unwrap()];
    let done = basketd(&args, &days);
    assert!(done.status.success(), "{done:?}");
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.contains("fusion.nobody"), "{said}");
    let tables = fs::read_to_string(&out).unwrap();
    assert!(tables.starts_with("# Fitted by `basketd tune` to 3 recordings with 6 visits."));
    let line = tables.lines().find(|l| l.starts_with("nobody = ")).unwrap();
    let value: f64 = line.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(value <= 0.1, "{tables}");

    // A store file takes the tables as they are, and there is nothing left to gain by the worst.
    let store = fs::read_to_string(days[0].join("store.toml")).unwrap();
    let mended = store.replace(bad, &tables);
    fs::write(days[0].join("mended.toml"), mended).unwrap();
    let mended = days[0].join("mended.toml");
    let checked = basketd(&["check", "--store", mended.to_str().unwrap()], &[]);
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn where_nothing_is_gained_that_is_told_first() {
    let folder = tempfile::tempdir().unwrap();
    let days = [1, 2].map(|seed| day(folder.path(), seed, ""));
    let out = folder.path().join("tuned.toml");
    let done = basketd(&["tune", "--out", out.to_str().unwrap()], &days);
    assert!(done.status.success(), "{done:?}");
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.starts_with("Nothing is gained: "), "{said}");
    assert!(said.contains("\nWhat was tried:\n\ntunable "), "{said}");
    assert!(!out.exists());
}

#[test]
fn bad_input_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let days = [1, 2].map(|seed| day(folder.path(), seed, ""));
    let one = refusal(&["tune"], &days[..1]);
    assert!(one.contains("day-1: one recording is too few"), "{one}");

    // Held out and fitted to at once, under whichever name.
    let link = folder.path().join("day-one");
    std::os::unix::fs::symlink(&days[0], &link).unwrap();
    for other in [days[0].clone(), days[1].join("../day-1"), link] {
        let twice = refusal(&["tune"], &[days[0].clone(), days[1].clone(), other]);
        assert!(
            twice.contains("recording.mcap: the same recording as"),
            "{twice}"
        );
        assert!(twice.contains("name each once"), "{twice}");
    }

    let over = days[0].join("truth.jsonl");
    let over = refusal(&["tune", "--out", over.to_str().unwrap()], &days);
    assert!(
        over.contains("truth.jsonl: would be written over"),
        "{over}"
    );

    let truth = days[1].join("truth.jsonl");
    fs::write(&truth, "{\"token\": \"q-1\"}\n").unwrap();
    let broken = refusal(&["tune"], &days);
    assert!(
        broken.contains("day-2/truth.jsonl:1: missing field"),
        "{broken}"
    );
    fs::write(&truth, "\n").unwrap();
    let empty = refusal(&["tune"], &days);
    assert!(
        empty.contains("day-2/truth.jsonl: holds no visit"),
        "{empty}"
    );
    fs::remove_file(&truth).unwrap();
    let missing = refusal(&["tune"], &days);
    assert!(missing.contains("day-2/truth.jsonl"), "{missing}");

    fs::copy(days[0].join("truth.jsonl"), &truth).unwrap();
    fs::write(days[1].join("recording.mcap"), "no recording").unwrap();
    let recording = refusal(&["tune"], &days);
    assert!(
        recording.contains("day-2/recording.mcap: not an MCAP file"),
        "{recording}"
    );

    fs::write(days[1].join("store.toml"), "[store]\nid = \"a\"\n").unwrap();
    let store = refusal(&["tune"], &days);
    assert!(store.contains("day-2/store.toml"), "{store}");
}

//! `basketd inspect` of LLRP captures: whole, damaged, cut off.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and says what it skipped"
)]

use std::path::Path;
use std::process::{Command, Output};

use basketd::wire::llrp::{Version, commands};
use serde_json::Value as Json;

fn inspect(file: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_basketd"));
    command.arg("inspect").arg(file).args(args);
    command.output().unwrap()
}

/// The lines of `--json`, the last of them the totals.
fn lines(output: &Output) -> Vec<Json> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn conversation() -> Vec<Vec<u8>> {
    let inventory = commands::Inventory::new(1).antennas(&[1, 2]);
    [
        commands::get_reader_config(),
        commands::add_rospec(&inventory),
        commands::response("ADD_ROSPEC_RESPONSE", "M_Success", ""),
        commands::keepalive(),
    ]
    .iter()
    .zip(1..)
    .map(|(draft, id)| draft.encode(Version::V1_0_1, id).unwrap())
    .collect()
}

fn capture(messages: &[Vec<u8>]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reader.tcp");
    std::fs::write(&path, messages.concat()).unwrap();
    (folder, path)
}

#[test]
fn a_capture_is_known_by_its_framing() {
    let (_folder, path) = capture(&conversation());
    let output = inspect(&path, &["--json"]);
    assert!(output.status.success());
    let lines = lines(&output);
    let totals = lines.last().unwrap();
    assert_eq!(totals["messages"], 4);
    assert_eq!(totals["equal"], 4);
    assert_eq!(totals["by_type"]["KEEPALIVE"], 1);
    let status = &lines[2];
    assert_eq!(
        (&status["type"], &status["id"]),
        (&"ADD_ROSPEC_RESPONSE".into(), &3.into())
    );
    assert_eq!(status["fields"]["LLRPStatus"]["StatusCode"], "M_Success");
    assert_eq!(status["reencoded_equal"], true);
    let spec = &lines[1]["fields"]["ROSpec"];
    assert_eq!(spec["AISpec"][0]["AntennaIDs"], serde_json::json!([1, 2]));
    let text = inspect(&path, &[]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("4 messages, "), "{text}");
}

/// A parameter that says it is longer than its message, another version, and an end that is
/// missing: each is told with its place, and what follows is read.
#[test]
fn a_damaged_capture_is_read_on() {
    let mut messages = conversation();
    let begins: Vec<usize> = (0..4).map(|n| messages[..n].concat().len()).collect();
    messages[1][12] = 0x7F;
    messages[2][0] = 3 << 2;
    messages[3].truncate(7);
    let (_folder, path) = capture(&messages);
    let output = inspect(&path, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    assert_eq!(lines[0]["reencoded_equal"], true);
    for (line, (at, begin)) in [
        (1, (10, begins[1])),
        (2, (0, begins[2])),
        (3, (0, begins[3])),
    ] {
        assert_eq!(lines[line]["offset"], begin, "{}", lines[line]);
        assert_eq!(lines[line]["error_offset"], begin + at, "{}", lines[line]);
        assert!(lines[line]["error"].is_string());
    }
    let totals = lines.last().unwrap();
    assert_eq!(totals["errors"], 3);
    assert_eq!(totals["truncated"], true);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("3 of 4 messages are malformed, the first at byte 17"),
        "{said}"
    );
}

#[test]
fn what_is_no_capture_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("text", &b"HTTP/1.1 200 OK\r\n\r\n"[..]), ("none", b"")] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(inspect(&path, &[]).status.code(), Some(1), "{name}");
    }
}

#[test]
fn a_recorded_conversation_is_equal_934_times() {
    let path = Path::new("../shared/captures/llrp/dx101_a.bin");
    if !path.exists() {
        println!("skipped: no {}", path.display());
        return;
    }
    let output = inspect(path, &["--json"]);
    assert!(output.status.success());
    let lines = lines(&output);
    assert_eq!(lines.len(), 935);
    let totals = &lines[934];
    assert_eq!(
        (&totals["messages"], &totals["equal"]),
        (&934.into(), &934.into())
    );
    assert_eq!(
        (&totals["bytes"], &totals["errors"]),
        (&42_353.into(), &0.into())
    );
}

//! `replay --publish` against a real broker: yesterday's events as a store of their own.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use support::shop::{Process, Shop, has, wait_for};

fn kiosk(shop: &Shop) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/kiosk");
    for name in ["catalog.csv", "tags.csv"] {
        std::fs::copy(from.join(name), shop.path(name)).unwrap();
    }
    let text = std::fs::read_to_string(from.join("store.toml")).unwrap();
    let mqtt = format!(
        "\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        shop.broker_port
    );
    std::fs::write(shop.path("store.toml"), format!("{text}{mqtt}")).unwrap();
}

fn publish(shop: &Shop, timeout: &str) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Command::new(env!("CARGO_BIN_EXE_basketd"))
        .arg("replay")
        .arg(root.join("tests/recordings/kiosk-one-shopper/recording.mcap"))
        .arg("--store")
        .arg(shop.path("store.toml"))
        .arg("--events")
        .arg(shop.path("events.jsonl"))
        .args(["--publish", "--publish-timeout", timeout])
        .output()
        .unwrap()
}

#[test]
fn every_event_arrives_as_it_is_written() {
    if !has("mosquitto") || !has("mosquitto_sub") {
        return;
    }
    let shop = Shop::new();
    kiosk(&shop);
    // Nobody is there, then a broker to whom nobody listens, then a listener.
    let none = publish(&shop, "1");
    assert_eq!(none.status.code(), Some(1));
    let text = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(
        text.contains("published 0 of 6") && text.contains("Connection refused"),
        "{text}"
    );
    let _broker = shop.broker();
    let deaf = publish(&shop, "1");
    assert_eq!(deaf.status.code(), Some(1));
    let text = String::from_utf8_lossy(&deaf.stderr).into_owned();
    assert!(
        text.contains("published 0 of 6") && text.contains("no backend is subscribed"),
        "{text}"
    );
    let mut command = Command::new("mosquitto_sub");
    command
        .args([
            "-V",
            "mqttv5",
            "-q",
            "1",
            "-v",
            "-p",
            &shop.broker_port.to_string(),
        ])
        .args(["-t", "basketd/v1/kiosk-1-replay/#", "-F", "%t %p"]);
    let listener = Process::spawn(command, &shop.path("heard"));
    wait_for(
        "the listener hears the last will",
        Duration::from_secs(10),
        || listener.told().contains("offline"),
    );
    let done = publish(&shop, "30");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    wait_for("the end is heard", Duration::from_secs(10), || {
        listener.told().matches("offline").count() == 2
    });
    let written = std::fs::read_to_string(shop.path("events.jsonl")).unwrap();
    let heard = listener.told();
    let events: Vec<&str> = heard
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(topic, _)| !topic.ends_with("/status"))
        .map(|(topic, body)| {
            assert!(
                topic.starts_with("basketd/v1/kiosk-1-replay/visit/v-"),
                "{topic}"
            );
            body
        })
        .collect();
    assert_eq!(events, written.lines().collect::<Vec<_>>());
    assert!(written.contains("\"/stores/kiosk-1-replay\"") && heard.contains("online"));
}

#[test]
fn without_a_broker_in_the_store_file_it_is_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = Command::new(env!("CARGO_BIN_EXE_basketd"))
        .arg("replay")
        .arg(root.join("tests/recordings/kiosk-one-shopper/recording.mcap"))
        .arg("--store")
        .arg(root.join("config/kiosk/store.toml"))
        .arg("--publish")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("[mqtt]"));
}

//! Power cuts: the box as a virtual machine, cut off at random moments of a busy day, with a broker
//! and a backend outside that it has told what it had made. `TRIALS=long` makes thirty cuts; short
//! are two.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::shop::{Shop, has, number, wait_for};

#[test]
fn nothing_that_the_backend_was_told_is_missing_after_power_cuts() {
    let programs = [
        "mosquitto",
        "qemu-system-x86_64",
        "busybox",
        "cpio",
        "mke2fs",
        "debugfs",
    ];
    if !programs.into_iter().all(has) {
        return;
    }
    let kernel = std::fs::read_dir("/boot")
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().ends_with("cloud-amd64"));
    if !kernel {
        println!("skipped: no linux-image-cloud-amd64");
        return;
    }
    let long = std::env::var("TRIALS").is_ok_and(|trials| trials == "long");
    let cuts = if long { "30" } else { "2" };
    let shop = Shop::new();
    let data = shop.path("data");
    let settings = shop
        .settings("", "backend")
        .replace("mqtt://127.0.0.1", "mqtt://10.0.2.2");
    support::busy::shop(&data, &settings, 2_000);
    let _broker = shop.broker();
    let _backend = shop.backend();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trials/vm.sh");
    let out = shop.path("out");
    let done = Command::new(script)
        .arg(env!("CARGO_BIN_EXE_basketd"))
        .arg(&data)
        .args([cuts, &shop.broker_port.to_string()])
        .env("OUT", &out)
        .env("AFTER", if long { "1-8" } else { "1-4" })
        .env("FINISH", if long { "15" } else { "5" })
        .env("SEED", std::process::id().to_string())
        .env(
            "COMMAND",
            "basketd run --store /data/store.toml --play /data/busy.mcap --speed 200 --repeat 1000000",
        )
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    let last = std::fs::read_to_string(out.join("boot-last.log")).unwrap_or_default();
    println!("{told}");
    assert!(
        done.status.success(),
        "{told}{}{last}",
        String::from_utf8_lossy(&done.stderr)
    );
    let box_db = out.join("state/outbox.db");
    let receipts = shop.receipts();
    receipts
        .execute("attach ?1 as box", [box_db.to_str().unwrap()])
        .unwrap();
    let made = number(&receipts, "select max(n) from box.event").unwrap();
    assert_eq!(
        number(&receipts, "select count(*) from box.event"),
        Some(made),
        "a hole"
    );
    let lost = "select count(*) from main.event where n not in (select n from box.event)";
    assert_eq!(
        number(&receipts, lost),
        Some(0),
        "told to the backend and not on the box"
    );
    let differ = "select count(*) from box.event ours join main.event theirs on ours.n = theirs.n
                  where ours.body != theirs.body";
    assert_eq!(
        number(&receipts, differ),
        Some(0),
        "another body on the box"
    );
    assert_eq!(
        number(&receipts, "select count(*) from main.conflict"),
        Some(0)
    );
    let twice = "select count(*) from (select visit from box.event
                 where type = 'basketd.basket.closed' group by visit having count(*) > 1)";
    assert_eq!(
        number(&receipts, twice),
        Some(0),
        "a visit with two baskets"
    );
    let broken =
        "select count(*) from (select visit, max(body ->> '$.sequence') last, count(*) events
                  from box.event where visit is not null and body ->> '$.sequence' is not null
                  group by visit having last != events)";
    assert_eq!(
        number(&receipts, broken),
        Some(0),
        "a visit that was not taken up where it was"
    );
    let told = number(&receipts, "select count(*) from main.event").unwrap();
    assert!(told > 100, "{told} events came out of the machine");
    wait_for("the watermark", Duration::from_secs(5), || {
        number(&receipts, "select max(through) from main.watermark") >= Some(told.min(made) - 1)
    });
    println!("{made} events on the box, {told} at the backend");
}

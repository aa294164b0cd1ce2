//! The daemon as it is deployed: a real broker, signals, sick disks, old and broken state.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use support::shop::{Process, Shop, free_port, has, number, shim, wait_for};

const SOON: Duration = Duration::from_secs(20);

/// The kiosk of `config/kiosk` in a folder of its own.
fn kiosk(shop: &Shop, more_state: &str, confirm: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/kiosk");
    for name in ["catalog.csv", "tags.csv"] {
        std::fs::copy(from.join(name), shop.path(name)).unwrap();
    }
    let text = std::fs::read_to_string(from.join("store.toml")).unwrap();
    // The file without the tables that are this story's own.
    let (before, state) = text.split_once("[state]").unwrap();
    let (_, rest) = state.split_once("\n# Where a visit begins").unwrap();
    let (rest, _) = rest.split_once("# Without [mqtt]").unwrap();
    // Its sensors are not here, and the stories are not about them.
    let deaf = |line: &str| match line.split_once("source = \"") {
        Some((before, _)) => format!("{before}source = \"none\"\n"),
        None => format!("{line}\n"),
    };
    let rest: String = rest.lines().map(deaf).collect();
    let settings = shop.settings(more_state, confirm);
    let text = format!("{before}\n# Where a visit begins{rest}{settings}");
    std::fs::write(shop.path("store.toml"), text).unwrap();
}

fn kiosk_tape() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/recordings/kiosk-one-shopper/recording.mcap");
    path.to_str().unwrap().to_owned()
}

/// Asks the daemon for something over MQTT, and gives its answer.
fn ask(shop: &Shop, store: &str, name: &str, payload: &str) -> Value {
    let done = Command::new("mosquitto_rr")
        .args([
            "-V",
            "5",
            "-W",
            "10",
            "-q",
            "1",
            "-p",
            &shop.broker_port.to_string(),
        ])
        .args(["-t", &format!("basketd/v1/{store}/cmd/{name}")])
        .args(["-e", &format!("basketd/v1/{store}/reply/test")])
        .args(["-m", payload])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{name}: {error}: {done:?}"))
}

/// The retained message of a topic.
fn retained(shop: &Shop, topic: &str) -> Option<Value> {
    let done = Command::new("mosquitto_sub")
        .args([
            "-V",
            "5",
            "-W",
            "5",
            "-C",
            "1",
            "-p",
            &shop.broker_port.to_string(),
        ])
        .args(["-t", topic])
        .output()
        .unwrap();
    serde_json::from_slice(&done.stdout).ok()
}

fn state_of(shop: &Shop, store: &str) -> String {
    let status = retained(shop, &format!("basketd/v1/{store}/status"));
    status.map_or(String::new(), |status| {
        status["state"].as_str().unwrap_or("").to_owned()
    })
}

fn bodies(db: &rusqlite::Connection) -> Vec<String> {
    let mut statement = db.prepare("select body from event order by n").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn commands_are_carried_out_answered_and_refused_with_a_reason() {
    if !has("mosquitto") || !has("mosquitto_rr") {
        return;
    }
    let shop = Shop::new();
    kiosk(&shop, "", "backend");
    let _broker = shop.broker();
    let backend = shop.backend();
    let mut daemon = shop.daemon(&["--play", &kiosk_tape(), "--speed", "max"]);
    shop.wait_ready();
    let ask = |name: &str, payload: Value| ask(&shop, "kiosk-1", name, &payload.to_string());
    wait_for("the receipt is at the backend", SOON, || {
        number(&shop.receipts(), "select count(*) from receipt") == Some(1)
    });
    let crisps = "2000000010052";
    for (name, payload) in [
        (
            "price.set",
            json!({"gtin": crisps, "price": "2.40", "by": "s-3"}),
        ),
        ("restock.begin", json!({"shelf": "g1-s1", "by": "s-3"})),
        ("restock.end", json!({"shelf": "g1-s1", "by": "s-3"})),
        (
            "stock.set",
            json!({"shelf": "g1-s2", "gtin": crisps, "on_hand": 7, "by": "s-3"}),
        ),
        ("resend", json!({"from": 2})),
    ] {
        assert_eq!(ask(name, payload), json!({"ok": true}), "{name}");
    }
    for (name, payload, why) in [
        (
            "price.set",
            json!({"gtin": "4006381333931", "price": "1.00"}),
            "catalogue",
        ),
        (
            "price.set",
            json!({"gtin": crisps, "price": "a lot"}),
            "a lot",
        ),
        ("restock.end", json!({"shelf": "g1-s3"}), "g1-s3"),
        ("restock.begin", json!({"shelf": "g9"}), "g9"),
        ("visit.close", json!({"visit": "v-000009"}), "v-000009"),
        ("resend", json!({"from": 4_000_000}), "4000000"),
        ("resend", json!({"from": 1, "journal": "other"}), "journal"),
        ("door.open", json!({}), "door.open"),
        ("stock.set", json!([1]), "object"),
    ] {
        let answer = ask(name, payload);
        let reason = answer["reason"].as_str().unwrap_or("");
        assert!(
            answer["ok"] == false && reason.contains(why),
            "{name}: {answer}"
        );
    }
    let status = ask("status", json!({}));
    assert_eq!(status["status"]["store"], "kiosk-1", "{status}");
    assert!(status["status"]["last_n"].as_u64() >= Some(7), "{status}");
    let stock = retained(&shop, "basketd/v1/kiosk-1/stock/g1-s2/02000000010052").unwrap();
    assert_eq!(stock["data"]["on_hand"], 7);
    // An operator has looked: one bag of crisps at the new price, and no juice.
    let lines = json!([{"gtin": crisps, "quantity": 1}]);
    let review = json!({"visit": "v-000001", "decision": "correct", "lines": lines, "by": "s-3"});
    assert_eq!(ask("basket.review", review), json!({"ok": true}));
    wait_for("the review is at the backend", SOON, || {
        let text = "select adjusted from receipt where decision = 'settle' and total = '1.80'";
        number(&shop.receipts(), text) == Some(1)
    });
    // A backend that has lost its database gets everything again.
    drop(backend);
    for tail in ["", "-wal", "-shm"] {
        std::fs::remove_file(shop.path(&format!("receipts.sqlite{tail}"))).ok();
    }
    let last = number(&shop.outbox(), "select max(n) from event");
    let _backend = shop.backend();
    wait_for("all is there again", SOON, || {
        number(&shop.receipts(), "select max(through) from watermark") == last
    });
    let (code, took) = daemon.terminate();
    assert_eq!(code, Some(0), "{}", daemon.told());
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(state_of(&shop, "kiosk-1"), "offline");
    // What was asked stands in the journal, and nothing that was refused.
    let journal = shop.path("state/journal");
    let mut commands = Vec::new();
    for file in basketd::recording::journal::files(&journal).unwrap() {
        basketd::recording::stream(&file.path, &mut |message| {
            if message.channel.topic == "/command" {
                let command: Value = serde_json::from_slice(message.payload).unwrap();
                commands.push(command["command"].as_str().unwrap().to_owned());
            }
        })
        .unwrap();
    }
    let asked = [
        "price.set",
        "restock.begin",
        "restock.end",
        "stock.set",
        "resend",
        "basket.review",
    ];
    assert_eq!(commands, asked);
}

#[test]
fn a_store_file_is_read_anew_and_a_bad_one_changes_nothing() {
    if !has("mosquitto") {
        return;
    }
    let shop = Shop::new();
    kiosk(&shop, "", "backend");
    let _broker = shop.broker();
    let mut daemon = shop.daemon(&[]);
    shop.wait_ready();
    let path = shop.path("store.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{good}\nnonsense = 1\n")).unwrap();
    daemon.signal(Signal::HUP);
    wait_for("the refusal is told", SOON, || {
        shop.page("/readyz")
            .is_some_and(|(code, text)| code == 200 && text.contains("nonsense"))
    });
    assert_eq!(state_of(&shop, "kiosk-1"), "degraded");
    let catalog = std::fs::read_to_string(shop.path("catalog.csv")).unwrap();
    std::fs::write(
        shop.path("catalog.csv"),
        catalog.replace("Salted Crisps", "Sea Salt Crisps"),
    )
    .unwrap();
    std::fs::write(&path, &good).unwrap();
    daemon.signal(Signal::HUP);
    wait_for("the good one is taken", SOON, || {
        daemon.told().contains("are taken over")
    });
    wait_for("nothing is wrong any more", SOON, || {
        shop.page("/readyz")
            .is_some_and(|(_, text)| text.trim() == "ready")
    });
    // A shelf less is another layout.
    let other = good.replace("{ port = 2, shelf = \"g1-s3\" },", "");
    assert_ne!(other, good);
    std::fs::write(&path, other).unwrap();
    daemon.signal(Signal::HUP);
    wait_for("another layout is taken", SOON, || {
        daemon.told().contains("another layout")
    });
    assert_eq!(daemon.terminate().0, Some(0), "{}", daemon.told());
    // The state goes on with it, and with the one before.
    std::fs::write(&path, &good).unwrap();
    let mut daemon = shop.daemon(&[]);
    shop.wait_ready();
    assert!(
        daemon.told().contains("has another layout"),
        "{}",
        daemon.told()
    );
    assert_eq!(daemon.terminate().0, Some(0));
}

#[test]
fn two_boxes_with_one_id_are_told() {
    if !has("mosquitto") {
        return;
    }
    let shop = Shop::new();
    kiosk(&shop, "", "backend");
    let _broker = shop.broker();
    let first = shop.daemon(&[]);
    shop.wait_ready();
    wait_for("connected", SOON, || {
        shop.metric("basketd_mqtt_connected") == Some(1.0)
    });
    // The same folder is locked.
    let mut twin = shop.daemon(&[]);
    assert_eq!(twin.wait(SOON), Some(70), "{}", twin.told());
    assert!(
        twin.told().contains("Address already in use") || twin.told().contains("in use by another")
    );
    let mut other = Shop::new();
    other.broker_port = shop.broker_port;
    kiosk(&other, "", "backend");
    let _second = other.daemon(&[]);
    other.wait_ready();
    wait_for("the first one says so", SOON, || {
        first.told().contains("two boxes use store id `kiosk-1`")
    });
}

#[test]
fn a_box_that_dies_is_offline_at_once_by_its_will() {
    if !has("mosquitto") {
        return;
    }
    let shop = Shop::new();
    kiosk(&shop, "", "backend");
    let _broker = shop.broker();
    let mut daemon = shop.daemon(&[]);
    shop.wait_ready();
    wait_for("online", SOON, || state_of(&shop, "kiosk-1") == "online");
    daemon.kill();
    wait_for("offline", SOON, || state_of(&shop, "kiosk-1") == "offline");
}

#[test]
fn state_that_cannot_be_read_has_its_way_on() {
    let shop = Shop::new();
    kiosk(&shop, "", "backend");
    let tape = kiosk_tape();
    // No broker is needed: the events wait.
    let play = || {
        let closed = "select count(*) from event where type = 'basketd.basket.closed'";
        let count = || {
            let there = shop.path("state/outbox.db").exists();
            if there {
                number(&shop.outbox(), closed).unwrap_or(0)
            } else {
                0
            }
        };
        let before = count();
        let mut daemon = shop.daemon(&["--play", &tape, "--speed", "max"]);
        wait_for("the receipt is written", SOON, || count() > before);
        daemon.kill();
        std::fs::remove_file(&daemon.log).unwrap();
    };
    play();
    let before = bodies(&shop.outbox());
    assert!(before.len() >= 6, "{}", before.len());
    let start = |told: &str| {
        let mut daemon = shop.daemon(&[]);
        shop.wait_ready();
        let (code, _) = daemon.terminate();
        let text = daemon.told();
        assert!(
            code == Some(0) && text.contains(told),
            "`{told}` is not in\n{text}"
        );
        std::fs::remove_file(&daemon.log).unwrap();
    };
    // A database that is damaged: set aside, and made anew from the journal.
    let path = shop.path("state/outbox.db");
    for tail in ["-wal", "-shm"] {
        std::fs::remove_file(shop.path(&format!("state/outbox.db{tail}"))).ok();
    }
    std::fs::write(&path, vec![7_u8; 50_000]).unwrap();
    start("set aside");
    assert_eq!(bodies(&shop.outbox())[..before.len()], before[..]);
    // A database that is gone is the same.
    for tail in ["", "-wal", "-shm"] {
        std::fs::remove_file(shop.path(&format!("state/outbox.db{tail}"))).ok();
    }
    start("the state is as it was");
    assert_eq!(bodies(&shop.outbox())[..before.len()], before[..]);
    // A tail that is torn: what was told to anybody is there.
    play();
    let told = bodies(&shop.outbox());
    let newest = basketd::recording::journal::files(&shop.path("state/journal")).unwrap();
    let newest = newest.last().unwrap();
    let file = std::fs::OpenOptions::new()
        .append(true)
        .open(&newest.path)
        .unwrap();
    use std::io::Write as _;
    (&file)
        .write_all(&[5, 200, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3])
        .unwrap();
    start("the state is as it was");
    assert_eq!(bodies(&shop.outbox())[..told.len()], told[..]);
    // A journal whose end is gone: what comes is counted after what was told.
    play();
    let told = bodies(&shop.outbox());
    let files = basketd::recording::journal::files(&shop.path("state/journal")).unwrap();
    std::fs::remove_file(&files.last().unwrap().path).unwrap();
    start("the journal's end is lost");
    play();
    let after = bodies(&shop.outbox());
    assert_eq!(after[..told.len()], told[..]);
    assert!(after.len() >= told.len() + 6, "{} events", after.len());
    let told = after;
    // Snapshots of another version: a new engine goes on counting.
    for file in basketd::recording::journal::files(&shop.path("state/journal")).unwrap() {
        let mut bytes = std::fs::read(&file.path).unwrap();
        let begins = basketd::recording::journal::beginning(&file.path).unwrap();
        let snapshot = begins.snapshot.unwrap();
        let head = &snapshot[..24];
        let place = bytes.windows(24).position(|window| window == head).unwrap();
        bytes[place + 7] = 250;
        std::fs::write(&file.path, bytes).unwrap();
    }
    start("no snapshot can be read");
    // A journal that is gone, too.
    std::fs::remove_dir_all(shop.path("state/journal")).unwrap();
    start("no snapshot can be read");
    let all = bodies(&shop.outbox());
    assert_eq!(all[..told.len()], told[..]);
    // A database of a newer version is refused, and stays as it is.
    let db = shop.outbox();
    db.pragma_update(None, "user_version", 1_000).unwrap();
    drop(db);
    let mut daemon = shop.daemon(&[]);
    assert_eq!(daemon.wait(SOON), Some(1), "{}", daemon.told());
    assert!(daemon.told().contains("newer basketd"), "{}", daemon.told());
    let db = shop.outbox();
    db.pragma_update(None, "user_version", 2).unwrap();
    drop(db);
    // The state of another store is refused.
    let file = std::fs::read_to_string(shop.path("store.toml")).unwrap();
    std::fs::write(
        shop.path("store.toml"),
        file.replace("id = \"kiosk-1\"", "id = \"kiosk-2\""),
    )
    .unwrap();
    let mut daemon = shop.daemon(&[]);
    assert_eq!(daemon.wait(SOON), Some(1), "{}", daemon.told());
    assert!(
        daemon.told().contains("the state of store `kiosk-1`"),
        "{}",
        daemon.told()
    );
}

#[test]
fn visits_go_on_where_they_were_and_the_absence_is_told() {
    let shop = Shop::new();
    let tape = support::busy::shop(&shop.folder, &shop.settings("", "backend"), 1);
    // Killed while a shopper is inside.
    let mut daemon = shop.daemon(&["--play", tape.to_str().unwrap()]);
    wait_for("somebody has come in", SOON, || {
        shop.path("state/outbox.db").exists()
            && number(&shop.outbox(), "select count(*) from visit") >= Some(1)
    });
    daemon.kill();
    let before = bodies(&shop.outbox());
    std::thread::sleep(Duration::from_millis(1_200));
    let mut daemon = shop.daemon(&[]);
    shop.wait_ready();
    wait_for("the visit is open still", SOON, || {
        shop.metric("basketd_open_visits") == Some(1.0)
    });
    let told = daemon.told();
    assert!(told.contains("the box was away for"), "{told}");
    assert_eq!(daemon.terminate().0, Some(0));
    let after = bodies(&shop.outbox());
    assert_eq!(after[..before.len()], before[..]);
    assert!(
        after.iter().any(|body| body.contains("box-away")),
        "{after:?}"
    );
}

#[test]
fn with_more_than_its_limit_the_box_admits_nobody_and_loses_nothing() {
    if !has("mosquitto") {
        return;
    }
    let shop = Shop::new();
    let settings = shop.settings("outbox_bytes = 400000", "backend");
    let tape = support::busy::shop(&shop.folder, &settings, 400);
    let _broker = shop.broker();
    let play = [
        "--play",
        tape.to_str().unwrap(),
        "--speed",
        "400",
        "--repeat",
        "1000",
    ];
    let daemon = shop.daemon(&play);
    wait_for("the limit is reached", Duration::from_secs(60), || {
        state_of(&shop, "busy-1") == "degraded"
            && shop
                .page("/readyz")
                .is_some_and(|(_, text)| text.contains("outbox_bytes"))
    });
    let count = |db: &rusqlite::Connection, like: &str| {
        number(
            db,
            &format!("select count(*) from event where body like '%{like}%'"),
        )
        .unwrap()
    };
    wait_for(
        "it is told, and nobody is admitted",
        Duration::from_secs(60),
        || {
            count(&shop.outbox(), "\"disk-low\"") >= 1
                && count(&shop.outbox(), "\"not-admitted\"") >= 1
        },
    );
    let opened = count(&shop.outbox(), "visit.opened");
    wait_for("others knock in vain", SOON, || {
        count(&shop.outbox(), "\"not-admitted\"") >= 5
    });
    assert_eq!(count(&shop.outbox(), "visit.opened"), opened);
    // The backend comes: everything is there, and the shop opens again.
    let _backend = shop.backend();
    wait_for("visits begin again", Duration::from_secs(60), || {
        count(&shop.outbox(), "visit.opened") > opened
    });
    drop(daemon);
    let last = number(&shop.outbox(), "select max(n) from event").unwrap();
    let mut daemon = shop.daemon(&[]);
    shop.wait_ready();
    wait_for(
        "the backend has everything",
        Duration::from_secs(60),
        || number(&shop.receipts(), "select max(through) from watermark") >= Some(last),
    );
    assert_eq!(daemon.terminate().0, Some(0), "{}", daemon.told());
}

/// What was acknowledged stays, the state is clear, and it goes on by itself when the disk is well.
#[test]
fn a_full_disk_and_a_failed_sync_lose_nothing_that_was_told() {
    if !has("mosquitto") {
        return;
    }
    for (fault, only, told) in [
        ("FULL", "", "No space left on device"),
        ("FULL", "read-only", "Read-only file system"),
        ("FULL", "-wal", "disk is full"),
        ("EIO", "", "Input/output error"),
        ("EIO", "-wal", "disk I/O error"),
    ] {
        let shop = Shop::new();
        let Some(library) = shim(&shop.folder) else {
            return;
        };
        let tape = support::busy::shop(&shop.folder, &shop.settings("", "backend"), 400);
        let _broker = shop.broker();
        let _backend = shop.backend();
        let mut command = Command::new(env!("CARGO_BIN_EXE_basketd"));
        command
            .args(["run", "--store"])
            .arg(shop.path("store.toml"))
            .args([
                "--play",
                tape.to_str().unwrap(),
                "--speed",
                "200",
                "--repeat",
                "1000",
            ])
            .env("LD_PRELOAD", library)
            .env(format!("BASKETD_SHIM_{fault}"), shop.path("sick"));
        match only {
            "" => {}
            "read-only" => {
                command.env("BASKETD_SHIM_READONLY", "1");
            }
            only => {
                command.env("BASKETD_SHIM_ONLY", only);
            }
        }
        let mut daemon = Process::spawn(command, &shop.path("daemon.log"));
        shop.wait_ready();
        let made = || number(&shop.outbox(), "select max(n) from event").unwrap_or(0);
        wait_for("events are made", SOON, || made() > 100);
        std::fs::write(shop.path("sick"), "").unwrap();
        wait_for("it says that it cannot write", SOON, || {
            shop.page("/readyz")
                .is_some_and(|(code, text)| code == 503 && text.contains("storage"))
        });
        wait_for("and so does its status", SOON, || {
            state_of(&shop, "busy-1") == "degraded"
        });
        let stood = made();
        assert!(daemon.is_running(), "{}", daemon.told());
        assert_eq!(shop.page("/healthz").map(|(code, _)| code), Some(200));
        std::thread::sleep(Duration::from_millis(2_500));
        assert!(
            made() <= stood + 1,
            "{fault}: events in a database that cannot be written"
        );
        std::fs::remove_file(shop.path("sick")).unwrap();
        wait_for("it goes on by itself", SOON, || made() > stood + 100);
        wait_for("well again", SOON, || state_of(&shop, "busy-1") == "online");
        let text = daemon.told();
        assert!(
            text.contains("nothing can be written") && text.contains("there is space again"),
            "{text}"
        );
        assert!(
            text.contains(told) || only == "-wal",
            "{fault} {only}: {text}"
        );
        daemon.kill();
        let last = made();
        // A kill right after: the journal's new file holds.
        let mut daemon = shop.daemon(&[]);
        shop.wait_ready();
        wait_for("the backend has everything", SOON, || {
            number(&shop.receipts(), "select max(through) from watermark") >= Some(last)
        });
        assert_eq!(
            number(&shop.receipts(), "select count(*) from conflict"),
            Some(0)
        );
        assert_eq!(daemon.terminate().0, Some(0), "{}", daemon.told());
        // The journal tells the same story, over the files that the fault tore.
        let mut replay = Command::new(env!("CARGO_BIN_EXE_basketd"));
        replay
            .arg("replay")
            .arg("--store")
            .arg(shop.path("store.toml"));
        replay.arg("--events").arg(shop.path("replayed.jsonl"));
        for file in basketd::recording::journal::files(&shop.path("state/journal")).unwrap() {
            replay.arg(file.path);
        }
        assert!(replay.output().unwrap().status.success());
        let replayed = std::fs::read_to_string(shop.path("replayed.jsonl")).unwrap();
        assert_eq!(replayed.lines().collect::<Vec<_>>(), bodies(&shop.outbox()));
        println!("{fault} {only}: {last} events, none lost");
    }
}

#[test]
fn by_puback_what_reached_nobody_is_not_delivered() {
    if !has("mosquitto") || !has("mosquitto_sub") {
        return;
    }
    let shop = Shop::new();
    kiosk(&shop, "", "puback");
    let _broker = shop.broker();
    let mut daemon = shop.daemon(&["--play", &kiosk_tape(), "--speed", "max"]);
    wait_for("nobody listens, and it says so", SOON, || {
        shop.page("/readyz")
            .is_some_and(|(_, text)| text.contains("no backend is subscribed"))
    });
    assert_eq!(shop.metric("basketd_outbox_confirmed"), Some(0.0));
    let mut listener = Command::new("mosquitto_sub");
    listener
        .args([
            "-V",
            "5",
            "-q",
            "1",
            "-C",
            "6",
            "-p",
            &shop.broker_port.to_string(),
        ])
        .args([
            "-t",
            "basketd/v1/kiosk-1/visit/+",
            "-t",
            "basketd/v1/kiosk-1/alert",
        ]);
    let mut listener = Process::spawn(listener, &shop.path("heard.jsonl"));
    assert_eq!(listener.wait(SOON), Some(0));
    let heard = listener.told();
    let made = bodies(&shop.outbox());
    assert_eq!(heard.lines().take(6).collect::<Vec<_>>(), made[..6]);
    wait_for("all is delivered", SOON, || {
        shop.metric("basketd_outbox_events") == Some(0.0)
    });
    assert_eq!(daemon.terminate().0, Some(0), "{}", daemon.told());
}

/// Certificates of an authority of the story's own.
fn certificates(folder: &Path) {
    let script = r#"
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.crt
        for name in server kiosk-1; do
          openssl req -newkey rsa:2048 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
          printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' > ext
          openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
            -extfile ext -out $name.crt
        done
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout bad.key -out bad.crt
    "#;
    let done = Command::new("sh")
        .arg("-ec")
        .arg(script)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn tls_takes_the_right_certificates_only_and_tells_no_secret() {
    if !has("mosquitto") || !has("openssl") || !has("mosquitto_passwd") {
        return;
    }
    let shop = Shop::new();
    kiosk(&shop, "", "backend");
    certificates(&shop.folder);
    let secret = "s3cret-of-the-kiosk";
    std::fs::write(shop.path("mqtt.password"), format!("{secret}\n")).unwrap();
    let users = shop.path("users");
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c", users.to_str().unwrap(), "kiosk-1", secret])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let port = shop.broker_port;
    let conf = format!(
        "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {}\npersistence false\n\
         user root\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
        users.display(),
        shop.path("ca.crt").display(),
        shop.path("server.crt").display(),
        shop.path("server.key").display()
    );
    std::fs::write(shop.path("tls.conf"), conf).unwrap();
    let mut command = Command::new("mosquitto");
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .env("PATH", format!("{path}:/usr/sbin"))
        .arg("-c")
        .arg(shop.path("tls.conf"));
    let _broker = Process::spawn(command, &shop.path("broker.log"));
    let plain = std::fs::read_to_string(shop.path("store.toml")).unwrap();
    let with = |ca: &str, cert: &str, password: &str| {
        let tls = format!(
            "url = \"mqtts://localhost:{port}\"\nusername = \"kiosk-1\"\n\
             password_file = \"{password}\"\nca_file = \"{ca}\"\ncert_file = \"{cert}.crt\"\n\
             key_file = \"{cert}.key\""
        );
        let old = format!("url = \"mqtt://127.0.0.1:{port}\"");
        assert!(plain.contains(&old));
        std::fs::write(shop.path("store.toml"), plain.replace(&old, &tls)).unwrap();
    };
    let mut logs = String::new();
    for (ca, cert, password, told) in [
        (
            "bad.crt",
            "kiosk-1",
            "mqtt.password",
            "invalid peer certificate",
        ),
        ("ca.crt", "bad", "mqtt.password", "not connected"),
        ("ca.crt", "kiosk-1", "bad.crt", "look at `username`"),
    ] {
        with(ca, cert, password);
        let mut daemon = shop.daemon(&[]);
        wait_for(told, SOON, || daemon.told().contains(told));
        daemon.kill();
        logs += &daemon.told();
        std::fs::remove_file(&daemon.log).unwrap();
    }
    with("ca.crt", "kiosk-1", "mqtt.password");
    let mut daemon = shop.daemon(&[]);
    wait_for("connected", SOON, || {
        shop.metric("basketd_mqtt_connected") == Some(1.0)
    });
    assert_eq!(daemon.terminate().0, Some(0), "{}", daemon.told());
    logs += &daemon.told();
    let check = Command::new(env!("CARGO_BIN_EXE_basketd"))
        .args(["check", "--store"])
        .arg(shop.path("store.toml"))
        .output()
        .unwrap();
    logs += &String::from_utf8_lossy(&check.stdout);
    logs += &String::from_utf8_lossy(&check.stderr);
    assert!(
        !logs.contains(secret) && !logs.contains("PRIVATE KEY"),
        "{logs}"
    );
}

#[test]
fn a_port_that_is_taken_is_worth_another_try() {
    let shop = Shop::new();
    kiosk(&shop, "", "backend");
    let taken = std::net::TcpListener::bind(("127.0.0.1", shop.console_port)).unwrap();
    let mut daemon = shop.daemon(&[]);
    assert_eq!(daemon.wait(SOON), Some(70), "{}", daemon.told());
    assert!(
        daemon.told().contains(&shop.console_port.to_string()),
        "{}",
        daemon.told()
    );
    drop(taken);
    assert_ne!(free_port(), 0);
}

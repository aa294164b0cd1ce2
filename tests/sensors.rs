//! Live sensors of a deployed box: gates that call and publish, scales behind a broker, everything
//! unplugged and back.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::shop::{Process, Shop, has, wait_for};

const SOON: Duration = Duration::from_secs(20);

/// One gondola whose two shelves stand on scales behind MQTT, and two gates.
const STORE: &str = r#"
[store]
id = "corner"
catalog = "catalog.csv"

[[zone]]
id = "door"
kinds = ["entry", "exit"]
polygon = [[0, 0], [1, 0], [1, 1], [0, 1]]

[[gate]]
id = "turnstile"
zone = "door"
source = "http"
secret_file = "gate.secret"

[[gate]]
id = "reader"
zone = "door"
source = "mqtt:access/reader"

[[gondola]]
id = "g1"
front = [[0, 3], [2, 3]]
door = "mqtt:coolers/g1"

[[gondola.shelf]]
id = "s1"
facings = [{ gtin = "2000000010014", from = 0, to = 1 }, { gtin = "2000000010021", from = 1, to = 2 }]

[[scale]]
id = "left"
shelf = "s1"
from = 0
to = 1
source = "mqtt:plates/1"
path = "HX711.cells[0]"
unit = "kg"

[[scale]]
id = "right"
shelf = "s1"
from = 1
to = 2
source = "mqtt:plates/2"
"#;

fn open_shop() -> Shop {
    let shop = Shop::new();
    let text = format!("{STORE}\n{}", shop.settings("", "puback"));
    std::fs::write(shop.path("store.toml"), text).unwrap();
    std::fs::write(shop.path("gate.secret"), "open sesame\n").unwrap();
    let catalog = "gtin,name,price,weight_g\n2000000010014,Crisps,1.90,101\n\
                   2000000010021,Juice,2.40,281\n";
    std::fs::write(shop.path("catalog.csv"), catalog).unwrap();
    shop
}

impl Shop {
    fn publish(&self, topic: &str, payload: &str, more: &[&str]) {
        let port = self.broker_port.to_string();
        let args = ["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic];
        let status = Command::new("mosquitto_pub")
            .args(args)
            .args(["-m", payload])
            .args(more)
            .status();
        assert!(status.unwrap().success());
    }

    /// A call of a gate: the status code and the answer.
    fn call(&self, gate: &str, secret: &str, key: &str, body: &str) -> (u16, String) {
        let address = ("127.0.0.1", self.console_port);
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let length = body.len();
        let request = format!(
            "POST /gate/{gate} HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer {secret}\r\n\
             Idempotency-Key: {key}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let code = text.split_whitespace().nth(1).unwrap().parse().unwrap();
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (code, body.trim().to_owned())
    }

    fn is_up(&self, source: &str) -> Option<bool> {
        let name = format!("basketd_source_up{{source=\"{source}\"}}");
        self.metric(&name).map(|up| up > 0.5)
    }

    fn wait_up(&self, source: &str, up: bool) {
        let what = format!("{source} is {}", if up { "up" } else { "down" });
        wait_for(&what, SOON, || self.is_up(source) == Some(up));
    }

    /// The events that the box has kept, of one type.
    fn events(&self, kind: &str) -> Vec<Value> {
        let db = self.outbox();
        let mut rows = db.prepare("SELECT body FROM event ORDER BY n").unwrap();
        let bodies = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let bodies = bodies.map(|body| serde_json::from_str(&body.unwrap()).unwrap());
        bodies
            .filter(|event: &Value| event["type"] == kind)
            .collect()
    }

    fn daemon_is_up(&self) -> Process {
        let daemon = self.daemon(&[]);
        self.wait_ready();
        daemon
    }
}

#[test]
fn a_turnstile_calls_and_its_event_is_on_disk_when_it_is_answered() {
    if !has("mosquitto") {
        return;
    }
    let shop = open_shop();
    let _broker = shop.broker();
    let mut daemon = shop.daemon_is_up();
    shop.wait_up("gate/turnstile", true);
    let admitted = r#"{"kind": "admitted", "token": "q-1", "face": "AAAA"}"#;
    let call = |gate, secret, key, body| shop.call(gate, secret, key, body).0;
    assert_eq!(call("turnstile", "open sesam", "k0", admitted), 401);
    assert_eq!(call("reader", "open sesame", "k0", admitted), 401);
    assert_eq!(call("nowhere", "open sesame", "k0", admitted), 401);
    let (code, why) = shop.call("turnstile", "open sesame", "k1", r#"{"token": "q-1"}"#);
    assert_eq!(code, 422);
    assert!(!why.contains("q-1"), "{why}");
    let huge = format!(
        r#"{{"kind": "door", "open": true, "x": "{}"}}"#,
        "x".repeat(20_000)
    );
    assert_eq!(call("turnstile", "open sesame", "k2", &huge), 413);
    // Called three times with one key: once let in.
    for _ in 0..3 {
        assert_eq!(call("turnstile", "open sesame", "k3", admitted), 200);
    }
    daemon.kill();
    let mut daemon = shop.daemon_is_up();
    wait_for("the visit", SOON, || {
        shop.events("basketd.visit.opened").len() == 1
    });
    let told = daemon.told();
    assert!(
        !told.contains("open sesame") && !told.contains("q-1"),
        "{told}"
    );
    daemon.terminate();
    let journal = std::fs::read_dir(shop.path("state/journal")).unwrap();
    for file in journal {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let face = bytes.windows(4).any(|part| part == b"face");
        assert!(!face, "what a terminal sent beside the token was kept");
    }
}

#[test]
fn what_comes_over_the_broker_is_taken_as_fresh_only_where_it_is() {
    if !has("mosquitto") || !has("mosquitto_pub") {
        return;
    }
    let shop = open_shop();
    let mut broker = shop.broker();
    shop.publish("plates/1", r#"{"HX711": {"cells": [9.9]}}"#, &["-r"]);
    shop.publish(
        "access/reader",
        r#"{"kind": "admitted", "token": "old"}"#,
        &["-r"],
    );
    let mut daemon = shop.daemon_is_up();
    shop.wait_up("gate/reader", true);
    // What the broker had kept is of another time.
    assert_eq!(shop.is_up("scale/left"), None);
    shop.publish("plates/1", r#"{"HX711": {"cells": [0.25]}}"#, &[]);
    shop.publish("plates/2", "281", &[]);
    shop.wait_up("scale/left", true);
    shop.wait_up("scale/right", true);
    shop.publish("plates/2", "heavy", &[]);
    shop.wait_up("scale/right", false);
    let (_, ready) = shop.page("/readyz").unwrap();
    assert!(
        ready.contains("scale/right is degraded: on `plates/2`"),
        "{ready}"
    );
    shop.publish("plates/2", "280.5", &[]);
    shop.wait_up("scale/right", true);
    shop.publish("coolers/g1", "open", &[]);
    shop.publish(
        "access/reader",
        r#"{"kind": "admitted", "token": "new"}"#,
        &[],
    );
    shop.wait_up("door/g1", true);
    wait_for("the visit", SOON, || {
        shop.events("basketd.visit.opened").len() == 1
    });
    let visit = &shop.events("basketd.visit.opened")[0]["data"];
    assert_eq!(visit["token"], "new");
    // The broker dies: nothing is heard, and that is known.
    broker.kill();
    for source in ["scale/left", "scale/right", "gate/reader", "door/g1"] {
        shop.wait_up(source, false);
    }
    wait_for("alerts", SOON, || {
        shop.events("basketd.alert.raised").iter().any(|alert| {
            alert["data"]["kind"] == "source-offline" && alert["data"]["about"] == "scale/left"
        })
    });
    // Within two seconds nobody takes anything.
    let age = "basketd_source_age_seconds{source=\"scale/right\"}";
    wait_for("a while", SOON, || {
        shop.metric(age).is_some_and(|s| s > 3.0)
    });
    let _broker = shop.broker();
    shop.wait_up("gate/reader", true);
    shop.publish("plates/1", r#"{"HX711": {"cells": [0.25]}}"#, &[]);
    shop.wait_up("scale/left", true);
    assert!(daemon.is_running());
    // Its receipt says that a sensor was away.
    shop.publish("plates/2", "280.5", &[]);
    let close = format!(r#"{{"visit": {}, "by": "s-1"}}"#, visit["visit"]);
    // The box may not have subscribed again when it is asked first.
    wait_for("the receipt", SOON, || {
        shop.publish("basketd/v1/corner/cmd/visit.close", &close, &[]);
        !shop.events("basketd.basket.closed").is_empty()
    });
    let closed = &shop.events("basketd.basket.closed")[0]["data"];
    assert_eq!(closed["decision"], "review");
    let reasons = closed["reasons"].as_array().unwrap();
    assert!(reasons.contains(&"sensors-away".into()), "{closed}");
    daemon.terminate();
}

#[test]
fn live_sensors_are_recorded_with_their_states() {
    if !has("mosquitto") || !has("mosquitto_pub") {
        return;
    }
    let shop = open_shop();
    let _broker = shop.broker();
    let mut command = Command::new(env!("CARGO_BIN_EXE_basketd"));
    command
        .arg("record")
        .arg("--store")
        .arg(shop.path("store.toml"))
        .arg("--out")
        .arg(shop.path("day.mcap"));
    let mut record = Process::spawn(command, &shop.path("record.log"));
    wait_for("the gate", SOON, || {
        record.told().contains("gate/reader: Online")
    });
    let weight = r#"{"HX711": {"cells": [0.25]}}"#;
    for _ in 0..3 {
        shop.publish("plates/1", weight, &[]);
    }
    wait_for("the scale", SOON, || {
        record.told().contains("scale/left: Online")
    });
    let body = r#"{"kind": "admitted", "token": "q-1"}"#;
    assert_eq!(shop.call("turnstile", "open sesame", "k1", body).0, 200);
    let (code, _) = record.terminate();
    assert_eq!(code, Some(0), "{}", record.told());
    let inspected = Command::new(env!("CARGO_BIN_EXE_basketd"))
        .arg("inspect")
        .arg(shop.path("day.mcap"))
        .output()
        .unwrap();
    let told = String::from_utf8(inspected.stdout).unwrap();
    for topic in ["/scale/left", "/gate/turnstile", "/source"] {
        assert!(told.contains(topic), "{told}");
    }
    let replayed = Command::new(env!("CARGO_BIN_EXE_basketd"))
        .arg("replay")
        .arg(shop.path("day.mcap"))
        .arg("--store")
        .arg(shop.path("store.toml"))
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{replayed:?}");
}

#[test]
fn a_store_file_read_anew_takes_other_secrets_and_parts_with_sensors() {
    if !has("mosquitto") {
        return;
    }
    let shop = open_shop();
    let mut broker = shop.broker();
    let mut daemon = shop.daemon_is_up();
    shop.wait_up("gate/turnstile", true);
    let presented = r#"{"kind": "presented", "token": "q-1"}"#;
    assert_eq!(
        shop.call("turnstile", "open sesame", "k1", presented).0,
        200
    );
    let (code, why) = shop.call("turnstile", "open sesame", "", presented);
    assert_eq!(code, 400, "{why}");
    // Everything behind the broker goes, and is known to be gone.
    broker.kill();
    for source in ["gate/reader", "scale/left"] {
        wait_for(source, SOON, || {
            let (_, ready) = shop.page("/readyz").unwrap();
            ready.contains(&format!("{source} is offline"))
        });
    }
    // Another secret, and no sensor behind the broker any more.
    std::fs::write(shop.path("gate.secret"), "another\n").unwrap();
    let text = std::fs::read_to_string(shop.path("store.toml")).unwrap();
    let behind = |line: &str| line.contains("mqtt:") && !line.contains("mqtt://");
    let how = |line: &str| line.starts_with("path") || line.starts_with("unit");
    let part = |line: &&str| !behind(line) && !how(line);
    let text: String = text
        .lines()
        .filter(part)
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(shop.path("store.toml"), text).unwrap();
    daemon.signal(rustix::process::Signal::HUP);
    wait_for("the other secret", SOON, || {
        shop.call("turnstile", "another", "k2", presented).0 == 200
    });
    assert_eq!(
        shop.call("turnstile", "open sesame", "k3", presented).0,
        401
    );
    wait_for("nothing is away", SOON, || {
        let (_, ready) = shop.page("/readyz").unwrap();
        !ready.contains("offline")
    });
    assert_eq!(shop.is_up("scale/left"), None);
    let cleared = shop.events("basketd.alert.cleared");
    assert!(
        cleared
            .iter()
            .any(|alert| alert["data"]["about"] == "scale/left"),
        "{cleared:?}"
    );
    // The key of before is known still: one event, and not two.
    assert_eq!(shop.call("turnstile", "another", "k1", presented).0, 200);
    daemon.terminate();
    let mut presented = 0;
    for file in std::fs::read_dir(shop.path("state/journal")).unwrap() {
        basketd::recording::stream(&file.unwrap().path(), &mut |message| {
            presented += usize::from(message.channel.topic == "/gate/turnstile");
        })
        .unwrap();
    }
    assert_eq!(presented, 2);
}

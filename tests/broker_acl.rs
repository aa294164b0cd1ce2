//! The broker's configuration and access list that ship with the project, in a real mosquitto: each
//! box speaks and hears for itself alone, and nobody but the backend confirms or commands.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

const USERS: [&str; 4] = ["store-1", "store-2", "backend", "access"];

/// A mosquitto of our own, with the shipped files.
struct Broker {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What came of a publish.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Accepted,
    /// The broker's PUBACK says so: 135, not authorised.
    NotAuthorized,
    /// Not even the connection was accepted.
    Refused,
}

impl Broker {
    /// `None`, with a printed line, where there is no mosquitto.
    fn start() -> Option<Self> {
        let programs = [
            "mosquitto",
            "mosquitto_passwd",
            "mosquitto_pub",
            "mosquitto_sub",
        ];
        for program in programs {
            if find(program).is_none() {
                println!("skipped: no {program}");
                return None;
            }
        }
        // Somebody else may take a port between our looking for it and mosquitto's opening it.
        (0..5)
            .find_map(|_| Self::try_start())
            .or_else(|| panic!("mosquitto does not start"))
    }

    fn try_start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let users = folder.path().join("users");
        std::fs::write(&users, "").unwrap();
        for user in USERS {
            let mut command = Command::new(find("mosquitto_passwd").unwrap());
            let added = command.arg("-b").arg(&users).args([user, &password(user)]);
            assert!(added.status().unwrap().success());
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let file = folder.path().join("mosquitto.conf");
        std::fs::write(&file, configuration(&users, port)).unwrap();
        let mut command = Command::new(find("mosquitto").unwrap());
        command.arg("-c").arg(&file);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut broker = Self {
            child,
            port,
            _folder: folder,
        };
        let up = poll(|| {
            let ended = broker.child.try_wait().unwrap().is_some();
            let open = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            (ended || open).then_some(!ended)
        });
        (up == Some(true)).then_some(broker)
    }

    /// A client as that user; `None` for nobody.
    fn client(&self, program: &str, user: Option<(&str, &str)>) -> Command {
        let mut command = Command::new(find(program).unwrap());
        command.args(["-V", "mqttv5", "-q", "1", "-h", "127.0.0.1", "-p"]);
        command.arg(self.port.to_string());
        if let Some((name, password)) = user {
            command.args(["-u", name, "-P", password]);
        }
        command
    }

    /// Publishes, retained, so that whoever subscribes later hears it.
    fn publish_as(&self, user: Option<(&str, &str)>, topic: &str) -> Told {
        let mut command = self.client("mosquitto_pub", user);
        let output = command.args(["-r", "-m", topic, "-t", topic]);
        let Output { status, stderr, .. } = output.output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        match (status.success(), said.contains("Not authorized")) {
            (true, false) => Told::Accepted,
            (true, true) => Told::NotAuthorized,
            (false, true) => Told::Refused,
            (false, false) => panic!("{status}: {said}"),
        }
    }

    fn publish(&self, user: &str, topic: &str) -> Told {
        self.publish_as(Some((user, &password(user))), topic)
    }

    /// Whether the user hears what lies retained under the topic. Mosquitto grants each subscription
    /// and keeps back what may not be heard; so a topic that may be heard stands behind it, and what
    /// comes first tells.
    fn hears(&self, user: &str, topic: &str) -> bool {
        let own = match user {
            "backend" => "basketd/v1/store-1/status",
            _ => &format!("basketd/v1/{user}/ack"),
        };
        let teller = if user == "backend" {
            "store-1"
        } else {
            "backend"
        };
        assert_eq!(self.publish(teller, own), Told::Accepted);
        let mut command = self.client("mosquitto_sub", Some((user, &password(user))));
        command.args(["-C", "1", "-W", "20", "-t", topic, "-t", own]);
        let output = command.output().unwrap();
        let first = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{user} {topic}: {first:?} {output:?}"
        );
        let first = first.trim_end();
        assert!(first == topic || first == own, "{first}");
        first == topic
    }
}

/// The shipped configuration with paths and port of the test, and nothing kept on disk.
fn configuration(users: &Path, port: u16) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/mosquitto");
    let mut text = std::fs::read_to_string(root.join("basketd.conf")).unwrap();
    let acl = root.join("basketd.acl");
    for (from, to) in [
        ("/etc/mosquitto/basketd.acl", acl.display().to_string()),
        ("/etc/mosquitto/basketd.passwd", users.display().to_string()),
        (
            "listener 1883 127.0.0.1",
            format!("listener {port} 127.0.0.1"),
        ),
        ("persistence true", "persistence false".to_owned()),
    ] {
        let line = text
            .lines()
            .any(|line| !line.starts_with('#') && line.contains(from));
        assert!(line, "no {from}");
        text = text.replace(from, &to);
    }
    // Started by root it would become another user, who may not read our folder.
    text.push_str("user root\nlog_type none\n");
    text
}

fn password(user: &str) -> String {
    format!("password of {user}")
}

/// A program on the path, or where Debian keeps daemons.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Asks until there is an answer, ten seconds at most.
fn poll<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..500 {
        let answer = ask();
        if answer.is_some() {
            return answer;
        }
        sleep(Duration::from_millis(20));
    }
    None
}

#[test]
fn strangers_are_refused() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let topic = "basketd/v1/store-1/status";
    assert_eq!(broker.publish_as(None, topic), Told::Refused);
    assert_eq!(
        broker.publish_as(Some(("store-1", "guessed")), topic),
        Told::Refused
    );
    assert_eq!(
        broker.publish_as(Some(("store-3", "guessed")), topic),
        Told::Refused
    );
}

#[test]
fn a_box_speaks_for_itself_alone() {
    let Some(broker) = Broker::start() else {
        return;
    };
    for below in [
        "visit/v-000017",
        "stock/g1-s1/00071063437089",
        "stock-alert",
        "traffic/door",
        "interest/00071063437089",
        "alert",
        "status",
        "source/camera/cam1",
        "reply/till/7",
    ] {
        let topic = format!("basketd/v1/store-1/{below}");
        assert_eq!(broker.publish("store-1", &topic), Told::Accepted, "{topic}");
        assert_eq!(
            broker.publish("store-2", &topic),
            Told::NotAuthorized,
            "{topic}"
        );
        assert!(broker.hears("backend", &topic), "{topic}");
        assert!(!broker.hears("store-2", &topic), "{topic}");
    }
    for topic in [
        "basketd/v1/store-1/other",
        "basketd/v1/status",
        "access/store-1/door",
    ] {
        assert_eq!(
            broker.publish("store-1", topic),
            Told::NotAuthorized,
            "{topic}"
        );
    }
}

#[test]
fn only_the_backend_confirms_and_commands() {
    let Some(broker) = Broker::start() else {
        return;
    };
    for topic in ["basketd/v1/store-1/cmd/price.set", "basketd/v1/store-1/ack"] {
        assert_eq!(
            broker.publish("store-1", topic),
            Told::NotAuthorized,
            "{topic}"
        );
        assert_eq!(
            broker.publish("store-2", topic),
            Told::NotAuthorized,
            "{topic}"
        );
        assert_eq!(
            broker.publish("access", topic),
            Told::NotAuthorized,
            "{topic}"
        );
        assert_eq!(broker.publish("backend", topic), Told::Accepted, "{topic}");
        assert!(broker.hears("store-1", topic), "{topic}");
        assert!(!broker.hears("store-2", topic), "{topic}");
    }
    assert!(!broker.hears("store-2", "basketd/v1/store-1/cmd/+"));
    assert!(!broker.hears("store-2", "basketd/v1/+/cmd/price.set"));
    // The backend does not speak as a box.
    let visit = "basketd/v1/store-1/visit/v-000017";
    assert_eq!(broker.publish("backend", visit), Told::NotAuthorized);
}

#[test]
fn a_gate_lets_people_into_its_own_store() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let topic = "access/store-1/door";
    assert_eq!(broker.publish("store-2", topic), Told::NotAuthorized);
    assert_eq!(broker.publish("access", topic), Told::Accepted);
    assert!(broker.hears("store-1", topic));
    assert!(!broker.hears("store-2", topic));
}

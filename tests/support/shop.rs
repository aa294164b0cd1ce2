//! A shop's box as it is deployed, from outside: a real broker, the daemon, a backend, each a
//! process that can be killed.

use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use basketd::clock::Stopwatch;
use rusqlite::Connection;

/// A port that nobody listens on just now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Whether a program is installed; tells where it is not.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.iter().any(|folder| folder.join(program).is_file());
    if !found {
        println!("skipped: no {program}");
    }
    found
}

fn elapsed(watch: Stopwatch) -> Duration {
    Duration::from_nanos(watch.nanos())
}

/// Waits until something is so; a story that waits longer than its patience has failed.
pub(crate) fn wait_for(what: &str, patience: Duration, mut is: impl FnMut() -> bool) {
    let begin = Stopwatch::start();
    while !is() {
        assert!(elapsed(begin) < patience, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process that is killed when its story ends.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) log: PathBuf,
}

impl Process {
    pub(crate) fn spawn(mut command: Command, log: &Path) -> Self {
        let out = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = log.to_owned();
        Self { child, log }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }

    /// Ends it as systemd would; gives its exit code and how long it took.
    pub(crate) fn terminate(&mut self) -> (Option<i32>, Duration) {
        let begin = Stopwatch::start();
        self.signal(rustix::process::Signal::TERM);
        let code = self.wait(Duration::from_secs(20));
        (code, elapsed(begin))
    }

    pub(crate) fn wait(&mut self, patience: Duration) -> Option<i32> {
        let mut code = None;
        let log = self.log.clone();
        wait_for(
            &format!("the end of what writes {}", log.display()),
            patience,
            || {
                code = self.child.try_wait().unwrap();
                code.is_some()
            },
        );
        code.and_then(|status| status.code())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn told(&self) -> String {
        let mut text = String::new();
        std::fs::File::open(&self.log)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    /// Resident memory, KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmRSS:"));
        let digits = line.and_then(|line| line.split_whitespace().nth(1));
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A shop's folder, ports and processes.
pub(crate) struct Shop {
    pub(crate) folder: PathBuf,
    pub(crate) broker_port: u16,
    pub(crate) console_port: u16,
    _temp: tempfile::TempDir,
}

impl Shop {
    /// A folder with ports of its own; what stands in it is the story's.
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self {
            folder: temp.path().to_owned(),
            broker_port: free_port(),
            console_port: free_port(),
            _temp: temp,
        }
    }

    /// The tables `[state]`, `[mqtt]`, `[console]` of its store file.
    pub(crate) fn settings(&self, more_state: &str, confirm: &str) -> String {
        format!(
            "[state]\ndir = \"state\"\n{more_state}\n\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n\
             confirm = \"{confirm}\"\n\n[console]\nlisten = \"127.0.0.1:{}\"\n",
            self.broker_port, self.console_port
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Mosquitto without persistence: one that is killed has forgotten.
    pub(crate) fn broker(&self) -> Process {
        let conf = self.path("broker.conf");
        let text = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\n\
             max_queued_messages 0\n",
            self.broker_port
        );
        std::fs::write(&conf, text).unwrap();
        let mut command = Command::new("mosquitto");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{path}:/usr/sbin"))
            .arg("-c")
            .arg(&conf);
        let process = Process::spawn(command, &self.path("broker.log"));
        let address = ("127.0.0.1", self.broker_port);
        wait_for("the broker listens", Duration::from_secs(10), || {
            std::net::TcpStream::connect(address).is_ok()
        });
        process
    }

    pub(crate) fn daemon(&self, more: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_basketd"));
        command
            .arg("run")
            .arg("--store")
            .arg(self.path("store.toml"))
            .args(more)
            .env("RUST_LOG", "info");
        Process::spawn(command, &self.path("daemon.log"))
    }

    pub(crate) fn backend(&self) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_basketd"));
        command
            .args(["checkout", "--quiet", "--url"])
            .arg(format!("mqtt://127.0.0.1:{}", self.broker_port))
            .arg("--db")
            .arg(self.path("receipts.sqlite"))
            .env("RUST_LOG", "info");
        Process::spawn(command, &self.path("backend.log"))
    }

    pub(crate) fn outbox(&self) -> Connection {
        Connection::open(self.path("state/outbox.db")).unwrap()
    }

    pub(crate) fn receipts(&self) -> Connection {
        Connection::open(self.path("receipts.sqlite")).unwrap()
    }

    /// A page of the daemon, with its status code.
    pub(crate) fn page(&self, path: &str) -> Option<(u16, String)> {
        use std::io::Write as _;
        let address = ("127.0.0.1", self.console_port);
        let mut stream = std::net::TcpStream::connect(address).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let code = text.split_whitespace().nth(1)?.parse().ok()?;
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Some((code, body.to_owned()))
    }

    pub(crate) fn wait_ready(&self) {
        wait_for("the daemon is ready", Duration::from_secs(30), || {
            self.page("/readyz").is_some_and(|(code, _)| code == 200)
        });
    }

    /// The same of a daemon that may refuse its store file.
    pub(crate) fn wait_ready_or_end(&self, daemon: &mut Process) {
        wait_for(
            "the daemon is ready or ends",
            Duration::from_secs(30),
            || {
                let ready = self.page("/readyz").is_some_and(|(code, _)| code == 200);
                ready || !daemon.is_running()
            },
        );
    }

    /// A figure of the daemon's metrics.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.page("/metrics")?;
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }
}

/// One number out of a database that others write; `None` while it cannot be read.
pub(crate) fn number(db: &Connection, text: &str) -> Option<i64> {
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    db.query_row(text, [], |row| row.get::<_, Option<i64>>(0))
        .ok()
        .map(|n| n.unwrap_or(0))
}

/// The library that makes the disk sick, built into a folder.
pub(crate) fn shim(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trials/shim.c");
    let out = folder.join("shim.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .arg(&out)
        .arg(source)
        .status();
    match built {
        Ok(status) if status.success() => Some(out),
        _ => {
            println!("skipped: no C compiler");
            None
        }
    }
}

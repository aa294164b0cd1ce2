//! One camera's life: opened, looked at, closed, and opened again, in a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::eye::Eye;
use super::health::Verdict;
use super::source::{Source, Trouble};
use super::{Address, Config, TakeFrame};
use super::{file, http, rtsp, v4l2};
use crate::clock::Monotonic;
use crate::link::backoff::Backoff;
use crate::link::outlet::{Gone, Outlet};
use crate::observation::SourceState;

/// A connection that gave pictures for so long was a success, and the next begins without a wait.
const SUCCESS_MS: u64 = 10_000;
/// How long the end is waited for. A thread that is deep in a library's wait ends soon after, and
/// gives nothing more.
const GRACE: Duration = Duration::from_secs(2);
/// How late a wait may notice the end.
const STEP: Duration = Duration::from_millis(50);

pub(super) async fn run(
    config: Config,
    frames: Arc<TakeFrame>,
    outlet: Outlet,
    mut stop: watch::Receiver<bool>,
) {
    let (done, mut ended) = oneshot::channel::<()>();
    // A thread's name may hold no zero.
    let name = format!("camera {}", config.name.replace('\0', ""));
    let handle = Handle::current();
    let thread_stop = Stop {
        stop: stop.clone(),
        handle,
    };
    let body = move || {
        let _done = done;
        Supervisor::new(config, frames, outlet, thread_stop).run();
    };
    if let Err(error) = std::thread::Builder::new().name(name.clone()).spawn(body) {
        tracing::error!(%error, "no thread for {name}: the camera is not watched");
        return;
    }
    tokio::select! {
        _ = &mut ended => return,
        _ = stop.wait_for(|stop| *stop) => {}
    }
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::debug!("{name} ends later");
    }
}

/// Whether it is time to end, for a thread.
#[derive(Clone)]
pub(super) struct Stop {
    stop: watch::Receiver<bool>,
    handle: Handle,
}

impl Stop {
    fn is_set(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }

    /// Waits, but hardly beyond the end.
    fn wait(&self, time: Duration) {
        let clock = Monotonic::start();
        let left = || time.saturating_sub(Duration::from_nanos(clock.nanos()));
        while !self.is_set() && !left().is_zero() {
            std::thread::sleep(left().min(STEP));
        }
    }

    /// Runs on the runtime what needs one; `None` at the end.
    pub(super) fn block_on<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let stopped = self.stop.wait_for(|stop| *stop);
        self.handle.block_on(async {
            tokio::select! {
                done = work => Some(done),
                _ = stopped => None,
            }
        })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

struct Supervisor {
    config: Config,
    outlet: Outlet,
    eye: Eye,
    stop: Stop,
    clock: Monotonic,
}

/// How a connection ended.
enum End {
    /// It gave pictures for so many milliseconds.
    Trouble(Trouble, u64),
    Stopped,
}

impl Supervisor {
    fn new(config: Config, frames: Arc<TakeFrame>, outlet: Outlet, stop: Stop) -> Self {
        Self {
            eye: Eye::new(&config, frames),
            config,
            outlet,
            stop,
            clock: Monotonic::start(),
        }
    }

    fn run(mut self) {
        let mut backoff = Backoff::default();
        while !self.stop.is_set() {
            let trouble = match self.guarded_session() {
                Ok(End::Stopped) | Err(Gone) => return,
                Ok(End::Trouble(trouble, gave_ms)) => {
                    if gave_ms >= SUCCESS_MS {
                        backoff.reset();
                    }
                    trouble
                }
            };
            if self.stop.is_set() {
                return;
            }
            let reason = format!("{}: {}", self.config.address, trouble.reason);
            let told = self.outlet.state_blocking(SourceState::Offline, &reason);
            if told.is_err() {
                return;
            }
            let (least, most) = trouble.kind.patience();
            let wait = backoff.within(least, most);
            self.stop.wait(wait);
        }
    }

    /// A last resort against libraries that panic over a camera's bytes: the camera is begun anew.
    fn guarded_session(&mut self) -> Result<End, Gone> {
        let began = self.clock.millis();
        match catch_unwind(AssertUnwindSafe(|| self.session())) {
            Ok(end) => end,
            Err(_) => {
                let reason = "what it sent broke the decoder, which is begun anew (see the log)";
                let trouble = Trouble::broken(reason);
                Ok(End::Trouble(trouble, self.clock.millis() - began))
            }
        }
    }

    fn session(&mut self) -> Result<End, Gone> {
        let mut source = match open(&self.config, &mut self.stop) {
            Ok(source) => source,
            Err(trouble) => return Ok(End::Trouble(trouble, 0)),
        };
        let opened = self.clock.millis();
        self.eye.opened(opened);
        loop {
            if self.stop.is_set() {
                return Ok(End::Stopped);
            }
            let (eye, clock, stop) = (&mut self.eye, &self.clock, &self.stop);
            let looked = source.look(&mut |view| {
                if !stop.is_set() {
                    eye.see(&view, clock.millis());
                }
            });
            let now = self.clock.millis();
            match looked {
                Ok(Some(loss)) => self.outlet.lose(loss.pictures, &loss.reason)?,
                Ok(None) => {}
                Err(trouble) => return Ok(End::Trouble(trouble, now - opened)),
            }
            match self.eye.verdict(now) {
                Verdict::Waiting => {}
                Verdict::Well => self.outlet.state_blocking(SourceState::Online, "")?,
                Verdict::Degraded(reason) => {
                    let reason = format!("{}: {reason}", self.config.address);
                    self.outlet.state_blocking(SourceState::Degraded, &reason)?;
                }
                Verdict::Over(reason) => {
                    let hint = source.hint();
                    let reason = [reason.as_str(), hint].join("");
                    return Ok(End::Trouble(Trouble::broken(reason), now - opened));
                }
            }
        }
    }
}

fn open(config: &Config, stop: &mut Stop) -> Result<Box<dyn Source>, Trouble> {
    Ok(match &config.address {
        Address::Rtsp { url } => Box::new(rtsp::Rtsp::open(url, config, stop)?),
        Address::Http { url } => http::open(url, config)?,
        Address::V4l2 { device } => Box::new(v4l2::V4l2::open(device, config)?),
        Address::File { path } => file::open(path, config)?,
    })
}

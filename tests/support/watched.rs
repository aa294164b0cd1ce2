//! A camera that runs, and all that comes of it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use basketd::camera::{self, Config, Frame};
use basketd::link::outlet::{Outlet, Told};
use basketd::observation::SourceState;
use tokio::sync::watch;

/// Long enough for any machine; stories end sooner.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) frames: Vec<Frame>,
    pub(crate) told: Vec<Told>,
}

impl Log {
    pub(crate) fn states(&self) -> Vec<(SourceState, &str)> {
        let state = |told| match told {
            &Told::State { state, ref reason } => Some((state, reason.as_str())),
            _ => None,
        };
        self.told.iter().filter_map(state).collect()
    }

    pub(crate) fn state(&self) -> Option<(SourceState, &str)> {
        self.states().last().copied()
    }

    pub(crate) fn is(&self, wanted: SourceState, part: &str) -> bool {
        let is = |(state, reason): (SourceState, &str)| state == wanted && reason.contains(part);
        self.state().is_some_and(is)
    }

    pub(crate) fn lost(&self) -> u64 {
        let lost = |told: &Told| match told {
            Told::Lost { lost, .. } => *lost,
            _ => 0,
        };
        self.told.iter().map(lost).sum()
    }
}

#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<(Mutex<Log>, Condvar)>);

impl Shared {
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&self.0.0.lock().unwrap())
    }

    fn write(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// Waits until it is so; fails with what was told instead.
    pub(crate) fn wait(&self, what: &str, is_so: impl Fn(&Log) -> bool) {
        let log = self.0.0.lock().unwrap();
        let waited = self
            .0
            .1
            .wait_timeout_while(log, PATIENCE, |log| !is_so(log));
        let (log, timeout) = waited.unwrap();
        let (frames, told) = (log.frames.len(), &log.told);
        assert!(!timeout.timed_out(), "{what}: {frames} frames; {told:#?}");
    }

    /// Waits for so many frames more.
    pub(crate) fn wait_frames(&self, more: usize) {
        let before = self.read(|log| log.frames.len());
        self.wait("frames", |log| log.frames.len() >= before + more);
    }
}

/// Stops when it is dropped.
pub(crate) struct Watched {
    pub(crate) log: Shared,
    stop: watch::Sender<bool>,
    runtime: Option<tokio::runtime::Runtime>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Watched {
    pub(crate) fn start(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let log = Shared::default();
        let (frames, told) = (log.clone(), log.clone());
        let outlet = Outlet::new(Arc::new(move |thing| {
            told.write(|log| log.told.push(thing));
            Ok(())
        }));
        let take = move |frame| frames.write(|log| log.frames.push(frame));
        let (stop, stopped) = watch::channel(false);
        let task = runtime.spawn(camera::run(config, Arc::new(take), outlet, stopped));
        Self {
            log,
            stop,
            runtime: Some(runtime),
            task: Some(task),
        }
    }

    /// Stops, and waits for the end.
    pub(crate) fn stop(&mut self) {
        self.stop.send_replace(true);
        if let (Some(runtime), Some(task)) = (&self.runtime, self.task.take()) {
            let ended = async { tokio::time::timeout(PATIENCE, task).await };
            runtime
                .block_on(ended)
                .expect("it stops")
                .expect("it does not panic");
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

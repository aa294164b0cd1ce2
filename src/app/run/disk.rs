//! How much room is left: on the disk, and in the outbox.

use std::io;
use std::path::{Path, PathBuf};

use crate::clock;
use crate::store::State;

/// What may be done with the room that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Enough,
    /// It will not last: old files of the journal go early.
    Low,
    /// Open visits can be brought to their end, new ones cannot be begun.
    Full,
}

#[derive(Debug)]
pub(super) struct Disk {
    state: PathBuf,
    journal_days: u64,
    journal_bytes: u64,
    outbox_bytes: u64,
    told: Option<Space>,
    why: String,
}

/// The disk is low below this share of it, or this many bytes, whichever is less; full below a
/// fifth of both.
const LOW_SHARE: u64 = 10;
const LOW_BYTES: u64 = 1 << 30;
const FULL_PART: u64 = 5;
/// Files of the journal that stay although the disk is low: an hour of them.
const LOW_KEEP: usize = 12;

impl Disk {
    pub(super) fn new(state: &Path, settings: &State) -> Self {
        let mut disk = Self {
            state: state.to_owned(),
            journal_days: 0,
            journal_bytes: 0,
            outbox_bytes: 0,
            told: None,
            why: String::new(),
        };
        disk.limits(settings);
        disk
    }

    pub(super) fn limits(&mut self, settings: &State) {
        self.journal_days = settings.journal_days;
        self.journal_bytes = settings.journal_bytes;
        self.outbox_bytes = settings.outbox_bytes;
    }

    /// Looks at the disk and at what waits in the outbox.
    pub(super) fn look(&mut self, waiting_bytes: u64) -> Space {
        let outbox = of_outbox(waiting_bytes, self.outbox_bytes);
        let (disk, free) = match rustix::fs::statvfs(&self.state) {
            Ok(about) => {
                let free = about.f_bavail.saturating_mul(about.f_frsize);
                let all = about.f_blocks.saturating_mul(about.f_frsize);
                (of_disk(free, all), free)
            }
            Err(error) => {
                tracing::warn!("{}: {error}", self.state.display());
                (Space::Enough, 0)
            }
        };
        let mib = |bytes: u64| bytes >> 20;
        self.why = if outbox == Space::Enough {
            format!(
                "{} MiB left on the disk of {}",
                mib(free),
                self.state.display()
            )
        } else {
            format!(
                "{} MiB of events wait for the backend; the limit `outbox_bytes` is {} MiB",
                mib(waiting_bytes),
                mib(self.outbox_bytes)
            )
        };
        worse(disk, outbox)
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// Whether that is another answer than the last.
    pub(super) fn is_news(&mut self, space: Space) -> bool {
        self.told.replace(space) != Some(space)
    }

    /// Removes files of the journal past its limits; gives what is left, files and bytes.
    pub(super) fn prune(&self, folder: &Path, space: Space, keep: usize) -> io::Result<(u64, u64)> {
        let now_s = u64::try_from(clock::wall().as_micros() / 1_000_000).unwrap_or(0);
        let before_s = now_s.saturating_sub(self.journal_days.saturating_mul(86_400));
        let left = super::sequencer::prune(folder, self.journal_bytes, before_s, keep)?;
        if space == Space::Enough {
            return Ok(left);
        }
        // A tenth at a time, until there is room again.
        super::sequencer::prune(folder, left.1 - left.1 / 10, before_s, LOW_KEEP)
    }
}

fn of_disk(free: u64, all: u64) -> Space {
    let low = (all / LOW_SHARE).min(LOW_BYTES);
    if free < low / FULL_PART {
        Space::Full
    } else if free < low {
        Space::Low
    } else {
        Space::Enough
    }
}

fn of_outbox(waiting: u64, limit: u64) -> Space {
    if waiting >= limit {
        Space::Full
    } else if waiting >= limit / 5 * 4 {
        Space::Low
    } else {
        Space::Enough
    }
}

fn worse(a: Space, b: Space) -> Space {
    match (a, b) {
        (Space::Full, _) | (_, Space::Full) => Space::Full,
        (Space::Low, _) | (_, Space::Low) => Space::Low,
        _ => Space::Enough,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_runs_out_by_share_on_small_disks_and_by_bytes_on_large_ones() {
        let gib = 1 << 30;
        assert_eq!(of_disk(2 * gib, 128 * gib), Space::Enough);
        assert_eq!(of_disk(gib / 2, 128 * gib), Space::Low);
        assert_eq!(of_disk(gib / 8, 128 * gib), Space::Full);
        assert_eq!(of_disk(3 << 20, 20 << 20), Space::Enough);
        assert_eq!(of_disk(1 << 20, 20 << 20), Space::Low);
        assert_eq!(of_outbox(79, 100), Space::Enough);
        assert_eq!(of_outbox(80, 100), Space::Low);
        assert_eq!(of_outbox(100, 100), Space::Full);
    }
}

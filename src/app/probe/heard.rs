//! What a supervisor tells while somebody looks on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use crate::link::outlet::{Outlet, Readings, Told};
use crate::observation::SourceState;

/// All that was told so far.
#[derive(Debug, Default)]
pub(super) struct All {
    pub(super) state: Option<(SourceState, String)>,
    pub(super) reads: u64,
    /// Tags by antenna: how often each was read, and how loud at best.
    pub(super) tags: BTreeMap<u16, BTreeMap<String, (u64, f64)>>,
    /// The last weight, grams.
    pub(super) grams: Option<f64>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<All>>);

/// The fields of any reading that a person wants to see.
#[derive(Deserialize)]
struct Reading {
    epc: Option<String>,
    #[serde(default)]
    antenna: u16,
    #[serde(default)]
    rssi_dbm: f64,
    grams: Option<f64>,
}

impl Heard {
    pub(super) fn outlet(&self) -> Outlet {
        let heard = self.clone();
        Outlet::new(Arc::new(move |told| {
            heard.take(told);
            Ok(())
        }))
    }

    pub(super) fn so_far(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, told: Told) {
        let mut all = self.so_far();
        match told {
            Told::State { state, reason } => all.state = Some((state, reason)),
            Told::Readings(readings) => all.readings(&readings),
            Told::Lost { .. } => {}
        }
    }
}

impl All {
    fn readings(&mut self, readings: &Readings) {
        for (_, payload) in readings.iter() {
            self.reads += 1;
            let Ok(reading) = serde_json::from_slice::<Reading>(payload) else {
                continue;
            };
            self.grams = reading.grams.or(self.grams);
            if let Some(epc) = reading.epc {
                let tags = self.tags.entry(reading.antenna).or_default();
                let tag = tags.entry(epc).or_insert((0, f64::NEG_INFINITY));
                *tag = (tag.0 + 1, tag.1.max(reading.rssi_dbm));
            }
        }
    }

    /// Why it is not well, where it is not.
    pub(super) fn trouble(&self) -> Option<&str> {
        match &self.state {
            Some((SourceState::Online, _)) | None => None,
            Some((_, reason)) => Some(reason),
        }
    }

    /// Tags by antenna, the loudest first.
    pub(super) fn tag_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (antenna, tags) in &self.tags {
            lines.push(format!("antenna {antenna}: {} tags", tags.len()));
            let mut loudest: Vec<_> = tags.iter().collect();
            loudest.sort_by(|a, b| b.1.1.total_cmp(&a.1.1).then(a.0.cmp(b.0)));
            let shown = loudest.iter().take(TAGS_SHOWN);
            lines.extend(
                shown.map(|(epc, (reads, rssi))| format!("  {epc}  {rssi:6.1} dBm  {reads} reads")),
            );
            let more = loudest.len().saturating_sub(TAGS_SHOWN);
            if more > 0 {
                lines.push(format!("  and {more} more"));
            }
        }
        lines
    }
}

/// Tags that are listed for each antenna.
const TAGS_SHOWN: usize = 10;

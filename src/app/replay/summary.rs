//! What a replay prints when it is done: the recording, what was lost of it, the receipts, and
//! how fast it went.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::basket::event::{BasketAdjusted, BasketClosed, Body, Event, Receipt};
use crate::engine::Input;
use crate::ids::VisitId;
use crate::observation::Sensed;
use crate::store::Store;
use crate::units::Timestamp;
use crate::vision::Timings;
use crate::wire::event::money;

#[derive(Debug, Default)]
pub(super) struct Summary {
    messages: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    tag_reads: u64,
    weights: u64,
    frames: u64,
    gate_events: u64,
    others: u64,
    losses: BTreeMap<String, u64>,
    events: u64,
    baskets: BTreeMap<VisitId, BasketClosed>,
    opened: BTreeSet<VisitId>,
    inference: Option<Timings>,
}

/// Reasons listed; the rest are counted.
const LOSSES_SHOWN: usize = 20;
/// Reasons kept apart, and the letters of one: both come from files that can hold anything.
const LOSSES_MAX: usize = 1000;
const REASON_MAX: usize = 300;

impl Summary {
    pub(super) fn on_message(&mut self, at: Timestamp) {
        self.messages += 1;
        self.first.get_or_insert(at);
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    /// Counts a loss; each reason is logged once.
    pub(super) fn lose(&mut self, why: &str, times: u64) {
        let known = self.losses.len();
        let mut why: String = why.chars().take(REASON_MAX).collect();
        if known >= LOSSES_MAX && !self.losses.contains_key(&why) {
            "other reasons".clone_into(&mut why);
        }
        let count = self.losses.entry(why.clone()).or_insert(0);
        *count += times;
        if *count == times && known < LOSSES_SHOWN {
            tracing::warn!("{why}");
        }
    }

    pub(super) fn on_input(&mut self, input: &Input) {
        let count = match input {
            Input::Observation(o) => match o.sensed {
                Sensed::TagRead(_) => &mut self.tag_reads,
                Sensed::Weight { .. } => &mut self.weights,
                Sensed::Detections(_) => &mut self.frames,
                Sensed::Gate { .. } => &mut self.gate_events,
                Sensed::Door { .. } => &mut self.others,
            },
            _ => &mut self.others,
        };
        *count += 1;
    }

    pub(super) fn on_event(&mut self, event: &Event) {
        self.events += 1;
        match &event.body {
            Body::VisitOpened(opened) => {
                self.opened.insert(opened.visit);
            }
            Body::BasketClosed(closed) => {
                self.baskets.insert(closed.visit, closed.clone());
            }
            Body::BasketAdjusted(BasketAdjusted { visit, receipt, .. }) => {
                if let Some(basket) = self.baskets.get_mut(visit) {
                    basket.receipt = receipt.clone();
                }
            }
            _ => {}
        }
    }

    pub(super) fn on_inference(&mut self, timings: Timings) {
        self.inference = Some(timings);
    }

    pub(super) fn table(&self, store: &Store, nanos: u64) -> String {
        let mut out = String::new();
        // Writing to a string never fails.
        self.write(&mut out, store, nanos)
            .expect("a string takes all text");
        out.truncate(out.trim_end().len());
        out
    }

    fn write(&self, out: &mut String, store: &Store, nanos: u64) -> std::fmt::Result {
        for basket in self.baskets.values() {
            self.write_receipt(out, store, basket)?;
        }
        let span = match (self.first, self.last) {
            (Some(first), Some(last)) => last.secs_since(first),
            _ => 0.0,
        };
        let wall = nanos as f64 / 1e9;
        writeln!(
            out,
            "recording  {:.1} s, {} messages: {} tag reads, {} weights, {} frames, {} gate events",
            span, self.messages, self.tag_reads, self.weights, self.frames, self.gate_events
        )?;
        let lost: u64 = self.losses.values().sum();
        writeln!(out, "lost       {lost}")?;
        for (why, n) in self.losses.iter().take(LOSSES_SHOWN) {
            writeln!(out, "           {n} x {why}")?;
        }
        if self.losses.len() > LOSSES_SHOWN {
            writeln!(
                out,
                "           and {} more reasons",
                self.losses.len() - LOSSES_SHOWN
            )?;
        }
        writeln!(
            out,
            "events     {}, {} receipts",
            self.events,
            self.baskets.len()
        )?;
        let open = self.opened.iter().filter(|v| !self.baskets.contains_key(v));
        let open: Vec<String> = open.map(ToString::to_string).collect();
        if !open.is_empty() {
            let (n, shown) = (open.len(), open[..open.len().min(LOSSES_SHOWN)].join(" "));
            writeln!(
                out,
                "open       {n} visits have no receipt (staff get none): {shown}"
            )?;
        }
        if let Some(timings) = &self.inference {
            writeln!(out, "inference  {timings}")?;
        }
        writeln!(
            out,
            "speed      {:.2} s, {:.0} times real time",
            wall,
            span / wall.max(1e-9)
        )
    }

    fn write_receipt(
        &self,
        out: &mut String,
        store: &Store,
        basket: &BasketClosed,
    ) -> std::fmt::Result {
        let Receipt {
            lines,
            total,
            review,
            reasons,
            confidence,
        } = &basket.receipt;
        let who = basket.token.as_deref().unwrap_or("anonymous");
        let decision = if *review { "review" } else { "settle" };
        writeln!(
            out,
            "{}  {who}  left {}  {decision}  {:.1} % sure",
            basket.visit,
            basket.left_at,
            100.0 * confidence
        )?;
        for line in lines {
            writeln!(
                out,
                "    {:>3} x {}  {:<40} {:>9}  {:>5.1} %",
                line.quantity,
                line.gtin,
                line.name,
                money(store, line.unit_price),
                100.0 * line.confidence
            )?;
        }
        let currency = &store.currency.code;
        writeln!(out, "    total {:>63} {currency}", money(store, *total))?;
        for reason in reasons {
            writeln!(out, "    because {reason}")?;
        }
        writeln!(out)
    }
}

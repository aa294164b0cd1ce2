//! What a replay prints when it is done: the recording, what was lost of it, the receipts, and
//! how fast it went.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::app::local::Local;
use crate::app::words::{percent, plain, reason};
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
    baskets: BTreeMap<VisitId, Basket>,
    opened: BTreeSet<VisitId>,
    inference: Option<Timings>,
}

/// A receipt as it was told last.
#[derive(Debug)]
struct Basket {
    closed: BasketClosed,
    adjusted: Vec<Adjusted>,
}

/// What replaced an earlier receipt, and why.
#[derive(Debug)]
struct Adjusted {
    at: Timestamp,
    reason: String,
    /// In the currency's smallest unit.
    total_before: u64,
    review_before: bool,
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
                let basket = Basket {
                    closed: closed.clone(),
                    adjusted: Vec::new(),
                };
                self.baskets.insert(closed.visit, basket);
            }
            Body::BasketAdjusted(adjusted) => {
                if let Some(basket) = self.baskets.get_mut(&adjusted.visit) {
                    basket.adjust(event.at, adjusted);
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
        plain(out.trim_end())
    }

    fn write(&self, out: &mut String, store: &Store, nanos: u64) -> std::fmt::Result {
        let local = Local::of(store);
        for basket in self.baskets.values() {
            basket.write(out, store, &local)?;
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
}

impl Basket {
    fn adjust(&mut self, at: Timestamp, adjusted: &BasketAdjusted) {
        self.adjusted.push(Adjusted {
            at,
            reason: adjusted.reason.clone(),
            total_before: self.closed.receipt.total,
            review_before: self.closed.receipt.review,
        });
        self.closed.receipt = adjusted.receipt.clone();
    }

    fn write(&self, out: &mut String, store: &Store, local: &Local) -> std::fmt::Result {
        let closed = &self.closed;
        let Receipt {
            lines,
            total,
            review,
            reasons,
            confidence,
        } = &closed.receipt;
        let who = closed.token.as_deref().unwrap_or("anonymous");
        let decided = decision(*review);
        writeln!(
            out,
            "{}  {who}  left {}  {decided}  {} sure",
            closed.visit,
            local.date_time(closed.left_at),
            percent(*confidence)
        )?;
        for line in lines {
            writeln!(
                out,
                "    {:>3} x {}  {:<40} {:>9}  {:>8}",
                line.quantity,
                line.gtin,
                line.name,
                money(store, line.unit_price),
                percent(line.confidence)
            )?;
        }
        let currency = &store.currency.code;
        writeln!(out, "    total {:>63} {currency}", money(store, *total))?;
        for why in reasons {
            writeln!(out, "    because {}", reason(store, why))?;
        }
        for Adjusted {
            at,
            reason,
            total_before,
            review_before,
        } in &self.adjusted
        {
            let (at, before) = (local.date_time(*at), money(store, *total_before));
            writeln!(
                out,
                "    adjusted after closing, {at}: {reason}; it was {before} {currency}, {}",
                decision(*review_before)
            )?;
        }
        writeln!(out)
    }
}

fn decision(review: bool) -> &'static str {
    if review { "review" } else { "settle" }
}

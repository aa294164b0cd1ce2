//! The engine: every input in one total order goes in, events come out. It owns all state above
//! the sensors and reads no clock; what it wants to be woken for it says. Frozen and thawed, it
//! goes on as if nothing had happened.

mod clocks;
mod command;
mod outage;
pub mod snapshot;
mod source;
mod staff;
pub mod succession;

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::basket::Baskets;
use crate::basket::event::{Alert, Body, Event};
use crate::basket::succession::PastVisit;
use crate::basket::visits::VisitChange;
use crate::fusion::met::Meeting;
use crate::fusion::trace::Trace;
use crate::fusion::{Decision, Fusion};
use crate::ids::{TrackId, VisitId};
use crate::insight::stock::Stock;
use crate::observation::{Command, GateEvent, Observation, Sensed, SourceReport};
use crate::presence::{Presence, TagEvent};
use crate::shelf::{ShelfEvent, Shelves};
use crate::store::{Store, View};
use crate::tracking::{TrackEvent, Tracking};
use crate::units::{TimeDelta, Timestamp};

use self::clocks::Clocks;
use self::outage::Outages;
use self::source::Alerts;
pub use self::succession::Past;

/// What the engine is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Observation(Observation),
    Command(Command),
    Source(SourceReport),
    /// A deadline that the engine had asked for has come.
    Timeout(Wakeup),
}

/// Why the engine wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Wakeup {
    /// When a tag's read is overdue.
    Presence,
    /// When a person has not been seen for long.
    Tracking,
    /// When a scale has come to rest.
    Shelf,
    /// When an interaction has all its evidence.
    Fusion,
    /// When a visit can be closed.
    Basket,
}

/// What the engine has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Event(Event),
    /// What was found on the way; for people who look into a recording, not for publishing.
    Finding(Finding),
}

/// What the floors below found out, in the order in which it was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    Tag(TagEvent),
    Track(TrackEvent),
    Shelf(ShelfEvent),
    /// Who came and went.
    Visit(VisitChange),
    /// What fusion decided, and why.
    Fusion(Box<Trace>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    presence: Presence,
    tracking: Tracking,
    shelves: Shelves,
    fusion: Fusion,
    baskets: Baskets,
    stock: Stock,
    alerts: Alerts,
    outages: Outages,
    clocks: Clocks,
    /// Visits of a state that was lost, until they are closed.
    past: Vec<PastVisit>,
    /// The time of the last input.
    now: Option<Timestamp>,
}

impl State {
    /// Two people were taken for each other since they met: they change places, with all that they
    /// did since. Gives whose holdings change.
    fn exchange(&mut self, store: &Store, meeting: &Meeting) -> Vec<VisitId> {
        let [a, b] = meeting.tracks;
        self.tracking.swap(a, b, meeting.since);
        let reweighed = self.fusion.exchange(meeting);
        self.baskets
            .exchange(store, meeting, &self.tracking, &mut self.fusion);
        reweighed
    }
}

#[derive(Debug, Clone)]
pub struct Engine {
    store: Arc<Store>,
    state: State,
    outputs: VecDeque<Output>,
    findings: bool,
    /// Follows from the state; visits are many and change seldom, and it is asked for at each input.
    basket_deadline: Option<Timestamp>,
}

/// A jump ahead of the engine's time by more than this is worth an alert: a clock was set, or the
/// box was away.
const CLOCK_JUMP: TimeDelta = TimeDelta::from_millis(3_600_000);

/// From so likely on two people count as taken for each other.
const MISTAKEN: f64 = 0.8;

impl Engine {
    pub fn new(store: Arc<Store>) -> Self {
        let state = State {
            presence: Presence::new(&store),
            tracking: Tracking::new(&store),
            shelves: Shelves::new(&store),
            fusion: Fusion::new(&store),
            baskets: Baskets::new(&store),
            stock: Stock::default(),
            alerts: Alerts::default(),
            outages: Outages::default(),
            clocks: Clocks::new(&store),
            past: Vec::new(),
            now: None,
        };
        Self {
            store,
            state,
            outputs: VecDeque::new(),
            findings: false,
            basket_deadline: None,
        }
    }

    /// Lets findings come out beside the events. It changes no event.
    pub fn show_findings(&mut self) {
        self.findings = true;
        self.state.fusion.keep_traces();
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The same, to keep.
    pub fn share_store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    pub fn tracking(&self) -> &Tracking {
        &self.state.tracking
    }

    /// The visit that a track belongs to, where it is known.
    pub fn visit_of(&self, track: TrackId) -> Option<VisitId> {
        self.state.baskets.visits.of_track(track)
    }

    /// Takes one input at the engine's time. Time never runs back: an earlier `at` counts as now.
    pub fn handle(&mut self, at: Timestamp, input: Input) {
        let at = self.state.now.map_or(at, |now| at.max(now));
        if self.state.now.is_some_and(|now| at - now > CLOCK_JUMP) {
            self.alert(at, "clock-jumped", "warning", "engine");
        }
        self.state.now = Some(at);
        // What only sensors say concerns visits by way of what is found in it.
        let may_concern_visits = match &input {
            Input::Observation(observation) => !matches!(
                observation.sensed,
                Sensed::TagRead(_) | Sensed::Weight { .. } | Sensed::Door { .. }
            ),
            Input::Timeout(why) => !matches!(why, Wakeup::Presence | Wakeup::Shelf),
            Input::Command(_) | Input::Source(_) => true,
        };
        match input {
            Input::Observation(observation) => self.on_observation(at, observation),
            Input::Command(command) => self.on_command(at, command),
            Input::Source(report) => self.on_source(at, report),
            Input::Timeout(why) => self.on_timeout(at, why),
        }
        if may_concern_visits {
            self.note_deadline();
        }
    }

    fn note_deadline(&mut self) {
        self.basket_deadline = self.state.baskets.deadline(&self.store);
    }

    /// The next thing that the engine has to say; drain to `None` after each input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the engine wants to be woken next, and for what.
    pub fn poll_timeout(&self) -> Option<(Timestamp, Wakeup)> {
        let s = &self.state;
        debug_assert_eq!(self.basket_deadline, s.baskets.deadline(&self.store));
        let deadlines = [
            (s.presence.deadline(), Wakeup::Presence),
            (s.tracking.deadline(), Wakeup::Tracking),
            (s.shelves.deadline(), Wakeup::Shelf),
            (s.fusion.deadline(), Wakeup::Fusion),
            (self.basket_deadline, Wakeup::Basket),
        ];
        deadlines
            .into_iter()
            .filter_map(|(at, why)| at.map(|at| (at, why)))
            .min()
    }

    fn on_observation(
        &mut self,
        at: Timestamp,
        Observation {
            captured_at,
            sensed,
        }: Observation,
    ) {
        let store = Arc::clone(&self.store);
        let clocks = &mut self.state.clocks;
        let (captured_at, told) = clocks.right(&store, at, captured_at, &sensed);
        if let Some((told, sensor)) = told.zip(clocks::name(&store, &sensed)) {
            self.on_clock(at, told, &sensor);
        }
        match sensed {
            Sensed::TagRead(read) => {
                let mut found = Vec::new();
                self.state
                    .presence
                    .on_read(&store, at, captured_at, &read, &mut found);
                if self.state.presence.take_refused() {
                    self.alert(at, "too-many-tags", "error", "engine");
                }
                self.on_tags(at, found);
            }
            Sensed::Detections(seen) => match store.cameras[seen.camera.index()].view {
                View::Floor { .. } => {
                    let mut found = Vec::new();
                    self.state
                        .tracking
                        .on_detections(&store, at, captured_at, &seen, &mut found);
                    self.on_tracks(at, found);
                }
                View::Shelf { .. } => {
                    let mut found = Vec::new();
                    self.state
                        .shelves
                        .on_detections(&store, at, captured_at, &seen, &mut found);
                    self.on_shelves(at, found);
                }
            },
            Sensed::Weight { scale, grams } => {
                let mut found = Vec::new();
                self.state
                    .shelves
                    .on_weight(&store, at, captured_at, scale, grams, &mut found);
                self.on_shelves(at, found);
            }
            Sensed::Gate { gate, event } => {
                if let GateEvent::Door { open } = event {
                    let zone = store.gates[gate.index()].zone;
                    self.state.tracking.on_door(zone, at, open);
                }
                let mut changes = Vec::new();
                let State {
                    baskets, tracking, ..
                } = &mut self.state;
                baskets
                    .visits
                    .on_gate(&store, at, gate, &event, tracking, &mut changes);
                self.on_visits(at, &changes);
                self.close_due(at);
            }
            Sensed::Door { .. } => {}
        }
    }

    fn on_tags(&mut self, at: Timestamp, found: Vec<TagEvent>) {
        let mut decisions = Vec::new();
        for event in found {
            self.note(|| Finding::Tag(event));
            let State {
                fusion, presence, ..
            } = &mut self.state;
            fusion.on_tag(&self.store, presence, at, event, &mut decisions);
        }
        self.on_decisions(at, decisions);
    }

    fn on_tracks(&mut self, at: Timestamp, found: Vec<TrackEvent>) {
        for event in found {
            self.note(|| Finding::Track(event));
            let mut changes = Vec::new();
            let State {
                baskets, tracking, ..
            } = &mut self.state;
            baskets
                .visits
                .on_track(&self.store, at, event, tracking, &mut changes);
            self.on_visits(at, &changes);
        }
    }

    fn on_shelves(&mut self, at: Timestamp, found: Vec<ShelfEvent>) {
        for event in found {
            self.note(|| Finding::Shelf(event.clone()));
            self.state.fusion.on_shelf(&self.store, at, event);
        }
        self.note_traces();
    }

    fn on_visits(&mut self, at: Timestamp, changes: &[VisitChange]) {
        for change in changes {
            self.note(|| Finding::Visit(*change));
        }
        let mut events = Vec::new();
        let State {
            baskets, fusion, ..
        } = &mut self.state;
        for change in changes {
            crate::basket::apply(&self.store, at, change, baskets, fusion, &mut events);
        }
        self.say(events);
        for change in changes {
            if let VisitChange::Left(visit) = change {
                self.on_left_again(at, *visit);
            }
        }
    }

    /// A visit whose basket is closed has left, as is known now, at another time.
    fn on_left_again(&mut self, at: Timestamp, visit: VisitId) {
        let State {
            baskets,
            fusion,
            tracking,
            presence,
            ..
        } = &mut self.state;
        let known = baskets.visits.visit(visit);
        let Some((left_at, gate)) = known.and_then(|v| Some((v.left_at?, v.exit_gate))) else {
            return;
        };
        if baskets.is_open(visit) {
            return;
        }
        let passed = (visit, gate, left_at);
        let mut decisions = Vec::new();
        fusion.on_left(&self.store, tracking, presence, at, passed, &mut decisions);
        decisions.push(Decision::Reweighed(vec![visit]));
        self.on_decisions(at, decisions);
    }

    fn on_decisions(&mut self, at: Timestamp, decisions: Vec<Decision>) {
        self.note_traces();
        let mut events = Vec::new();
        let State {
            baskets,
            fusion,
            stock,
            ..
        } = &mut self.state;
        for decision in decisions {
            let confirmed = matches!(decision, Decision::Confirmed(_));
            match decision {
                Decision::Told(action) => {
                    baskets.on_action(&self.store, at, &action, false, &mut events);
                }
                Decision::Withdrawn(action) => {
                    let back = action.withdrawn();
                    baskets.on_action(&self.store, at, &back, true, &mut events);
                }
                Decision::Action(action) | Decision::Confirmed(action) => {
                    if !action.restock && !confirmed {
                        baskets.on_action(&self.store, at, &action, false, &mut events);
                    }
                    for event in stock.on_action(&self.store, &action) {
                        let body = command::stock_body(&self.store, event);
                        events.push(baskets.number(at, None, body));
                    }
                }
                Decision::Reweighed(visits) => {
                    baskets.adjust(&self.store, at, &visits, fusion, &mut events);
                }
            }
        }
        self.say(events);
    }

    fn on_timeout(&mut self, at: Timestamp, why: Wakeup) {
        let store = Arc::clone(&self.store);
        match why {
            Wakeup::Presence => {
                let mut found = Vec::new();
                self.state.presence.on_timeout(&store, at, &mut found);
                self.on_tags(at, found);
            }
            Wakeup::Tracking => {
                let mut found = Vec::new();
                self.state.tracking.on_timeout(&store, at, &mut found);
                self.on_tracks(at, found);
            }
            Wakeup::Shelf => {
                let mut found = Vec::new();
                self.state.shelves.on_timeout(&store, at, &mut found);
                self.on_shelves(at, found);
            }
            Wakeup::Fusion => {
                let mut decisions = Vec::new();
                let State {
                    fusion,
                    tracking,
                    presence,
                    ..
                } = &mut self.state;
                fusion.on_timeout(&store, at, tracking, presence, &mut decisions);
                self.on_decisions(at, decisions);
            }
            Wakeup::Basket => self.on_basket_timeout(at),
        }
    }

    fn on_basket_timeout(&mut self, at: Timestamp) {
        let store = Arc::clone(&self.store);
        let mut changes = Vec::new();
        let State {
            baskets, tracking, ..
        } = &mut self.state;
        baskets
            .visits
            .on_timeout(&store, at, tracking, &mut changes);
        for id in baskets.overlong(&store, at) {
            baskets.visits.close_by_command(at, id, &mut changes);
        }
        self.on_visits(at, &changes);
        self.on_openings(at);
        self.close_due(at);
        for visit in self.state.baskets.expired(at) {
            self.state.fusion.forget(visit, at);
            self.state.baskets.forget(at, visit);
        }
    }

    /// Doors through which somebody went unseen.
    fn on_openings(&mut self, at: Timestamp) {
        for opening in self.state.baskets.visits.take_openings(at) {
            let mut changes = Vec::new();
            let State {
                baskets, fusion, ..
            } = &mut self.state;
            let inside = baskets.visits.may_have_passed(&opening);
            let heard =
                fusion.heard_passing(&self.store, opening.gate, &opening.instants(), &inside);
            baskets.visits.pass(&opening, &heard, &mut changes);
            self.on_visits(at, &changes);
        }
    }

    fn close_due(&mut self, at: Timestamp) {
        for (visit, _) in self.state.baskets.due(at) {
            // Closing one can tell that another has not left, or at another time.
            let mut due = self.state.baskets.due(at).into_iter();
            if let Some((_, left_at)) = due.find(|(v, _)| *v == visit) {
                self.close(at, visit, left_at);
            }
        }
    }

    fn close(&mut self, at: Timestamp, visit: VisitId, left_at: Timestamp) {
        let store = Arc::clone(&self.store);
        if self.judge(at, visit) {
            // He is inside yet, or left at another time.
            return;
        }
        let mut decisions = Vec::new();
        let State {
            fusion,
            tracking,
            presence,
            baskets,
            ..
        } = &mut self.state;
        fusion.settle(&store, visit, left_at, tracking, presence, &mut decisions);
        let gate = baskets.visits.visit(visit).and_then(|v| v.exit_gate);
        fusion.on_left(
            &store,
            tracking,
            presence,
            at,
            (visit, gate, left_at),
            &mut decisions,
        );
        self.on_decisions(at, decisions);
        self.on_closing(visit, left_at);
        let mut events = Vec::new();
        let State {
            fusion, baskets, ..
        } = &mut self.state;
        baskets.close(&store, at, visit, fusion, &mut events);
        self.say(events);
    }

    /// Whether somebody was taken for another whom he met, which tags tell by the time he leaves: then
    /// the two change places, and who has left follows anew.
    fn judge(&mut self, at: Timestamp, visit: VisitId) -> bool {
        let store = Arc::clone(&self.store);
        let state = &mut self.state;
        let mut reweighed = Vec::new();
        for verdict in state.fusion.judge(&store, &state.tracking, visit) {
            let meeting = verdict.meeting;
            // A basket that is closed is not opened again: somebody who walks on goes on as he was.
            let open = |visit: &VisitId| state.baskets.is_open(*visit);
            let alive = |track: &TrackId| state.tracking.is_alive(*track);
            let may = meeting.visits.iter().all(open) || !meeting.tracks.iter().any(alive);
            let exchange = may && verdict.mistaken > MISTAKEN;
            let mistaken = if exchange {
                reweighed.extend(state.exchange(&store, &meeting));
                1.0 - verdict.mistaken
            } else {
                verdict.mistaken
            };
            state.baskets.visits.revise(&meeting, mistaken);
            state.fusion.on_judged(&verdict, exchange);
            if exchange {
                // What later meetings mean depends on who is who.
                break;
            }
        }
        if reweighed.is_empty() {
            self.note_traces();
            return false;
        }
        self.on_decisions(at, vec![Decision::Reweighed(reweighed)]);
        self.note_deadline();
        true
    }

    fn alert(&mut self, at: Timestamp, kind: &str, severity: &str, about: &str) {
        self.tell(at, Body::AlertRaised(Alert::new(kind, severity, about)));
    }

    /// Says something of no visit.
    fn tell(&mut self, at: Timestamp, body: Body) {
        let event = self.state.baskets.number(at, None, body);
        self.say(vec![event]);
    }

    fn say(&mut self, events: Vec<Event>) {
        self.outputs.extend(events.into_iter().map(Output::Event));
    }

    fn note_traces(&mut self) {
        let traces = self.state.fusion.take_traces().into_iter();
        let findings = traces.map(|trace| Output::Finding(Finding::Fusion(Box::new(trace))));
        self.outputs.extend(findings);
    }

    fn note(&mut self, finding: impl FnOnce() -> Finding) {
        if self.findings {
            self.outputs.push_back(Output::Finding(finding()));
        }
    }
}

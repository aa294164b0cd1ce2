//! What the sensors say together. The unit of thought is the *interaction*: somebody's hands at a
//! shelf for a while. Evidence joins it from every side, hypotheses of what was done are weighed
//! together ([`hypothesis`]), who did it is weighed by where people stood ([`who`]), and what
//! stays in doubt is kept as [`world`]s: joint accounts of who holds what, in each of which items
//! are conserved. Later evidence (a put-back, the gate, a tag heard inside after its supposed
//! holder left) reweighs the worlds.
//!
//! Pure. Does not know receipts, gates or money: carriers are visits by number.

mod away;
mod basket;
mod cluster;
mod comove;
mod early;
pub mod evidence;
mod held;
pub mod hypothesis;
mod interaction;
mod likelihood;
pub mod met;
mod relook;
mod tags;
pub mod trace;
mod ways;
pub mod who;
pub mod world;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::gs1::{Epc, Gtin};
use crate::ids::{CameraIx, ShelfIx, VisitId};
use crate::presence::{Presence, TagEvent};
use crate::shelf::{CountStep, ShelfEvent};
use crate::store::{ReadPoint, Store};
use crate::tracking::Tracking;
use crate::units::{TimeDelta, Timestamp};

pub use self::away::Heard;
use self::away::{Away, HELD_STILL, Sighting};
use self::evidence::Coverage;
use self::hypothesis::Account;
use self::interaction::Interaction;
pub use self::interaction::Piece;
use self::met::Meeting;
use self::relook::Doubtful;
use self::trace::{Late, Trace};
use self::who::Carriers;
use self::world::{Clusters, UnitId};

/// Whether an item left a shelf or came to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    Take,
    Putback,
}

/// One decided action, with its doubt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub direction: Direction,
    /// The likeliest carrier; `None` where it is nobody.
    pub visit: Option<VisitId>,
    pub gtin: Gtin,
    pub epc: Option<Epc>,
    pub shelf: ShelfIx,
    pub at: Timestamp,
    /// Probability of the action as told: this product by this visit.
    pub confidence: f64,
    pub sources: Sources,
    /// Alternatives with their probabilities, where there is doubt.
    pub visits: Vec<(VisitId, f64)>,
    pub gtins: Vec<(Gtin, f64)>,
    /// Where the product belongs, when it was put back elsewhere.
    pub home_shelf: Option<ShelfIx>,
    /// A take from, or a return to, the shelf while staff restocked it: no shopper's doing.
    pub restock: bool,
}

impl Action {
    /// The contrary, which takes it back where it was told and is not so.
    pub fn withdrawn(self) -> Self {
        let direction = match self.direction {
            Direction::Take => Direction::Putback,
            Direction::Putback => Direction::Take,
        };
        Self {
            direction,
            home_shelf: None,
            ..self
        }
    }
}

/// The sensors that spoke for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sources {
    pub rfid: bool,
    pub scale: bool,
    pub vision: bool,
    pub gate: bool,
}

/// What fusion tells the floor above.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Decision {
    Action(Action),
    /// What is likeliest so far; what becomes of it is told when it is decided.
    Told(Action),
    /// An act that was told is decided.
    Confirmed(Action),
    /// An act that was told was none, or another.
    Withdrawn(Action),
    /// What these visits hold may have changed without an action of theirs.
    Reweighed(Vec<VisitId>),
}

/// A product that a visit holds, by the likeliest account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holding {
    pub gtin: Gtin,
    pub quantity: u32,
    pub epcs: Vec<Epc>,
    /// Probability that exactly this quantity is held.
    pub confidence: f64,
    pub sources: Sources,
}

/// What a visit holds, with the probability that the whole of it is right.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Holdings {
    pub lines: Vec<Holding>,
    pub confidence: f64,
    /// Products that may be held with a probability worth naming but are not in `lines`.
    pub missing: Vec<(Gtin, f64)>,
}

/// All open interactions, worlds, and what is known of carriers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fusion {
    coverage: Coverage,
    open: BTreeMap<ShelfIx, Interaction>,
    clusters: Clusters,
    carriers: Carriers,
    /// Tags away from home that were heard within the last minutes.
    sightings: BTreeMap<Epc, Away>,
    /// Shelves that staff are restocking, and since when or until when they did.
    restocks: BTreeMap<ShelfIx, (Timestamp, Option<Timestamp>)>,
    /// Acts decided lately, so that a late witness of one is not taken for another.
    decided: Vec<Decided>,
    /// What gates said of the tags of visits that have left, as it was weighed.
    passed: BTreeMap<VisitId, BTreeMap<Epc, f64>>,
    /// Takes whose tags are looked at again.
    doubtful: Vec<Doubtful>,
    next_unit: u64,
    /// When units were taken, by the likeliest account.
    taken_at: BTreeMap<UnitId, Timestamp>,
    /// People of two visits who may have been taken for each other.
    meetings: Vec<Meeting>,
    /// What was decided and why, where somebody wants to know.
    #[serde(skip)]
    traces: Option<Vec<Trace>>,
}

/// An act that has been decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Decided {
    shelf: ShelfIx,
    direction: Direction,
    gtin: Gtin,
    window: (Timestamp, Timestamp),
    unit: UnitId,
    epc: Option<Epc>,
    told_by: Vec<Witness>,
}

/// A sensor's say about one act; each says it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Witness {
    Rfid,
    Scale,
    /// A camera, by an item in a hand (`true`) or by one missed or found at its place.
    Camera(CameraIx, bool),
}

/// How long sightings of a tag are kept.
const SIGHTINGS_KEPT: TimeDelta = TimeDelta::from_millis(120_000);
/// How long a decided act can still have late witnesses.
const DECIDED_KEPT: TimeDelta = TimeDelta::from_millis(30_000);
/// Hands are at a shelf so long before and after what is found there, at most.
const REACHING: TimeDelta = TimeDelta::from_millis(1_500);
/// How long a shelf still hears a tag that was taken from it, as a rule at most.
const HEARD_IN_HAND: TimeDelta = TimeDelta::from_millis(4_000);
/// Staff touch a shelf so long before and after they say so.
const RESTOCK_SLACK: TimeDelta = TimeDelta::from_millis(1_500);
/// Sightings kept for one tag.
const SIGHTINGS_MAX: usize = 200;

impl Fusion {
    pub fn new(store: &Store) -> Self {
        Self {
            coverage: Coverage::new(store),
            open: BTreeMap::new(),
            clusters: Clusters::default(),
            carriers: Carriers::new(store),
            sightings: BTreeMap::new(),
            restocks: BTreeMap::new(),
            decided: Vec::new(),
            passed: BTreeMap::new(),
            doubtful: Vec::new(),
            next_unit: 0,
            taken_at: BTreeMap::new(),
            meetings: Vec::new(),
            traces: None,
        }
    }

    /// Keeps what is decided with its reasons, until it is fetched.
    pub fn keep_traces(&mut self) {
        self.traces.get_or_insert_default();
    }

    /// The reasons since the last call; none where they are not kept.
    pub fn take_traces(&mut self) -> Vec<Trace> {
        self.traces.as_mut().map_or_else(Vec::new, std::mem::take)
    }

    fn trace(&mut self, trace: impl FnOnce(&Self) -> Trace) {
        if self.traces.is_some() {
            let trace = trace(self);
            self.traces.get_or_insert_default().push(trace);
        }
    }

    pub fn carriers_mut(&mut self) -> &mut Carriers {
        &mut self.carriers
    }

    pub fn on_restock(&mut self, shelf: ShelfIx, at: Timestamp, begin: bool) {
        if begin {
            self.restocks.insert(shelf, (at, None));
        } else if let Some((_, end)) = self.restocks.get_mut(&shelf) {
            *end = Some(at);
        }
    }

    /// Since when staff have been restocking a shelf.
    pub fn restocked_since(&self, shelf: ShelfIx) -> Option<Timestamp> {
        let (begin, end) = self.restocks.get(&shelf)?;
        end.is_none().then_some(*begin)
    }

    /// The shelves that staff are restocking.
    pub fn restocked(&self) -> impl Iterator<Item = ShelfIx> {
        let begun = self.restocks.iter().filter(|(_, (_, end))| end.is_none());
        begun.map(|(shelf, _)| *shelf)
    }

    pub fn on_tag(
        &mut self,
        store: &Store,
        presence: &Presence,
        at: Timestamp,
        event: TagEvent,
        out: &mut Vec<Decision>,
    ) {
        match event {
            TagEvent::Arrived { first: true, .. } => {}
            TagEvent::Arrived {
                epc,
                home,
                after,
                before,
                ..
            } => {
                self.on_back_home(after, epc, out);
                self.on_tag_move(
                    store,
                    presence,
                    at,
                    epc,
                    home,
                    Direction::Putback,
                    (after, before),
                    3.0,
                );
                self.on_rest(epc, home, before);
            }
            TagEvent::Departed {
                epc,
                home,
                after,
                before,
                log_odds,
            } => {
                let away = self.sightings.entry(epc).or_default();
                away.hold_still(after);
                if away
                    .rested
                    .take()
                    .is_none_or(|(t, _)| after - t > HELD_STILL)
                {
                    *away = Away {
                        home: Some(home),
                        since: Some(after),
                        ..Away::default()
                    };
                }
                self.on_tag_move(
                    store,
                    presence,
                    at,
                    epc,
                    home,
                    Direction::Take,
                    (after, before),
                    log_odds,
                );
            }
            TagEvent::Sighted {
                epc,
                antenna,
                at: heard,
                ..
            } => {
                let place = store.antennas[antenna.index()].read_point;
                let at_gate = matches!(place, ReadPoint::Gate(_));
                let known = self.sightings.contains_key(&epc);
                if !known && !at_gate && presence.stands(&epc) {
                    return;
                }
                let seen = &mut self.sightings.entry(epc).or_default().reads;
                // Reports of one reader may be out of order.
                let place_in = seen.partition_point(|r| r.at <= heard);
                seen.insert(place_in, Sighting { at: heard, place });
                if seen.len() > SIGHTINGS_MAX {
                    seen.remove(0);
                }
                self.on_heard_inside(heard, epc, place, out);
            }
        }
    }

    fn on_tag_move(
        &mut self,
        store: &Store,
        presence: &Presence,
        at: Timestamp,
        epc: Epc,
        home: ReadPoint,
        direction: Direction,
        window: (Timestamp, Timestamp),
        log_odds: f64,
    ) {
        let Some(gtin) = store.gtin_of(&epc) else {
            return;
        };
        let shelf = match home {
            ReadPoint::Shelf(shelf) => Some(shelf),
            ReadPoint::Gondola(gondola) => home_on_gondola(store, gondola, gtin),
            ReadPoint::Gate(_) | ReadPoint::Zone(_) => None,
        };
        if let Some(shelf) = shelf {
            if self.is_tagged_late(store, presence, shelf, epc, gtin, direction, window) {
                return;
            }
            let piece = Piece::Tag {
                epc,
                gtin,
                direction,
                window,
                log_odds,
            };
            self.join(store, at, shelf, piece);
        }
    }

    pub fn on_shelf(&mut self, store: &Store, at: Timestamp, event: ShelfEvent) {
        match event {
            ShelfEvent::WeightStep(step) => {
                self.join(store, at, step.shelf, Piece::Weight(step));
            }
            ShelfEvent::CountStep(step) => {
                if !self.is_told_late(&step) {
                    self.join(store, at, step.shelf, Piece::Count(step));
                }
            }
            ShelfEvent::Touched { .. } => {}
        }
    }

    /// Whether a camera tells late of an act that is decided already.
    fn is_told_late(&mut self, step: &CountStep) -> bool {
        let direction = if step.delta < 0 {
            Direction::Take
        } else {
            Direction::Putback
        };
        let witness = Witness::Camera(step.camera, step.carried);
        let same = |d: &&mut Decided| {
            d.shelf == step.shelf
                && d.direction == direction
                && !d.told_by.contains(&witness)
                && (step.gtins.is_empty()
                    || step.gtins.iter().any(|(g, p)| *g == d.gtin && *p > 0.2))
                && hypothesis::near_in_time(d.window, (step.after, step.before))
        };
        match self.decided.iter_mut().find(same) {
            Some(decided) if step.delta.abs() == 1 => {
                decided.told_by.push(witness);
                let unit = decided.unit;
                let window = (step.after, step.before);
                self.trace(|_| Trace::Late(Late::new(unit, window, witness, None)));
                true
            }
            _ => false,
        }
    }

    /// Whether a tag tells late of an act that is decided already; the unit gets its tag.
    fn is_tagged_late(
        &mut self,
        store: &Store,
        presence: &Presence,
        shelf: ShelfIx,
        epc: Epc,
        gtin: Gtin,
        direction: Direction,
        window: (Timestamp, Timestamp),
    ) -> bool {
        // A shelf hears for a while what is held before it.
        let in_hand = |d: &Decided| {
            direction == Direction::Take
                && window.0 >= d.window.0
                && window.0 - d.window.1 <= HEARD_IN_HAND
        };
        let same = |d: &Decided| {
            d.shelf == shelf
                && d.direction == direction
                && d.gtin == gtin
                && (hypothesis::near_in_time(d.window, window) || in_hand(d))
        };
        let decided: Vec<usize> = (0..self.decided.len())
            .filter(|n| same(&self.decided[*n]))
            .collect();
        if decided.iter().any(|n| self.decided[*n].epc == Some(epc)) {
            return true;
        }
        let untold = |n: &&usize| !self.decided[**n].told_by.contains(&Witness::Rfid);
        // A tag that was taken for the act's own and stands at its home yet was not.
        let stayed = |n: &&usize| {
            let Decided { epc, window, .. } = self.decided[**n];
            direction == Direction::Take
                && epc.is_some_and(|epc| presence.stayed(store, shelf, epc, window))
        };
        let place = decided.iter().find(untold).or(decided.iter().find(stayed));
        let Some(place) = place.copied() else {
            return false;
        };
        let decided = &mut self.decided[place];
        let (unit, before) = (decided.unit, decided.epc.replace(epc));
        decided.told_by.push(Witness::Rfid);
        self.clusters.tag_unit(unit, gtin, before, epc);
        self.trace(|_| Trace::Late(Late::new(unit, window, Witness::Rfid, Some(epc))));
        true
    }

    fn note_decided(&mut self, shelf: ShelfIx, account: &Account, first: UnitId) {
        for (i, act) in account.acts.iter().enumerate() {
            let unit = UnitId(first.0 + i as u64);
            self.taken_at.insert(unit, act.at());
            self.decided.push(Decided {
                shelf,
                direction: act.direction,
                gtin: act.gtin,
                window: act.window,
                unit,
                epc: self.clusters.tag_of(unit).or(act.epc),
                told_by: act.told_by.clone(),
            });
        }
        let newest = self
            .decided
            .iter()
            .map(|d| d.window.1)
            .max()
            .unwrap_or(Timestamp::MIN);
        self.decided.retain(|d| newest - d.window.1 < DECIDED_KEPT);
    }

    fn join(&mut self, store: &Store, at: Timestamp, shelf: ShelfIx, piece: Piece) {
        let wait = self.coverage.wait(store, shelf);
        self.open
            .entry(shelf)
            .or_insert_with(|| Interaction::new(shelf))
            .add(at, piece, wait);
    }

    /// When to call [`Fusion::on_timeout`] next.
    pub fn deadline(&self) -> Option<Timestamp> {
        let due = |i: &Interaction| i.tell_at.map_or(i.ready_at, |t| t.min(i.ready_at));
        let decide = self.open.values().map(due).min();
        decide.into_iter().chain(self.looks_again_at()).min()
    }

    pub fn on_timeout(
        &mut self,
        store: &Store,
        at: Timestamp,
        tracking: &Tracking,
        presence: &Presence,
        out: &mut Vec<Decision>,
    ) {
        self.tell_early(store, at, tracking, presence, out);
        self.resolve(store, tracking, presence, out, |i| i.ready_at <= at);
        self.look_again(store, presence, at, out);
    }

    /// Decides every interaction in which a visit can have had a hand before `until`, ready or not:
    /// it is being closed.
    pub fn settle(
        &mut self,
        store: &Store,
        visit: VisitId,
        until: Timestamp,
        tracking: &Tracking,
        presence: &Presence,
        out: &mut Vec<Decision>,
    ) {
        let carriers = &self.carriers;
        let concerned = |i: &&Interaction| {
            let span = (i.began() - REACHING, i.ended() + REACHING);
            i.began() <= until && carriers.was_near(store, tracking, visit, i.shelf, span)
        };
        let due: Vec<ShelfIx> = self
            .open
            .values()
            .filter(concerned)
            .map(|i| i.shelf)
            .collect();
        let mut later = Vec::new();
        for shelf in &due {
            let sides = self.open.get(shelf).and_then(|i| i.split_at_leaving(until));
            if let Some([before, after]) = sides {
                self.open.insert(*shelf, before);
                later.push(after);
            }
        }
        self.resolve(store, tracking, presence, out, |i| due.contains(&i.shelf));
        self.open.extend(later.into_iter().map(|i| (i.shelf, i)));
        self.look_before_closing(store, presence, visit, out);
    }

    fn resolve(
        &mut self,
        store: &Store,
        tracking: &Tracking,
        presence: &Presence,
        out: &mut Vec<Decision>,
        due: impl Fn(&Interaction) -> bool,
    ) {
        let mut ready: Vec<_> = self
            .open
            .values()
            .filter(|i| due(i))
            .map(|i| (i.began(), i.shelf))
            .collect();
        ready.sort();
        for (_, shelf) in ready {
            if let Some(interaction) = self.open.remove(&shelf) {
                self.decide(store, tracking, presence, &interaction, out);
            }
        }
    }

    fn decide(
        &mut self,
        store: &Store,
        tracking: &Tracking,
        presence: &Presence,
        interaction: &Interaction,
        out: &mut Vec<Decision>,
    ) {
        let shelf = interaction.shelf;
        let restock = self.is_restocked(shelf, interaction);
        // What shoppers took just before staff came or when they had gone is not staff's.
        if let Some((begin, end)) = self.restocks.get(&shelf).filter(|_| restock) {
            let bounds = [
                Some(*begin - RESTOCK_SLACK),
                end.map(|end| end + RESTOCK_SLACK),
            ];
            let sides = bounds
                .into_iter()
                .flatten()
                .find_map(|at| interaction.split(at));
            if let Some(sides) = sides {
                for side in &sides {
                    self.decide(store, tracking, presence, side, out);
                }
                return;
            }
        }
        let possible = self.possible(interaction);
        let mut accounts =
            hypothesis::enumerate(store, &self.coverage, presence, interaction, &possible);
        if !restock {
            self.weigh_idle_hands(store, tracking, shelf, &mut accounts);
        }
        let scene = trace::Scene {
            store,
            tracking,
            presence,
            possible: &possible,
            interaction,
        };
        if restock {
            self.trace(|f| Trace::Decided(scene.restocked(&f.carriers, &accounts)));
            let told = interaction.told.iter().cloned();
            out.extend(told.map(Decision::Withdrawn));
            out.extend(restock_actions(shelf, &accounts));
            return;
        }
        let whos = self.whos(store, tracking, shelf, &accounts);
        let first = UnitId(self.next_unit);
        let branched = self.branch(store, presence, interaction, &accounts, &whos, out);
        self.trace(|f| {
            let told = branched.told();
            Trace::Decided(scene.decided(&f.carriers, &accounts, &whos, told, first))
        });
    }

    fn branch(
        &mut self,
        store: &Store,
        presence: &Presence,
        interaction: &Interaction,
        accounts: &[Account],
        whos: &[Vec<Rc<ways::Options>>],
        out: &mut Vec<Decision>,
    ) -> ways::Branched {
        let shelf = interaction.shelf;
        let first_unit = self.next_unit;
        let most = accounts.iter().map(|a| a.acts.len()).max().unwrap_or(0);
        self.next_unit += most as u64;
        let mut branched = self
            .clusters
            .branch(shelf, accounts, whos, UnitId(first_unit));
        if let Some(told) = branched.account() {
            self.note_decided(shelf, told, UnitId(first_unit));
        }
        self.note_doubtful(store, presence, shelf, &branched, UnitId(first_unit));
        out.extend(early::settled(&interaction.told, branched.actions(store)));
        if !branched.reweighed.is_empty() {
            out.push(Decision::Reweighed(std::mem::take(&mut branched.reweighed)));
        }
        branched
    }

    /// What the people near an interaction may hold, and what stands where it does not belong.
    fn possible(&self, interaction: &Interaction) -> hypothesis::Possible {
        let near = self
            .carriers
            .present(interaction.began(), interaction.ended());
        let (held, held_tags) = self.clusters.held_by(&near);
        hypothesis::Possible {
            held,
            held_tags,
            misplaced: self.clusters.misplaced_on(interaction.shelf),
            restock: self.is_restocked(interaction.shelf, interaction),
        }
    }

    fn is_restocked(&self, shelf: ShelfIx, interaction: &Interaction) -> bool {
        self.restocks.get(&shelf).is_some_and(|(begin, end)| {
            interaction.ended() > *begin - RESTOCK_SLACK
                && end.is_none_or(|end| interaction.began() <= end + RESTOCK_SLACK)
        })
    }

    /// What a visit holds by all that is known.
    pub fn holdings(&self, visit: VisitId) -> Holdings {
        self.clusters.holdings(visit)
    }

    /// Forgets a visit that is closed and can no longer change.
    pub fn forget(&mut self, visit: VisitId, now: Timestamp) {
        self.clusters.forget(visit);
        self.carriers.forget(visit);
        self.passed.remove(&visit);
        self.meetings.retain(|m| !m.visits.contains(&visit));
        let held = self.clusters.held_units();
        self.taken_at.retain(|unit, _| held.contains(unit));
        self.sightings.retain(|_, away| {
            let last = away.reads.last().map(|r| r.at).max(away.since);
            last.is_some_and(|last| now - last < SIGHTINGS_KEPT)
        });
    }
}

fn home_on_gondola(store: &Store, gondola: crate::ids::GondolaIx, gtin: Gtin) -> Option<ShelfIx> {
    let shelves = &store.gondola(gondola).shelves;
    let holds = |s: &&ShelfIx| store.shelf(**s).facings.iter().any(|f| f.gtin == gtin);
    shelves.iter().find(holds).or(shelves.first()).copied()
}

fn restock_actions(shelf: ShelfIx, accounts: &[Account]) -> Vec<Decision> {
    let Some(best) = accounts.first() else {
        return Vec::new();
    };
    let act = |a: &hypothesis::Act| {
        Decision::Action(Action {
            direction: a.direction,
            visit: None,
            gtin: a.gtin,
            epc: a.epc,
            shelf,
            at: a.at(),
            confidence: 1.0,
            sources: a.sources,
            visits: Vec::new(),
            gtins: Vec::new(),
            home_shelf: None,
            restock: true,
        })
    };
    best.acts.iter().map(act).collect()
}

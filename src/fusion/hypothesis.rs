//! Accounts of an interaction: which items, how many, which way. A beam search goes through the
//! evidence piece by piece; each account explains every piece, if only as a mistake of its sensor.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::evidence::{Coverage, Covered};
use super::interaction::{Interaction, Piece};
use super::likelihood::{Load, Measured, Places};
use super::tags::{Tags, UNTAGGED};
use super::trace::Parts;
use super::{Direction, Sources, Witness};
use crate::gs1::{Epc, Gtin};
use crate::ids::ShelfIx;
use crate::presence::{Presence, TagSay};
use crate::shelf::{CountStep, WeightStep};
use crate::store::Store;
use crate::units::{TimeDelta, Timestamp};

/// One item taken or put back, in one account.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    pub direction: Direction,
    pub gtin: Gtin,
    pub epc: Option<Epc>,
    /// Metres along the gondola's front: the middle of where it may have been.
    pub along: f64,
    pub(super) places: Places,
    pub window: (Timestamp, Timestamp),
    pub sources: Sources,
    /// It was taken from where somebody had misplaced it.
    pub misplaced: bool,
    /// The tags that can be its own, where some can.
    pub(super) tags: Option<Arc<Tags>>,
    pub(super) told_by: Vec<Witness>,
}

impl Act {
    /// The middle of what its evidence allows.
    pub fn at(&self) -> Timestamp {
        let (after, before) = self.window;
        after + TimeDelta::from_micros((before - after).as_micros() / 2)
    }

    fn narrow(&mut self, window: (Timestamp, Timestamp)) {
        let (after, before) = (self.window.0.max(window.0), self.window.1.min(window.1));
        if after <= before {
            self.window = (after, before);
        }
    }

    fn same_item(&self, other: &Self) -> bool {
        self.direction == other.direction && self.gtin == other.gtin && self.epc == other.epc
    }
}

/// One way in which an interaction can have come about.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Account {
    pub acts: Vec<Act>,
    pub log_likelihood: f64,
    /// What it is made of; for people, nothing is decided by it.
    pub parts: Parts,
    /// Where and when hands were seen that, by this account, moved nothing.
    pub(super) hands: Vec<(f64, (Timestamp, Timestamp))>,
    /// What the last step of a scale weighed, where it is told to be nobody's taking.
    pub(super) idle: Option<f64>,
}

impl Account {
    /// Hands that moved nothing, where nothing was moved beside them either.
    pub(super) fn idle_hands(&self) -> impl Iterator<Item = (f64, (Timestamp, Timestamp))> {
        let beside = |(along, window): &(f64, (Timestamp, Timestamp))| {
            let near =
                |a: &Act| near_in_time(a.window, *window) && (a.along - along).abs() < BESIDE_M;
            self.acts.iter().any(near)
        };
        self.hands.iter().copied().filter(move |hand| !beside(hand))
    }

    /// Whether it has a product taken that is not put back yet.
    fn holds(&self, gtin: Gtin) -> bool {
        let of = self.acts.iter().filter(|a| a.gtin == gtin);
        let taken = of.map(|a| match a.direction {
            Direction::Take => 1,
            Direction::Putback => -1,
        });
        taken.sum::<i32>() > 0
    }
}

/// What the accounts may draw on beside the planogram.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Possible {
    /// Products that somebody near may hold, and so put back.
    pub held: BTreeSet<Gtin>,
    /// Tags that somebody near may hold.
    pub held_tags: Vec<Epc>,
    /// Products that stand on this shelf though they do not belong there, with their place.
    pub misplaced: Vec<(Gtin, f64)>,
    /// Staff is filling the shelf: products come without anybody holding them.
    pub restock: bool,
}

/// Cameras place one act up to this far apart along a shelf, metres.
const BESIDE_M: f64 = 0.6;
/// Log prior of a second act at one place and time, against one camera's taking one product for
/// another.
const CROWDED_LOG: f64 = -2.0;
/// Prior of something's being put back that somebody near holds, and that nobody does.
const HELD: f64 = 0.20;
const UNHELD: f64 = 0.001;
/// Log of how much seldomer something is put where it does not belong.
const ELSEWHERE_LOG: f64 = -1.5;
/// Log probability that a hand leaned on the shelf so that one step looks like two, and for how long.
const PRESSED_LOG: f64 = -4.0;
const PRESSED: TimeDelta = TimeDelta::from_millis(1_500);
/// Log of how much seldomer a second product is put where it does not belong, at one time.
const SEVERAL_LOG: f64 = -3.0;
/// Explanations of one step that are kept.
const STEP_SETS: usize = 16;
const BEAM: usize = 64;
const ACCOUNTS: usize = 16;
/// The most units of one product that one step can move.
const MOST_UNITS: usize = 6;

/// All accounts worth keeping, best first; never empty.
pub(super) fn enumerate(
    store: &Store,
    coverage: &Coverage,
    presence: &Presence,
    interaction: &Interaction,
    possible: &Possible,
) -> Vec<Account> {
    let search = Search {
        store,
        presence,
        shelf: interaction.shelf,
        covered: coverage.of(interaction.shelf),
        possible,
        says: RefCell::default(),
    };
    let mut beam = vec![Account::default()];
    let mut pieces: Vec<&Piece> = interaction.pieces.iter().collect();
    // Scales first: they know when and how much; then tags and pictures find their place.
    pieces.sort_by_key(|p| (rank(p), p.window()));
    let mut last: Option<&WeightStep> = None;
    for piece in pieces {
        let mut next = Vec::new();
        match piece {
            Piece::Weight(step) => {
                search.by_weight(&beam, step, &mut next);
                if let Some(pressed) = last.and_then(|last| pressed(last, step)) {
                    search.by_pressed(&beam, &pressed, &mut next);
                }
                last = Some(step);
            }
            Piece::Count(step) => search.by_count(&beam, step, &mut next),
            Piece::Tag {
                epc,
                gtin,
                direction,
                window,
                ..
            } => {
                let tag = Tag {
                    epc: *epc,
                    gtin: *gtin,
                    direction: *direction,
                    window: *window,
                };
                search.by_tag(&beam, &tag, &mut next);
            }
        }
        beam = best(next, BEAM);
    }
    for account in &mut beam {
        let tags = search.by_all_tags(&mut account.acts);
        account.log_likelihood += tags;
        account.parts.tags += tags;
        let unsaid = account.acts.iter().map(|a| search.unsaid(a)).sum::<f64>();
        account.log_likelihood += unsaid;
        account.parts.silence += unsaid;
    }
    best(beam, ACCOUNTS)
}

fn rank(piece: &Piece) -> u8 {
    match piece {
        Piece::Weight(_) => 0,
        Piece::Tag { .. } => 1,
        // What stood at rest tells its place better than a hand that goes.
        Piece::Count(step) if !step.carried => 2,
        Piece::Count(_) => 3,
    }
}

/// The best accounts, those of the same items counted once.
fn best(mut accounts: Vec<Account>, keep: usize) -> Vec<Account> {
    accounts.sort_by(|a, b| b.log_likelihood.total_cmp(&a.log_likelihood));
    let mut kept: Vec<Account> = Vec::new();
    for account in accounts {
        let same = |k: &Account| {
            k.acts.len() == account.acts.len()
                && k.acts
                    .iter()
                    .zip(&account.acts)
                    .all(|(a, b)| a.same_item(b) && a.window == b.window && a.told_by == b.told_by)
        };
        if kept.len() < keep && !kept.iter().any(same) {
            kept.push(account);
        }
    }
    kept
}

struct Tag {
    epc: Epc,
    gtin: Gtin,
    direction: Direction,
    window: (Timestamp, Timestamp),
}

struct Search<'a> {
    store: &'a Store,
    presence: &'a Presence,
    shelf: ShelfIx,
    covered: Covered,
    possible: &'a Possible,
    /// What the shelf's tags say of having left, by window.
    says: RefCell<BTreeMap<(Timestamp, Timestamp), Rc<Vec<TagSay>>>>,
}

/// Something that may have been moved, before it is known how.
#[derive(Clone)]
struct Candidate {
    direction: Direction,
    gtin: Gtin,
    grams: f64,
    places: Vec<f64>,
    log_prior: f64,
    misplaced: bool,
}

impl Search<'_> {
    fn by_weight(&self, beam: &[Account], step: &WeightStep, next: &mut Vec<Account>) {
        let explained = self.explain(step);
        for account in beam {
            for (acts, log_likelihood, prior) in &explained {
                let taken = self.taken_before(account, acts);
                let (log_likelihood, prior) = (log_likelihood + taken, prior + taken);
                let mut longer = account.clone();
                longer.acts.extend(acts.iter().cloned());
                longer.log_likelihood += log_likelihood;
                longer.parts.scale += log_likelihood - prior;
                longer.parts.prior += prior;
                longer.idle = acts.is_empty().then_some(log_likelihood);
                next.push(longer);
            }
        }
    }

    /// What is put back may have been taken just before: it was as good as held.
    fn taken_before(&self, account: &Account, acts: &[Act]) -> f64 {
        let strange =
            |a: &&Act| a.direction == Direction::Putback && !self.possible.held.contains(&a.gtin);
        match acts.iter().find(strange) {
            Some(act) if !self.possible.restock && account.holds(act.gtin) => {
                libm::log(HELD / UNHELD)
            }
            _ => 0.0,
        }
    }

    /// The same of two steps that are one, with a hand's leaning on the shelf between.
    fn by_pressed(&self, beam: &[Account], step: &WeightStep, next: &mut Vec<Account>) {
        let explained = self.explain(step);
        for account in beam {
            let Some(idle) = account.idle else { continue };
            for (acts, log_likelihood, prior) in &explained {
                let taken = self.taken_before(account, acts);
                let (log_likelihood, prior) = (log_likelihood + taken, prior + taken);
                let mut longer = account.clone();
                longer.acts.extend(acts.iter().cloned());
                longer.log_likelihood += log_likelihood - idle + PRESSED_LOG;
                longer.parts.scale += log_likelihood - prior - idle + PRESSED_LOG;
                longer.parts.prior += prior;
                longer.idle = None;
                next.push(longer);
            }
        }
    }

    /// Sets of items that explain a step, each with its log likelihood and the prior in that; the
    /// empty set is a step that nobody's taking caused.
    fn explain(&self, step: &WeightStep) -> Vec<(Vec<Act>, f64, f64)> {
        let measured = Measured::new(self.store, step);
        let candidates = self.candidates();
        let mut sets: Vec<Vec<usize>> = Vec::new();
        for (i, a) in candidates.iter().enumerate() {
            let units = (measured.total() / a.grams).round();
            if units >= 1.0 {
                let near = [units - 1.0, units, units + 1.0];
                let counts = near
                    .iter()
                    .filter(|n| **n >= 1.0 && **n <= MOST_UNITS as f64);
                sets.extend(counts.map(|n| vec![i; *n as usize]));
            }
            for (j, b) in candidates.iter().enumerate().skip(i + 1) {
                let sum = a.grams + b.grams;
                let z = (measured.total() - sum) / measured.total_sigma(&[a.grams, b.grams]);
                if z.abs() < 4.0 && a.gtin != b.gtin {
                    sets.push(vec![i, j]);
                }
            }
        }
        let plates = self.store.shelf(self.shelf).scales.len();
        let mut out = vec![(Vec::new(), no_item_log_likelihood(step, plates), 0.0)];
        for set in sets {
            let chosen: Vec<&Candidate> = set.iter().map(|i| &candidates[*i]).collect();
            out.push(self.explain_by(&measured, step, &chosen));
        }
        out.extend(self.explain_by_unknown(&measured, step));
        // What the tags say is weighed at the end, over all acts; here it keeps the right ones.
        let mut out: Vec<_> = out
            .into_iter()
            .map(|(acts, log, prior)| {
                let tags = self.by_all_tags(&mut acts.clone());
                (log + tags, (acts, log, prior))
            })
            .collect();
        out.sort_by(|a, b| b.0.total_cmp(&a.0));
        out.truncate(STEP_SETS);
        out.into_iter().map(|(_, explained)| explained).collect()
    }

    fn explain_by(
        &self,
        measured: &Measured<'_>,
        step: &WeightStep,
        chosen: &[&Candidate],
    ) -> (Vec<Act>, f64, f64) {
        let loads: Vec<Load> = if chosen.len() > 2 {
            // Units of one product stand side by side: one load of their sum.
            let grams = chosen.iter().map(|c| c.grams).sum();
            vec![Load {
                grams,
                places: chosen[0].places.clone(),
            }]
        } else {
            let load = |c: &&Candidate| Load {
                grams: c.grams,
                places: c.places.clone(),
            };
            chosen.iter().map(load).collect()
        };
        let (density, places) = measured.weigh(&loads);
        let (windows, order) = windows(step, chosen);
        let place = |i: usize| {
            let known = places.get(i).or(places.last());
            known.cloned().unwrap_or_else(|| Places::at(0.0))
        };
        let act = |(i, c): (usize, &&Candidate)| Act {
            direction: c.direction,
            gtin: c.gtin,
            epc: None,
            along: place(i).middle(),
            places: place(i),
            window: windows[i],
            sources: Sources {
                scale: true,
                ..Sources::default()
            },
            misplaced: c.misplaced,
            tags: None,
            told_by: vec![Witness::Scale],
        };
        let acts: Vec<Act> = chosen.iter().enumerate().map(act).collect();
        let prior = set_log_prior(chosen);
        (acts, density + order + prior, prior)
    }

    /// One item of a product whose weight the catalogue does not give.
    fn explain_by_unknown(
        &self,
        measured: &Measured<'_>,
        step: &WeightStep,
    ) -> Vec<(Vec<Act>, f64, f64)> {
        let shelf = self.store.shelf(self.shelf);
        let unweighed = |g: &Gtin| self.store.weight_of(*g).is_none();
        let facings: BTreeSet<Gtin> = shelf
            .facings
            .iter()
            .map(|f| f.gtin)
            .filter(unweighed)
            .collect();
        let direction = if measured.total() < 0.0 {
            Direction::Take
        } else {
            Direction::Putback
        };
        let explain = |gtin: Gtin| {
            let (density, places) = measured.weigh_unknown(&self.facing_places(gtin));
            let log_prior = match direction {
                Direction::Take => libm::log(0.125),
                Direction::Putback => self.putback(gtin, 0.0, Vec::new()).log_prior,
            };
            let act = Act {
                direction,
                gtin,
                epc: None,
                along: places.first().map_or(0.0, Places::middle),
                places: places.into_iter().next().unwrap_or_else(|| Places::at(0.0)),
                window: hand_window(step),
                sources: Sources {
                    scale: true,
                    ..Sources::default()
                },
                misplaced: false,
                tags: None,
                told_by: vec![Witness::Scale],
            };
            (vec![act], density + log_prior, log_prior)
        };
        facings.into_iter().map(explain).collect()
    }

    fn candidates(&self) -> Vec<Candidate> {
        let shelf = self.store.shelf(self.shelf);
        let length = self.store.gondola_of(self.shelf).front.length();
        let mut out = Vec::new();
        let facings: BTreeSet<Gtin> = shelf.facings.iter().map(|f| f.gtin).collect();
        for gtin in facings {
            let Some(grams) = self.store.weight_of(gtin) else {
                continue;
            };
            let places = self.facing_places(gtin);
            out.push(Candidate {
                direction: Direction::Take,
                gtin,
                grams: -grams,
                places: places.clone(),
                log_prior: libm::log(0.125),
                misplaced: false,
            });
            out.push(self.putback(gtin, grams, places));
        }
        for gtin in self
            .possible
            .held
            .iter()
            .filter(|g| !shelf.facings.iter().any(|f| f.gtin == **g))
        {
            let Some(grams) = self.store.weight_of(*gtin) else {
                continue;
            };
            let mut candidate = self.putback(*gtin, grams, spread(0.0, length, 0.08));
            candidate.log_prior += libm::log(0.15);
            out.push(candidate);
        }
        // Who puts something back on its own shelf does not always find its place.
        let own = |g: &&Gtin| shelf.facings.iter().any(|f| f.gtin == **g);
        for gtin in self.possible.held.iter().filter(own) {
            if let Some(grams) = self.store.weight_of(*gtin) {
                let mut candidate = self.putback(*gtin, grams, spread(0.0, length, 0.08));
                candidate.log_prior += libm::log(0.1);
                out.push(candidate);
            }
        }
        for (gtin, along) in &self.possible.misplaced {
            let Some(grams) = self.store.weight_of(*gtin) else {
                continue;
            };
            out.push(Candidate {
                direction: Direction::Take,
                gtin: *gtin,
                grams: -grams,
                places: vec![along - 0.08, *along, along + 0.08],
                log_prior: libm::log(0.10),
                misplaced: true,
            });
        }
        out
    }

    fn putback(&self, gtin: Gtin, grams: f64, places: Vec<f64>) -> Candidate {
        let held = self.possible.held.contains(&gtin);
        let prior = if held || self.possible.restock {
            HELD
        } else {
            UNHELD
        };
        Candidate {
            direction: Direction::Putback,
            gtin,
            grams,
            places,
            log_prior: libm::log(prior),
            misplaced: false,
        }
    }

    fn facing_places(&self, gtin: Gtin) -> Vec<f64> {
        let facings = self
            .store
            .shelf(self.shelf)
            .facings
            .iter()
            .filter(|f| f.gtin == gtin);
        let mut places = Vec::new();
        for facing in facings {
            let margin = 0.045_f64.min((facing.to - facing.from) / 2.0);
            places.extend(spread(facing.from + margin, facing.to - margin, 0.05));
        }
        places
    }

    /// A tag that left or came by its own account: perhaps an act that nothing else tells of.
    fn by_tag(&self, beam: &[Account], tag: &Tag, next: &mut Vec<Account>) {
        // What comes where it does not belong may come anywhere.
        let mut places = self.facing_places(tag.gtin);
        if places.is_empty() {
            let length = self.store.gondola_of(self.shelf).front.length();
            places = spread(0.0, length, 0.08);
        }
        let places = Places::any_of(&places);
        for account in beam {
            next.push(account.clone());
            let mut new = account.clone();
            let prior = self.unweighed_log_prior() + self.return_log_prior(tag, account);
            new.log_likelihood += prior;
            new.parts.prior += prior;
            new.acts.push(Act {
                direction: tag.direction,
                gtin: tag.gtin,
                epc: Some(tag.epc),
                along: places.middle(),
                places: places.clone(),
                window: tag.window,
                sources: Sources {
                    rfid: true,
                    ..Sources::default()
                },
                misplaced: false,
                tags: None,
                told_by: vec![Witness::Rfid],
            });
            next.push(new);
        }
    }

    fn says(&self, window: (Timestamp, Timestamp)) -> Rc<Vec<TagSay>> {
        let mut says = self.says.borrow_mut();
        let fresh = || Rc::new(self.presence.left(self.store, self.shelf, window));
        Rc::clone(says.entry(window).or_insert_with(fresh))
    }

    /// What the tags say of an account's acts, against nothing having been moved; each act gets
    /// the tag that is likeliest its own.
    fn by_all_tags(&self, acts: &mut [Act]) -> f64 {
        if !self.covered.rfid {
            return 0.0;
        }
        let mut used: Vec<Epc> = acts.iter().filter_map(|a| a.epc).collect();
        let mut log = 0.0;
        for act in acts {
            log += match act.direction {
                Direction::Take => self.by_tags_left(act, &mut used),
                Direction::Putback => self.by_tags_came(act, &mut used),
            };
        }
        log
    }

    fn by_tags_left(&self, act: &mut Act, used: &mut Vec<Epc>) -> f64 {
        let tagged = self.store.catalog.get(&act.gtin).and_then(|p| p.tagged);
        if tagged == Some(false) {
            return 0.0;
        }
        let says = self.says(act.window);
        let own = act.epc;
        let known = self.presence.knows(act.gtin);
        let tags = Tags::left(&says, act.gtin, own, known, |epc| !used.contains(&epc));
        let log = tags.log(|_| 0.0);
        if own.is_none()
            && let Some(best) = tags.likeliest(|_| 0.0)
        {
            act.epc = Some(best);
            act.sources.rfid = true;
            act.told_by.push(Witness::Rfid);
            used.push(best);
        }
        act.tags = own.is_none().then(|| Arc::new(tags));
        log
    }

    fn by_tags_came(&self, act: &mut Act, used: &mut Vec<Epc>) -> f64 {
        let own = act.epc;
        let candidates: Vec<Epc> = match own {
            Some(epc) => vec![epc],
            None => {
                let held = self.possible.held_tags.iter().copied();
                held.filter(|e| self.store.gtin_of(e) == Some(act.gtin) && !used.contains(e))
                    .collect()
            }
        };
        if candidates.is_empty() {
            return 0.0;
        }
        let says = self
            .presence
            .came(self.store, self.shelf, act.window, &candidates);
        let tags = Tags {
            says: says.iter().map(|s| (s.epc, s.log)).collect(),
            of: candidates.len() as f64,
            untagged: UNTAGGED,
            unseen: UNTAGGED,
        };
        let log = tags.log(|_| 0.0);
        if own.is_none()
            && let Some(best) = tags.likeliest(|_| 0.0)
        {
            act.epc = Some(best);
            act.sources.rfid = true;
            act.told_by.push(Witness::Rfid);
            used.push(best);
        }
        act.tags = own.is_none().then(|| Arc::new(tags));
        log
    }

    fn by_count(&self, beam: &[Account], step: &CountStep, next: &mut Vec<Account>) {
        let direction = if step.delta < 0 {
            Direction::Take
        } else {
            Direction::Putback
        };
        let units = step.delta.unsigned_abs().clamp(1, 4);
        let witness = Witness::Camera(step.camera, step.carried);
        // One for all accounts: who stood before it is weighed once.
        let places = Places::at(step.along);
        for account in beam {
            let mut mistaken = account.clone();
            mistaken.log_likelihood -= step.log_odds.clamp(-3.0, 7.0);
            mistaken.parts.cameras -= step.log_odds.clamp(-3.0, 7.0);
            if step.hand {
                mistaken.hands.push((step.along, (step.after, step.before)));
            }
            next.push(mistaken);
            let mut told = account.clone();
            let mut left = units;
            for act in &mut told.acts {
                let fits = act.direction == direction
                    && near_in_time(act.window, (step.after, step.before))
                    && !act.told_by.contains(&witness)
                    && (act.along - step.along).abs() < BESIDE_M;
                if fits && left > 0 {
                    told.log_likelihood += seen_as(step, act.gtin);
                    told.parts.cameras += seen_as(step, act.gtin);
                    act.told_by.push(witness);
                    act.sources.vision = true;
                    act.places = act.places.seen_at(step.along);
                    act.along = act.places.middle();
                    act.narrow((step.after, step.before));
                    left -= 1;
                }
            }
            if left < units {
                told.log_likelihood -= 2.0 * f64::from(left);
                told.parts.cameras -= 2.0 * f64::from(left);
                next.push(told);
            }
            // What stands at rest at two places is two things to the camera that sees both, and
            // so is what looks like quite another product.
            let of_another = |a: &Act| {
                (step.carried || !a.told_by.contains(&witness)) && may_look_like(step, a.gtin)
            };
            let crowded = account.acts.iter().any(|a| {
                a.direction == direction
                    && of_another(a)
                    && near_in_time(a.window, (step.after, step.before))
                    && (a.along - step.along).abs() < BESIDE_M
            });
            let prior = self.unweighed_log_prior()
                + self.untagged_log_prior()
                + if crowded { CROWDED_LOG } else { 0.0 };
            for (gtin, probability) in self.seen_products(step) {
                let seen = f64::from(units) * libm::log(probability) + prior;
                let returned = if direction == Direction::Putback {
                    seen
                } else {
                    seen + step.reverse_log
                };
                let taken = if direction == Direction::Take {
                    seen
                } else {
                    seen + step.reverse_log
                };
                let unheld = if self.possible.held.contains(&gtin) || account.holds(gtin) {
                    0.0
                } else {
                    -4.0
                };
                for (direction, log) in [
                    (Direction::Take, taken),
                    (Direction::Putback, returned + unheld),
                ] {
                    if log == f64::NEG_INFINITY {
                        continue;
                    }
                    let mut new = account.clone();
                    new.log_likelihood += log;
                    new.parts.cameras += log - prior;
                    new.parts.prior += prior;
                    for _ in 0..units {
                        new.acts.push(Act {
                            direction,
                            gtin,
                            epc: None,
                            along: step.along,
                            places: places.clone(),
                            window: (step.after, step.before),
                            sources: Sources {
                                vision: true,
                                ..Sources::default()
                            },
                            misplaced: false,
                            tags: None,
                            told_by: vec![witness],
                        });
                    }
                    next.push(new);
                }
            }
        }
    }

    /// What a camera's change can have been: by its own account, else by the planogram.
    fn seen_products(&self, step: &CountStep) -> Vec<(Gtin, f64)> {
        if !step.gtins.is_empty() {
            let known = step
                .gtins
                .iter()
                .filter(|(g, _)| self.store.catalog.contains_key(g));
            return known.filter(|(_, p)| *p > 0.02).take(4).copied().collect();
        }
        let distance =
            |f: &crate::store::Facing| (f.from - step.along).max(step.along - f.to).max(0.0);
        let facings = &self.store.shelf(self.shelf).facings;
        let weigh = |f: &crate::store::Facing| {
            libm::exp(-0.5 * (distance(f) / 0.08) * (distance(f) / 0.08))
        };
        let sum: f64 = facings.iter().map(weigh).sum();
        if sum < 1e-6 {
            return Vec::new();
        }
        let seen = facings.iter().map(|f| (f.gtin, weigh(f) / sum));
        seen.filter(|(_, p)| *p > 0.02).collect()
    }

    /// Log prior of an item that scales under the shelf should have felt and did not.
    fn unweighed_log_prior(&self) -> f64 {
        libm::log(if self.covered.scale { 0.01 } else { 0.3 })
    }

    fn untagged_log_prior(&self) -> f64 {
        libm::log(if self.covered.rfid { 0.1 } else { 1.0 })
    }

    fn return_log_prior(&self, tag: &Tag, account: &Account) -> f64 {
        let returned = tag.direction == Direction::Putback;
        let facings = &self.store.shelf(self.shelf).facings;
        let at_home = facings.iter().any(|f| f.gtin == tag.gtin);
        let held = self.possible.held.contains(&tag.gtin) || account.holds(tag.gtin);
        // Who stands still before a shelf lets all that he holds be heard there.
        let crowd = |a: &&Act| {
            a.direction == Direction::Putback
                && a.gtin != tag.gtin
                && near_in_time(a.window, tag.window)
        };
        if returned && !at_home && account.acts.iter().any(|a| crowd(&a)) {
            return SEVERAL_LOG + ELSEWHERE_LOG;
        }
        match (returned, held) {
            (false, _) => 0.0,
            (true, false) => -2.0,
            (true, true) if at_home => 0.0,
            (true, true) => ELSEWHERE_LOG,
        }
    }

    /// What the silence of the other sensors says about an act.
    fn unsaid(&self, act: &Act) -> f64 {
        let mut log = 0.0;
        if self.covered.camera && !act.sources.vision {
            log += libm::log(0.4);
        }
        log
    }
}

/// When a hand did what a step tells: about when the load began to change; what follows is the
/// plate's ringing and the hand's leaning.
fn hand_window(step: &WeightStep) -> (Timestamp, Timestamp) {
    let (before, after) = (TimeDelta::from_millis(300), TimeDelta::from_millis(500));
    (
        step.after - before,
        (step.after + after).min(step.before.max(step.after)),
    )
}

/// When each of the items of a step was moved, and the log of how well its parts fit that.
fn windows(step: &WeightStep, chosen: &[&Candidate]) -> (Vec<(Timestamp, Timestamp)>, f64) {
    if step.parts.len() < 2 || chosen.len() < 2 {
        return (vec![hand_window(step); chosen.len()], 0.0);
    }
    let before = TimeDelta::from_millis(300);
    let whole = (step.after - before, step.before.max(step.after));
    if step.parts.len() != chosen.len() {
        return (vec![whole; chosen.len()], 0.0);
    }
    // Each item takes the part that is nearest to its weight, heaviest first.
    let mut order: Vec<usize> = (0..chosen.len()).collect();
    order.sort_by(|a, b| {
        chosen[*b]
            .grams
            .abs()
            .total_cmp(&chosen[*a].grams.abs())
            .then(a.cmp(b))
    });
    let mut free: Vec<usize> = (0..step.parts.len()).collect();
    let mut out = vec![whole; chosen.len()];
    let mut log = 0.0;
    for n in order {
        let off = |p: usize| (step.parts[p].grams - chosen[n].grams).abs();
        let best = free
            .iter()
            .enumerate()
            .min_by(|a, b| off(*a.1).total_cmp(&off(*b.1)));
        let Some((place, part)) = best.map(|(place, p)| (place, *p)) else {
            break;
        };
        free.remove(place);
        let sigma = 12.0 + 0.12 * chosen[n].grams.abs();
        log -= (0.5 * (off(part) / sigma) * (off(part) / sigma)).min(6.0);
        let part = &step.parts[part];
        out[n] = (part.after - before, part.before.max(part.after));
    }
    (out, log)
}

/// Two steps as one, where the second takes back the first and more: a hand that leans on the shelf
/// for a moment as it takes something, or lifts it.
fn pressed(first: &WeightStep, then: &WeightStep) -> Option<WeightStep> {
    let grams = |s: &WeightStep| s.plates.iter().map(|p| p.grams).sum::<f64>();
    let (a, b) = (grams(first), grams(then));
    let soon = then.after - first.before < PRESSED && then.after >= first.after;
    if a * b >= 0.0 || !soon {
        return None;
    }
    let mut whole = then.clone();
    whole.after = first.after;
    whole.parts = Vec::new();
    for plate in &first.plates {
        match whole.plates.iter_mut().find(|p| p.scale == plate.scale) {
            Some(same) => {
                same.grams += plate.grams;
                same.sigma = (same.sigma * same.sigma + plate.sigma * plate.sigma).sqrt();
            }
            None => whole.plates.push(*plate),
        }
    }
    whole.plates.sort_by_key(|p| p.scale);
    Some(whole)
}

/// Log density of a step that no known item's moving explains: a bag leaned on the shelf, an item
/// pushed from plate to plate, a load cell that jumped. Small jumps are the commonest, and each move
/// of a step is one. It may come anywhere along the shelf's `plates`, as an item may that does not
/// belong there.
fn no_item_log_likelihood(step: &WeightStep, plates: usize) -> f64 {
    let total: f64 = step.plates.iter().map(|p| p.grams).sum();
    let moved: f64 = step.plates.iter().map(|p| p.grams.abs()).sum::<f64>() - total.abs();
    let anywhere = -libm::log(plates.max(1) as f64);
    if step.parts.len() < 2 {
        return anywhere + jump(total.abs() + 0.1 * moved);
    }
    anywhere + step.parts.iter().map(|p| jump(p.grams.abs())).sum::<f64>()
}

fn jump(grams: f64) -> f64 {
    const SCALE_G: f64 = 12.0;
    let small = libm::log(0.02) - libm::log(2.0 * SCALE_G) - grams / SCALE_G;
    let anything = libm::log(0.002) - libm::log(2000.0);
    small.max(anything)
}

/// Log prior of several items in one step: one hand moves one item as a rule, several of a kind
/// now and then, different ones or an exchange seldom.
fn set_log_prior(chosen: &[&Candidate]) -> f64 {
    let Some((first, others)) = chosen.split_first() else {
        return 0.0;
    };
    let another = |c: &&Candidate| match (c.gtin == first.gtin, c.direction == first.direction) {
        (true, true) => libm::log(0.15),
        (true, false) => libm::log(0.001),
        (false, true) => libm::log(0.03) + c.log_prior,
        (false, false) => libm::log(0.01) + c.log_prior,
    };
    first.log_prior + others.iter().map(another).sum::<f64>()
}

/// Whether a camera may have taken this product for what it tells of.
fn may_look_like(step: &CountStep, gtin: Gtin) -> bool {
    step.gtins.is_empty() || step.gtins.iter().any(|(g, p)| *g == gtin && *p > 0.03)
}

fn seen_as(step: &CountStep, gtin: Gtin) -> f64 {
    if step.gtins.is_empty() {
        return 0.0;
    }
    let named = step.gtins.iter().find(|(g, _)| *g == gtin);
    let listed: f64 = step.gtins.iter().map(|(_, p)| p).sum();
    // What a camera does not list it may still have taken for something else.
    let other = (0.1 * (1.0 - listed)).max(0.01);
    libm::log(named.map_or(other, |(_, p)| p.max(other)))
}

pub(super) fn near_in_time(a: (Timestamp, Timestamp), b: (Timestamp, Timestamp)) -> bool {
    let slack = TimeDelta::from_millis(1200);
    a.0 <= b.1 + slack && b.0 <= a.1 + slack
}

/// Places from `from` to `to`, about `step` apart, at least one and at most so many.
fn spread(from: f64, to: f64, step: f64) -> Vec<f64> {
    const MOST: f64 = 30.0;
    let n = (((to - from) / step).ceil()).clamp(0.0, MOST);
    if n < 1.0 {
        return vec![(from + to) / 2.0];
    }
    (0..=n as usize)
        .map(|i| from + (to - from) * i as f64 / n)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_beside_what_was_moved_is_not_idle() {
        let at = |s: f64| Timestamp::from_nanos(0) + TimeDelta::from_secs(s);
        let hand = (0.4, (at(10.0), at(10.4)));
        let mut account = Account {
            hands: vec![hand],
            ..Account::default()
        };
        assert_eq!(account.idle_hands().collect::<Vec<_>>(), [hand]);
        account.acts.push(Act {
            direction: Direction::Take,
            gtin: Gtin::from_payload(400_638_133_393).unwrap(),
            epc: None,
            along: 0.5,
            places: Places::at(0.5),
            window: (at(10.2), at(10.8)),
            sources: Sources::default(),
            misplaced: false,
            tags: None,
            told_by: Vec::new(),
        });
        assert_eq!(account.idle_hands().count(), 0);
        account.hands.push((0.4, (at(30.0), at(30.4))));
        assert_eq!(account.idle_hands().count(), 1, "another hand, later");
    }
}

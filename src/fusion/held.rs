//! What visits hold in one world. Worlds differ in few hands: one that two worlds agree on is as a
//! rule one value in both, so that copying a world copies no units, and comparing two looks only
//! at the hands in which they differ.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::world::{Unit, UnitId};
use crate::gs1::{Epc, Gtin};
use crate::ids::VisitId;

/// What each visit holds, in order of visits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Held(Vec<(VisitId, Hand)>);

/// What one visit holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Vec<Unit>", into = "Vec<Unit>")]
pub(super) struct Hand(Arc<Units>);

#[derive(Debug, Clone, Default)]
struct Units {
    units: Vec<Unit>,
    /// In order, with this hash of products and tags; `None` since they were changed.
    print: Option<u64>,
}

impl From<Vec<Unit>> for Hand {
    fn from(units: Vec<Unit>) -> Self {
        Self(Arc::new(Units { units, print: None }))
    }
}

impl From<Hand> for Vec<Unit> {
    fn from(hand: Hand) -> Self {
        hand.0.units.clone()
    }
}

impl PartialEq for Hand {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || self.0.units == other.0.units
    }
}

impl Hand {
    pub(super) fn units(&self) -> &[Unit] {
        &self.0.units
    }

    /// Whether both are one value.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn edit(&mut self) -> &mut Vec<Unit> {
        let hand = Arc::make_mut(&mut self.0);
        hand.print = None;
        &mut hand.units
    }

    /// Whether both hold the same products and tags.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let same = |(a, b): (&Unit, &Unit)| a.gtin == b.gtin && a.epc == b.epc;
        let (a, b) = (self.units(), other.units());
        self.is(other) || (a.len() == b.len() && a.iter().zip(b).all(same))
    }

    /// Puts units that were changed in order; their print.
    fn settle(&mut self) -> u64 {
        let hand = Arc::make_mut(&mut self.0);
        hand.units.sort_by_key(|u| (u.gtin, u.epc, u.id));
        let mut hasher = Mixer(hand.units.len() as u64);
        for unit in &hand.units {
            (unit.gtin, unit.epc).hash(&mut hasher);
        }
        *hand.print.insert(hasher.finish())
    }
}

impl Held {
    fn place(&self, visit: VisitId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&visit, |(v, _)| *v)
    }

    pub(super) fn hand(&self, visit: VisitId) -> Option<&Hand> {
        self.place(visit).ok().map(|place| &self.0[place].1)
    }

    pub(super) fn get(&self, visit: VisitId) -> &[Unit] {
        self.hand(visit).map_or(&[], Hand::units)
    }

    /// The units of a visit, to be changed; settle afterwards.
    pub(super) fn edit(&mut self, visit: VisitId) -> &mut Vec<Unit> {
        let place = self.place(visit).unwrap_or_else(|place| {
            self.0.insert(place, (visit, Hand::from(Vec::new())));
            place
        });
        self.0[place].1.edit()
    }

    pub(super) fn remove(&mut self, visit: VisitId) -> Option<Hand> {
        self.place(visit).ok().map(|place| self.0.remove(place).1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes units out of a visit's hand; hands that were one stay one. `done` has the hands that
    /// were changed before in other worlds.
    pub(super) fn take_units(
        &mut self,
        visit: VisitId,
        units: &[Unit],
        done: &mut Vec<(Hand, Hand)>,
    ) {
        let Ok(place) = self.place(visit) else {
            return;
        };
        let hand = &mut self.0[place].1;
        if let Some((_, after)) = done.iter().find(|(before, _)| before.is(hand)) {
            *hand = after.clone();
            return;
        }
        let before = hand.clone();
        hand.edit().retain(|u| !units.contains(u));
        done.push((before, hand.clone()));
    }

    /// The hands of these visits alone.
    pub(super) fn of(visits: impl IntoIterator<Item = (VisitId, Hand)>) -> Self {
        Self(visits.into_iter().collect())
    }

    pub(super) fn hands(&self) -> impl Iterator<Item = (VisitId, &Hand)> {
        self.0.iter().map(|(visit, hand)| (*visit, hand))
    }

    /// The hand at a place in the order of visits.
    pub(super) fn nth(&self, place: usize) -> Option<&Hand> {
        self.0.get(place).map(|(_, hand)| hand)
    }

    /// Takes in what is held elsewhere; settle afterwards.
    pub(super) fn join(&mut self, other: &Self) {
        for (visit, hand) in &other.0 {
            match self.place(*visit) {
                Ok(place) => self.0[place].1.edit().extend(hand.units()),
                Err(place) => self.0.insert(place, (*visit, hand.clone())),
            }
        }
    }

    /// Takes a tag out of all hands; whether any held it.
    pub(super) fn remove_tag(&mut self, epc: Epc) -> bool {
        let mut found = false;
        for (_, hand) in &mut self.0 {
            if hand.units().iter().any(|u| u.epc == Some(epc)) {
                hand.edit().retain(|u| u.epc != Some(epc));
                found = true;
            }
        }
        found
    }

    /// Who holds a tag.
    pub(super) fn holder(&self, epc: Epc) -> Option<VisitId> {
        let holds = |hand: &Hand| hand.units().iter().any(|u| u.epc == Some(epc));
        self.0.iter().find(|(_, hand)| holds(hand)).map(|(v, _)| *v)
    }

    /// A unit by its number, and who holds it.
    pub(super) fn unit(&self, id: UnitId) -> Option<(VisitId, Unit)> {
        let units = |(visit, hand): &(VisitId, Hand)| {
            let own = hand.units().iter().find(|u| u.id == id);
            own.map(|unit| (*visit, *unit))
        };
        self.0.iter().find_map(units)
    }

    /// The tags of all units but one.
    pub(super) fn other_tags(&self, id: UnitId) -> impl Iterator<Item = Epc> {
        let units = self.0.iter().flat_map(|(_, hand)| hand.units());
        units.filter(move |u| u.id != id).filter_map(|u| u.epc)
    }

    /// How many units of a product before one have no tag.
    pub(super) fn untagged_before(&self, id: UnitId, gtin: Gtin) -> usize {
        let units = self.0.iter().flat_map(|(_, hand)| hand.units());
        units.filter(|u| u.id < id && u.is_untagged(gtin)).count()
    }

    /// Gives a unit of a visit the tag that turned out to be its own. Settle afterwards.
    pub(super) fn tag_as(&mut self, visit: VisitId, id: UnitId, epc: Epc) {
        for unit in self.edit(visit).iter_mut().filter(|u| u.id == id) {
            unit.epc = Some(epc);
            unit.sources.rfid = true;
        }
    }

    /// Gives one of a visit's units of a product the tag that turned out to be its own; whether it
    /// holds such a one. Settle afterwards.
    pub(super) fn tag_one(&mut self, visit: VisitId, gtin: Gtin, epc: Epc) -> bool {
        let place = self.get(visit).iter().position(|u| u.is_untagged(gtin));
        if let Some(place) = place {
            let unit = &mut self.edit(visit)[place];
            unit.epc = Some(epc);
            unit.sources.rfid = true;
        }
        place.is_some()
    }

    /// Lets the unit with a tag go from one hand to another; settle afterwards.
    pub(super) fn hand_on(&mut self, epc: Epc, from: VisitId, to: VisitId) {
        let units = self.edit(from);
        if let Some(place) = units.iter().position(|u| u.epc == Some(epc)) {
            let unit = units.remove(place);
            self.edit(to).push(unit);
        }
    }

    /// Changes the units that `is` tells; hands that were one stay one. `done` has the hands that
    /// were changed before in other worlds.
    pub(super) fn change(
        &mut self,
        is: impl Fn(&Unit) -> bool,
        change: impl Fn(&mut Unit),
        done: &mut Vec<(Hand, Hand)>,
    ) {
        for (_, hand) in &mut self.0 {
            if !hand.units().iter().any(&is) {
                continue;
            }
            let before = hand.clone();
            if let Some((_, after)) = done.iter().find(|(old, _)| old.is(&before)) {
                *hand = after.clone();
                continue;
            }
            hand.edit().iter_mut().filter(|u| is(u)).for_each(&change);
            done.push((before, hand.clone()));
        }
    }

    /// Puts hands in order and leaves out empty ones; one that equals a hand of the same visit in
    /// `known` becomes one with it.
    pub(super) fn settle(&mut self, known: &mut BTreeMap<(VisitId, u64), Hand>) {
        self.0.retain(|(_, hand)| !hand.units().is_empty());
        for (visit, hand) in &mut self.0 {
            if hand.0.print.is_some() {
                continue;
            }
            let print = hand.settle();
            let same = known.entry((*visit, print)).or_insert_with(|| hand.clone());
            if same == hand {
                *hand = same.clone();
            }
        }
    }

    /// A hash of who holds what, once settled.
    pub(super) fn print(&self) -> u64 {
        let mut hasher = Mixer(0);
        for (visit, hand) in &self.0 {
            hasher.write_u64(visit.0);
            hasher.write_u64(hand.0.print.unwrap_or(0));
        }
        hasher.finish()
    }

    /// Whether the same visits hold the same products and tags.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let same = |(a, b): (&(VisitId, Hand), &(VisitId, Hand))| a.0 == b.0 && a.1.agrees(&b.1);
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }
}

/// A quick hash (the steps of FxHash, with a last one that spreads its bits); nothing hangs on
/// its being a good one.
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

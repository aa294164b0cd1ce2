//! Shelves: steps on scales with their place along the shelf, and products counted by facing
//! region in the pictures of shelf cameras, hands that hide them considered. Pure.

mod count;
mod region;
mod scale;

use serde::{Deserialize, Serialize};

use self::count::CameraView;
use self::region::Region;
use self::scale::ShelfScale;
use crate::gs1::Gtin;
use crate::ids::{CameraIx, ScaleIx, ShelfIx};
use crate::observation::Detections;
use crate::store::{Store, View};
use crate::units::Timestamp;

/// What changed on a shelf.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ShelfEvent {
    /// The load on a shelf changed from one rest to another.
    WeightStep(WeightStep),
    /// The products seen at a place changed.
    CountStep(CountStep),
    /// A hand, or pressure as of a hand, at a shelf.
    Touched {
        shelf: ShelfIx,
        at: Timestamp,
        along: Option<f64>,
    },
}

/// A change of load between two rests, over all plates of one shelf that took part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightStep {
    pub shelf: ShelfIx,
    /// The change began after this and was over by `before`.
    pub after: Timestamp,
    pub before: Timestamp,
    /// By plate, left to right; negative where load was taken away.
    pub plates: Vec<PlateStep>,
    /// The changes in it from moment of rest to moment of rest, where there was more than one.
    pub parts: Vec<Part>,
}

impl WeightStep {
    /// Of all plates, grams.
    pub fn total(&self) -> f64 {
        self.plates.iter().map(|p| p.grams).sum()
    }

    /// About where along the front it was, metres: the middle of its plates, by their load.
    pub fn middle(&self, store: &Store) -> Option<f64> {
        let place = |p: &PlateStep| {
            let scale = &store.scales[p.scale.index()];
            (p.grams.abs(), (scale.from + scale.to) / 2.0)
        };
        let places = self.plates.iter().map(place);
        let (sum, all) = places.fold((0.0, 0.0), |(s, n), (g, x)| (s + g * x, n + g));
        (all > 0.0).then(|| sum / all)
    }
}

/// One of several changes within a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub after: Timestamp,
    pub before: Timestamp,
    /// About, by a plate that had no time to settle.
    pub grams: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlateStep {
    pub scale: ScaleIx,
    pub grams: f64,
    /// Standard deviation of `grams`, from the plate's own noise and drift.
    pub sigma: f64,
}

/// A product came to or went from a place on a shelf, by a shelf camera's account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountStep {
    pub shelf: ShelfIx,
    pub camera: CameraIx,
    /// Metres along the gondola's front.
    pub along: f64,
    pub after: Timestamp,
    pub before: Timestamp,
    /// Items come (positive) or gone (negative).
    pub delta: i32,
    /// What it was, by the camera's account and the planogram, most probable first; empty where
    /// nobody can say. Probabilities sum to 1 at most.
    pub gtins: Vec<(Gtin, f64)>,
    /// Natural log of the odds that the change is real.
    pub log_odds: f64,
    /// Seen in a hand rather than missed at its place: a second witness of the same act.
    pub carried: bool,
    /// Whether the camera saw a hand there.
    pub hand: bool,
    /// Natural log of how likely, against `delta`, the contrary is; minus infinity where it is
    /// out of the question.
    pub reverse_log: f64,
}

/// The state of all shelves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shelves {
    scales: Vec<ShelfScale>,
    /// By camera, where it sees shelves.
    views: Vec<Option<CameraView>>,
}

impl Shelves {
    pub fn new(store: &Store) -> Self {
        let shelf = |s: &crate::store::Shelf| {
            let mut scale = ShelfScale::default();
            s.scales.iter().for_each(|plate| scale.add(*plate));
            scale
        };
        let view = |(i, camera): (usize, &crate::store::Camera)| match &camera.view {
            View::Floor { .. } => None,
            View::Shelf { regions } => {
                let regions = regions
                    .iter()
                    .map(|(s, outline)| Region::new(store, *s, outline));
                Some(CameraView::new(CameraIx(i as u16), regions.collect()))
            }
        };
        Self {
            scales: store.shelves.iter().map(shelf).collect(),
            views: store.cameras.iter().enumerate().map(view).collect(),
        }
    }

    pub fn on_weight(
        &mut self,
        store: &Store,
        _at: Timestamp,
        captured_at: Timestamp,
        scale: ScaleIx,
        grams: f64,
        out: &mut Vec<ShelfEvent>,
    ) {
        let shelf = store.scales[scale.index()].shelf;
        let steps = self.scales[shelf.index()].on_sample(shelf, scale, captured_at, grams);
        out.extend(steps.into_iter().map(ShelfEvent::WeightStep));
    }

    /// A scale has gone: what it shows when it is back tells not when that came about, so that it
    /// begins anew then.
    pub fn on_scale_away(&mut self, store: &Store, scale: ScaleIx) {
        let shelf = store.scales[scale.index()].shelf;
        self.scales[shelf.index()].begin_anew(scale);
    }

    /// Takes all detections of a shelf camera's frame.
    pub fn on_detections(
        &mut self,
        store: &Store,
        _at: Timestamp,
        captured_at: Timestamp,
        seen: &Detections,
        out: &mut Vec<ShelfEvent>,
    ) {
        if let Some(view) = self
            .views
            .get_mut(seen.camera.index())
            .and_then(Option::as_mut)
        {
            view.on_frame(store, captured_at, seen, out);
        }
    }

    /// When to call [`Shelves::on_timeout`] next.
    pub fn deadline(&self) -> Option<Timestamp> {
        None
    }

    pub fn on_timeout(&mut self, _store: &Store, _at: Timestamp, _out: &mut Vec<ShelfEvent>) {}
}

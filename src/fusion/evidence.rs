//! Which sensors look at which shelf, and how long they take to tell.

use serde::{Deserialize, Serialize};

use crate::ids::ShelfIx;
use crate::store::{ReadPoint, Store, View};
use crate::units::TimeDelta;

/// What covers each shelf, by its index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    shelves: Vec<Covered>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Covered {
    pub scale: bool,
    pub rfid: bool,
    pub camera: bool,
}

impl Coverage {
    pub fn new(store: &Store) -> Self {
        let mut shelves = vec![Covered::default(); store.shelves.len()];
        for (covered, shelf) in shelves.iter_mut().zip(&store.shelves) {
            covered.scale = !shelf.scales.is_empty();
        }
        for antenna in &store.antennas {
            match antenna.read_point {
                ReadPoint::Shelf(shelf) => shelves[shelf.index()].rfid = true,
                ReadPoint::Gondola(gondola) => {
                    for shelf in &store.gondola(gondola).shelves {
                        shelves[shelf.index()].rfid = true;
                    }
                }
                ReadPoint::Gate(_) | ReadPoint::Zone(_) => {}
            }
        }
        for camera in &store.cameras {
            if let View::Shelf { regions } = &camera.view {
                for (shelf, _) in regions {
                    shelves[shelf.index()].camera = true;
                }
            }
        }
        Self { shelves }
    }

    pub fn of(&self, shelf: ShelfIx) -> Covered {
        self.shelves.get(shelf.index()).copied().unwrap_or_default()
    }

    /// How long after something happened at a shelf all its sensors have told: the slowest wins.
    pub fn wait(&self, store: &Store, shelf: ShelfIx) -> TimeDelta {
        let t = &store.tunables.fusion;
        let covered = self.of(shelf);
        let waits = [
            (covered.scale, t.wait_scale_s),
            (covered.camera, t.wait_camera_s),
            (covered.rfid, t.wait_rfid_s),
        ];
        let slowest = waits
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, s)| *s)
            .fold(0.0, f64::max);
        TimeDelta::from_secs(slowest)
    }
}

//! Identities. Things of the store file have names there and a dense number here, in the order of
//! the file, so that the engine's tables are arrays; visits, tracks and events are counted.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! index {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u16);

        impl $name {
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }
    )*};
}

index! {
    /// A floor zone, by its place in the store file.
    ZoneIx,
    /// A gate, by its place in the store file.
    GateIx,
    /// A gondola, by its place in the store file.
    GondolaIx,
    /// A shelf, counted through all gondolas in the order of the store file.
    ShelfIx,
    /// A load cell or plate, by its place in the store file.
    ScaleIx,
    /// A reader, by its place in the store file.
    ReaderIx,
    /// An antenna with its read point, counted through all readers in the order of the store file.
    AntennaIx,
    /// A camera, by its place in the store file.
    CameraIx,
}

/// A visit's number, counted from 1 over the life of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VisitId(pub u64);

impl fmt::Display for VisitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v-{:06}", self.0)
    }
}

/// A person's track on the floor plan, counted from 1 over the life of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackId(pub u64);

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t-{}", self.0)
    }
}

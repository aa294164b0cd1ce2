//! `basketd` runs on the box of a shop without tills.

pub mod app;
pub mod clock;
pub mod engine;
pub mod gs1;
pub mod ids;
pub mod observation;
pub mod presence;
pub mod recording;
pub mod shelf;
pub mod store;
pub mod tracking;
pub mod units;
pub mod vision;
pub mod wire;

//! Quantities that every floor shares: time as a value, plane geometry, and the little
//! statistics that evidence is weighed with. Nothing here knows about shops or sensors.

pub mod geometry;
pub mod signal;
pub mod time;

pub use geometry::{BBox, Homography, Point, Polygon, Segment};
pub use time::{TimeDelta, Timestamp};

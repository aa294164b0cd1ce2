//! The sensors: each looks at the world and sends messages. None changes it.

mod body;
pub(super) mod floor_eye;
pub(super) mod gate;
pub(super) mod outage;
pub(super) mod rfid;
pub(super) mod scale;
pub(super) mod shelf_eye;

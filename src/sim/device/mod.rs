//! Devices that do not exist, which speak real protocols over real sockets and lines: what edges are tried
//! against, and what a shop without hardware runs on.

pub mod mjpeg;
pub mod serial;

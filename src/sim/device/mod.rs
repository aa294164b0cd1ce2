//! Devices that do not exist, which speak real protocols over real sockets and lines: what edges
//! are tried against, and what a shop without hardware runs on. Each also misbehaves when it is told
//! to.

pub mod llrp;
pub mod mjpeg;
pub mod serial;

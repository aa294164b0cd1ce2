//! What several tests share.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod busy;
pub(crate) mod frames;
pub(crate) mod kiosk;
pub(crate) mod onnx;
pub(crate) mod rtsp;
pub(crate) mod shop;
pub(crate) mod tiny;
pub(crate) mod watched;

//! The ways in and out that several edges share. Each speaks one protocol and knows nothing of
//! what it carries.

pub mod hid;
pub mod mqtt;
pub mod outlet;
pub mod pipe;
pub mod secret;
pub mod serial;
pub mod supervise;
pub mod usb;

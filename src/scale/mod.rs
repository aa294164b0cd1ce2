//! Scales: supervisors that read weights, and begin again for ever. The store is not known here.

pub mod hid;
pub mod mqtt;
pub mod silence;

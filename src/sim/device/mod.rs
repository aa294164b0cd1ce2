//! Devices that do not exist, at their real protocols: for tests, and for a shop of simulated
//! sensors. Each also misbehaves when it is told to.

pub mod llrp;

//! The ways in and out that several edges share. Each speaks one protocol and knows nothing of
//! what it carries.

pub mod backoff;
pub mod mqtt;
pub mod outlet;
pub mod secret;
pub mod subscriber;

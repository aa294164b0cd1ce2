//! The ways in and out that several edges share. Each speaks one protocol and knows nothing of
//! what it carries.

pub mod backoff;
pub mod hid;
pub mod mqtt;
pub mod outlet;
pub mod pipe;
pub mod secret;
pub mod serial;
pub mod subscriber;
pub mod supervise;
pub mod usb;

/// Waits until told to stop, or until nobody can say so any more.
pub async fn stopped(stop: &mut tokio::sync::watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

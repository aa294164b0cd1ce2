//! What goes wrong with USB devices, told so that it can be mended.

use super::Found;
use crate::link::pipe::PipeError;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsbError {
    #[error(
        "no USB on this machine ({0}); the kernel has no host controller's driver, or /dev/bus/usb \
         is not there"
    )]
    NoUsb(rusb::Error),
    #[error("not plugged in")]
    NotFound,
    #[error("not plugged in; of this model there are {0}: look at the serial in the store file")]
    OtherSerials(String),
    #[error(
        "two devices of this model are plugged in, and the store file must tell which: \
         {}, or {}", source_of(.0), source_of(.1)
    )]
    Ambiguous(Box<Found>, Box<Found>),
    #[error(
        "no permission for {}; write to /etc/udev/rules.d/61-basketd-local.rules: {} and run \
         `udevadm control --reload` and `udevadm trigger`; the user must be in group plugdev",
        .0.node(), udev_rule(.0)
    )]
    Denied(Box<Found>),
    #[error("{0} is used by another process")]
    Busy(Box<Found>),
    #[error("{found} {what}: {error}")]
    Broken {
        found: Box<Found>,
        what: &'static str,
        error: rusb::Error,
    },
    #[error("{0} has gone dead in the middle of a transfer: pulled out, or without power")]
    Dead(Box<Found>),
    #[error("{found} {what}")]
    Unfit { found: Box<Found>, what: String },
}

impl UsbError {
    /// Nothing fits; others of the same model are named.
    pub(super) fn not_found<'a>(same_model: impl Iterator<Item = &'a Found>) -> Self {
        let others: Vec<String> = same_model.map(Found::to_string).collect();
        if others.is_empty() {
            Self::NotFound
        } else {
            Self::OtherSerials(others.join("; "))
        }
    }
}

/// What a transfer's failure is to whoever reads or writes. A device that is pulled out shows as one
/// of two errors, by what its host controller sees first.
pub(in crate::link) fn of_transfer(
    found: &Found,
    what: &'static str,
    error: rusb::Error,
) -> PipeError {
    let found = Box::new(found.clone());
    match error {
        rusb::Error::NoDevice => PipeError::Unplugged,
        rusb::Error::Io => UsbError::Dead(found).into(),
        error => UsbError::Broken { found, what, error }.into(),
    }
}

impl From<UsbError> for PipeError {
    fn from(error: UsbError) -> Self {
        match error {
            UsbError::NotFound | UsbError::OtherSerials(_) => Self::Missing(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// As a store file names exactly this device.
fn source_of(found: &Found) -> String {
    let name = found.serial.as_ref().unwrap_or(&found.place);
    format!("`usb:{:04x}:{:04x}:{name}`", found.vendor, found.product)
}

/// The line of `systemd/60-basketd.rules` that this model lacks.
fn udev_rule(found: &Found) -> String {
    format!(
        r#"SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", ATTR{{idVendor}}=="{:04x}", ATTR{{idProduct}}=="{:04x}", GROUP="plugdev", MODE="0660""#,
        found.vendor, found.product
    )
}

//! Devices on USB: which there are, and one of them opened.
//!
//! The list is made anew each time that it is asked for, so that what is plugged in later is found,
//! on a machine that had no USB at first, too. [`rusb`]'s own global context is never used: it
//! panics where there is no USB.

mod error;
mod sysfs;

use std::fmt;
use std::time::Duration;

use rusb::{Context, Device, DeviceHandle, UsbContext as _};

pub use self::error::UsbError;
pub(super) use self::error::of_transfer;

/// A device as a store file names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbId {
    pub vendor: u16,
    pub product: u16,
    /// The device's own serial, or the place where it is plugged in as the kernel's log has it
    /// (`1-1.2`), for devices that have no serial. None where there is one such device.
    pub serial: Option<String>,
}

impl fmt::Display for UsbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "usb {:04x}:{:04x}", self.vendor, self.product)?;
        match &self.serial {
            Some(serial) => write!(f, ":{serial}"),
            None => Ok(()),
        }
    }
}

/// A device that is plugged in; texts that it does not have or that cannot be read are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub vendor: u16,
    pub product: u16,
    pub serial: Option<String>,
    pub manufacturer: Option<String>,
    pub name: Option<String>,
    /// Bus and ports, as the kernel's log has it.
    pub place: String,
    pub bus: u8,
    pub address: u8,
    /// The classes of its interfaces (USB-IF, "Defined Class Codes"), each once.
    pub classes: Vec<u8>,
}

impl Found {
    fn of(device: &Device<Context>) -> Option<Self> {
        let descriptor = device.device_descriptor().ok()?;
        let place = place(device);
        let text = |name| sysfs::text(&place, name);
        Some(Self {
            vendor: descriptor.vendor_id(),
            product: descriptor.product_id(),
            serial: text("serial"),
            manufacturer: text("manufacturer"),
            name: text("product"),
            bus: device.bus_number(),
            address: device.address(),
            classes: classes(device),
            place,
        })
    }

    fn is(&self, id: &UsbId) -> bool {
        let named = |name: &String| self.serial.as_ref() == Some(name) || self.place == *name;
        self.vendor == id.vendor
            && self.product == id.product
            && id.serial.as_ref().is_none_or(named)
    }

    /// The file that a process opens to use the device.
    pub fn node(&self) -> String {
        format!("/dev/bus/usb/{:03}/{:03}", self.bus, self.address)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04x}:{:04x} at {}",
            self.vendor, self.product, self.place
        )?;
        let texts = [&self.manufacturer, &self.name];
        for text in texts.into_iter().flatten() {
            write!(f, " {text}")?;
        }
        match &self.serial {
            Some(serial) => write!(f, ", serial {serial}"),
            None => f.write_str(", no serial"),
        }
    }
}

/// Of what it is now, or could be.
fn classes(device: &Device<Context>) -> Vec<u8> {
    let config = device
        .active_config_descriptor()
        .or_else(|_| device.config_descriptor(0));
    let Ok(config) = config else {
        return Vec::new();
    };
    let interfaces = config.interfaces();
    let settings = interfaces.filter_map(|interface| interface.descriptors().next());
    let mut classes: Vec<u8> = settings.map(|setting| setting.class_code()).collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// Where the device is plugged in, as the kernel names it: `1-1.2`, or `usb1` for a bus itself.
fn place(device: &Device<Context>) -> String {
    let bus = device.bus_number();
    let ports = device.port_numbers().unwrap_or_default();
    if ports.is_empty() {
        return format!("usb{bus}");
    }
    let ports: Vec<String> = ports.iter().map(u8::to_string).collect();
    format!("{bus}-{}", ports.join("."))
}

/// All devices, by place.
pub fn list() -> Result<Vec<Found>, UsbError> {
    let devices = devices()?;
    let mut found: Vec<_> = devices.iter().filter_map(Found::of).collect();
    found.sort_by(|a, b| (a.bus, &a.place).cmp(&(b.bus, &b.place)));
    Ok(found)
}

fn devices() -> Result<Vec<Device<Context>>, UsbError> {
    let context = Context::new().map_err(UsbError::NoUsb)?;
    let list = context.devices().map_err(UsbError::NoUsb)?;
    Ok(list.iter().collect())
}

/// Opens the one device that `id` means.
pub(super) fn open(id: &UsbId) -> Result<(Found, DeviceHandle<Context>), UsbError> {
    let devices = devices()?;
    let all: Vec<_> = devices
        .iter()
        .filter_map(|device| Some((Found::of(device)?, device)))
        .collect();
    let mut fitting = all.iter().filter(|(found, _)| found.is(id));
    let Some((found, device)) = fitting.next() else {
        let others = all.iter().map(|(found, _)| found);
        return Err(UsbError::not_found(others.filter(|other| {
            (other.vendor, other.product) == (id.vendor, id.product)
        })));
    };
    if let Some((second, _)) = fitting.next() {
        return Err(UsbError::Ambiguous(
            found.clone().into(),
            second.clone().into(),
        ));
    }
    match device.open() {
        Ok(handle) => Ok((found.clone(), handle)),
        Err(rusb::Error::Access) => Err(UsbError::Denied(found.clone().into())),
        Err(rusb::Error::NoDevice) => Err(UsbError::NotFound),
        Err(error) => Err(UsbError::Broken {
            found: found.clone().into(),
            what: "cannot be opened",
            error,
        }),
    }
}

/// Takes interfaces for ourselves. Where the kernel drives one, its driver is put aside and comes
/// back when the handle is closed.
pub(super) fn claim(
    found: &Found,
    handle: &DeviceHandle<Context>,
    interfaces: impl IntoIterator<Item = u8>,
) -> Result<(), UsbError> {
    // Not known everywhere; where it is not, there is no driver to put aside.
    if let Err(error) = handle.set_auto_detach_kernel_driver(true) {
        tracing::debug!(%found, %error, "a kernel's driver cannot be put aside");
    }
    for interface in interfaces {
        handle
            .claim_interface(interface)
            .map_err(|error| match error {
                rusb::Error::Access => UsbError::Denied(found.clone().into()),
                rusb::Error::NoDevice => UsbError::NotFound,
                rusb::Error::Busy => UsbError::Busy(found.clone().into()),
                error => UsbError::Broken {
                    found: found.clone().into(),
                    what: "cannot be claimed",
                    error,
                },
            })?;
    }
    Ok(())
}

/// A time that libusb does not take for "for ever".
pub(super) fn at_least_a_moment(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(serial: Option<&str>, place: &str) -> Found {
        Found {
            vendor: 0x0403,
            product: 0x6001,
            serial: serial.map(str::to_owned),
            manufacturer: Some("FTDI".to_owned()),
            name: Some("FT232R USB UART".to_owned()),
            place: place.to_owned(),
            bus: 1,
            address: 4,
            classes: Vec::new(),
        }
    }

    #[test]
    fn a_device_is_meant_by_serial_or_place() {
        let id = |serial: Option<&str>| UsbId {
            vendor: 0x0403,
            product: 0x6001,
            serial: serial.map(str::to_owned),
        };
        let one = found(Some("A7"), "1-1.2");
        for (serial, expected) in [
            (None, true),
            (Some("A7"), true),
            (Some("1-1.2"), true),
            (Some("B8"), false),
        ] {
            assert_eq!(one.is(&id(serial)), expected, "{serial:?}");
        }
        assert!(!found(None, "1-2").is(&id(Some("A7"))));
        assert_eq!(id(Some("A7")).to_string(), "usb 0403:6001:A7");
        assert_eq!(
            one.to_string(),
            "0403:6001 at 1-1.2 FTDI FT232R USB UART, serial A7"
        );
    }

    #[test]
    fn errors_tell_what_mends_them() {
        let denied = UsbError::Denied(found(None, "1-1").into()).to_string();
        assert!(denied.contains("/dev/bus/usb/001/004"), "{denied}");
        let line = r#"SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="0403", ATTR{idProduct}=="6001", GROUP="plugdev", MODE="0660""#;
        assert!(denied.contains(line), "{denied}");
        let two = UsbError::Ambiguous(found(Some("A7"), "1-1").into(), found(None, "1-2").into())
            .to_string();
        assert!(two.contains("usb:0403:6001:A7"), "{two}");
        assert!(two.contains("usb:0403:6001:1-2"), "{two}");
    }

    #[test]
    fn a_machine_without_usb_says_so() {
        // Either is fine; it must not end the process.
        match list() {
            Ok(devices) => println!("{} devices", devices.len()),
            Err(error) => assert!(error.to_string().starts_with("no USB on this machine")),
        }
    }
}

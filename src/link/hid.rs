//! HID devices read directly, report by report: the kernel's hidraw gives the same, but no way to
//! choose one device of two and to see why it cannot be opened.

use std::time::Duration;

use rusb::{Context, DeviceHandle, Direction, TransferType};

use super::pipe::{BytePipe, PipeError, Port};
use super::usb::{self, Found, UsbError, UsbId};

/// Takes the report descriptor of one of the device's interfaces: whether it is the wanted one.
pub type Wanted = fn(&[u8]) -> bool;

#[derive(Debug)]
pub struct HidPort {
    id: UsbId,
    wanted: Wanted,
    /// What is looked for, for people.
    what: &'static str,
}

impl HidPort {
    pub fn new(id: UsbId, what: &'static str, wanted: Wanted) -> Self {
        Self { id, wanted, what }
    }
}

const HID_CLASS: u8 = 3;
const CONTROL_TIMEOUT: Duration = Duration::from_secs(1);
/// No descriptor of a scale or a keyboard is longer.
const DESCRIPTOR_MAX: usize = 4096;

/// An interface with reports coming in.
#[derive(Debug, Clone, Copy)]
struct Interface {
    number: u8,
    interrupt_in: u8,
}

impl Port for HidPort {
    fn open(&mut self) -> Result<Box<dyn BytePipe>, PipeError> {
        let (found, handle) = usb::open(&self.id)?;
        let interfaces = interfaces(&handle).map_err(|error| UsbError::Broken {
            found: found.clone().into(),
            what: "has no descriptors",
            error,
        })?;
        for interface in interfaces {
            usb::claim(&found, &handle, [interface.number])?;
            let descriptor = report_descriptor(&handle, interface.number);
            if (self.wanted)(&descriptor) {
                return Ok(Box::new(Reports {
                    found,
                    handle,
                    interface,
                    descriptor,
                }));
            }
            if let Err(error) = handle.release_interface(interface.number) {
                tracing::debug!(%found, %error, "an interface was not given back");
            }
        }
        let what = format!("is no {}: no report descriptor of it says so", self.what);
        let found = found.into();
        Err(UsbError::Unfit { found, what }.into())
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

fn interfaces(handle: &DeviceHandle<Context>) -> Result<Vec<Interface>, rusb::Error> {
    let config = handle.device().active_config_descriptor()?;
    let settings = config
        .interfaces()
        .filter_map(|interface| interface.descriptors().next());
    Ok(settings
        .filter(|setting| setting.class_code() == HID_CLASS)
        .filter_map(|setting| {
            let endpoint = setting.endpoint_descriptors().find(|endpoint| {
                endpoint.transfer_type() == TransferType::Interrupt
                    && endpoint.direction() == Direction::In
            })?;
            Some(Interface {
                number: setting.interface_number(),
                interrupt_in: endpoint.address(),
            })
        })
        .collect())
}

/// Empty where the device does not give it (HID 1.11, 7.1.1).
fn report_descriptor(handle: &DeviceHandle<Context>, interface: u8) -> Vec<u8> {
    const KIND: u8 = 0x81;
    const GET_DESCRIPTOR: u8 = 0x06;
    const REPORT: u16 = 0x2200;
    let mut bytes = vec![0; DESCRIPTOR_MAX];
    let read = handle.read_control(
        KIND,
        GET_DESCRIPTOR,
        REPORT,
        interface.into(),
        &mut bytes,
        CONTROL_TIMEOUT,
    );
    bytes.truncate(read.unwrap_or(0));
    bytes
}

/// An open device.
struct Reports {
    found: Found,
    handle: DeviceHandle<Context>,
    interface: Interface,
    descriptor: Vec<u8>,
}

impl Reports {
    fn failed(&self, what: &'static str, error: rusb::Error) -> PipeError {
        usb::of_transfer(&self.found, what, error)
    }
}

impl BytePipe for Reports {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, PipeError> {
        let timeout = usb::at_least_a_moment(timeout);
        match self
            .handle
            .read_interrupt(self.interface.interrupt_in, buffer, timeout)
        {
            Ok(count) => Ok(count),
            Err(rusb::Error::Timeout | rusb::Error::Interrupted) => Ok(0),
            Err(error) => Err(self.failed("cannot be read from", error)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PipeError> {
        const KIND: u8 = 0x21;
        const SET_REPORT: u8 = 0x09;
        const OUTPUT: u16 = 0x0200;
        let id = bytes.first().copied().unwrap_or(0);
        let value = OUTPUT | u16::from(id);
        let interface = self.interface.number.into();
        self.handle
            .write_control(KIND, SET_REPORT, value, interface, bytes, CONTROL_TIMEOUT)
            .map(drop)
            .map_err(|error| self.failed("does not take a report", error))
    }

    fn set_baud(&mut self, _: u32) -> Result<(), PipeError> {
        Ok(())
    }

    fn descriptor(&self) -> &[u8] {
        &self.descriptor
    }
}

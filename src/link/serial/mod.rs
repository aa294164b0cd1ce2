//! Serial lines over USB: which bridge a device is, and bytes through it.
//!
//! The bridges' files know what to say to their chip, as values; this one says it. All run with 8
//! data bits, no parity, one stop bit, no flow control, DTR and RTS set.

mod cdc_acm;
mod ch341;
mod cp210x;
mod ftdi;
mod plan;

use std::time::Duration;

use rusb::{Context, DeviceHandle};

use self::plan::{Bridge, Plan};
use super::pipe::{BytePipe, PipeError, Port};
use super::usb::{self, Found, UsbError, UsbId};

/// A request to a chip; `data` goes out, or tells how much to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Control {
    kind: u8,
    request: u8,
    value: u16,
    index: u16,
    data: Vec<u8>,
}

impl Control {
    fn new(kind: u8, request: u8, value: u16, index: u16) -> Self {
        let data = Vec::new();
        Self {
            kind,
            request,
            value,
            index,
            data,
        }
    }

    fn with(self, data: impl Into<Vec<u8>>) -> Self {
        let data = data.into();
        Self { data, ..self }
    }
}

/// A speed that the chip cannot make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the adapter cannot make {0} bit/s")]
struct BadBaud(u32);

const CONTROL_TIMEOUT: Duration = Duration::from_secs(1);
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// Of the line at its begin; sessions set their own.
const FIRST_BAUD: u32 = 115_200;

/// A USB device with a serial line behind it.
#[derive(Debug)]
pub struct SerialPort {
    id: UsbId,
}

impl SerialPort {
    pub fn new(id: UsbId) -> Self {
        Self { id }
    }
}

impl Port for SerialPort {
    fn open(&mut self) -> Result<Box<dyn BytePipe>, PipeError> {
        let (found, handle) = usb::open(&self.id)?;
        let interfaces = plan::interfaces(&handle.device()).map_err(|error| UsbError::Broken {
            found: found.clone().into(),
            what: "has no descriptors",
            error,
        })?;
        let plan = Plan::choose(self.id.vendor, &interfaces).ok_or_else(|| UsbError::Unfit {
            found: found.clone().into(),
            what: "is no serial adapter: it has no pair of bulk endpoints".to_owned(),
        })?;
        usb::claim(&found, &handle, plan.claims())?;
        let mut line = Line {
            found,
            handle,
            plan,
            packets: Vec::new(),
        };
        let opening = line.plan.bridge.opening(&line.plan);
        line.say(&opening)?;
        line.set_baud(FIRST_BAUD)?;
        Ok(Box::new(line))
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

/// An open line.
struct Line {
    found: Found,
    handle: DeviceHandle<Context>,
    plan: Plan,
    /// What a read brought, where it is not what the line said.
    packets: Vec<u8>,
}

impl Line {
    fn say(&mut self, controls: &[Control]) -> Result<(), PipeError> {
        controls
            .iter()
            .try_for_each(|control| self.control(control))
    }

    fn control(&mut self, control: &Control) -> Result<(), PipeError> {
        let Control {
            kind,
            request,
            value,
            index,
            data,
        } = control;
        let done = if kind & rusb::constants::LIBUSB_ENDPOINT_IN == 0 {
            self.handle
                .write_control(*kind, *request, *value, *index, data, CONTROL_TIMEOUT)
        } else {
            let mut answer = vec![0; data.len()];
            self.handle.read_control(
                *kind,
                *request,
                *value,
                *index,
                &mut answer,
                CONTROL_TIMEOUT,
            )
        };
        match done {
            Ok(_) => Ok(()),
            // A device whose bytes go to no real line need not know of speeds and modem lines.
            Err(rusb::Error::Pipe) if self.plan.bridge == Bridge::CdcAcm => Ok(()),
            Err(error) => Err(self.failed("refuses a setting", error)),
        }
    }

    fn failed(&self, what: &'static str, error: rusb::Error) -> PipeError {
        usb::of_transfer(&self.found, what, error)
    }
}

impl BytePipe for Line {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, PipeError> {
        let timeout = usb::at_least_a_moment(timeout);
        let packet = usize::from(self.plan.packet).max(1);
        // A transfer must end with a packet, else what is over is lost.
        let room = (buffer.len() / packet).max(1) * packet;
        self.packets.resize(room, 0);
        match self
            .handle
            .read_bulk(self.plan.bulk_in, &mut self.packets, timeout)
        {
            Ok(count) => {
                let read = self.packets.get(..count).unwrap_or_default();
                Ok(self.plan.bridge.line_bytes(read, packet, buffer))
            }
            Err(rusb::Error::Timeout | rusb::Error::Interrupted) => Ok(0),
            Err(error) => {
                // A halted endpoint stays so until it is told otherwise, also for the next who opens.
                if error == rusb::Error::Pipe
                    && let Err(error) = self.handle.clear_halt(self.plan.bulk_in)
                {
                    tracing::debug!(device = %self.found, %error, "an endpoint stays halted");
                }
                Err(self.failed("cannot be read from", error))
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PipeError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let done = self
                .handle
                .write_bulk(self.plan.bulk_out, rest, WRITE_TIMEOUT)
                .map_err(|error| self.failed("does not take bytes", error))?;
            // No progress is one of the device's ways to be broken.
            rest = rest.get(done.max(1)..).unwrap_or_default();
        }
        Ok(())
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), PipeError> {
        let controls = self
            .plan
            .bridge
            .speed(&self.plan, baud)
            .map_err(|error| PipeError::Failed(format!("{}: {error}", self.found)))?;
        self.say(&controls)
    }
}

impl Drop for Line {
    /// The modem lines go down; the kernel's driver comes back. It takes the data interface along
    /// with the control interface, so that data must be free first.
    fn drop(&mut self) {
        let closing = self.plan.bridge.closing(&self.plan);
        if let Err(error) = self.say(&closing) {
            tracing::debug!(device = %self.found, %error, "a line was not closed");
        }
        let claims: Vec<u8> = self.plan.claims().collect();
        for interface in claims.into_iter().rev() {
            if let Err(error) = self.handle.release_interface(interface) {
                tracing::debug!(device = %self.found, %error, "an interface was not given back");
            }
        }
    }
}

impl Bridge {
    fn opening(self, plan: &Plan) -> Vec<Control> {
        match self {
            Self::CdcAcm => cdc_acm::opening(plan.control),
            Self::Ftdi => ftdi::opening(plan.channel()),
            Self::Cp210x => cp210x::opening(plan.data),
            Self::Ch341 => ch341::opening(),
        }
    }

    fn speed(self, plan: &Plan, baud: u32) -> Result<Vec<Control>, BadBaud> {
        match self {
            Self::CdcAcm => Ok(cdc_acm::speed(plan.control, baud)),
            Self::Ftdi => ftdi::speed(plan.channel(), baud),
            Self::Cp210x => Ok(cp210x::speed(plan.data, baud)),
            Self::Ch341 => ch341::speed(baud),
        }
    }

    fn closing(self, plan: &Plan) -> Vec<Control> {
        match self {
            Self::CdcAcm => cdc_acm::closing(plan.control),
            Self::Ftdi => ftdi::closing(plan.channel()),
            Self::Cp210x => cp210x::closing(plan.data),
            Self::Ch341 => ch341::closing(),
        }
    }

    /// What the line said, out of what the chip sent.
    fn line_bytes(self, read: &[u8], packet: usize, out: &mut [u8]) -> usize {
        if self == Self::Ftdi {
            return ftdi::line_bytes(read, packet, out);
        }
        let count = read.len().min(out.len());
        for (to, from) in out.iter_mut().zip(read) {
            *to = *from;
        }
        count
    }
}

//! What a reader tells of itself: READER_EVENT_NOTIFICATION (LLRP 1.0.1 clause 13.2.6).

use super::connection::short;
use crate::wire::llrp::{Element, Message};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The connection is ours.
    Connected,
    /// It is not, and whose.
    Busy(&'static str),
    /// It is not, and why.
    Turned(String),
    /// Another client wanted it.
    Wanted,
    Closing,
    Antenna {
        id: u16,
        connected: bool,
    },
    Exception(String),
    BufferFills {
        percent: u64,
    },
    BufferOverflowed,
    RospecEnded {
        id: u64,
        preempted: bool,
    },
}

/// The reader's time of an event, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    Utc(u64),
    Uptime(u64),
}

/// The events of a notification; those that are of no use here are left out.
pub(super) fn of(message: &Message) -> Vec<Event> {
    let data = message.param("ReaderEventNotificationData");
    let parameters = data.map_or(&[][..], Element::parameters);
    parameters.iter().filter_map(event).collect()
}

pub(super) fn stamp(message: &Message) -> Option<Stamp> {
    let data = message.param("ReaderEventNotificationData")?;
    let us = |name: &str| data.param(name)?.number("Microseconds");
    let utc = us("UTCTimestamp").map(Stamp::Utc);
    utc.or_else(|| us("Uptime").map(Stamp::Uptime))
}

fn event(parameter: &Element) -> Option<Event> {
    Some(match parameter.name() {
        "ConnectionAttemptEvent" => attempt(parameter),
        "ConnectionCloseEvent" => Event::Closing,
        "AntennaEvent" => Event::Antenna {
            id: u16::try_from(parameter.number("AntennaID")?).ok()?,
            connected: parameter.entry("EventType")? == "Antenna_Connected",
        },
        "ReaderExceptionEvent" => Event::Exception(exception(parameter)),
        "ReportBufferLevelWarningEvent" => Event::BufferFills {
            percent: parameter.number("ReportBufferPercentageFull")?,
        },
        "ReportBufferOverflowErrorEvent" => Event::BufferOverflowed,
        "ROSpecEvent" => match parameter.entry("EventType")? {
            "End_Of_ROSpec" => Event::RospecEnded {
                id: parameter.number("ROSpecID")?,
                preempted: false,
            },
            "Preemption_Of_ROSpec" => Event::RospecEnded {
                id: parameter.number("ROSpecID")?,
                preempted: true,
            },
            _ => return None,
        },
        _ => return None,
    })
}

fn attempt(parameter: &Element) -> Event {
    match parameter.entry("Status") {
        Some("Success") => Event::Connected,
        Some("Failed_A_Reader_Initiated_Connection_Already_Exists") => {
            Event::Busy("the reader called it itself")
        }
        Some("Failed_A_Client_Initiated_Connection_Already_Exists") => {
            Event::Busy("which called the reader")
        }
        Some("Another_Connection_Attempted") => Event::Wanted,
        Some(other) => Event::Turned(other.to_owned()),
        None => Event::Turned(format!(
            "connection status {}",
            parameter.number("Status").unwrap_or(0)
        )),
    }
}

/// The reader's words, with the antenna where it names one.
fn exception(parameter: &Element) -> String {
    let message = parameter.field("Message");
    let message = message.and_then(|text| text.as_str()).unwrap_or("");
    let antenna = parameter.param("AntennaID");
    match antenna.and_then(|antenna| antenna.number("AntennaID")) {
        Some(antenna) => format!("{:?} at antenna {antenna}", short(message)),
        None => format!("{:?}", short(message)),
    }
}

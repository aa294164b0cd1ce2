//! Where sensors are reached, as the store file's `source` keys tell it.

use serde::{Deserialize, Serialize};

/// Where a gate's admissions and doors come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum GateSource {
    /// Recordings alone.
    #[default]
    None,
    Mqtt {
        topic: String,
    },
    /// The console's authenticated endpoint.
    Http,
}

/// Where a cooler's door sensor is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DoorSource {
    /// Recordings alone, or no door.
    #[default]
    None,
    Mqtt {
        topic: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ScaleSource {
    /// Recordings alone.
    #[default]
    None,
    Hid(UsbId),
    Mqtt {
        topic: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ReaderSource {
    /// Recordings alone.
    #[default]
    None,
    Llrp {
        host: String,
        port: u16,
    },
    Usb {
        id: UsbId,
        protocol: ReaderProtocol,
    },
}

/// What a reader on USB speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReaderProtocol {
    ThingMagic,
    UhfReader18,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CameraSource {
    /// Recordings alone.
    #[default]
    None,
    Rtsp {
        url: String,
    },
    /// Motion JPEG.
    Http {
        url: String,
    },
    V4l2 {
        device: String,
    },
    /// Relative to the store file.
    File {
        path: String,
    },
}

/// A USB device; the serial tells two of a kind apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsbId {
    pub vendor: u16,
    pub product: u16,
    pub serial: Option<String>,
}

/// The port that is assigned to LLRP (LLRP 1.1, 7.1).
const LLRP_PORT: u16 = 5084;

impl GateSource {
    pub(super) const FORMS: &str = "none, mqtt:<topic> or http";

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "none" => Some(Self::None),
            None if text == "http" => Some(Self::Http),
            Some(("mqtt", topic)) => Some(Self::Mqtt {
                topic: plain_topic(topic)?,
            }),
            _ => None,
        }
    }
}

impl DoorSource {
    pub(super) const FORMS: &str = "none or mqtt:<topic>";

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "none" => Some(Self::None),
            Some(("mqtt", topic)) => Some(Self::Mqtt {
                topic: plain_topic(topic)?,
            }),
            _ => None,
        }
    }
}

impl ScaleSource {
    pub(super) const FORMS: &str =
        "none, hid:<vendor>:<product>[:<serial>] (hexadecimal) or mqtt:<topic>";

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "none" => Some(Self::None),
            Some(("hid", id)) => UsbId::parse(id).map(Self::Hid),
            Some(("mqtt", topic)) => Some(Self::Mqtt {
                topic: plain_topic(topic)?,
            }),
            _ => None,
        }
    }
}

impl ReaderSource {
    pub(super) const FORMS: &str =
        "none, llrp://<host>[:<port>] or usb:<vendor>:<product>[:<serial>] (hexadecimal)";

    /// The protocol counts for USB alone, where the caller has made sure of it.
    pub(super) fn parse(text: &str, protocol: ReaderProtocol) -> Option<Self> {
        if let Some(address) = text.strip_prefix("llrp://") {
            let (host, port) = host_port(address)?;
            let port = port.unwrap_or(LLRP_PORT);
            return Some(Self::Llrp { host, port });
        }
        match text.split_once(':') {
            None if text == "none" => Some(Self::None),
            Some(("usb", id)) => Some(Self::Usb {
                id: UsbId::parse(id)?,
                protocol,
            }),
            _ => None,
        }
    }
}

impl ReaderProtocol {
    pub(super) const FORMS: &str = "thingmagic or uhfreader18";

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "thingmagic" => Some(Self::ThingMagic),
            "uhfreader18" => Some(Self::UhfReader18),
            _ => None,
        }
    }
}

impl CameraSource {
    pub(super) const FORMS: &str = "none, rtsp://…, http://… or https://… (Motion JPEG), \
         v4l2:<device> or file:<path>; user and password stand in `username` and `password_file`";

    pub fn parse(text: &str) -> Option<Self> {
        let rest = |prefix| text.strip_prefix(prefix).filter(|rest| is_plain(rest));
        let url = || text.to_owned();
        if text == "none" {
            Some(Self::None)
        } else if let Some(address) = rest("rtsp://") {
            is_address(address).then(|| Self::Rtsp { url: url() })
        } else if let Some(address) = rest("http://").or_else(|| rest("https://")) {
            is_address(address).then(|| Self::Http { url: url() })
        } else if let Some(device) = rest("v4l2:") {
            let device = device.to_owned();
            Some(Self::V4l2 { device })
        } else {
            let path = rest("file:")?.to_owned();
            Some(Self::File { path })
        }
    }
}

impl UsbId {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let mut hex = || {
            let digits = parts.next()?;
            let digits = digits.strip_prefix("0x").unwrap_or(digits);
            let plain = digits.bytes().all(|c| c.is_ascii_hexdigit());
            u16::from_str_radix(digits, 16).ok().filter(|_| plain)
        };
        let (vendor, product) = (hex()?, hex()?);
        let serial = parts.next().map(str::to_owned);
        if serial.as_deref().is_some_and(|serial| !is_plain(serial)) {
            return None;
        }
        Some(Self {
            vendor,
            product,
            serial,
        })
    }
}

/// `host[:port]`; a host in brackets is an IPv6 address.
pub fn host_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<core::net::Ipv6Addr>().ok()?;
            let port = match rest {
                "" => None,
                _ => Some(rest.strip_prefix(':')?),
            };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let named = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(named) {
        return None;
    }
    let Some(port) = port else {
        return Some((host.to_owned(), None));
    };
    let digits = port.bytes().all(|c| c.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port > 0)?;
    Some((host.to_owned(), Some(port)))
}

/// Whether an address names a host, and holds no user or password.
fn is_address(text: &str) -> bool {
    let authority = text.split(['/', '?']).next().unwrap_or_default();
    host_port(authority).is_some()
}

/// A topic to subscribe to: one, without wildcards.
fn plain_topic(text: &str) -> Option<String> {
    let allowed = is_plain(text) && !text.contains(['+', '#', '$']);
    allowed.then(|| text.to_owned())
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 1000 && !text.chars().any(|c| c.is_control() || c == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_taken_apart() {
        let reader = |text| ReaderSource::parse(text, ReaderProtocol::ThingMagic);
        let llrp = |host: &str, port| {
            let host = host.to_owned();
            Some(ReaderSource::Llrp { host, port })
        };
        assert_eq!(reader("llrp://10.0.4.20"), llrp("10.0.4.20", 5084));
        assert_eq!(reader("llrp://reader-1:5085"), llrp("reader-1", 5085));
        assert_eq!(reader("llrp://[fe80::1]:5085"), llrp("fe80::1", 5085));
        let id = |serial: Option<&str>| UsbId {
            vendor: 0x2a19,
            product: 0x0c02,
            serial: serial.map(str::to_owned),
        };
        let hid = |serial| Some(ScaleSource::Hid(id(serial)));
        assert_eq!(ScaleSource::parse("hid:2a19:0C02"), hid(None));
        assert_eq!(ScaleSource::parse("hid:0x2a19:c02:A:7"), hid(Some("A:7")));
        assert!(CameraSource::parse("rtsp://10.0.4.31:554/stream1?a=b").is_some());
        assert!(CameraSource::parse("file:a.mp4").is_some());
    }

    #[test]
    fn sources_of_no_form_are_refused() {
        for text in [
            "",
            "llrp://",
            "llrp://a:0",
            "llrp://a:x",
            "llrp://[::1",
            "usb:1",
            "usb:1:2:",
        ] {
            assert_eq!(
                ReaderSource::parse(text, ReaderProtocol::ThingMagic),
                None,
                "{text}"
            );
        }
        for text in [
            "mqtt:",
            "mqtt:a/#",
            "hid:2a19",
            "hid:12345:1",
            "hid:+1:2",
            "none ",
        ] {
            assert_eq!(ScaleSource::parse(text), None, "{text}");
        }
        for text in [
            "rtsp://",
            "rtsp://user:secret@cam/1",
            "v4l2:",
            "cam",
            "http:// x",
        ] {
            assert_eq!(CameraSource::parse(text), None, "{text}");
        }
        assert_eq!(GateSource::parse("https"), None);
    }
}

//! A store file's sensors in the words of their supervisors.

use std::path::Path;

use crate::camera::{self, Address};
use crate::link::secret::{self, Secret};
use crate::link::usb::UsbId;
use crate::rfid;
use crate::store::{Camera, CameraLive, CameraSource, Reader, ReaderLive, Transport};
use crate::wire::thingmagic;
use crate::wire::uhfreader18;

pub(super) fn llrp(reader: &Reader, how: &ReaderLive, host: &str, port: u16) -> rfid::llrp::Config {
    let power = |port: &u16| (*port, how.power_cdbm.get(port).copied());
    rfid::llrp::Config {
        host: host.to_owned(),
        port,
        antennas: reader.antennas.keys().map(power).collect(),
        session: how.session,
        rf_mode: how.rf_mode,
        report_every: how.report_every,
        keepalive_s: how.keepalive_s,
    }
}

pub(super) fn usb(id: &crate::store::UsbId) -> UsbId {
    UsbId {
        vendor: id.vendor,
        product: id.product,
        serial: id.serial.clone(),
    }
}

pub(super) fn thingmagic(reader: &Reader, how: &ReaderLive) -> rfid::thingmagic::Config {
    let region = how
        .region
        .as_deref()
        .and_then(thingmagic::Region::from_name);
    let port = |port: &u16| {
        Some(rfid::thingmagic::Antenna {
            port: u8::try_from(*port).ok()?,
            power_cdbm: how.power_cdbm.get(port).copied(),
        })
    };
    rfid::thingmagic::Config {
        region,
        ports: reader.antennas.keys().filter_map(port).collect(),
        ..rfid::thingmagic::Config::default()
    }
}

pub(super) fn uhfreader18(reader: &Reader, how: &ReaderLive) -> rfid::uhfreader18::Config {
    let band = how.region.as_deref().and_then(uhfreader18::Band::from_name);
    let power = how.power_cdbm.values().max();
    let ports = reader.antennas.keys();
    rfid::uhfreader18::Config {
        band,
        ports: ports.filter_map(|port| u8::try_from(*port).ok()).collect(),
        power_dbm: power.and_then(|cdbm| u8::try_from(cdbm / 100).ok()),
        ..rfid::uhfreader18::Config::default()
    }
}

/// How a camera is opened; `None` where it is not live.
pub(super) fn camera_config(
    camera: &Camera,
    how: &CameraLive,
    folder: &Path,
) -> Result<Option<camera::Config>, String> {
    let address = match &camera.source {
        CameraSource::None => return Ok(None),
        CameraSource::Rtsp { url } => Address::Rtsp { url: url.clone() },
        CameraSource::Http { url } => Address::Http { url: url.clone() },
        CameraSource::V4l2 { device } => Address::V4l2 {
            device: device.into(),
        },
        CameraSource::File { path } => Address::File {
            path: folder.join(path),
        },
    };
    let mut config = camera::Config::new(&camera.id, address);
    config.login = login(camera, folder)?;
    config.max_fps = how.max_fps;
    config.transport = match how.transport {
        Transport::Tcp => camera::Transport::Tcp,
        Transport::Udp => camera::Transport::Udp,
    };
    config.size = (camera.width, camera.height);
    config.motion = how.motion_gate.then(camera::motion::Settings::default);
    Ok(Some(config))
}

/// A camera's login, where the store file names one.
fn login(camera: &Camera, folder: &Path) -> Result<Option<(String, Secret)>, String> {
    let Some(known) = &camera.credentials else {
        return Ok(None);
    };
    let password = secret::password(folder, &known.password_file)?;
    Ok(Some((known.username.clone(), password)))
}

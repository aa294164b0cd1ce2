//! Which V4L2 cameras are plugged in.

use std::path::PathBuf;

use linuxvideo::format::FrameSizes;
use linuxvideo::{BufType, CapabilityFlags, Device};

/// A camera as its driver tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugged {
    pub device: PathBuf,
    pub card: String,
    /// Pixel format, and the largest picture in it, as far as both are told.
    pub formats: Vec<(String, Option<(u32, u32)>)>,
}

/// All that give pictures, by device; nodes that give none, and those that may not be opened, are
/// left out.
pub fn plugged() -> Vec<Plugged> {
    let Ok(devices) = linuxvideo::list() else {
        return Vec::new();
    };
    let mut found: Vec<Plugged> = devices.flatten().filter_map(|d| of(&d)).collect();
    found.sort_by(|a, b| a.device.cmp(&b.device));
    found
}

fn of(device: &Device) -> Option<Plugged> {
    let capabilities = device.capabilities().ok()?;
    let can = capabilities.device_capabilities();
    if !can.contains(CapabilityFlags::VIDEO_CAPTURE | CapabilityFlags::STREAMING) {
        return None;
    }
    let formats = device.formats(BufType::VIDEO_CAPTURE).flatten();
    let formats = formats.map(|format| {
        let largest = match device.frame_sizes(format.pixel_format()) {
            Ok(FrameSizes::Discrete(sizes)) => {
                let sizes = sizes.into_iter().map(|size| (size.width(), size.height()));
                sizes.max_by_key(|(width, height)| u64::from(*width) * u64::from(*height))
            }
            Ok(FrameSizes::Stepwise(sizes)) => Some((sizes.max_width(), sizes.max_height())),
            _ => None,
        };
        (format.pixel_format().to_string(), largest)
    });
    Some(Plugged {
        device: device.path().ok()?,
        card: capabilities.card().to_owned(),
        formats: formats.collect(),
    })
}

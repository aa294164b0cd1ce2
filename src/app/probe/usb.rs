//! What is plugged into USB: scales by what they say of themselves, readers by what they answer.

use std::time::Duration;

use tokio::sync::watch;

use super::heard::Heard;
use super::{How, paste, say};
use crate::link::outlet::Outlet;
use crate::link::usb::{self, Found, UsbId};
use crate::observation::SourceState;
use crate::rfid::{thingmagic, uhfreader18};
use crate::scale;

/// Interface classes (USB-IF).
const HUB: u8 = 0x09;
const HID: u8 = 0x03;
const CDC_DATA: u8 = 0x0A;
const OF_ITS_MAKER: u8 = 0xFF;
/// How long a device is given to say that it is one.
const TRY: Duration = Duration::from_secs(4);

pub(super) async fn probe(how: &How) {
    let devices = match usb::list() {
        Ok(devices) => devices,
        Err(why) => return say(&format!("USB: {why}\n")),
    };
    let devices: Vec<Found> = devices
        .into_iter()
        .filter(|d| !d.classes.contains(&HUB))
        .collect();
    say(&format!("USB: {} devices", devices.len()));
    for device in devices {
        say(&format!("  {device}"));
        if how.read {
            one(device, how).await;
        }
    }
    say("");
}

/// The way in which a device is tried.
type Run = fn(UsbId, Outlet, &watch::Receiver<bool>);

async fn one(device: Found, how: &How) {
    let has = |class: u8| device.classes.contains(&class);
    let id = UsbId {
        vendor: device.vendor,
        product: device.product,
        serial: device.serial.clone().or(Some(device.place.clone())),
    };
    let mut tries: Vec<(&str, Run)> = Vec::new();
    if has(HID) {
        tries.push(("", scale::hid::run));
    }
    if has(CDC_DATA) || has(OF_ITS_MAKER) {
        tries.push(("thingmagic", |id, outlet, stop| {
            thingmagic::run(id, &thingmagic::Config::default(), outlet, stop);
        }));
        tries.push(("uhfreader18", |id, outlet, stop| {
            uhfreader18::run(id, &uhfreader18::Config::default(), outlet, stop);
        }));
    }
    for (protocol, run) in tries {
        if tried(&id, protocol, run, how).await {
            return;
        }
    }
}

/// Whether the device answers to this.
async fn tried(id: &UsbId, protocol: &str, run: Run, how: &How) -> bool {
    let heard = Heard::default();
    let (stop, stopped) = watch::channel(false);
    let (device, outlet) = (id.clone(), heard.outlet());
    let running = tokio::task::spawn_blocking(move || run(device, outlet, &stopped));
    tokio::time::sleep(TRY.max(how.time)).await;
    stop.send_replace(true);
    running.await.ok();
    let all = heard.so_far();
    let spoke = all.reads > 0
        || all
            .state
            .as_ref()
            .is_some_and(|(s, _)| *s != SourceState::Offline);
    if !spoke {
        if let Some(trouble) = all.trouble() {
            let what = if protocol.is_empty() {
                "a scale"
            } else {
                protocol
            };
            say(&format!("    not {what}: {trouble}"));
        }
        return false;
    }
    if let Some((_, reason)) = all.state.as_ref().filter(|(_, reason)| !reason.is_empty()) {
        say(&format!("    {reason}"));
    }
    let serial = id
        .serial
        .as_ref()
        .map_or(String::new(), |s| format!(":{s}"));
    let address = format!("{:04x}:{:04x}{serial}", id.vendor, id.product);
    if protocol.is_empty() {
        let grams = all
            .grams
            .map_or("no weight yet".to_owned(), |g| format!("{g} g"));
        say(&format!("    a scale: {grams}"));
        paste(&format!(
            "[[scale]]\nid = \"…\"\nshelf = \"…\"\nfrom = …\nto = …\nsource = \"hid:{address}\""
        ));
    } else {
        say(&format!("    a reader, {protocol}: {} reads", all.reads));
        all.tag_lines()
            .iter()
            .for_each(|line| say(&format!("    {line}")));
        paste(&format!(
            "[[reader]]\nid = \"…\"\nsource = \"usb:{address}\"\nprotocol = \"{protocol}\"\n\
             antennas = [{{ port = 1, shelf = \"…\" }}]"
        ));
    }
    true
}

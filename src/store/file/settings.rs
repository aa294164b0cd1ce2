//! What is not the engine's: `[state]`, `[mqtt]`, `[console]`.

use core::net::SocketAddr;

use toml::Spanned;

use super::fields::{Fields, Whole};
use super::layout::masked;
use super::sensors::secret;
use crate::store::source::host_port;
use crate::store::{Confirm, Console, Link, Live, Mqtt, Settings, State};

pub(super) fn read(top: &mut Fields<'_>, models: Option<String>, links: Vec<Link>) -> Settings {
    let mut links = links;
    let state = top.table("state", "[state]").map(state);
    let mqtt = top.table("mqtt", "[mqtt]");
    let mqtt = mqtt.and_then(|fields| mqtt_table(fields, &mut links));
    let console = top.table("console", "[console]").map(console);
    Settings {
        models,
        state: state.unwrap_or_default(),
        mqtt,
        console: console.unwrap_or_default(),
        live: Live::default(),
        links,
    }
}

fn state(mut fields: Fields<'_>) -> State {
    let default = State::default();
    let days = fields.optional::<Whole<1, 36_500>>("journal_days");
    // Below a megabyte a journal cannot hold one frozen engine.
    let bytes = fields.optional::<Whole<1_000_000, 1_000_000_000_000_000>>("journal_bytes");
    let outbox_days = fields.optional::<Whole<1, 36_500>>("outbox_days");
    let outbox_bytes = fields.optional::<Whole<100_000, 1_000_000_000_000_000>>("outbox_bytes");
    let traffic_days = fields.optional::<Whole<1, 36_500>>("traffic_days");
    let traffic_bytes = fields.optional::<Whole<100_000, 1_000_000_000_000_000>>("traffic_bytes");
    let state = State {
        dir: fields.optional("dir"),
        journal_days: days.map_or(default.journal_days, |days| days.0),
        journal_bytes: bytes.map_or(default.journal_bytes, |bytes| bytes.0),
        keep_frames: fields
            .optional("keep_frames")
            .unwrap_or(default.keep_frames),
        outbox_days: outbox_days.map_or(default.outbox_days, |days| days.0),
        outbox_bytes: outbox_bytes.map_or(default.outbox_bytes, |bytes| bytes.0),
        traffic_days: traffic_days.map_or(default.traffic_days, |days| days.0),
        traffic_bytes: traffic_bytes.map_or(default.traffic_bytes, |bytes| bytes.0),
    };
    fields.finish();
    state
}

fn mqtt_table(mut fields: Fields<'_>, links: &mut Vec<Link>) -> Option<Mqtt> {
    let address = fields.required::<Spanned<String>>("url");
    let username = fields.optional("username");
    let mut file = |key| secret(&mut fields, key, links);
    let password_file = file("password_file");
    let [ca_file, cert_file, key_file] = ["ca_file", "cert_file", "key_file"].map(&mut file);
    if fields.has("cert_file") != fields.has("key_file") {
        fields.problem("`cert_file` and `key_file` stand together or not at all");
    }
    if fields.has("password_file") && !fields.has("username") {
        fields.problem("a `password_file` without a `username`");
    }
    let confirm = confirm(&mut fields);
    let address = address.and_then(|address| {
        let parts = broker(address.get_ref());
        if parts.is_none() {
            let found: String = masked(address.get_ref()).chars().take(100).collect();
            let what = format!(
                "`url`: found \"{found}\"; expected mqtt://<host>[:<port>] or mqtts://<host>[:<port>]"
            );
            fields.report().at(&address.span(), what);
        }
        parts
    });
    fields.finish();
    let (tls, host, port) = address?;
    Some(Mqtt {
        host,
        port,
        tls,
        username,
        password_file,
        ca_file,
        cert_file,
        key_file,
        confirm,
    })
}

/// Whether a broker is spoken to under TLS, its host, its port.
pub fn broker(address: &str) -> Option<(bool, String, u16)> {
    let (scheme, rest) = address.split_once("://")?;
    let (tls, assigned) = match scheme {
        "mqtt" => (false, 1883),
        "mqtts" => (true, 8883),
        _ => return None,
    };
    let (host, port) = host_port(rest.strip_suffix('/').unwrap_or(rest))?;
    Some((tls, host, port.unwrap_or(assigned)))
}

fn confirm(fields: &mut Fields<'_>) -> Confirm {
    let Some(word) = fields.optional::<Spanned<&str>>("confirm") else {
        return Confirm::default();
    };
    match *word.get_ref() {
        "backend" => Confirm::Backend,
        "puback" => Confirm::Puback,
        other => {
            let found: String = other.chars().take(40).collect();
            let what = format!("`confirm`: found \"{found}\"; expected backend or puback");
            fields.report().at(&word.span(), what);
            Confirm::default()
        }
    }
}

fn console(mut fields: Fields<'_>) -> Console {
    let mut console = Console::default();
    if let Some(listen) = fields.optional::<Spanned<&str>>("listen") {
        match listen.get_ref().parse::<SocketAddr>() {
            Ok(address) => console.listen = address,
            Err(_) => {
                let found: String = listen.get_ref().chars().take(60).collect();
                let what = format!(
                    "`listen`: found \"{found}\"; expected an address and a port, such as 127.0.0.1:8090"
                );
                fields.report().at(&listen.span(), what);
            }
        }
    }
    fields.finish();
    console
}

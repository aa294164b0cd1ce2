//! A shop that is nothing but busy: one gate, one scale, one shopper after another who takes one
//! thing, or two, or puts one back. Few messages an event, for trials of what comes after the
//! engine.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use basketd::recording::writer::RecordingWriter;

const BEGIN_NS: u64 = 1_772_442_000_000_000_000;
/// Seconds from one shopper to the next.
const EVERY: f64 = 9.0;

/// Writes store file, catalogue and a recording of so many shoppers; gives the recording's path.
pub(crate) fn shop(folder: &Path, settings: &str, shoppers: u32) -> PathBuf {
    let store = format!(
        r#"[store]
id = "busy-1"
currency = "EUR"
catalog = "catalog.csv"

[[zone]]
id = "door"
kinds = ["entry", "exit"]
polygon = [[0.0, 0.0], [1.2, 0.0], [1.2, 1.0], [0.0, 1.0]]

[[gate]]
id = "door"
zone = "door"

[[gondola]]
id = "g1"
front = [[0.5, 3.0], [1.7, 3.0]]

[[gondola.shelf]]
id = "g1-s1"
facings = [{{ gtin = "2000000010014", from = 0.0, to = 1.2, capacity = 100 }}]

[[scale]]
id = "g1-s1-p1"
shelf = "g1-s1"
from = 0.0
to = 1.2

# Whoever does not show his token on the way out was killed with his box.
[basket]
longest_visit_s = 60.0

{settings}
"#
    );
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("store.toml"), store).unwrap();
    let catalog = "gtin,name,price,weight_g\n2000000010014,Water 0.5 l,1.20,520\n";
    std::fs::write(folder.join("catalog.csv"), catalog).unwrap();
    let path = folder.join("busy.mcap");
    record(&path, shoppers);
    path
}

fn record(path: &Path, shoppers: u32) {
    let mut messages: Vec<(u64, String, String, String)> = Vec::new();
    let mut write = |t: f64, topic: &str, schema: &str, payload: &str| {
        let at = BEGIN_NS + (t * 1e9) as u64;
        messages.push((at, topic.to_owned(), schema.to_owned(), payload.to_owned()));
    };
    let mut grams = 52_000.0;
    let stock =
        r#"{"command": "stock.set", "shelf": "g1-s1", "gtin": "2000000010014", "on_hand": 99}"#;
    write(0.0, "/command", "basketd.Command", stock);
    for shopper in 0..shoppers {
        let begin = f64::from(shopper) * EVERY + 1.0;
        for (t, kind) in [(0.0, "admitted"), (7.0, "presented")] {
            let payload = format!(r#"{{"kind": "{kind}", "token": "q-{shopper}"}}"#);
            write(begin + t, "/gate/door", "basketd.GateEvent", &payload);
        }
        let takes = 1 + shopper % 2;
        for tick in 0..34 {
            let t = 0.2 + 0.2 * f64::from(tick);
            if tick == 3 || (tick == 12 && takes == 2) {
                grams -= 520.0;
            }
            let payload = format!(r#"{{"grams": {grams:.1}}}"#);
            write(begin + t, "/scale/g1-s1-p1", "basketd.Weight", &payload);
        }
        if grams < 5_000.0 {
            grams += 40_000.0;
            let end = r#"{"command": "restock.end", "shelf": "g1-s1", "by": "s-1"}"#;
            let begin_it = r#"{"command": "restock.begin", "shelf": "g1-s1", "by": "s-1"}"#;
            write(begin + 8.0, "/command", "basketd.Command", begin_it);
            for tick in 0..4 {
                let payload = format!(r#"{{"grams": {grams:.1}}}"#);
                let t = begin + 8.1 + 0.2 * f64::from(tick);
                write(t, "/scale/g1-s1-p1", "basketd.Weight", &payload);
            }
            write(begin + 8.95, "/command", "basketd.Command", end);
        }
        if shopper % 10 == 0 {
            for (t, state) in [(8.2, "offline"), (8.4, "online")] {
                let payload = format!(
                    r#"{{"source": "reader/r{}", "state": "{state}"}}"#,
                    shopper % 7
                );
                write(begin + t, "/source", "basketd.SourceState", &payload);
            }
        }
    }
    messages.sort_by_key(|(at, ..)| *at);
    let mut writer = RecordingWriter::new(File::create(path).unwrap(), &BTreeMap::new()).unwrap();
    for (at, topic, schema, payload) in &messages {
        let schema = (schema.as_str(), "jsonschema");
        let times = (*at, *at);
        writer
            .raw(topic, schema, "json", times, payload.as_bytes())
            .unwrap();
    }
    writer.finish().unwrap();
}

//! A story at the kiosk of `config/kiosk`, as its sensors would have recorded it: one shopper takes
//! crisps, takes an oat bar and puts it back, takes an orange juice, and walks out. Noise comes
//! from a small generator with a fixed seed.

use std::collections::BTreeMap;
use std::io::Cursor;

use basketd::app::load::load;
use basketd::recording::writer::RecordingWriter;
use basketd::store::View;
use basketd::units::Point;

/// 2026-03-02T09:00:00Z.
const BEGIN_NS: u64 = 1_772_442_000_000_000_000;
const SECONDS: f64 = 44.0;

/// When, on which shelf's scale, how many grams.
const STEPS: [(f64, usize, f64); 4] = [
    (12.0, 1, -101.0),
    (16.0, 2, -43.0),
    (20.0, 2, 43.0),
    (24.0, 0, -281.0),
];

struct Noise(u64);

impl Noise {
    /// Uniform in -1 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    }
}

/// Where the shopper stands, where he is in the store.
fn shopper(t: f64) -> Option<Point> {
    let way = [
        (6.2, 0.7, -0.1),
        (7.5, 0.7, 0.7),
        (10.5, 1.4, 1.9),
        (22.0, 1.4, 1.9),
        (23.0, 1.8, 1.9),
        (26.0, 1.8, 1.9),
        (29.5, 0.7, 0.7),
        (30.6, 0.7, -0.3),
    ];
    let next = way.iter().position(|(at, _, _)| *at > t)?;
    let (a, b) = (way[next.checked_sub(1)?], way[next]);
    let part = (t - a.0) / (b.0 - a.0);
    Some(Point::new(
        a.1 + (b.1 - a.1) * part,
        a.2 + (b.2 - a.2) * part,
    ))
}

fn sgtin(gtin_company: u64, item: u64, serial: u64) -> String {
    let value: u128 = (0x30 << 88)
        | (1 << 85)
        | (5 << 82)
        | (u128::from(gtin_company) << 58)
        | (u128::from(item) << 38)
        | u128::from(serial);
    format!("{value:024X}")
}

/// The recording's bytes.
pub(crate) fn recording() -> Vec<u8> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let store = load(&root.join("config/kiosk/store.toml"))
        .expect("the kiosk is right")
        .store;
    let View::Floor { floor_from_image } = store.cameras[0].view else {
        panic!("a floor camera")
    };
    let image_from_floor = floor_from_image.inverse().expect("a homography inverts");
    let mut noise = Noise(7);
    let mut messages: Vec<(f64, f64, &str, &str, String)> = Vec::new();
    for (t, payload) in [
        (6.0, r#"{"kind": "door", "open": true}"#),
        (6.4, r#"{"kind": "admitted", "token": "q-7"}"#),
        (8.2, r#"{"kind": "door", "open": false}"#),
        (29.2, r#"{"kind": "door", "open": true}"#),
        (32.0, r#"{"kind": "door", "open": false}"#),
    ] {
        messages.push((t, t, "/gate/door", "basketd.GateEvent", payload.to_owned()));
    }
    let topics = ["/scale/g1-s1-p1", "/scale/g1-s2-p1", "/scale/g1-s3-p1"];
    for tick in 0..(SECONDS * 10.0) as u32 {
        let t = f64::from(tick) / 10.0;
        for (shelf, topic) in topics.iter().enumerate() {
            let moved: f64 = STEPS
                .iter()
                .filter(|(at, s, _)| *s == shelf && t > *at)
                .map(|(at, _, grams)| grams * (1.0 - libm::exp(-(t - at) / 0.15)))
                .sum();
            let grams = (4000.0 + moved + 2.0 * noise.next()).round();
            messages.push((
                t + 0.02,
                t,
                topic,
                "basketd.Weight",
                format!("{{\"grams\": {grams:.1}}}"),
            ));
        }
        let boxes = shopper(t).and_then(|p| image_from_floor.map(p)).map(|foot| {
            let height = 60.0 + 0.35 * foot.y;
            let jitter = [noise.next(), noise.next(), noise.next(), noise.next()];
            let (x, y) = (foot.x + jitter[0], foot.y + jitter[1]);
            let half = 0.17 * height + jitter[2];
            format!(
                "{{\"class\": \"person\", \"score\": 0.9, \"box\": [{:.1}, {:.1}, {:.1}, {:.1}]}}",
                x - half,
                y - height + jitter[3],
                x + half,
                y
            )
        });
        let frame = format!(
            "{{\"width\": 640, \"height\": 360, \"detections\": [{}]}}",
            boxes.unwrap_or_default()
        );
        messages.push((
            t + 0.08,
            t,
            "/camera/cam1/detections",
            "basketd.Detections",
            frame,
        ));
    }
    tags(&mut messages, &mut noise);
    messages.sort_by(|a, b| a.0.total_cmp(&b.0));
    let metadata = [
        ("version", "1"),
        ("store", "kiosk-1"),
        ("journal", "kiosk1"),
    ];
    let metadata: BTreeMap<String, String> = metadata
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let mut writer = RecordingWriter::new(Cursor::new(Vec::new()), &metadata).unwrap();
    let ns = |t: f64| BEGIN_NS + (t * 1e9) as u64;
    for (at, captured, topic, schema, payload) in &messages {
        writer
            .json(topic, schema, ns(*at), ns(*captured), payload.as_bytes())
            .unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A reader that visits its ports in turn, 0.4 s each.
fn tags(messages: &mut Vec<(f64, f64, &str, &str, String)>, noise: &mut Noise) {
    let crisps: Vec<String> = (1..=4)
        .map(|serial| sgtin(2_000_000, 1005, serial))
        .collect();
    let oat_bar = "E28011700000020D1F3A0003";
    let mut round = 0.0;
    while round < SECONDS - 1.5 {
        let mut hear = |t: f64, epc: &str, port: u32, rssi: f64| {
            let payload = format!(
                "{{\"epc\": \"{epc}\", \"antenna\": {port}, \"rssi_dbm\": {:.1}}}",
                rssi + noise.next()
            );
            messages.push((t + 0.05, t, "/rfid/r1", "basketd.TagRead", payload));
        };
        for (i, epc) in crisps.iter().enumerate() {
            let t = round + 0.05 + 0.08 * i as f64;
            if i > 0 || t < 12.0 {
                hear(t, epc, 1, -45.0);
            } else if (28.0..31.0).contains(&t) {
                hear(t + 0.9, epc, 4, -58.0);
                hear(t + 1.1, epc, 4, -57.0);
            }
        }
        let t = round + 0.55;
        if !(16.0..20.0).contains(&t) {
            hear(t, oat_bar, 2, -47.0);
        }
        hear(round + 0.65, "E28011700000020D1F3A0001", 2, -46.0);
        hear(round + 0.75, "E28011700000020D1F3A0002", 2, -49.0);
        round += 1.5;
    }
}

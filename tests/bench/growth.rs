//! How the engine's time grows: with people inside, with tags on the shelves, with hours; and how
//! far ahead of real time it stays in a rush. `cargo bench --bench growth [-- people] [tags] [rush]
//! [hours]`
//!
//! Each figure is the time within the engine alone, on one core. Inputs are made here, second by
//! second, and simpler than a shop's: people walk from shelf to shelf and take something now
//! and then, which its scale feels and its tag's silence tells. The rush is a simulated one
//! with all sensors and their faults.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints what it measured"
)]

use std::fmt::Write as _;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use basketd::app::trial::Tape;
use basketd::clock::Stopwatch;
use basketd::engine::{Engine, Input, Output};
use basketd::gs1::{Epc, Gtin};
use basketd::ids::{CameraIx, GateIx, ScaleIx};
use basketd::observation::{
    Admission, Class, Detection, Detections, GateEvent, Observation, Sensed, TagRead,
};
use basketd::sim;
use basketd::store::{Store, file};
use basketd::units::{BBox, Point, TimeDelta, Timestamp};

const GONDOLAS: usize = 10;
const LEVELS: usize = 5;
const SHELVES: usize = GONDOLAS * LEVELS;
/// Of each unit, grams.
const WEIGHT_G: f64 = 200.0;
/// Frames and weights a second.
const FRAMES_HZ: usize = 10;
const WEIGHTS_HZ: usize = 5;
/// A tag is read once in so many seconds.
const ROUND_S: usize = 5;
/// Then people leave, and others come in their stead.
const TAKES: usize = 8;
const STRIDE_M: f64 = 1.2;
const WAY_IN: Point = Point::new(1.0, 3.0);
const WAY_OUT: Point = Point::new(19.0, 8.0);

fn main() {
    let parts: [(&str, fn()); 4] = [
        ("people", people),
        ("tags", tags),
        ("rush", rush),
        ("hours", hours),
    ];
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| asked.iter().any(|one| one == name);
    // Cargo hands over options of its own.
    let all = !parts.iter().any(|(name, _)| named(name));
    for (_, part) in parts.iter().filter(|(name, _)| all || named(name)) {
        part();
    }
}

fn people() {
    println!("people inside   messages   µs a message      s a visit-hour   times the row above");
    let mut before = None;
    for people in [1, 3, 10, 30, 100] {
        let mut shop = Shop::new(people, 10 * SHELVES);
        let seconds = people + 120;
        (0..seconds).for_each(|_| shop.second());
        let visit_hours = shop.visit_s as f64 / 3600.0;
        let each = shop.engine_s / visit_hours;
        row(people, &shop, each, &mut before);
    }
}

fn tags() {
    println!("tags            messages   µs a message      µs a tag-second  times the row above");
    let mut before = None;
    for tags in [1_000, 10_000, 100_000] {
        let mut shop = Shop::new(1, tags);
        let seconds = 60;
        (0..seconds).for_each(|_| shop.second());
        let each = shop.engine_s * 1e6 / (tags * seconds) as f64;
        row(tags, &shop, each, &mut before);
    }
}

fn hours() {
    println!("hours           messages   µs a message      s an hour        times the row above");
    let mut before = None;
    for hours in [1, 2, 4] {
        let mut shop = Shop::new(3, 1_000);
        // Slower, so that nobody has to fill the shelves.
        shop.take_every_s = 60;
        (0..hours * 3600).for_each(|_| shop.second());
        row(hours, &shop, shop.engine_s / hours as f64, &mut before);
    }
}

/// A line; growth is linear where the last figure is 1, and slower where it is less.
fn row(n: usize, shop: &Shop, each: f64, before: &mut Option<f64>) {
    let ratio = before.map_or("-".to_owned(), |before| format!("{:.2}", each / before));
    *before = Some(each);
    println!(
        "{n:>13}  {:>9}   {:>12.2}   {each:>17.3}   {ratio:>19}",
        shop.messages,
        shop.engine_s * 1e6 / shop.messages as f64
    );
}

/// Thirty people in a hall with all sensors.
fn rush() {
    let day = sim::Day::new(sim::Options {
        seed: 1,
        story: sim::Story::Day {
            visits: 60,
            crowd: 30.0,
        },
        sensors: sim::Sensors::All,
        noise: sim::Noise::Nominal,
        shop: sim::ShopKind::Hall,
        given: None,
    })
    .unwrap();
    let mut open = |_: &str| Ok(day.catalog.clone());
    let store = file::read("store.toml", &day.store, &mut open)
        .unwrap()
        .store;
    let recording = tempfile::NamedTempFile::new().unwrap();
    let out = BufWriter::new(File::create(recording.path()).unwrap());
    day.run(out).unwrap();
    let tape = Tape::read(&store, recording.path()).unwrap();
    let watch = Stopwatch::start();
    let events = tape.play(&Arc::new(store));
    let engine_s = watch.nanos() as f64 / 1e9;
    println!(
        "a rush of 30 people, all sensors: {} messages in {:.0} s, {:.1} s of engine: {:.1} times real \
         time, {} events",
        tape.len(),
        tape.length_s(),
        engine_s,
        tape.length_s() / engine_s,
        events.lines().count()
    );
}

fn product(i: usize) -> Gtin {
    Gtin::from_payload(100_000 + i as u64).unwrap()
}

/// A hall with two rows of gondolas; each shelf has an antenna, a scale and one product.
fn store() -> Arc<Store> {
    let mut text = String::from(
        "[store]\nid = \"growth\"\ncatalog = \"catalog.csv\"\n[[zone]]\nid = \"door\"\nkinds = [\"entry\"]\n\
         polygon = [[0.0, 2.0], [2.0, 2.0], [2.0, 4.0], [0.0, 4.0]]\n[[zone]]\nid = \"out\"\n\
         kinds = [\"exit\"]\npolygon = [[18.0, 7.0], [20.0, 7.0], [20.0, 9.0], [18.0, 9.0]]\n[[gate]]\nid = \"door\"\n\
         zone = \"door\"\n[[camera]]\nid = \"cam\"\nview = \"floor\"\nwidth = 2000\nheight = 1300\n\
         floor_from_image = [[0.01, 0.0, 0.0], [0.0, 0.01, 0.0], [0.0, 0.0, 1.0]]\n",
    );
    let mut catalog = String::from("gtin,name,price,weight_g\n");
    let mut antennas = String::new();
    for shelf in 0..SHELVES {
        let gtin = product(shelf);
        writeln!(catalog, "{gtin},product {shelf},1.00,{WEIGHT_G}").unwrap();
        writeln!(
            antennas,
            "  {{ port = {}, shelf = \"s{shelf}\" }},",
            shelf + 1
        )
        .unwrap();
    }
    for gondola in 0..GONDOLAS {
        let [from, to] = front(gondola);
        writeln!(
            text,
            "[[gondola]]\nid = \"g{gondola}\"\nfront = [[{:?}, {:?}], [{:?}, {:?}]]",
            from.x, from.y, to.x, to.y
        )
        .unwrap();
        for level in 0..LEVELS {
            let shelf = gondola * LEVELS + level;
            let gtin = product(shelf);
            writeln!(
                text,
                "[[gondola.shelf]]\nid = \"s{shelf}\"\nfacings = [{{ gtin = \"{gtin}\", from = 0.0, to = 1.0 }}]"
            )
            .unwrap();
        }
    }
    for shelf in 0..SHELVES {
        writeln!(
            text,
            "[[scale]]\nid = \"p{shelf}\"\nshelf = \"s{shelf}\"\nfrom = 0.0\nto = 1.0"
        )
        .unwrap();
    }
    write!(text, "[[reader]]\nid = \"r\"\nantennas = [\n{antennas}]\n").unwrap();
    let mut open = |_: &str| Ok(catalog.clone());
    match file::read("store.toml", &text, &mut open) {
        Ok(file) => Arc::new(file.store),
        Err(problems) => panic!("{}", problems[0]),
    }
}

/// Its face, left to right as a shopper sees it: the lower row is looked at from above.
fn front(gondola: usize) -> [Point; 2] {
    let x = 3.0 + 3.0 * (gondola % 5) as f64;
    if gondola < 5 {
        [Point::new(x, 12.0), Point::new(x + 1.0, 12.0)]
    } else {
        [Point::new(x + 1.0, 4.0), Point::new(x, 4.0)]
    }
}

/// Where one stands to take from it.
fn stand(gondola: usize, aside: f64) -> Point {
    let [from, to] = front(gondola);
    let y = if gondola < 5 { -0.5 } else { 0.5 };
    Point::new((from.x + to.x) / 2.0 + aside, from.y + y)
}

struct Person {
    at: Point,
    shelf: usize,
    aside: f64,
    next_take_s: usize,
    takes_left: usize,
}

impl Person {
    fn goal(&self) -> Point {
        if self.takes_left == 0 {
            return WAY_OUT;
        }
        stand(self.shelf / LEVELS, self.aside)
    }
}

/// The shop with its engine.
struct Shop {
    store: Arc<Store>,
    engine: Engine,
    begin: Timestamp,
    second: usize,
    chance: u64,
    expected: usize,
    people: Vec<Person>,
    /// Seconds between a person's takes.
    take_every_s: usize,
    epcs: Vec<Option<Epc>>,
    grams: Vec<f64>,
    messages: usize,
    visit_s: usize,
    engine_s: f64,
}

/// SGTIN-96 of a product: its header, filter and partition, the number, a serial.
fn epc(product: usize, serial: usize) -> Epc {
    let number: u128 = self::product(product).to_string().parse().unwrap();
    // The indicator, 7 digits of a company, 5 of an item, a check digit: partition 5 has 24 and 20
    // bits.
    let company = number / 1_000_000 % 10_000_000;
    let item = number / 10_000_000_000_000 * 100_000 + number / 10 % 100_000;
    let bits = (0x30_u128 << 88) | (1 << 85) | (5 << 82) | (company << 58) | (item << 38);
    let bytes = (bits | serial as u128).to_be_bytes();
    Epc::new(&bytes[4..]).unwrap()
}

impl Shop {
    fn new(people: usize, tags: usize) -> Self {
        let store = store();
        let epcs: Vec<_> = (0..tags).map(|i| Some(epc(i % SHELVES, i))).collect();
        let known = store.gtin_of(&epcs[0].unwrap());
        assert_eq!(known, Some(product(0)), "tags name their products");
        Self {
            engine: Engine::new(Arc::clone(&store)),
            store,
            begin: Timestamp::from_micros(1_700_000_000_000_000),
            second: 0,
            chance: 1,
            expected: people,
            people: Vec::new(),
            take_every_s: 15,
            epcs,
            grams: vec![1e6; SHELVES],
            messages: 0,
            visit_s: 0,
            engine_s: 0.0,
        }
    }

    fn draw(&mut self, below: usize) -> usize {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.chance >> 33) as usize % below
    }

    /// One more second of everything, made first and then played.
    fn second(&mut self) {
        let mut inputs = Vec::new();
        // The engine learns in the quiet before the first shopper.
        if self.second >= 20 && self.people.len() < self.expected {
            self.admit(&mut inputs);
        }
        self.visit_s += self.people.len();
        self.act();
        let steps = FRAMES_HZ * WEIGHTS_HZ;
        for step in 0..steps {
            let at = self.at(step, steps);
            if step % WEIGHTS_HZ == 0 {
                self.frame(at, &mut inputs);
            }
            if step % FRAMES_HZ == 0 {
                self.weights(at, &mut inputs);
            }
            self.reads(at, (step, steps), &mut inputs);
        }
        self.second += 1;
        self.messages += inputs.len();
        let watch = Stopwatch::start();
        for (at, input) in inputs {
            while let Some((due, why)) = self.engine.poll_timeout().filter(|(due, _)| *due <= at) {
                self.engine.handle(due, Input::Timeout(why));
            }
            self.engine.handle(at, input);
            while let Some(Output::Event(_) | Output::Finding(_)) = self.engine.poll_output() {}
        }
        self.engine_s += watch.nanos() as f64 / 1e9;
    }

    fn at(&self, step: usize, steps: usize) -> Timestamp {
        let us = self.second * 1_000_000 + step * 1_000_000 / steps;
        self.begin + TimeDelta::from_micros(us as i64)
    }

    fn admit(&mut self, inputs: &mut Vec<(Timestamp, Input)>) {
        let token = format!("q-{}", self.second);
        let admission = Admission {
            token,
            member: None,
            party: 1,
            staff: false,
        };
        let event = GateEvent::Admitted(admission);
        let gate = GateIx(0);
        inputs.push(observed(self.at(0, 1), Sensed::Gate { gate, event }));
        let (shelf, aside) = (self.draw(SHELVES), self.draw(80) as f64 / 100.0 - 0.4);
        self.people.push(Person {
            at: WAY_IN,
            shelf,
            aside,
            next_take_s: self.second + self.take_every_s,
            takes_left: TAKES,
        });
    }

    /// Everybody walks; whose time it is takes something and goes on to another shelf.
    fn act(&mut self) {
        self.people
            .retain(|p| p.takes_left > 0 || p.at.distance(WAY_OUT) > 0.3);
        for i in 0..self.people.len() {
            let person = &self.people[i];
            let there = person.goal();
            if person.takes_left == 0
                || self.second < person.next_take_s
                || person.at.distance(there) > 0.3
            {
                continue;
            }
            let shelf = person.shelf;
            let on_shelf = (shelf..self.epcs.len()).step_by(SHELVES);
            let taken = on_shelf.into_iter().find(|tag| self.epcs[*tag].is_some());
            // A shelf that is nearly empty is filled by nobody, and left alone.
            if let Some(tag) = taken.filter(|_| self.grams[shelf] > WEIGHT_G) {
                self.epcs[tag] = None;
                self.grams[shelf] -= WEIGHT_G;
            }
            let next = self.draw(SHELVES);
            let person = &mut self.people[i];
            (person.shelf, person.next_take_s) = (next, self.second + self.take_every_s);
            person.takes_left = person.takes_left.saturating_sub(1);
        }
    }

    fn frame(&mut self, at: Timestamp, inputs: &mut Vec<(Timestamp, Input)>) {
        let mut detections = Vec::new();
        for i in 0..self.people.len() {
            let jitter = self.draw(10) as f64 - 5.0;
            let person = &mut self.people[i];
            let there = person.goal();
            let away = person.at.distance(there);
            let step = (STRIDE_M / FRAMES_HZ as f64).min(away);
            if away > 0.0 {
                person.at = person.at + (there - person.at) * (step / away);
            }
            let (x, y) = (person.at.x * 100.0 + jitter, person.at.y * 100.0);
            detections.push(Detection {
                class: Class::Person,
                score: 0.9,
                bbox: BBox {
                    x0: x - 25.0,
                    y0: y - 150.0,
                    x1: x + 25.0,
                    y1: y,
                },
                gtins: Vec::new(),
                embedding: Vec::new(),
            });
        }
        let camera = CameraIx(0);
        let seen = Detections { camera, detections };
        inputs.push(observed(at, Sensed::Detections(seen)));
    }

    fn weights(&mut self, at: Timestamp, inputs: &mut Vec<(Timestamp, Input)>) {
        for shelf in 0..SHELVES {
            let grams = self.grams[shelf] + self.draw(100) as f64 / 100.0;
            let scale = ScaleIx(shelf as u16);
            inputs.push(observed(at, Sensed::Weight { scale, grams }));
        }
    }

    /// The tags whose turn it is in this step.
    fn reads(
        &mut self,
        at: Timestamp,
        (step, steps): (usize, usize),
        inputs: &mut Vec<(Timestamp, Input)>,
    ) {
        let turns = ROUND_S * steps;
        let turn = (self.second % ROUND_S) * steps + step;
        let ports = &self.store.readers[0].antennas;
        for tag in (turn..self.epcs.len()).step_by(turns) {
            let Some(epc) = self.epcs[tag] else { continue };
            let antenna = ports[&((tag % SHELVES + 1) as u16)];
            let read = TagRead {
                epc,
                antenna,
                rssi_dbm: -50.0,
                count: 1,
                phase_deg: None,
            };
            inputs.push(observed(at, Sensed::TagRead(read)));
        }
    }
}

fn observed(at: Timestamp, sensed: Sensed) -> (Timestamp, Input) {
    let observation = Observation {
        captured_at: at,
        sensed,
    };
    (at, Input::Observation(observation))
}

//! Readers and scales on byte pipes, in virtual time: what a shop's cables, heat and power do to
//! them, and what the daemon hears of it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use basketd::link::outlet::{Outlet, Told};
use basketd::observation::SourceState;
use basketd::rfid::{thingmagic, uhfreader18};
use basketd::scale::hid;
use basketd::sim::device::serial::Device;
use basketd::sim::device::serial::bench::{Bench, Event};
use basketd::sim::device::serial::hid_scale::{Scale, status};
use basketd::sim::device::serial::thingmagic::{Made, SimTag, ThingMagic};
use basketd::sim::device::serial::uhfreader18::{SimTag as UhfTag, UhfReader};
use basketd::units::Timestamp;
use basketd::wire::thingmagic::Region;
use basketd::wire::uhfreader18::Band;
use proptest::prelude::*;

fn begin() -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000)
}

/// What an edge told, in order, each thing with the virtual time.
#[derive(Default)]
struct Heard {
    reads: Vec<Read>,
    weights: Vec<(u64, f64)>,
    states: Vec<(u64, SourceState, String)>,
    lost: u64,
    /// How long after its capture a read was told, at most.
    latest_ms: u64,
}

struct Read {
    captured_ms: u64,
    epc: String,
    antenna: u64,
}

/// Collects what is told.
fn collector<D: Device + 'static>(bench: &Bench<D>) -> (Outlet, Arc<Mutex<Heard>>) {
    let heard = Arc::new(Mutex::new(Heard::default()));
    let place = Arc::clone(&heard);
    let time = bench.time();
    let take = move |told| {
        let now_ms = time.load(Ordering::Relaxed);
        place.lock().unwrap().take(now_ms, told);
        Ok(())
    };
    (Outlet::new(Arc::new(take)), heard)
}

impl Heard {
    fn take(&mut self, now_ms: u64, told: Told) {
        match told {
            Told::Readings(readings) => {
                for (captured_at, payload) in readings.iter() {
                    self.reading(now_ms, captured_at, payload);
                }
            }
            Told::State { state, reason } => self.states.push((now_ms, state, reason)),
            Told::Lost { lost, .. } => self.lost += lost,
        }
    }

    fn reading(&mut self, now_ms: u64, captured_at: Timestamp, payload: &[u8]) {
        let captured_ms = u64::try_from((captured_at - begin()).as_micros() / 1000).unwrap();
        assert!(captured_ms <= now_ms, "{captured_ms} is after {now_ms}");
        self.latest_ms = self.latest_ms.max(now_ms - captured_ms);
        let value: serde_json::Value = serde_json::from_slice(payload).unwrap();
        if let Some(grams) = value["grams"].as_f64() {
            return self.weights.push((captured_ms, grams));
        }
        self.reads.push(Read {
            captured_ms,
            epc: value["epc"].as_str().unwrap().to_owned(),
            antenna: value["antenna"].as_u64().unwrap(),
        });
    }

    fn epcs(&self) -> BTreeSet<&str> {
        self.reads.iter().map(|read| read.epc.as_str()).collect()
    }

    fn states(&self) -> Vec<SourceState> {
        self.states.iter().map(|(_, state, _)| *state).collect()
    }

    fn reason(&self, wanted: SourceState) -> &str {
        let found = self.states.iter().find(|(_, state, _)| *state == wanted);
        &found
            .unwrap_or_else(|| panic!("never {wanted:?}: {:?}", self.states))
            .2
    }

    /// Reads that were captured in these milliseconds.
    fn between(&self, from_ms: u64, to_ms: u64) -> usize {
        let reads = self.reads.iter();
        reads
            .filter(|read| (from_ms..to_ms).contains(&read.captured_ms))
            .count()
    }
}

use SourceState::{Degraded, Offline, Online};

type Script<D> = Vec<(u64, Event<D>)>;

fn module(
    device: ThingMagic,
    config: &thingmagic::Config,
    script: Script<ThingMagic>,
) -> (Heard, Bench<ThingMagic>) {
    let bench = Bench::new(device, begin(), script);
    module_on(bench, config)
}

fn module_on(bench: Bench<ThingMagic>, config: &thingmagic::Config) -> (Heard, Bench<ThingMagic>) {
    let (mut outlet, heard) = collector(&bench);
    let mut port = bench.clone();
    thingmagic::run_over(&mut port, &bench, config, &mut outlet, &bench.stop());
    drop(outlet);
    (Arc::into_inner(heard).unwrap().into_inner().unwrap(), bench)
}

fn reader(
    device: UhfReader,
    config: &uhfreader18::Config,
    script: Script<UhfReader>,
) -> (Heard, Bench<UhfReader>) {
    let bench = Bench::new(device, begin(), script);
    let (mut outlet, heard) = collector(&bench);
    let mut port = bench.clone();
    uhfreader18::run_over(&mut port, &bench, config, &mut outlet, &bench.stop());
    drop(outlet);
    (Arc::into_inner(heard).unwrap().into_inner().unwrap(), bench)
}

fn scale(device: Scale, script: Script<Scale>) -> Heard {
    let bench = Bench::new(device, begin(), script);
    let (mut outlet, heard) = collector(&bench);
    let mut port = bench.clone();
    hid::run_over(&mut port, &bench, &mut outlet, &bench.stop());
    drop(outlet);
    Arc::into_inner(heard).unwrap().into_inner().unwrap()
}

fn epc(n: u8) -> Vec<u8> {
    vec![0x30, 0x20, 0x4E, 0xD9, 0x49, 0x63, 0x34, 0, 0, 0, 0, n]
}

fn tags(count: u8) -> Vec<SimTag> {
    (1..=count)
        .map(|n| SimTag::new(epc(n), 1 + n % 2))
        .collect()
}

/// Ports 1 and 2, Europe.
fn europe() -> thingmagic::Config {
    let antenna = |port, power_cdbm| thingmagic::Antenna { port, power_cdbm };
    thingmagic::Config {
        region: Region::from_name("eu"),
        ports: vec![antenna(1, Some(2500)), antenna(2, Some(2500))],
        ..thingmagic::Config::default()
    }
}

fn stop_after(ms: u64) -> (u64, Event<ThingMagic>) {
    (ms, Event::Stop)
}

#[test]
fn a_module_reads_on_two_ports_until_it_is_told_to_stop() {
    let device = ThingMagic::new(Made::m6e(), tags(10));
    let (heard, bench) = module(device, &europe(), vec![stop_after(10_000)]);
    assert_eq!(heard.states(), [Online]);
    assert_eq!(heard.reason(Online), "M6e, firmware 01.07.00.11");
    assert_eq!(heard.epcs().len(), 10);
    let antennas: BTreeSet<_> = heard.reads.iter().map(|read| read.antenna).collect();
    assert_eq!(antennas, BTreeSet::from([1, 2]));
    // 100 reads a second, from when it was set up.
    assert!(heard.reads.len() > 900, "{}", heard.reads.len());
    assert_eq!(heard.lost, 0);
    assert!(!bench.device(ThingMagic::is_reading), "left reading");
}

#[test]
fn reads_are_stamped_by_the_modules_own_clock() {
    let mut device = ThingMagic::new(Made::m6e(), tags(4));
    device.rate = 40;
    let (heard, _) = module(device, &europe(), vec![stop_after(5000)]);
    // Every 25 ms, to a few ms that answers are under way.
    for pair in heard.reads.windows(2) {
        let apart = pair[1].captured_ms.abs_diff(pair[0].captured_ms);
        assert!((20..=30).contains(&apart), "{apart} ms");
    }
}

#[test]
fn a_module_that_already_streams_is_stopped_first() {
    let device = ThingMagic::new(Made::m6e(), tags(6)).streaming();
    let (heard, _) = module(device, &europe(), vec![stop_after(3000)]);
    assert_eq!(heard.states(), [Online]);
    assert_eq!(heard.epcs().len(), 6);
    assert_eq!(heard.lost, 0, "the old stream's end counts for nothing");
}

#[test]
fn a_module_that_stops_late_is_waited_for() {
    // No tags are near: between two signs of life it says nothing.
    let mut device = ThingMagic::new(Made::m6e(), Vec::new()).streaming();
    device.stops_late = true;
    device.tags = Vec::new();
    let script = vec![
        (
            3000,
            Event::Device(|device: &mut ThingMagic| device.tags = tags(4)),
        ),
        stop_after(5000),
    ];
    let (heard, bench) = module(device, &europe(), script);
    assert_eq!(heard.states(), [Online]);
    assert!(heard.states[0].0 < 1500, "{:?}", heard.states);
    assert_eq!((heard.epcs().len(), bench.opened()), (4, 1));
}

#[test]
fn stamps_stay_right_when_signs_of_life_are_lost() {
    let device = ThingMagic::new(Made::m6e(), tags(4));
    let lose = |device: &mut ThingMagic| device.lost_signs = 3;
    let script = vec![(2500, Event::Device(lose)), stop_after(9000)];
    let (heard, _) = module(device, &europe(), script);
    assert!(heard.latest_ms < 100, "told {} ms late", heard.latest_ms);
}

#[test]
fn noise_that_looks_like_a_long_frame_is_given_up() {
    let mut device = ThingMagic::new(Made::m6e(), tags(4));
    device.noise = vec![0xFF, 0xF0];
    let (heard, _) = module(device, &europe(), vec![stop_after(3000)]);
    assert_eq!(heard.states(), [Online]);
    assert!(heard.states[0].0 < 500, "{:?}", heard.states);
}

#[test]
fn no_setting_is_too_large() {
    let config = thingmagic::Config {
        silence: std::time::Duration::MAX,
        ..europe()
    };
    let (heard, _) = module(
        ThingMagic::new(Made::m6e(), tags(4)),
        &config,
        vec![stop_after(3000)],
    );
    assert_eq!(heard.states(), [Online]);
}

#[test]
fn bytes_may_come_one_by_one() {
    let device = ThingMagic::new(Made::m6e(), tags(6)).streaming();
    let bench = Bench::new(device, begin(), [stop_after(3000)]).in_pieces(1);
    let (heard, _) = module_on(bench, &europe());
    assert_eq!(heard.epcs().len(), 6);
    assert_eq!((heard.states(), heard.lost), (vec![Online], 0));
}

#[test]
fn a_bad_cable_costs_what_it_damages_and_is_told() {
    let device = ThingMagic::new(Made::m6e(), tags(10));
    let script = vec![
        (2000, Event::Garble(5)),
        (12_000, Event::Garble(0)),
        stop_after(15_000),
    ];
    let (heard, _) = module(device, &europe(), script);
    assert_eq!(heard.states(), [Online]);
    // 5 of 1000 bytes: about a fifth of the frames of 45 bytes.
    assert!((100..700).contains(&heard.lost), "{}", heard.lost);
    let known: BTreeSet<String> = (1..=10)
        .map(|n| epc(n).iter().map(|byte| format!("{byte:02X}")).collect())
        .collect();
    assert!(heard.reads.iter().all(|read| known.contains(&read.epc)));
    assert!(heard.between(2000, 12_000) > 500);
}

#[test]
fn a_cable_pulled_in_the_middle_of_a_frame_and_put_back() {
    let device = ThingMagic::new(Made::m6e(), tags(10));
    let script = vec![
        (4000, Event::UnplugAfter(17)),
        (9000, Event::Plug),
        stop_after(15_000),
    ];
    let (heard, bench) = module(device, &europe(), script);
    // It is gone first by an error, then by its absence.
    let states = heard.states();
    assert_eq!(states, [Online, Offline, Offline, Online]);
    assert_eq!(heard.states[1].2, "usb 0403:6001: unplugged");
    assert_eq!(heard.states[2].2, "usb 0403:6001: not plugged in");
    assert_eq!(heard.between(4100, 9000), 0);
    // Looked for once a second; set up in some tenths of one.
    assert!(
        heard.between(9000, 11_500) > 50,
        "{}",
        heard.between(9000, 11_500)
    );
    assert_eq!(bench.opened(), 2);
}

#[test]
fn a_module_that_loses_power_comes_back_at_another_speed() {
    let made = Made {
        baud: 9600,
        ..Made::m6e()
    };
    let device = ThingMagic::new(made, tags(4));
    let brown_out = |device: &mut ThingMagic| device.reset();
    let script = vec![(5000, Event::Device(brown_out)), stop_after(20_000)];
    let (heard, _) = module(device, &europe(), script);
    assert_eq!(heard.states(), [Online, Offline, Online]);
    let reason = heard.reason(Offline);
    assert!(reason.contains("said nothing for 5000 ms"), "{reason}");
    assert!(heard.between(1500, 5000) > 300, "fast again after 9600");
    assert!(heard.between(13_000, 20_000) > 600);
}

#[test]
fn a_hot_module_is_told_as_such_and_recovers() {
    let device = ThingMagic::new(Made::m6e(), tags(4));
    let script = vec![
        (
            3000,
            Event::Device(|device: &mut ThingMagic| device.is_hot = true),
        ),
        (13_000, Event::Device(|device| device.is_hot = false)),
        stop_after(20_000),
    ];
    let (heard, _) = module(device, &europe(), script);
    assert_eq!(heard.states(), [Online, Degraded, Online]);
    let reason = heard.reason(Degraded);
    assert!(
        reason.contains("too hot (fault 0504)") && reason.contains("cool"),
        "{reason}"
    );
    assert_eq!(heard.between(4100, 13_000), 0);
    assert!(heard.between(14_000, 20_000) > 500);
}

#[test]
fn a_loose_antenna_is_named_by_its_port() {
    let device = ThingMagic::new(Made::m6e(), tags(4));
    let script = vec![
        (
            3000,
            Event::Device(|device: &mut ThingMagic| device.bad_port = Some(2)),
        ),
        (20_000, Event::Device(|device| device.bad_port = None)),
        stop_after(25_000),
    ];
    let (heard, _) = module(device, &europe(), script);
    assert_eq!(heard.states(), [Online, Degraded, Online]);
    let reason = heard.reason(Degraded);
    assert!(reason.contains("high return loss (fault 0505)"), "{reason}");
    assert!(reason.contains("cable"), "{reason}");
    // The other port goes on.
    let on_one = heard.reads.iter().filter(|read| read.antenna == 1);
    assert!(on_one.filter(|read| read.captured_ms > 5000).count() > 500);
}

#[test]
fn an_antenna_that_was_never_heard_is_the_suspect() {
    let mut device = ThingMagic::new(Made::m6e(), tags(4));
    device.bad_port = Some(2);
    let (heard, _) = module(device, &europe(), vec![stop_after(5000)]);
    let reason = heard.reason(Degraded);
    assert!(reason.contains("cable of port 2:"), "{reason}");
}

#[test]
fn a_device_that_never_answers_is_offline_and_asked_again_ever_more_rarely() {
    let mut device = ThingMagic::new(Made::m6e(), tags(4));
    device.is_mute = true;
    let script = vec![
        (
            600_000,
            Event::Device(|device: &mut ThingMagic| device.is_mute = false),
        ),
        stop_after(700_000),
    ];
    let (heard, bench) = module(device, &europe(), script);
    assert_eq!(heard.states(), [Offline, Online]);
    let reason = heard.reason(Offline);
    assert!(
        reason.contains("no ThingMagic module answers at any of [115200, 9600"),
        "{reason}"
    );
    assert!(reason.contains("usb 0403:6001"), "{reason}");
    assert!((25..90).contains(&bench.opened()), "{}", bench.opened());
    assert!(heard.between(640_000, 700_000) > 5000);
}

#[test]
fn each_port_has_its_own_power() {
    let antenna = |port, power_cdbm| thingmagic::Antenna { port, power_cdbm };
    let config = thingmagic::Config {
        ports: vec![antenna(1, Some(3000)), antenna(2, Some(1000))],
        ..europe()
    };
    let mut far = tags(4);
    for tag in &mut far {
        tag.needs_cdbm = 2000;
    }
    let (heard, bench) = module(
        ThingMagic::new(Made::m6e(), far),
        &config,
        vec![stop_after(3000)],
    );
    assert_eq!(
        bench.device(|device| device.powers.clone()),
        [(1, 3000), (2, 1000)]
    );
    let antennas: BTreeSet<_> = heard.reads.iter().map(|read| read.antenna).collect();
    assert_eq!(
        antennas,
        BTreeSet::from([1]),
        "the far tags of port 2 are not heard"
    );
}

#[test]
fn a_nano_does_what_it_can_and_says_what_not() {
    let antenna = |port, power_cdbm| thingmagic::Antenna { port, power_cdbm };
    let config = thingmagic::Config {
        region: Region::from_name("na"),
        ports: vec![antenna(1, Some(3000))],
        ..thingmagic::Config::default()
    };
    let one_port = || vec![SimTag::new(epc(1), 1)];
    let nano = || ThingMagic::new(Made::m6e_nano(), one_port());
    let (heard, _) = module(nano(), &config, vec![stop_after(3000)]);
    assert_eq!(
        heard.reason(Online),
        "M6e Nano, firmware 01.07.00.11; port 1 at 27 dBm for 30 dBm, which it does not have"
    );
    assert_eq!(heard.epcs().len(), 1);

    let two_ports = thingmagic::Config {
        ports: vec![antenna(1, None), antenna(2, None)],
        ..config.clone()
    };
    let (heard, _) = module(nano(), &two_ports, vec![stop_after(3000)]);
    let reason = heard.reason(Offline);
    assert!(
        reason.contains("M6e Nano") && reason.contains("antenna ports [1, 2]"),
        "{reason}"
    );

    let elsewhere = thingmagic::Config {
        region: Region::from_name("jp"),
        ..config.clone()
    };
    let (heard, _) = module(nano(), &elsewhere, vec![stop_after(3000)]);
    let reason = heard.reason(Offline);
    assert!(
        reason.contains("does not know region jp; it knows na2, na3, eu, open"),
        "{reason}"
    );

    let nowhere = thingmagic::Config {
        region: None,
        ..config
    };
    let (heard, _) = module(nano(), &nowhere, vec![stop_after(3000)]);
    assert!(heard.reason(Offline).contains("no region set"));
}

#[test]
fn a_boot_loader_is_told_to_start_the_firmware() {
    let mut device = ThingMagic::new(Made::m6e(), tags(4));
    device.has_boot_loader = true;
    device.reset();
    let (heard, _) = module(device, &europe(), vec![stop_after(3000)]);
    assert_eq!(heard.states(), [Online]);
    assert_eq!(heard.epcs().len(), 4);
}

#[test]
fn a_reader_of_the_family_288_goes_from_port_to_port() {
    let tags: Vec<_> = (1..=9).map(|n| UhfTag::new(epc(n), 1 + n % 3)).collect();
    let config = uhfreader18::Config {
        ports: vec![1, 2, 3],
        power_dbm: Some(26),
        band: Band::from_name("eu"),
        ..uhfreader18::Config::default()
    };
    let script = vec![(10_000, Event::Stop)];
    let (heard, bench) = reader(UhfReader::new(0x0C, tags), &config, script);
    assert_eq!(heard.states(), [Online]);
    assert_eq!(heard.reason(Online), "UHFReader288M, firmware 0.22");
    let mut by_antenna: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for read in &heard.reads {
        by_antenna
            .entry(read.antenna)
            .or_default()
            .insert(&read.epc);
    }
    assert_eq!(
        by_antenna.values().map(BTreeSet::len).collect::<Vec<_>>(),
        [3, 3, 3]
    );
    let [power, writes, time] =
        bench.device(|d| [u32::from(d.power), d.writes, d.scan_time.into()]);
    // Power and scan time; the band was right already.
    assert_eq!([power, writes, time], [26, 2, 3]);
}

#[test]
fn settings_are_written_once_to_a_readers_flash() {
    let tags = vec![UhfTag::new(epc(1), 1)];
    let config = uhfreader18::Config {
        power_dbm: Some(20),
        ..uhfreader18::Config::default()
    };
    let replug = |at: u64| [(at, Event::Unplug), (at + 3000, Event::Plug)];
    let script = [replug(3000), replug(9000), replug(15_000)]
        .into_iter()
        .flatten();
    let script = script.chain([(22_000, Event::Stop)]).collect();
    let (heard, bench) = reader(UhfReader::new(0x0C, tags), &config, script);
    assert_eq!(bench.opened(), 4);
    assert_eq!(bench.device(|device| device.writes), 2);
    let online = heard.states.iter().filter(|(_, state, _)| *state == Online);
    assert_eq!(online.count(), 4);
}

#[test]
fn a_reader_of_type_18_tells_tags_alone() {
    let tags: Vec<_> = (1..=11).map(|n| UhfTag::new(epc(n), 1)).collect();
    let config = uhfreader18::Config::default();
    let (heard, _) = reader(
        UhfReader::new(0x09, tags),
        &config,
        vec![(5000, Event::Stop)],
    );
    assert_eq!(heard.reason(Online), "UHFReader18, firmware 0.22");
    assert_eq!(heard.epcs().len(), 11, "in three frames");
    assert!(heard.reads.iter().all(|read| read.antenna == 1));
}

#[test]
fn an_antenna_error_of_one_port_leaves_the_others() {
    let tags: Vec<_> = (1..=4).map(|n| UhfTag::new(epc(n), 1 + n % 2)).collect();
    let config = uhfreader18::Config {
        ports: vec![1, 2],
        ..uhfreader18::Config::default()
    };
    let script = vec![
        (
            3000,
            Event::Device(|device: &mut UhfReader| device.bad_port = Some(2)),
        ),
        (9000, Event::Device(|device| device.bad_port = None)),
        (12_000, Event::Stop),
    ];
    let (heard, _) = reader(UhfReader::new(0x0C, tags), &config, script);
    assert_eq!(heard.states(), [Online, Degraded, Online]);
    assert!(
        heard.reason(Degraded).contains("port 2"),
        "{}",
        heard.reason(Degraded)
    );
    let during = heard
        .reads
        .iter()
        .filter(|read| (3500..9000).contains(&read.captured_ms));
    assert!(during.clone().count() > 50);
    assert!(during.clone().all(|read| read.antenna == 1));
}

#[test]
fn a_reader_at_another_speed_that_reports_alone_is_made_to_wait() {
    let mut device = UhfReader::new(0x0C, vec![UhfTag::new(epc(1), 1)]);
    device.baud = 115_200;
    device.reports_alone = true;
    let (heard, bench) = reader(
        device,
        &uhfreader18::Config::default(),
        vec![(8000, Event::Stop)],
    );
    assert_eq!(heard.states(), [Online]);
    assert_eq!(heard.epcs().len(), 1);
    assert!(!bench.device(|device| device.reports_alone));
}

#[test]
fn a_reader_that_falls_silent_is_opened_again() {
    let device = UhfReader::new(0x09, vec![UhfTag::new(epc(1), 1)]);
    let script = vec![
        (
            3000,
            Event::Device(|device: &mut UhfReader| device.is_mute = true),
        ),
        (30_000, Event::Device(|device| device.is_mute = false)),
        (60_000, Event::Stop),
    ];
    let (heard, _) = reader(device, &uhfreader18::Config::default(), script);
    assert_eq!(heard.states().first(), Some(&Online));
    assert_eq!(heard.states().last(), Some(&Online));
    assert!(heard.reason(Offline).contains("does not answer any more"));
    assert!(heard.between(45_000, 60_000) > 100);
}

#[test]
fn a_scales_weights_are_passed_on_but_not_the_stale_first() {
    let script: Script<Scale> = vec![
        (1000, Event::Device(|scale| scale.put(status::MOVING, 410))),
        (1500, Event::Device(|scale| scale.put(status::STABLE, 500))),
        (3000, Event::Stop),
    ];
    let heard = scale(Scale::new(), script);
    assert_eq!(heard.states(), [Online]);
    let mut weights: Vec<f64> = heard.weights.iter().map(|(_, grams)| *grams).collect();
    assert!((25..=31).contains(&weights.len()), "{}", weights.len());
    weights.dedup();
    assert_eq!(weights, [0.0, 410.0, 500.0]);
}

#[test]
fn a_scale_that_cannot_be_believed_tells_no_weight() {
    for (wrong, what) in [
        (status::FAULT, "fault"),
        (status::UNDER_ZERO, "under zero"),
        (status::OVER_LIMIT, "over its limit"),
        (status::CALIBRATE, "calibrated"),
        (status::REZERO, "zeroed"),
    ] {
        let mut device = Scale::new();
        device.put(wrong, 123);
        let script: Script<Scale> = vec![
            (2000, Event::Device(|scale| scale.put(status::STABLE, 500))),
            (3000, Event::Stop),
        ];
        let heard = scale(device, script);
        assert_eq!(heard.states(), [Degraded, Online]);
        assert!(
            heard.reason(Degraded).contains(what),
            "{}",
            heard.reason(Degraded)
        );
        assert!(heard.weights.iter().all(|(_, grams)| *grams == 500.0));
    }
}

#[test]
fn a_scale_in_pounds_says_grams() {
    let mut device = Scale::new();
    (device.unit, device.exponent) = (12, -2);
    device.put(status::STABLE, 250);
    let heard = scale(device, vec![(1000, Event::Stop)]);
    assert_eq!(heard.weights[0].1, 2.5 * 453.592_37);
}

#[test]
fn a_scale_that_goes_to_sleep_is_offline_until_it_wakes() {
    let script: Script<Scale> = vec![
        (3000, Event::Device(|scale| scale.is_mute = true)),
        (20_000, Event::Device(|scale| scale.is_mute = false)),
        (40_000, Event::Stop),
    ];
    let heard = scale(Scale::new(), script);
    assert_eq!(heard.states(), [Online, Offline, Online]);
    assert!(heard.reason(Offline).contains("switched on"));
}

#[test]
fn a_keyboard_is_no_scale() {
    let mut device = Scale::new();
    device.descriptor = vec![0x05, 0x01, 0x09, 0x06, 0xA1, 0x01, 0xC0];
    let heard = scale(device, vec![(3000, Event::Stop)]);
    assert_eq!(heard.states(), [Offline]);
    assert!(
        heard.reason(Offline).contains("no scale"),
        "{}",
        heard.reason(Offline)
    );
}

/// Anything that can happen, at any time, and then nothing more.
fn whatever<D>(
    events: Vec<(u64, u8)>,
    change: [fn(&mut D); 3],
    mend: fn(&mut D),
) -> (u64, Script<D>) {
    let mut at = 0;
    let mut script = Vec::new();
    for (after, kind) in events {
        at += after;
        let event = match kind {
            0 => Event::Unplug,
            1 => Event::Plug,
            2 => Event::UnplugAfter(after as usize % 60),
            3 => Event::Garble(after % 40),
            4 => Event::Garble(900),
            kind => Event::Device(change[usize::from(kind) % 3]),
        };
        script.push((at, event));
    }
    // The cable may still wait for bytes to be cut after.
    script.push((at, Event::Unplug));
    script.push((at + 1, Event::Garble(0)));
    script.push((at + 1, Event::Device(mend)));
    script.push((at + 1, Event::Plug));
    script.push((at + 120_000, Event::Stop));
    (at + 120_000, script)
}

fn events() -> impl Strategy<Value = Vec<(u64, u8)>> {
    proptest::collection::vec((0..4000_u64, 0..8_u8), 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_module_recovers_from_anything(events in events()) {
        let change: [fn(&mut ThingMagic); 3] = [
            |device| device.is_mute = !device.is_mute,
            |device| device.is_hot = !device.is_hot,
            ThingMagic::reset,
        ];
        let mend = |device: &mut ThingMagic| (device.is_mute, device.is_hot) = (false, false);
        let (end_ms, script) = whatever(events, change, mend);
        let (heard, _) = module(ThingMagic::new(Made::m6e(), tags(6)), &europe(), script);
        prop_assert_eq!(heard.states().pop(), Some(Online), "{:?}", heard.states);
        prop_assert!(heard.between(end_ms - 10_000, end_ms) > 900);
    }

    #[test]
    fn a_reader_recovers_from_anything(events in events()) {
        let change: [fn(&mut UhfReader); 3] = [
            |device| device.is_mute = !device.is_mute,
            |device| device.bad_port = device.bad_port.xor(Some(1)),
            |device| device.reports_alone = true,
        ];
        let mend = |device: &mut UhfReader| (device.is_mute, device.bad_port) = (false, None);
        let (end_ms, script) = whatever(events, change, mend);
        let tags = (1..=6).map(|n| UhfTag::new(epc(n), 1)).collect();
        let config = uhfreader18::Config::default();
        let (heard, _) = reader(UhfReader::new(0x0C, tags), &config, script);
        prop_assert_eq!(heard.states().pop(), Some(Online), "{:?}", heard.states);
        prop_assert!(heard.between(end_ms - 10_000, end_ms) > 500);
    }

    #[test]
    fn a_scale_recovers_from_anything(events in events()) {
        let change: [fn(&mut Scale); 3] = [
            |device| device.is_mute = !device.is_mute,
            |device| device.put(status::OVER_LIMIT, 9),
            |device| device.put(77, 9),
        ];
        let mend = |device: &mut Scale| {
            device.is_mute = false;
            device.put(status::STABLE, 500);
        };
        let (_, script) = whatever(events, change, mend);
        let heard = scale(Scale::new(), script);
        prop_assert_eq!(heard.states().pop(), Some(Online), "{:?}", heard.states);
        prop_assert_eq!(heard.weights.last().map(|(_, grams)| *grams), Some(500.0));
    }
}

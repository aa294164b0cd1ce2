//! Readers and scales on real USB transfers, and a camera behind V4L2: a virtual machine whose kernel
//! has an FTDI adapter, a CDC-ACM device, a HID scale and the `vivid` camera. `tests/trials/usb.sh` starts it; this program plays all parts in
//! it, by the variable `USB_TRIAL`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::fs;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use basketd::camera::{self, Address, Config, Frame, Picture};
use basketd::clock::Monotonic;
use basketd::link::outlet::{Outlet, Told};
use basketd::link::usb::{self, UsbId};
use basketd::observation::SourceState;
use basketd::rfid::thingmagic::{self, Antenna};
use basketd::scale;
use basketd::sim::device::serial::Device as _;
use basketd::sim::device::serial::hid_scale::{self, Scale, status};
use basketd::sim::device::serial::serve::serve;
use basketd::sim::device::serial::thingmagic::{Made, SimTag, ThingMagic};
use basketd::wire::thingmagic::Region;
use tokio::sync::watch;

/// Whether a program is there; says so where not.
fn has(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let found = std::env::split_paths(&folders)
        .chain(system)
        .any(|f| f.join(program).is_file());
    if !found {
        println!("skipped: no {program}");
    }
    found
}

fn part() -> Option<String> {
    std::env::var("USB_TRIAL").ok()
}

// ---- on the machine that tests --------------------------------------------------------------------

#[test]
fn readers_and_scales_are_read_over_usb_and_survive_being_pulled_out() {
    if part().is_some() {
        return;
    }
    let programs = ["qemu-system-x86_64", "busybox", "cpio", "modprobe"];
    if !programs.into_iter().all(has) {
        return;
    }
    let folder = std::env::var_os("KERNEL_DIR").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    if !has_kernel(&folder) {
        println!("skipped: no linux-image-amd64 in {}", folder.display());
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trials/usb.sh");
    let done = Command::new(script)
        .arg(std::env::current_exe().unwrap())
        .env("KERNEL_DIR", folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    println!("{told}");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}{errors}");
    let passed = told.lines().filter(|line| line.starts_with("PASS")).count();
    assert_eq!(passed, 12, "{told}");
}

/// A kernel with USB: Debian's cloud kernel has none.
fn has_kernel(folder: &Path) -> bool {
    let names = fs::read_dir(folder.join("boot"))
        .into_iter()
        .flatten()
        .flatten();
    names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .any(|name| {
            name.starts_with("vmlinuz-") && name.ends_with("-amd64") && !name.contains("cloud")
        })
}

/// What the adapter's line leads to.
#[test]
fn a_reader_on_a_socket() {
    if part().as_deref() != Some("reader") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    fs::write(std::env::var("USB_TRIAL_PORT").unwrap(), port.to_string()).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(2)))
        .unwrap();
    stream.set_nodelay(true).unwrap();
    let tags = (1..=20)
        .map(|n| SimTag::new(epc(0xA0, n), 1 + n % 2))
        .collect();
    let mut device = ThingMagic::new(Made::m6e(), tags).streaming();
    device.rate = 200;
    match serve(&mut stream, &mut device, || true) {
        Ok(()) => println!("the guest is gone"),
        Err(error) => println!("the guest is gone: {error}"),
    }
}

fn epc(kind: u8, n: u8) -> Vec<u8> {
    vec![0x30, 0x20, 0x4E, 0xD9, 0x49, 0x63, 0x34, 0, 0, 0, kind, n]
}

// ---- in the guest ---------------------------------------------------------------------------------

const PATIENCE: Duration = Duration::from_secs(60);

fn pass(what: &str) {
    println!("trial: PASS  {what}");
}

/// Something that one edge tells: how much of it, and how it is.
#[derive(Default)]
struct Heard {
    readings: u64,
    lost: u64,
    states: Vec<(SourceState, String)>,
    last: Vec<u8>,
}

/// An edge on a thread of its own.
struct Edge {
    name: &'static str,
    heard: Arc<Mutex<Heard>>,
}

impl Edge {
    fn start(
        name: &'static str,
        stop: &watch::Receiver<bool>,
        run: impl FnOnce(Outlet, &watch::Receiver<bool>) + Send + 'static,
    ) -> (Self, thread::JoinHandle<()>) {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let place = Arc::clone(&heard);
        let take = move |told| {
            let mut heard = place.lock().unwrap();
            match told {
                Told::Readings(readings) => {
                    heard.readings += readings.len() as u64;
                    heard.last = readings.iter().last().unwrap().1.to_vec();
                }
                Told::State { state, reason } => {
                    println!("trial: {name} {state:?} {reason}");
                    heard.states.push((state, reason));
                }
                Told::Lost { lost, .. } => heard.lost += lost,
            }
            Ok(())
        };
        let outlet = Outlet::new(Arc::new(take));
        let stop = stop.clone();
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || run(outlet, &stop)).unwrap();
        (Self { name, heard }, thread)
    }

    fn readings(&self) -> u64 {
        self.heard.lock().unwrap().readings
    }

    fn state(&self) -> Option<SourceState> {
        let heard = self.heard.lock().unwrap();
        heard.states.last().map(|(state, _)| *state)
    }

    fn is(&self, state: SourceState) -> bool {
        self.state() == Some(state)
    }

    /// So many more readings than now.
    fn reads_on(&self, more: u64) {
        let before = self.readings();
        self.wait("readings", || self.readings() >= before + more);
    }

    fn wait(&self, what: &str, until: impl Fn() -> bool) {
        let clock = Monotonic::start();
        while !until() {
            let states = &self.heard.lock().unwrap().states;
            assert!(
                clock.millis() < PATIENCE.as_millis() as u64,
                "{}: no {what}; {states:?}",
                self.name
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn id(vendor: u16, product: u16) -> UsbId {
    UsbId {
        vendor,
        product,
        serial: None,
    }
}

const ADAPTER: (u16, u16) = (0x0403, 0x6001);
const ACM: (u16, u16) = (0x2008, 0x1001);
const SCALE: (u16, u16) = (0x0922, 0x8003);
const GADGETS: &str = "/sys/kernel/config/usb_gadget";

#[test]
fn in_the_machine() {
    match part().as_deref() {
        Some("machine") => machine(),
        Some("nobody") => nobody(),
        _ => {}
    }
}

fn machine() {
    let alive = Arc::new(AtomicBool::new(true));
    acm_gadget(&alive);
    scale_gadget(&alive);
    enumeration();
    without_permission();

    let (stop, stopped) = watch::channel(false);
    let config = thingmagic::Config {
        region: Region::from_name("eu"),
        ports: [1, 2]
            .map(|port| Antenna {
                port,
                power_cdbm: Some(2500),
            })
            .into(),
        ..thingmagic::Config::default()
    };
    let of_adapter = config.clone();
    let (adapter, one) = Edge::start("adapter", &stopped, move |outlet, stop| {
        thingmagic::run(id(ADAPTER.0, ADAPTER.1), &of_adapter, outlet, stop);
    });
    let (acm, two) = Edge::start("acm", &stopped, move |outlet, stop| {
        thingmagic::run(id(ACM.0, ACM.1), &config, outlet, stop);
    });
    let (weights, three) = Edge::start("scale", &stopped, |outlet, stop| {
        scale::hid::run(id(SCALE.0, SCALE.1), outlet, stop);
    });
    reads(&adapter, "tags through an FTDI adapter", 500);
    reads(&acm, "tags through a CDC-ACM device", 500);
    reads(&weights, "weights from a HID scale", 20);
    let last = weights.heard.lock().unwrap().last.clone();
    let last: serde_json::Value = serde_json::from_slice(&last).unwrap();
    assert_eq!(last["grams"], 1250.0);

    adapter_pulled(&adapter);
    gadget_pulled(&acm, "acm", "dummy_udc.0");
    gadget_pulled(&weights, "scale", "dummy_udc.1");
    second_adapter();

    stop.send_replace(true);
    for thread in [one, two, three] {
        thread.join().unwrap();
    }
    drivers_are_back();
    alive.store(false, Ordering::Relaxed);
    a_camera();
}

/// All devices are found, with their texts.
fn enumeration() {
    let clock = Monotonic::start();
    let wanted = [ADAPTER, ACM, SCALE];
    loop {
        let found = usb::list().unwrap();
        let has = |id: &(u16, u16)| found.iter().any(|f| (f.vendor, f.product) == *id);
        if wanted.iter().all(has) {
            found
                .iter()
                .for_each(|found| println!("trial: told  {found}"));
            let scale = found.iter().find(|f| f.vendor == SCALE.0).unwrap();
            assert_eq!(scale.serial.as_deref(), Some("W-1"));
            assert_eq!(scale.name.as_deref(), Some("a scale"));
            break;
        }
        assert!(clock.millis() < 30_000, "{found:?}");
        thread::sleep(Duration::from_millis(100));
    }
    pass("adapter, CDC-ACM device and scale are found");
}

/// The same as a user who may not open devices: what is told mends it.
fn without_permission() {
    const NOBODY: u32 = 65_534;
    let done = Command::new("/bin/trial")
        .args(["--exact", "in_the_machine", "--nocapture"])
        .uid(NOBODY)
        .gid(NOBODY)
        .env("USB_TRIAL", "nobody")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(told.contains("no permission for /dev/bus/usb/"), "{told}");
    pass("without permission the udev rule is told");
}

fn nobody() {
    let (stop, stopped) = watch::channel(false);
    let (edge, thread) = Edge::start("nobody", &stopped, |outlet, stop| {
        let config = thingmagic::Config::default();
        thingmagic::run(id(ADAPTER.0, ADAPTER.1), &config, outlet, stop);
    });
    edge.wait("refusal", || edge.is(SourceState::Offline));
    stop.send_replace(true);
    thread.join().unwrap();
    let heard = edge.heard.lock().unwrap();
    let reason = &heard.states[0].1;
    assert!(
        reason.contains(r#"ATTR{idVendor}=="0403", ATTR{idProduct}=="6001""#),
        "{reason}"
    );
}

fn reads(edge: &Edge, what: &str, count: u64) {
    edge.wait("online", || edge.is(SourceState::Online));
    let clock = Monotonic::start();
    edge.reads_on(count);
    let ms = clock.millis().max(1);
    let lost = edge.heard.lock().unwrap().lost;
    assert_eq!(lost, 0, "{what}");
    pass(&format!("{what}: {} a second", count * 1000 / ms));
}

fn adapter_pulled(adapter: &Edge) {
    println!("trial: pull the adapter");
    adapter.wait("absence", || adapter.is(SourceState::Offline));
    adapter.wait("absence", || {
        let found = usb::list().unwrap();
        !found
            .iter()
            .any(|found| (found.vendor, found.product) == ADAPTER)
    });
    println!("trial: plug the adapter");
    let clock = Monotonic::start();
    adapter.wait("return", || adapter.is(SourceState::Online));
    let ms = clock.millis();
    adapter.reads_on(200);
    pass(&format!("adapter pulled and plugged: online after {ms} ms"));
}

fn gadget_pulled(edge: &Edge, gadget: &str, controller: &str) {
    let bind = Path::new(GADGETS).join(gadget).join("UDC");
    fs::write(&bind, "\n").unwrap();
    edge.wait("absence", || edge.is(SourceState::Offline));
    fs::write(&bind, controller).unwrap();
    let clock = Monotonic::start();
    edge.wait("return", || edge.is(SourceState::Online));
    let ms = clock.millis();
    edge.reads_on(10);
    pass(&format!(
        "{gadget} pulled and plugged: online after {ms} ms"
    ));
}

/// Two of a kind and no serial in the store file.
fn second_adapter() {
    println!("trial: plug a second adapter");
    let (stop, own) = watch::channel(false);
    let clock = Monotonic::start();
    loop {
        let found = usb::list().unwrap();
        let same = |found: &&usb::Found| (found.vendor, found.product) == ADAPTER;
        if found.iter().filter(same).count() == 2 {
            break;
        }
        assert!(clock.millis() < 30_000, "{found:?}");
        thread::sleep(Duration::from_millis(100));
    }
    let (edge, thread) = Edge::start("one of two", &own, |outlet, stop| {
        let config = thingmagic::Config::default();
        thingmagic::run(id(ADAPTER.0, ADAPTER.1), &config, outlet, stop);
    });
    edge.wait("refusal", || edge.is(SourceState::Offline));
    stop.send_replace(true);
    thread.join().unwrap();
    let reason = edge.heard.lock().unwrap().states[0].1.clone();
    assert!(reason.contains("two devices of this model"), "{reason}");
    pass("two of a kind are told apart or refused");
}

/// The kernel drives again what it drove before.
fn drivers_are_back() {
    let found = usb::list().unwrap();
    for (id, driver) in [(ADAPTER, "ftdi_sio"), (ACM, "cdc_acm"), (SCALE, "usbhid")] {
        let device = found.iter().find(|f| (f.vendor, f.product) == id).unwrap();
        let interface = format!("/sys/bus/usb/devices/{}:1.0/driver", device.place);
        let link = fs::read_link(&interface);
        let link = link.unwrap_or_else(|error| panic!("{device} has no driver: {error}"));
        assert!(link.ends_with(driver), "{}: {}", device, link.display());
    }
    pass("the kernel's drivers are back");
}

// ---- the guest's own devices ----------------------------------------------------------------------

/// The kernel's own test camera, by its platform device.
const VIVID: &str = "vivid.0";

/// Pictures over V4L2, and the camera taken away while it streams.
fn a_camera() {
    let frames = Arc::new(AtomicU64::new(0));
    let (stop, stopped) = watch::channel(false);
    let counted = Arc::clone(&frames);
    let (edge, thread) = Edge::start("camera", &stopped, move |outlet, stop| {
        let mut config = Config::new(
            "vivid",
            Address::V4l2 {
                device: "/dev/video0".into(),
            },
        );
        config.size = (640, 480);
        let take = move |frame: Frame| {
            let Picture::Rgb(picture) = frame.picture else {
                panic!("vivid knows no JPEG");
            };
            assert_eq!(picture.dimensions(), (640, 480));
            let first = picture.get_pixel(0, 0);
            assert!(
                picture.pixels().any(|pixel| pixel != first),
                "an empty picture"
            );
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        runtime.block_on(camera::run(config, Arc::new(take), outlet, stop.clone()));
    });
    let clock = Monotonic::start();
    edge.wait("pictures", || frames.load(Ordering::Relaxed) >= 30);
    let ms = clock.millis().max(1);
    pass(&format!(
        "YUYV pictures from a V4L2 camera: {} in {ms} ms",
        frames.load(Ordering::Relaxed)
    ));
    let driver = Path::new("/sys/bus/platform/drivers/vivid");
    fs::write(driver.join("unbind"), VIVID).unwrap();
    edge.wait("absence", || edge.is(SourceState::Offline));
    fs::write(driver.join("bind"), VIVID).unwrap();
    let (clock, before) = (Monotonic::start(), frames.load(Ordering::Relaxed));
    edge.wait("return", || frames.load(Ordering::Relaxed) >= before + 10);
    pass(&format!(
        "V4L2 camera gone and back: ten pictures after {} ms",
        clock.millis()
    ));
    stop.send_replace(true);
    thread.join().unwrap();
}

/// A gadget of one function, not yet plugged in.
fn gadget(name: &str, (vendor, product): (u16, u16), texts: [&str; 3], function: &str) -> PathBuf {
    let folder = Path::new(GADGETS).join(name);
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
    for part in [
        "",
        "strings/0x409",
        "configs/c.1",
        &format!("functions/{function}"),
    ] {
        fs::create_dir(folder.join(part)).unwrap();
    }
    write("idVendor", &format!("{vendor:#06x}"));
    write("idProduct", &format!("{product:#06x}"));
    let [serial, manufacturer, what] = texts;
    write("strings/0x409/serialnumber", serial);
    write("strings/0x409/manufacturer", manufacturer);
    write("strings/0x409/product", what);
    folder
}

fn plug_in(folder: &Path, function: &str, controller: &str) {
    let (from, to) = (
        folder.join("functions").join(function),
        folder.join("configs/c.1"),
    );
    std::os::unix::fs::symlink(from, to.join(function)).unwrap();
    fs::write(folder.join("UDC"), controller).unwrap();
}

fn acm_gadget(alive: &Arc<AtomicBool>) {
    let folder = gadget("acm", ACM, ["R-1", "nobody", "a reader"], "acm.0");
    plug_in(&folder, "acm.0", "dummy_udc.0");
    let tags = (1..=20)
        .map(|n| SimTag::new(epc(0xB0, n), 1 + n % 2))
        .collect();
    let device = ThingMagic::new(Made::m6e(), tags).streaming();
    let alive = Arc::clone(alive);
    let thread = thread::Builder::new().name("acm-reader".to_owned());
    thread.spawn(move || on_tty(device, &alive)).unwrap();
}

/// The far end of the CDC-ACM device; it hangs up where the host goes.
fn on_tty(mut device: ThingMagic, alive: &AtomicBool) {
    const O_NONBLOCK: i32 = 0o4000;
    const O_NOCTTY: i32 = 0o400;
    let raw = ["stty", "-F", "/dev/ttyGS0", "raw", "-echo"];
    while alive.load(Ordering::Relaxed) {
        Command::new("/bin/busybox").args(raw).status().unwrap();
        let opened = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(O_NONBLOCK | O_NOCTTY)
            .open("/dev/ttyGS0");
        let ended = opened
            .and_then(|mut tty| serve(&mut tty, &mut device, || alive.load(Ordering::Relaxed)));
        if let Err(error) = ended {
            println!("trial: the CDC-ACM device's far end: {error}");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn scale_gadget(alive: &Arc<AtomicBool>) {
    let folder = gadget("scale", SCALE, ["W-1", "nobody", "a scale"], "hid.0");
    let function = folder.join("functions/hid.0");
    fs::write(function.join("protocol"), "0").unwrap();
    fs::write(function.join("subclass"), "0").unwrap();
    let length = hid_scale::REPORT_BYTES.to_string();
    fs::write(function.join("report_length"), length).unwrap();
    fs::write(function.join("report_desc"), hid_scale::DESCRIPTOR).unwrap();
    plug_in(&folder, "hid.0", "dummy_udc.1");
    let mut device = Scale::new();
    device.put(status::STABLE, 1250);
    let alive = Arc::clone(alive);
    let thread = thread::Builder::new().name("hid-scale".to_owned());
    thread.spawn(move || on_hidg(&mut device, &alive)).unwrap();
}

/// Writes reports as they are due; where nobody reads it waits.
fn on_hidg(device: &mut Scale, alive: &AtomicBool) {
    let clock = Monotonic::start();
    device.opened(0);
    while alive.load(Ordering::Relaxed) {
        let open = || fs::OpenOptions::new().write(true).open("/dev/hidg0");
        let written: io::Result<()> = open().and_then(|mut file| {
            while alive.load(Ordering::Relaxed) {
                if let Some(report) = device.transmit(clock.millis()) {
                    file.write_all(&report)?;
                }
                thread::sleep(Duration::from_millis(10));
            }
            Ok(())
        });
        if written.is_err() {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

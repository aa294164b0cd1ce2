//! Cameras over RTSP, against a real server whose pictures count: with B-frames, over TCP and UDP,
//! killed, changed in mid-stream, over a network that loses packets.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod support;

use std::time::Duration;

use basketd::camera::{Address, Config, Frame, Limits, Picture, Transport};
use basketd::clock::{self, Stopwatch};
use basketd::link::secret::Secret;
use basketd::observation::SourceState::{Offline, Online};
use basketd::sim::device::mjpeg::{Camera, Options};

use support::rtsp::{LossyNetwork, Server, available, counter, free_port};
use support::watched::Watched;

/// The server's pictures a second.
const FPS: f64 = 25.0;

fn config(url: impl Into<String>, transport: Transport) -> Config {
    let url = url.into();
    let mut config = Config::new("test", Address::Rtsp { url });
    config.transport = transport;
    config.max_fps = 50.0;
    config.limits = Limits {
        first_frame: Duration::from_secs(6),
        silence: Duration::from_secs(2),
        ..Limits::default()
    };
    config
}

/// The counters of all pictures; fails where one is damaged.
fn counters(frames: &[Frame]) -> Vec<u32> {
    let read = |frame: &Frame| match &frame.picture {
        Picture::Rgb(image) => counter(image).unwrap(),
        Picture::Jpeg(bytes) => {
            counter(&image::load_from_memory(bytes).unwrap().into_rgb8()).unwrap()
        }
    };
    frames.iter().map(read).collect()
}

/// Seconds from when a picture was drawn, by its counter, to when it was captured, as we have it.
fn lateness(frame: &Frame, counter: u32) -> f64 {
    let drawn = f64::from(counter) / FPS;
    let captured = frame.captured_at.as_micros() as f64 / 1e6 % (f64::from(1 << 20) / FPS);
    captured - drawn
}

#[test]
fn pictures_with_b_frames_come_in_order_over_tcp_and_udp() {
    if !available() {
        return;
    }
    for bframes in ["2", "0"] {
        let server = Server::start(free_port(), &["--bframes", bframes]);
        for transport in [Transport::Tcp, Transport::Udp] {
            let mut watched = Watched::start(config(server.url(), transport));
            watched.log.wait_frames(100);
            let now = clock::wall();
            watched.stop();
            watched.log.read(|log| {
                assert_eq!(log.states(), [(Online, "")]);
                assert_eq!(log.lost(), 0);
                let counters = counters(&log.frames);
                assert!(counters.is_sorted(), "{counters:?}");
                assert!(log.frames.is_sorted_by_key(|frame| frame.captured_at));
                let span = f64::from(counters[99] - counters[0]);
                assert!(span < 130.0, "{counters:?}");
                let late: Vec<_> = log.frames.iter().zip(&counters).map(|(f, c)| lateness(f, *c)).collect();
                let (least, most) = late.iter().fold((9.0, -9.0), |(a, b): (f64, f64), x| (a.min(*x), b.max(*x)));
                println!(
                    "{transport:?}, {bframes} B-frames: captured {:.0} to {:.0} ms after drawing, the \
                     last given {:.0} ms after capture",
                    least * 1e3, most * 1e3,
                    now.secs_since(log.frames[99].captured_at) * 1e3
                );
                assert!(least > -0.1 && most < 3.0);
            });
        }
    }
}

#[test]
fn digest_and_basic_logins_are_answered_and_wrong_ones_told() {
    if !available() {
        return;
    }
    for kind in [
        &["--login", "watcher:open sesame"][..],
        &["--login", "watcher:open sesame", "--basic"],
    ] {
        let server = Server::start(free_port(), kind);
        let mut right = config(server.url(), Transport::Tcp);
        right.login = Some(("watcher".to_owned(), Secret::new("open sesame")));
        Watched::start(right).log.wait_frames(5);

        let mut wrong = config(server.url(), Transport::Tcp);
        wrong.login = Some(("watcher".to_owned(), Secret::new("hunter2")));
        let watched = Watched::start(wrong);
        watched.log.wait("refused", |log| {
            log.is(Offline, "does not take the user `watcher`")
        });
        watched
            .log
            .read(|log| assert!(!format!("{log:?}").contains("hunter2")));

        let watched = Watched::start(config(server.url(), Transport::Tcp));
        watched.log.wait("asked", |log| {
            log.is(Offline, "set `username` and `password_file`")
        });
    }
}

#[test]
fn a_killed_server_is_found_again_and_another_camera_does_not_notice() {
    if !available() {
        return;
    }
    let neighbour = Camera::start(Options::default()).unwrap();
    let url = neighbour.stream_url();
    let neighbour = Watched::start(Config::new("neighbour", Address::Http { url }));
    neighbour.log.wait_frames(3);
    let mut server = Server::start(free_port(), &[]);
    for transport in [Transport::Tcp, Transport::Udp] {
        let watched = Watched::start(config(server.url(), transport));
        watched.log.wait_frames(10);
        let port = server.port;
        server.kill();
        watched.log.wait("offline", |log| log.is(Offline, ""));
        // Long enough down for the back-off to grow.
        watched.log.wait("attempts", |log| log.states().len() >= 2);
        neighbour.log.wait_frames(25);
        // Another size, as after a change in its settings.
        server = Server::start(port, &["--size", "640x368"]);
        let watch = Stopwatch::start();
        watched.log.wait("online", |log| log.is(Online, ""));
        let took = watch.nanos() as f64 / 1e9;
        println!("{transport:?}: pictures {took:.2} s after the server's return");
        assert!(took < 10.0);
        watched.log.wait_frames(10);
        watched.log.read(|log| {
            assert!(counters(&log.frames).is_sorted());
            let last = log.frames.last().map(|frame| match &frame.picture {
                Picture::Rgb(image) => image.dimensions(),
                Picture::Jpeg(_) => (0, 0),
            });
            assert_eq!(last, Some((640, 368)));
        });
    }
    neighbour.log.read(|log| {
        assert_eq!(log.states(), [(Online, "")]);
        let gaps = log
            .frames
            .windows(2)
            .map(|pair| pair[1].captured_at.secs_since(pair[0].captured_at));
        let longest = gaps.fold(0.0, f64::max);
        println!("the neighbour's longest gap: {longest:.2} s of 0.1 s");
        assert!(longest < 1.0);
    });
}

#[test]
fn another_size_in_mid_stream_is_followed() {
    if !available() {
        return;
    }
    let server = Server::start(free_port(), &[]);
    let watched = Watched::start(config(server.url(), Transport::Tcp));
    watched.log.wait_frames(10);
    server.change_size();
    let wide =
        |frame: &Frame| matches!(&frame.picture, Picture::Rgb(image) if image.width() == 384);
    watched
        .log
        .wait("another size", |log| log.frames.last().is_some_and(wide));
    watched.log.wait_frames(20);
    watched.log.read(|log| {
        assert!(counters(&log.frames).is_sorted());
        println!("states {:?}, lost {}", log.states(), log.lost());
    });
}

#[test]
fn lost_packets_cost_pictures_and_spoil_none() {
    if !available() {
        return;
    }
    for bframes in ["2", "0"] {
        let server = Server::start(free_port(), &["--bframes", bframes, "--key", "8"]);
        let network = LossyNetwork::start(server.port, 50);
        let watched = Watched::start(config(network.url(), Transport::Udp));
        let load =
            |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
        watched.log.wait("losses", |log| {
            log.frames.len() > 60 && load(&network.counts.lost) > 40
        });
        watched.log.read(|log| {
            let counters = counters(&log.frames);
            assert!(counters.is_sorted(), "{counters:?}");
            assert!(log.lost() > 0);
            let gaps = counters.windows(2).map(|pair| f64::from(pair[1] - pair[0]) / FPS);
            let longest = gaps.fold(0.0, f64::max);
            println!(
                "{bframes} B-frames: {} of {} packets lost, {} pictures given, {} told lost, none damaged; \
                 longest gap {longest:.2} s; states {:?}",
                load(&network.counts.lost), load(&network.counts.lost) + load(&network.counts.passed),
                counters.len(), log.lost(), log.states()
            );
            assert!(longest < 8.0);
        });
    }
}

#[test]
fn other_codecs_are_refused_or_taken_as_they_are() {
    if !available() {
        return;
    }
    let server = Server::start(free_port(), &["--codec", "h265"]);
    let watched = Watched::start(config(server.url(), Transport::Tcp));
    watched.log.wait("refused", |log| {
        log.is(Offline, "it offers H265, and H.264 is needed")
    });
    drop(server);
    let server = Server::start(free_port(), &["--codec", "jpeg"]);
    let watched = Watched::start(config(server.url(), Transport::Tcp));
    watched.log.wait_frames(10);
    watched
        .log
        .read(|log| assert!(counters(&log.frames).is_sorted()));
}

#[test]
fn what_is_no_rtsp_camera_is_told() {
    if !available() {
        return;
    }
    let server = Server::start(free_port(), &["--tcp-only"]);
    let watched = Watched::start(config(server.url(), Transport::Udp));
    watched
        .log
        .wait("no UDP", |log| log.is(Offline, "transport"));
    let url = server.url().replace("/test", "/nothing");
    let watched = Watched::start(config(url, Transport::Tcp));
    watched
        .log
        .wait("no path", |log| log.is(Offline, "no such path"));
    let watched = Watched::start(config(
        format!("rtsp://127.0.0.1:{}/", free_port()),
        Transport::Tcp,
    ));
    watched
        .log
        .wait("nobody", |log| log.is(Offline, "is it powered"));
    // HTTP on that port.
    let camera = Camera::start(Options::default()).unwrap();
    let watched = Watched::start(config(
        format!("rtsp://{}/", camera.address()),
        Transport::Tcp,
    ));
    watched.log.wait("no RTSP", |log| log.is(Offline, ""));
}

//! Cameras over HTTP, from files and from V4L2: a simulated camera that misbehaves as real ones do,
//! and servers that are worse.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use basketd::camera::{Address, Config, Limits, Picture, motion};
use basketd::link::secret::Secret;
use basketd::observation::SourceState::{Degraded, Offline, Online};
use basketd::sim::device::mjpeg::{Camera, Options};

use support::watched::Watched;

fn http(url: impl Into<String>) -> Config {
    let url = url.into();
    let mut config = Config::new("test", Address::Http { url });
    config.max_fps = 50.0;
    config.limits = Limits {
        first_frame: Duration::from_secs(3),
        silence: Duration::from_secs(1),
        frozen: Duration::from_secs(2),
        black: Duration::from_secs(2),
    };
    config
}

fn login(config: &mut Config, password: &str) {
    config.login = Some(("watcher".to_owned(), Secret::new(password)));
}

fn camera(options: Options) -> Camera {
    Camera::start(Options {
        fps: 25.0,
        ..options
    })
    .unwrap()
}

fn size(picture: &Picture) -> (u32, u32) {
    match picture {
        Picture::Jpeg(bytes) => {
            let image = image::load_from_memory(bytes).unwrap();
            (image.width(), image.height())
        }
        Picture::Rgb(image) => image.dimensions(),
    }
}

#[test]
fn motion_jpeg_comes_with_lengths_and_without() {
    for lengths in [true, false] {
        let camera = camera(Options {
            lengths,
            ..Options::default()
        });
        let mut watched = Watched::start(http(camera.stream_url()));
        watched.log.wait_frames(10);
        watched.stop();
        watched.log.read(|log| {
            assert_eq!(log.states(), [(Online, "")]);
            assert!(
                log.frames
                    .iter()
                    .all(|frame| size(&frame.picture) == (320, 240))
            );
            assert!(log.frames.is_sorted_by_key(|frame| frame.captured_at));
            assert_eq!(log.lost(), 0);
        });
    }
}

#[test]
fn a_snapshot_is_asked_for_at_the_cap() {
    let camera = camera(Options::default());
    let mut config = http(camera.snapshot_url());
    config.max_fps = 20.0;
    let watched = Watched::start(config);
    watched.log.wait_frames(11);
    watched.log.read(|log| {
        let first = log.frames[0].captured_at;
        let took = log.frames[10].captured_at.secs_since(first);
        assert!(took > 0.4, "ten intervals of 50 ms took {took} s");
        assert!(log.is(Online, ""));
    });
}

#[test]
fn the_cap_thins_a_stream_out() {
    let camera = camera(Options::default());
    let mut config = http(camera.stream_url());
    config.max_fps = 5.0;
    let watched = Watched::start(config);
    watched.log.wait_frames(6);
    let served = camera.served();
    let given = watched.log.read(|log| log.frames.len());
    assert!(served >= given * 3, "{given} given of {served}");
}

#[test]
fn a_login_is_answered_and_a_wrong_one_is_told_once_without_the_password() {
    let logins = || Some(("watcher".to_owned(), "open sesame".to_owned()));
    for url in [Camera::stream_url, Camera::snapshot_url] {
        let camera = camera(Options {
            login: logins(),
            ..Options::default()
        });
        let mut config = http(url(&camera));
        login(&mut config, "open sesame");
        let watched = Watched::start(config);
        watched.log.wait_frames(5);
        assert_eq!(camera.refused(), 1, "asked once, and then known");
        drop(watched);

        let mut config = http(url(&camera));
        login(&mut config, "hunter2");
        let watched = Watched::start(config);
        watched.log.wait("refused", |log| {
            log.is(Offline, "does not take the user `watcher`")
        });
        watched.log.read(|log| {
            assert!(!format!("{log:?}").contains("hunter2"));
            assert_eq!(log.states().len(), 1);
        });
        // One question, one answer; a camera that counts wrong passwords is left in peace.
        assert_eq!(camera.refused(), 3);

        let watched = Watched::start(http(url(&camera)));
        watched.log.wait("asked", |log| {
            log.is(Offline, "set `username` and `password_file`")
        });
    }
}

#[test]
fn a_camera_that_dies_is_found_again() {
    let first = camera(Options::default());
    let (address, url) = (first.address(), first.stream_url());
    let watched = Watched::start(http(url));
    watched.log.wait_frames(3);
    first.die();
    watched
        .log
        .wait("offline", |log| log.is(Offline, "refuses the connection"));
    let _second = camera(Options {
        address,
        ..Options::default()
    });
    watched.log.wait("online", |log| log.is(Online, ""));
    watched.log.wait_frames(3);
}

#[test]
fn a_camera_that_falls_silent_is_connected_anew() {
    for url in [Camera::stream_url, Camera::snapshot_url] {
        let camera = camera(Options::default());
        let watched = Watched::start(http(url(&camera)));
        watched.log.wait_frames(3);
        camera.silence(true);
        watched.log.wait("silent", |log| log.is(Offline, ""));
        camera.silence(false);
        watched.log.wait("speaks", |log| log.is(Online, ""));
        watched.log.wait_frames(3);
    }
}

#[test]
fn frozen_and_black_pictures_are_told_and_so_is_their_end() {
    let camera = camera(Options::default());
    let watched = Watched::start(http(camera.stream_url()));
    watched.log.wait_frames(3);
    camera.freeze(true);
    watched.log.wait("frozen", |log| log.is(Degraded, "frozen"));
    watched
        .log
        .wait("connected anew", |log| log.is(Offline, "frozen"));
    watched
        .log
        .wait("frozen still", |log| log.is(Degraded, "frozen"));
    camera.freeze(false);
    watched.log.wait("thawed", |log| log.is(Online, ""));
    camera.black(true);
    watched
        .log
        .wait("black", |log| log.is(Degraded, "lens is covered"));
    camera.black(false);
    watched.log.wait("light", |log| log.is(Online, ""));
}

#[test]
fn another_size_in_mid_stream_passes() {
    let camera = camera(Options::default());
    let watched = Watched::start(http(camera.stream_url()));
    watched.log.wait_frames(3);
    camera.resize(640, 360);
    watched.log.wait("another size", |log| {
        let last = log.frames.last().map(|frame| size(&frame.picture));
        last == Some((640, 360))
    });
    watched
        .log
        .read(|log| assert_eq!(log.states(), [(Online, "")]));
}

#[test]
fn an_empty_scene_passes_seldom() {
    // One picture that differs in nothing but its noise: as still as a shop at night.
    let camera = camera(Options {
        pictures: (0..20).map(still).collect(),
        ..Options::default()
    });
    let mut config = http(camera.stream_url());
    config.motion = Some(motion::Settings {
        hold: basketd::units::TimeDelta::from_millis(500),
        sign_of_life: basketd::units::TimeDelta::from_millis(400),
        ..motion::Settings::default()
    });
    let watched = Watched::start(config);
    watched.log.wait_frames(18);
    let (served, given) = (camera.served(), watched.log.read(|log| log.frames.len()));
    assert!(served >= given + 10, "{given} given of {served}");
    watched
        .log
        .read(|log| assert_eq!(log.states(), [(Online, "")]));
}

fn still(n: usize) -> Vec<u8> {
    let mut chance = n as u32 + 1;
    let image = image::RgbImage::from_fn(320, 240, |x, y| {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image::Rgb([((x / 9 + y / 7) % 5) as u8 * 30 + 60 + (chance >> 29) as u8; 3])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, image::ImageFormat::Jpeg)
        .unwrap();
    bytes.into_inner()
}

/// A server that answers each connection with one of these, in turn, and closes it.
fn server(answers: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        for answer in answers.iter().cycle() {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            read_request(&mut stream);
            // Gone early, perhaps; the next comes.
            stream.write_all(answer).ok();
        }
    };
    let thread = std::thread::Builder::new().name("server".into());
    thread.spawn(serve).unwrap();
    address
}

fn read_request(stream: &mut TcpStream) {
    let mut text = Vec::new();
    let mut chunk = [0; 1024];
    while !text.ends_with(b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(count) if count > 0 => text.extend_from_slice(&chunk[..count]),
            _ => return,
        }
    }
}

fn answer(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn what_is_no_camera_is_told_as_what_it_is() {
    const MULTIPART: &str = "multipart/x-mixed-replace; boundary=b";
    let junk = b"--b\r\n\r\nnot a picture\r\n".repeat(30);
    let huge = b"--b\r\nContent-Length: 99999999\r\n\r\n";
    for (answer, told) in [
        (answer("text/html", b"<html>"), "answers with `text/html`"),
        (answer("multipart/x-mixed-replace", b""), "names no boundary"),
        (answer(MULTIPART, &junk), "pictures in a row are none"),
        (answer(MULTIPART, huge), "larger than 16777216 bytes"),
        (answer(MULTIPART, &[b'x'; 100_000]), "no boundary `b`"),
        (answer(MULTIPART, b"--b\r\n\r\nx\r\n--b--\r\n"), "ended its stream"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(), "knows no such path"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec(), "too many viewers"),
        (b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(), "in circles"),
        (b"HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n".to_vec(), "none of HTTP"),
        (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(), "kind `Negotiate`"),
        (b"\x16\x03\x01 nonsense".to_vec(), ""),
        (Vec::new(), ""),
    ] {
        let mut config = http(format!("http://{}/", server(vec![answer])));
        login(&mut config, "x");
        let watched = Watched::start(config);
        watched.log.wait(told, |log| log.is(Offline, told));
    }
}

#[test]
fn a_bad_picture_among_good_ones_is_counted() {
    let good = still(1);
    let cut = good[..good.len() / 2].to_vec();
    let part = |body: &[u8]| {
        let head = format!("--b\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body, b"\r\n"].concat()
    };
    let body = [part(&good), part(&cut), part(b"busy"), part(&good)].concat();
    let address = server(vec![answer("multipart/x-mixed-replace;boundary=b", &body)]);
    let watched = Watched::start(http(format!("http://{address}/")));
    watched.log.wait("a loss", |log| log.lost() >= 2);
    watched.log.wait_frames(1);
    watched.log.read(|log| {
        let good = |frame: &basketd::camera::Frame| frame.picture == Picture::Jpeg(good.clone());
        assert!(log.frames.iter().all(good));
    });
}

#[test]
fn a_redirect_is_followed_and_takes_no_password_elsewhere() {
    let home = camera(Options::default());
    let redirect = |to: &str| {
        format!(
            "HTTP/1.1 301 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .into_bytes()
    };
    let address = server(vec![redirect(&home.stream_url())]);
    let watched = Watched::start(http(format!("http://{address}/")));
    watched.log.wait_frames(2);
    drop(watched);

    let login_needed = Some(("watcher".to_owned(), "secret".to_owned()));
    let elsewhere = camera(Options {
        login: login_needed,
        ..Options::default()
    });
    let url = elsewhere.stream_url().replace("127.0.0.1", "localhost");
    let address = server(vec![redirect(&url)]);
    let mut config = http(format!("http://{address}/"));
    login(&mut config, "secret");
    let watched = Watched::start(config);
    watched.log.wait("told", |log| {
        log.is(Offline, "it leads to http://localhost")
    });
}

#[test]
fn a_certificate_that_nobody_knows_is_explained() {
    // TLS against a server that speaks none: the handshake fails, and the daemon goes on.
    let address = server(vec![b"HTTP/1.1 400 Bad\r\n\r\n".to_vec()]);
    let watched = Watched::start(http(format!("https://{address}/")));
    watched.log.wait("told", |log| log.is(Offline, ""));
}

#[test]
fn files_are_played_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<u8> = (0..3).flat_map(still).collect();
    std::fs::write(
        folder.path().join("all.mjpeg"),
        [all, b"junk".to_vec()].concat(),
    )
    .unwrap();
    for n in 0..3 {
        std::fs::write(folder.path().join(format!("{n}.jpg")), still(n)).unwrap();
    }
    for path in [folder.path().join("all.mjpeg"), folder.path().to_owned()] {
        let mut config = Config::new("test", Address::File { path });
        config.max_fps = 50.0;
        let watched = Watched::start(config);
        watched.log.wait_frames(7);
        watched.log.read(|log| {
            for (n, frame) in log.frames.iter().enumerate() {
                assert_eq!(frame.picture, Picture::Jpeg(still(n % 3)), "picture {n}");
            }
            assert_eq!(log.states(), [(Online, "")]);
        });
    }
}

#[test]
fn an_mp4_with_b_frames_is_played_at_its_own_pace_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.mp4");
    let pipeline = "videotestsrc num-buffers=40 ! video/x-raw,format=I420,width=320,height=240,framerate=20/1 \
         ! x264enc bframes=2 b-adapt=false key-int-max=20 ! mp4mux ! filesink location=";
    let pipeline = format!("{pipeline}{}", path.display());
    let made = std::process::Command::new("gst-launch-1.0")
        .arg("-q")
        .args(pipeline.split_whitespace())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: no gst-launch-1.0 with x264enc and mp4mux");
        return;
    }
    let mut config = Config::new("test", Address::File { path });
    config.max_fps = 100.0;
    let watched = Watched::start(config);
    watched.log.wait_frames(85);
    watched.log.read(|log| {
        assert_eq!(log.states(), [(Online, "")]);
        assert_eq!(log.lost(), 0);
        assert_eq!(size(&log.frames[84].picture), (320, 240));
        let took = log.frames[80]
            .captured_at
            .secs_since(log.frames[0].captured_at);
        assert!(took > 3.5, "80 frames of 50 ms took {took} s");
    });
}

#[test]
fn files_that_are_none_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let cut = still(0)[..500].to_vec();
    for (path, told) in [
        (folder.path().join("none"), "cannot be read"),
        (folder.path().join("empty"), "no *.jpg"),
        (file("text", b"hello"), "neither an MP4"),
        (file("cut", &cut), "no whole JPEG"),
        (
            file("mp4", b"\0\0\0\x08ftyp\0\0\0\x10moov\0\0\0\x08trak"),
            "no MP4",
        ),
    ] {
        let watched = Watched::start(Config::new("test", Address::File { path }));
        watched.log.wait(told, |log| log.is(Offline, told));
    }
}

#[test]
fn a_v4l2_device_that_is_none_is_told() {
    for (device, told) in [
        ("/dev/video97", "no such device"),
        ("/dev/null", "no video device"),
    ] {
        let device = device.into();
        let watched = Watched::start(Config::new("test", Address::V4l2 { device }));
        watched.log.wait(told, |log| log.is(Offline, told));
    }
}

/// For machines that have one: `BASKETD_V4L2=/dev/video0 cargo test --test cameras --
/// --nocapture a_v4l2_device`. Loads of it may come and go meanwhile; `BASKETD_V4L2_FRAMES` frames
/// (100) are waited for.
#[test]
fn a_v4l2_device_gives_pictures() {
    let Some(device) = std::env::var_os("BASKETD_V4L2") else {
        println!("skipped: BASKETD_V4L2 names no device");
        return;
    };
    let frames = std::env::var("BASKETD_V4L2_FRAMES").ok();
    let frames = frames.and_then(|text| text.parse().ok()).unwrap_or(100);
    let device = device.into();
    let mut config = Config::new("test", Address::V4l2 { device });
    config.size = (640, 480);
    config.max_fps = 30.0;
    let mut watched = Watched::start(config);
    watched.log.wait_frames(frames);
    watched.stop();
    watched.log.read(|log| {
        let sizes: std::collections::BTreeSet<_> = log
            .frames
            .iter()
            .map(|frame| size(&frame.picture))
            .collect();
        let first = log.frames[0].captured_at;
        let last = log.frames[log.frames.len() - 1].captured_at;
        println!(
            "v4l2: {} frames in {:.2} s, sizes {sizes:?}, lost {}, states {:?}",
            log.frames.len(),
            last.secs_since(first),
            log.lost(),
            log.states()
        );
    });
}

#[test]
fn stopping_ends_it_wherever_it_is() {
    let camera = camera(Options::default());
    // While pictures come, while nothing comes, while it waits for the next attempt.
    for (url, silent) in [
        (camera.stream_url(), false),
        (camera.stream_url(), true),
        ("http://127.0.0.1:9/".to_owned(), false),
    ] {
        camera.silence(silent);
        let mut watched = Watched::start(http(url));
        if !silent {
            watched.log.wait("begun", |log| !log.told.is_empty());
        }
        watched.stop();
        let before = watched.log.read(|log| log.frames.len());
        camera.silence(false);
        assert_eq!(watched.log.read(|log| log.frames.len()), before);
    }
}

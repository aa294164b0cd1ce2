//! What a camera's pictures cost before anybody looks for people in them: `cargo bench --bench
//! camera`. 640 x 480 where nothing else is said.

use std::cell::RefCell;

use basketd::camera::motion::{Gate, Settings};
use basketd::camera::{Luma, PICTURE_MAX};
use basketd::units::Timestamp;
use basketd::wire::jpeg;
use basketd::wire::multipart::Multipart;
use divan::Bencher;
use openh264::decoder::Decoder;
use openh264::encoder::Encoder;
use openh264::formats::{YUVBuffer, YUVSource as _};

fn main() {
    divan::main();
}

const SIZES: [(usize, usize); 2] = [(640, 480), (1920, 1080)];

/// A shop's brightness with noise, and somebody who walks.
fn plane(width: usize, height: usize, n: usize) -> Vec<u8> {
    let mut chance = n as u32 + 1;
    let mut pixel = |at: usize| {
        let (x, y) = (at % width, at / width);
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let person = x.abs_diff(width * (n % 50) / 50) < width / 20 && y > height / 3;
        let bright = if person {
            40
        } else {
            60 + (x / 24 + y / 48 * 5) % 7 * 20
        };
        bright as u8 + (chance >> 29) as u8
    };
    (0..width * height).map(&mut pixel).collect()
}

fn yuv(width: usize, height: usize, n: usize) -> YUVBuffer {
    let mut planes = plane(width, height, n);
    planes.resize(width * height * 3 / 2, 120);
    YUVBuffer::from_vec(planes, width, height)
}

fn jpeg_picture() -> Vec<u8> {
    let image = image::GrayImage::from_raw(640, 480, plane(640, 480, 1));
    let image = image::DynamicImage::from(image.unwrap_or_default()).into_rgb8();
    let mut bytes = std::io::Cursor::new(Vec::new());
    let written = image.write_to(&mut bytes, image::ImageFormat::Jpeg);
    assert!(written.is_ok());
    bytes.into_inner()
}

#[divan::bench(args = SIZES)]
fn luma_of_a_plane(bencher: Bencher<'_, '_>, (width, height): (usize, usize)) {
    let plane = plane(width, height, 1);
    bencher.bench_local(|| Luma::of_plane(&plane, width, width, height));
}

#[divan::bench(args = SIZES)]
fn luma_and_motion_gate(bencher: Bencher<'_, '_>, (width, height): (usize, usize)) {
    let planes: Vec<_> = (0..20).map(|n| plane(width, height, n)).collect();
    let mut gate = Gate::new(Settings::default());
    let mut n = 0;
    bencher.bench_local(|| {
        n += 1;
        let luma = Luma::of_plane(&planes[n % 20], width, width, height)?;
        Some(gate.see(Timestamp::from_micros(n as i64 * 200_000), &luma))
    });
}

#[divan::bench(args = SIZES)]
fn h264_decode(bencher: Bencher<'_, '_>, (width, height): (usize, usize)) {
    let Ok(mut encoder) = Encoder::new() else {
        return;
    };
    let encoded =
        (0..50).filter_map(|n| Some(encoder.encode(&yuv(width, height, n)).ok()?.to_vec()));
    let units: Vec<_> = encoded.collect();
    let Ok(decoder) = Decoder::new() else {
        return;
    };
    let decoder = RefCell::new(decoder);
    let mut units = units.iter().cycle();
    bencher.bench_local(|| {
        let mut decoder = decoder.borrow_mut();
        let yuv = decoder.decode(units.next()?).ok()??;
        Some(yuv.dimensions())
    });
}

#[divan::bench(args = SIZES)]
fn yuv_to_rgb(bencher: Bencher<'_, '_>, (width, height): (usize, usize)) {
    let (Ok(mut encoder), Ok(mut decoder)) = (Encoder::new(), Decoder::new()) else {
        return;
    };
    let Ok(unit) = encoder
        .encode(&yuv(width, height, 1))
        .map(|unit| unit.to_vec())
    else {
        return;
    };
    let Ok(Some(yuv)) = decoder.decode(&unit) else {
        return;
    };
    bencher.bench_local(|| {
        let mut rgb = vec![0; width * height * 3];
        yuv.write_rgb8(&mut rgb);
        rgb
    });
}

#[divan::bench]
fn jpeg_check(bencher: Bencher<'_, '_>) {
    let picture = jpeg_picture();
    let bencher = bencher.counter(divan::counter::BytesCount::new(picture.len()));
    bencher.bench_local(|| jpeg::check(&picture));
}

#[divan::bench(args = [true, false])]
fn multipart_parse(bencher: Bencher<'_, '_>, lengths: bool) {
    let picture = jpeg_picture();
    let length = if lengths {
        format!("Content-Length: {}\r\n", picture.len())
    } else {
        String::new()
    };
    let head = format!("--b\r\nContent-Type: image/jpeg\r\n{length}\r\n");
    let part = [head.as_bytes(), &picture, b"\r\n"].concat();
    let Ok(mut parser) = Multipart::new("multipart/x-mixed-replace; boundary=b", PICTURE_MAX)
    else {
        return;
    };
    let bencher = bencher.counter(divan::counter::BytesCount::new(part.len()));
    bencher.bench_local(|| {
        let mut parts = 0;
        for chunk in part.chunks(1448) {
            let pushed = parser.push(chunk, &mut |_| parts += 1);
            assert!(pushed.is_ok());
        }
        assert_eq!(parts, 1);
    });
}

//! Time of the image-plane tracker a frame, at the density of MOT17's public detections (about 13
//! boxes a frame). Run with `cargo bench --bench track`.

use basketd::tracking::image::{ImageTracking, Seen, Settings};
use basketd::units::BBox;

const FRAMES: u32 = 600;

fn main() {
    divan::main();
}

/// People walking through an image of 1920 x 1080, with missed boxes and jitter.
fn frames(people: u32) -> Vec<Vec<Seen>> {
    let mut noise = 1_u64;
    let mut next = || {
        noise = noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (noise >> 40) as f64 / f64::from(1 << 24)
    };
    let mut walk = |t: u32, i: u32| {
        let (height, pace) = (120.0 + f64::from(i) * 17.0, f64::from(i % 7) - 3.0);
        let x = (f64::from(i) * 151.0 + pace * f64::from(t)).rem_euclid(1900.0) + next() * 3.0;
        let y = 900.0 - height + next() * 3.0;
        let bbox = BBox::new(x, y, x + height * 0.4, y + height);
        let score = 0.5 + next() / 2.0;
        (next() > 0.1).then_some(Seen { bbox, score })
    };
    (0..FRAMES)
        .map(|t| (0..people).filter_map(|i| walk(t, i)).collect())
        .collect()
}

/// A frame in the tracker.
#[divan::bench(args = [14, 40])]
fn step(bencher: divan::Bencher<'_, '_>, people: u32) {
    let frames = frames(people);
    bencher
        .counter(divan::counter::ItemsCount::new(FRAMES))
        .bench(|| {
            let mut tracking = ImageTracking::new(Settings::default());
            for (frame, boxes) in (1..).zip(&frames) {
                divan::black_box(tracking.step(frame, boxes));
            }
            tracking
        });
}

/// The same with smoothing and filling in of all tracks at the end.
#[divan::bench(args = [14, 40])]
fn whole_file(bencher: divan::Bencher<'_, '_>, people: u32) {
    let frames = frames(people);
    bencher
        .counter(divan::counter::ItemsCount::new(FRAMES))
        .bench(|| {
            let mut tracking = ImageTracking::new(Settings::default());
            for (frame, boxes) in (1..).zip(&frames) {
                tracking.step(frame, boxes);
            }
            tracking.finish()
        });
}

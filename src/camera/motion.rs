//! The motion gate: whether anything moves in front of a camera, so that the pictures of an empty
//! shop cost no inference. A value: pictures with their times go in, decisions come out.
//!
//! Each pixel of the small picture has a running mean and a running noise. A pixel has changed
//! where it is further from its mean than the threshold and than its own noise allows; lone ones do
//! not count; what hangs together and is large enough is motion. Light that changes as a whole is
//! taken out first (its median), and where most of the picture has changed at once, somebody
//! switched the light: the means are taken anew, and one picture goes out. A pixel in motion is
//! learnt slowly, so that who stands still keeps the gate open for a minute or two; one that never
//! rests (a screen, a fan) is learnt as noise.
//!
//! Doubt opens the gate. After a start, after another size, and after motion it stays open for a
//! while; and asleep it lets a picture through now and then, so that the camera is known to live.

use super::luma::Luma;
use crate::units::{TimeDelta, Timestamp};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Steps of brightness (of 255) that are a change, at the least.
    pub threshold: f32,
    /// The smallest area that is motion, as a share of the picture.
    pub area: f32,
    /// How long the gate stays open after motion.
    pub hold: TimeDelta,
    /// One picture in this time at the least.
    pub sign_of_life: TimeDelta,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threshold: 12.0,
            area: 0.002,
            hold: TimeDelta::from_millis(10_000),
            sign_of_life: TimeDelta::from_millis(5_000),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Something moves, or did a while ago.
    Active,
    /// Nothing moves; this picture goes out as a sign of life.
    Sign,
    /// Nothing moves.
    Asleep,
}

/// A share of changed pixels that no shopper causes.
const LIGHTNING: f32 = 0.6;
/// How many times its noise a pixel must be off.
const NOISES: f32 = 5.0;
/// Noise is never thought smaller than rounding, nor larger than a screen's.
const NOISE_MIN: f32 = 0.5;
const NOISE_MAX: f32 = 20.0;
/// Seconds in which means and noise follow: at rest, and in motion.
const REST_S: f32 = 10.0;
const MOTION_S: f32 = 60.0;
const NOISE_REST_S: f32 = 20.0;
const NOISE_MOTION_S: f32 = 300.0;
/// Changed pixels among a pixel's nine that make it count: lone ones are noise.
const CROWD: u8 = 5;

#[derive(Debug, Clone)]
pub struct Gate {
    settings: Settings,
    width: usize,
    height: usize,
    mean: Vec<f32>,
    noise: Vec<f32>,
    changed: Vec<u8>,
    /// Work space: pixels that hang together with one under way.
    stack: Vec<usize>,
    seen: Option<Timestamp>,
    open_until: Option<Timestamp>,
    given: Option<Timestamp>,
}

impl Gate {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            width: 0,
            height: 0,
            mean: Vec::new(),
            noise: Vec::new(),
            changed: Vec::new(),
            stack: Vec::new(),
            seen: None,
            open_until: None,
            given: None,
        }
    }

    /// Looks at the next picture.
    pub fn see(&mut self, at: Timestamp, luma: &Luma) -> Decision {
        let elapsed = self
            .seen
            .replace(at)
            .map_or(0.0, |seen| at.secs_since(seen));
        // A clock that was set, or a camera that was away: what was learnt may be void.
        let away = !(0.0..60.0).contains(&elapsed);
        if away || (luma.width, luma.height) != (self.width, self.height) {
            self.learn_anew(luma);
            self.open_until = Some(at + self.settings.hold);
        }
        let light = self.light(luma);
        let count = self.mark(luma, light);
        let pixels = self.mean.len().max(1);
        if count as f32 > LIGHTNING * pixels as f32 {
            self.take_light(luma);
            return self.decide(at, true);
        }
        let area = (self.settings.area * pixels as f32).max(4.0) as usize;
        if self.largest(area) >= area {
            self.open_until = Some(at + self.settings.hold);
        }
        self.follow(luma, elapsed as f32, light);
        self.decide(at, false)
    }

    fn decide(&mut self, at: Timestamp, lightning: bool) -> Decision {
        let open = self.open_until.is_some_and(|until| at < until);
        let due = |given| at - given >= self.settings.sign_of_life || at < given;
        let decision = if open || lightning {
            Decision::Active
        } else if self.given.is_none_or(due) {
            Decision::Sign
        } else {
            return Decision::Asleep;
        };
        self.given = Some(at);
        decision
    }

    fn learn_anew(&mut self, luma: &Luma) {
        (self.width, self.height) = (luma.width, luma.height);
        self.noise.clear();
        self.noise.resize(luma.pixels.len(), 2.0);
        self.changed.clear();
        self.changed.resize(luma.pixels.len(), 0);
        self.take_light(luma);
    }

    /// The light is another; noise remains what it was.
    fn take_light(&mut self, luma: &Luma) {
        self.mean.clear();
        self.mean.extend(luma.pixels.iter().map(|p| f32::from(*p)));
    }

    /// By how much the whole picture is brighter than its means: the median of all differences.
    fn light(&self, luma: &Luma) -> f32 {
        let mut counts = [0_usize; 511];
        for (pixel, mean) in luma.pixels.iter().zip(&self.mean) {
            let off = (f32::from(*pixel) - mean).clamp(-255.0, 255.0);
            // Towards zero after a shift, which rounds to the nearest.
            counts[(off + 255.5) as usize] += 1;
        }
        let half = luma.pixels.len() / 2;
        let mut below = 0;
        let median = counts.iter().position(|count| {
            below += count;
            below > half
        });
        median.unwrap_or(255) as f32 - 255.0
    }

    /// Marks what has changed beyond the light, and counts what has changed with it.
    fn mark(&mut self, luma: &Luma, light: f32) -> usize {
        let threshold = self.settings.threshold;
        let known = self.mean.iter().zip(&self.noise);
        let pixels = luma.pixels.iter().zip(known).zip(&mut self.changed);
        let mut count = 0;
        for ((pixel, (mean, noise)), changed) in pixels {
            let off = f32::from(*pixel) - mean;
            let least = threshold.max(NOISES * noise);
            *changed = u8::from((off - light).abs() > least);
            count += u32::from(off.abs() > least);
        }
        count as usize
    }

    /// The largest area of changed pixels that hang together; stops at `enough`.
    fn largest(&mut self, enough: usize) -> usize {
        let (width, height) = (self.width, self.height);
        // Two: changed and in a crowd. The border counts as unchanged.
        for y in 1..height.saturating_sub(1) {
            for x in 1..width.saturating_sub(1) {
                let at = y * width + x;
                if self.changed[at] != 0 && self.crowd(at) >= CROWD {
                    self.changed[at] |= 2;
                }
            }
        }
        let mut largest = 0;
        for at in 0..self.changed.len() {
            if self.changed[at] & 2 != 0 {
                largest = largest.max(self.area(at));
                if largest >= enough {
                    break;
                }
            }
        }
        largest
    }

    fn crowd(&self, at: usize) -> u8 {
        let row = |middle: usize| {
            let three = self
                .changed
                .get(middle - 1..=middle + 1)
                .unwrap_or_default();
            three.iter().map(|changed| changed & 1).sum::<u8>()
        };
        row(at - self.width) + row(at) + row(at + self.width)
    }

    /// How many pixels in crowds hang together with this one; they are counted once. None lies on
    /// the border, so that each has four neighbours.
    fn area(&mut self, begin: usize) -> usize {
        let mut area = 0;
        self.stack.clear();
        self.stack.push(begin);
        self.changed[begin] &= 1;
        while let Some(at) = self.stack.pop() {
            area += 1;
            for next in [at - 1, at + 1, at - self.width, at + self.width] {
                if self.changed[next] & 2 != 0 {
                    self.changed[next] &= 1;
                    self.stack.push(next);
                }
            }
        }
        area
    }

    /// Means and noise follow the picture: quickly at rest, slowly where it moves.
    fn follow(&mut self, luma: &Luma, elapsed: f32, light: f32) {
        let share = |seconds: f32| (elapsed / seconds).min(0.5);
        let (rest, motion) = (share(REST_S), share(MOTION_S));
        let (noise_rest, noise_motion) = (share(NOISE_REST_S), share(NOISE_MOTION_S));
        let known = self.mean.iter_mut().zip(&mut self.noise);
        for ((pixel, changed), (mean, noise)) in luma.pixels.iter().zip(&self.changed).zip(known) {
            let off = f32::from(*pixel) - *mean;
            let moving = changed & 1 != 0;
            *mean += off * if moving { motion } else { rest };
            let share = if moving { noise_motion } else { noise_rest };
            // 1.25: the standard deviation of what has this mean deviation.
            let spread = 1.25 * (off - light).abs();
            *noise = (*noise + (spread - *noise) * share).clamp(NOISE_MIN, NOISE_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shop of 160 x 100 with noise, at five pictures a second.
    struct Scene {
        gate: Gate,
        n: i64,
        chance: u64,
        noise: f32,
        light: f32,
        person: Option<(f32, f32)>,
        screen: bool,
    }

    impl Scene {
        fn new(noise: f32) -> Self {
            let mut scene = Self {
                gate: Gate::new(Settings::default()),
                n: 0,
                chance: 1,
                noise,
                light: 1.0,
                person: None,
                screen: false,
            };
            // The gate is open after a start.
            assert_eq!(scene.watch(49, |_, _| ()), (49, 0));
            scene.watch(100, |_, _| ());
            scene
        }

        /// Near enough to a normal distribution of deviation one.
        fn normal(&mut self) -> f32 {
            let mut sum = 0.0;
            for _ in 0..4 {
                self.chance = self
                    .chance
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                sum += (self.chance >> 40) as f32 / (1 << 24) as f32 - 0.5;
            }
            sum * 1.73
        }

        fn picture(&mut self) -> Luma {
            let (width, height) = (160_usize, 100_usize);
            let mut pixels = Vec::with_capacity(width * height);
            for y in 0..height {
                for x in 0..width {
                    // Shelves: stripes of goods, darker floor.
                    let mut bright = if y > 70 {
                        60.0
                    } else {
                        90.0 + ((x / 6 + y / 12 * 5) % 7) as f32 * 15.0
                    };
                    if let Some((px, py)) = self.person {
                        let (dx, dy) = ((x as f32 - px) / 7.0, (y as f32 - py) / 18.0);
                        if dx * dx + dy * dy < 1.0 {
                            bright = 40.0;
                        }
                    }
                    if self.screen && x > 140 && y < 20 {
                        bright = if (self.n / 2 + (x / 8) as i64) % 2 == 0 {
                            60.0
                        } else {
                            110.0
                        };
                    }
                    let value = bright * self.light + self.normal() * self.noise;
                    pixels.push(value.clamp(0.0, 255.0) as u8);
                }
            }
            Luma {
                width,
                height,
                pixels,
            }
        }

        /// Shows so many pictures; how many went out awake, and how many as signs of life.
        fn watch(&mut self, pictures: i64, step: impl Fn(&mut Self, i64)) -> (usize, usize) {
            let (mut active, mut signs) = (0, 0);
            for n in 0..pictures {
                step(self, n);
                self.n += 1;
                let picture = self.picture();
                match self
                    .gate
                    .see(Timestamp::from_micros(self.n * 200_000), &picture)
                {
                    Decision::Active => active += 1,
                    Decision::Sign => signs += 1,
                    Decision::Asleep => {}
                }
            }
            (active, signs)
        }
    }

    #[test]
    fn an_empty_shop_sleeps_and_shows_that_it_lives() {
        for noise in [0.0, 1.0, 4.0, 8.0] {
            let (active, signs) = Scene::new(noise).watch(1000, |_, _| ());
            assert_eq!(active, 0, "noise {noise}");
            assert!((39..=41).contains(&signs), "{signs} signs in 200 s");
        }
    }

    #[test]
    fn somebody_who_walks_in_wakes_it_at_once_and_for_a_while() {
        for noise in [1.0, 4.0] {
            let mut scene = Scene::new(noise);
            let first = scene.watch(1, |scene, _| scene.person = Some((20.0, 60.0)));
            assert_eq!(first, (1, 0), "noise {noise}");
            let walk =
                |scene: &mut Scene, n: i64| scene.person = Some((20.0 + n as f32 * 2.0, 60.0));
            assert_eq!(scene.watch(50, walk), (50, 0));
            // Gone: ten seconds more, and what he hid is learnt meanwhile.
            scene.watch(1, |scene, _| scene.person = None);
            let (active, _) = scene.watch(600, |_, _| ());
            assert!((48..200).contains(&active), "{active} after he left");
        }
    }

    #[test]
    fn who_stands_still_keeps_it_awake() {
        let mut scene = Scene::new(3.0);
        scene.watch(20, |scene, n| {
            scene.person = Some((20.0 + n as f32 * 3.0, 60.0))
        });
        assert_eq!(
            scene.watch(150, |_, _| ()).0,
            150,
            "half a minute in front of a shelf"
        );
    }

    #[test]
    fn slow_light_does_not_wake_it() {
        let mut scene = Scene::new(2.0);
        let dusk = |scene: &mut Scene, n: i64| scene.light = 1.0 - n as f32 / 3000.0;
        assert_eq!(scene.watch(1500, dusk).0, 0);
    }

    #[test]
    fn a_switched_light_does_not_flood() {
        for light in [0.3, 1.8] {
            let mut scene = Scene::new(2.0);
            let switched = scene.watch(1, |scene, _| scene.light = light);
            assert_eq!(switched, (1, 0), "the change itself is shown");
            let (active, _) = scene.watch(100, |_, _| ());
            assert!(active < 5, "{active} pictures after the switch to {light}");
            let someone = scene.watch(5, |scene, n| scene.person = Some((60.0 + n as f32, 50.0)));
            assert!(
                light < 0.5 || someone.0 == 5,
                "{someone:?} in another light"
            );
        }
    }

    #[test]
    fn flicker_does_not_wake_it() {
        let mut scene = Scene::new(2.0);
        let flicker =
            |scene: &mut Scene, n: i64| scene.light = [1.0, 1.06, 0.95, 1.03][n as usize % 4];
        scene.watch(150, flicker);
        assert_eq!(scene.watch(500, flicker).0, 0);
    }

    #[test]
    fn a_screen_is_learnt_as_noise() {
        let mut scene = Scene::new(2.0);
        scene.screen = true;
        scene.watch(5 * 600, |_, _| ());
        let (active, _) = scene.watch(500, |_, _| ());
        assert_eq!(active, 0);
        let walk = scene.watch(5, |scene, n| scene.person = Some((40.0 + n as f32, 60.0)));
        assert_eq!(walk.0, 5, "elsewhere it sees as before");
    }

    #[test]
    fn any_picture_and_any_clock_are_taken() {
        let mut gate = Gate::new(Settings::default());
        for (at, width, height) in [
            (0, 1, 1),
            (1, 2, 2),
            (-5, 0, 0),
            (i64::MAX, 3, 1),
            (i64::MIN, 160, 2),
        ] {
            let pixels = vec![9; width * height];
            let luma = Luma {
                width,
                height,
                pixels,
            };
            gate.see(Timestamp::from_micros(at), &luma);
        }
    }
}

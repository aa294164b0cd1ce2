//! Plates: a mass on a spring, its converter's low pass, noise, drift, steps.
//!
//! Force on a plate is what rests on it, what hands press, and a share of its neighbours' (the
//! boards touch). A plate rings at its own frequency with its own damping; the converter smooths
//! over its time constant. Ten readings a second, each plate with its own phase and delay.

use crate::sim::effects::Effects;
use crate::sim::random::Random;
use crate::sim::tape::Tape;
use crate::sim::world::{DT, World};

const PERIOD_S: f64 = 0.1;
const SCHEMA: &str = "basketd.Weight";

#[derive(Debug)]
pub(in crate::sim) struct Scales {
    plates: Vec<Spring>,
    neighbours: Vec<Vec<(usize, f64)>>,
    force: Vec<f64>,
    random: Random,
}

/// One plate's state.
#[derive(Debug)]
struct Spring {
    topic: String,
    omega: f64,
    damping: f64,
    low_pass_s: f64,
    sigma_g: f64,
    quantum_g: f64,
    drift_step: f64,
    burst_chance: f64,
    delay_s: f64,
    next: f64,
    gauge: f64,
    speed: f64,
    smooth: f64,
    zero: f64,
    burst: f64,
}

impl Scales {
    pub(in crate::sim) fn new(seed: u64, world: &World, effects: &Effects) -> Self {
        let mut random = Random::stream(seed, "scales");
        let plates: Vec<Spring> = (0..world.shop.plates.len())
            .map(|n| {
                Spring::new(
                    &world.shop.plates[n].id,
                    world.loads[n],
                    effects,
                    &mut random,
                )
            })
            .collect();
        let all = &world.shop.plates;
        let neighbours = (0..all.len())
            .map(|n| {
                let near = (0..all.len()).filter(|m| {
                    let (a, b) = (&all[n], &all[*m]);
                    let same = a.fixture == b.fixture && a.level == b.level;
                    *m != n
                        && same
                        && ((a.to - b.from).abs() < 0.02 || (b.to - a.from).abs() < 0.02)
                });
                let leak = random.range(effects.crosstalk.0, effects.crosstalk.1);
                near.map(|m| (m, leak)).collect()
            })
            .collect();
        let mut scales = Self {
            force: vec![0.0; plates.len()],
            plates,
            neighbours,
            random,
        };
        scales.forces(world);
        for (spring, force) in scales.plates.iter_mut().zip(&scales.force) {
            (spring.gauge, spring.smooth) = (*force, *force);
        }
        scales
    }

    fn forces(&mut self, world: &World) {
        for n in 0..self.force.len() {
            let own = world.loads[n] + world.presses[n];
            let leaks = self.neighbours[n].iter();
            let leaked: f64 = leaks
                .map(|(m, k)| k * (world.loads[*m] + world.presses[*m]))
                .sum();
            self.force[n] = own + leaked;
        }
    }

    pub(in crate::sim) fn step(&mut self, world: &World, tape: &mut Tape) {
        self.forces(world);
        for (spring, force) in self.plates.iter_mut().zip(&self.force) {
            spring.step(*force, &mut self.random);
            if spring.next <= world.now {
                let sensed = spring.next;
                spring.next += PERIOD_S;
                let grams = spring.reading(&mut self.random);
                let json = format!("{{\"grams\": {grams:.1}}}");
                // A serial bus: a fixed delay for each plate, with little jitter.
                let arrives =
                    world.now.max(sensed) + spring.delay_s + self.random.range(0.0, 0.002);
                tape.send(&spring.topic, SCHEMA, sensed, arrives, json);
            }
        }
    }
}

impl Spring {
    fn new(id: &str, load: f64, effects: &Effects, r: &mut Random) -> Self {
        let span = |r: &mut Random, s: (f64, f64)| r.range(s.0, s.1);
        Self {
            topic: format!("/scale/{id}"),
            omega: std::f64::consts::TAU * span(r, effects.own_hz),
            damping: span(r, effects.damping),
            low_pass_s: span(r, effects.low_pass_s),
            sigma_g: r.log_normal(effects.plate_sigma_g, 0.12),
            quantum_g: effects.plate_quantum_g,
            drift_step: effects.drift_g_root_hour * (DT / 3600.0).sqrt(),
            burst_chance: effects.bursts_per_hour / 3600.0 * DT,
            delay_s: r.range(0.004, 0.018),
            next: r.range(0.0, PERIOD_S),
            gauge: 0.0,
            speed: 0.0,
            smooth: 0.0,
            // Nobody zeroed it: somewhere within the tare that the last weeks left.
            zero: r.range(-0.5, 0.6) * load.max(500.0),
            burst: 0.0,
        }
    }

    fn step(&mut self, force: f64, r: &mut Random) {
        let pull = self.omega * self.omega * (force - self.gauge);
        self.speed += DT * (pull - 2.0 * self.damping * self.omega * self.speed);
        self.gauge += DT * self.speed;
        self.smooth += DT / self.low_pass_s * (self.gauge - self.smooth);
        self.zero += self.drift_step * r.normal();
        self.burst *= 1.0 - DT / 0.4;
        if self.burst_chance > 0.0 && r.chance(self.burst_chance) {
            self.burst = r.log_normal(14.0, 0.5);
        }
    }

    fn reading(&self, r: &mut Random) -> f64 {
        let sigma = self.sigma_g + self.burst;
        let grams = self.smooth + self.zero + sigma * r.normal();
        (grams / self.quantum_g).round() * self.quantum_g
    }
}

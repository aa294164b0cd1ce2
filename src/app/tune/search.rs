//! The search: tunable by tunable, a few values each, the best one stays. Every playing is done
//! once, whichever fold asks for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::knobs::{self, Knob, Values};
use crate::app::score::{self, Score, Truth};
use crate::app::trial::Tape;
use crate::store::Store;

/// A recording with its truth.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) store: Arc<Store>,
    pub(super) tape: Tape,
    pub(super) truths: Vec<Truth>,
}

/// Recordings that are played at a time.
const THREADS: usize = 2;
/// Values of each tunable over its whole range, and then around the best one.
const GRID: usize = 5;
const AROUND: [f64; 2] = [0.71, 1.41];
/// A gain that is smaller is none.
const LEAST_GAIN: f64 = 1e-6;

/// Values as they are compared: bit by bit.
type Key = (Vec<u64>, usize);

pub(super) struct Search<'a, C> {
    trials: &'a [Trial],
    knobs: &'a [Knob],
    cost: C,
    known: BTreeMap<Key, Score>,
}

impl<'a, C: Fn(&Score) -> f64> Search<'a, C> {
    pub(super) fn new(trials: &'a [Trial], knobs: &'a [Knob], cost: C) -> Self {
        Self {
            trials,
            knobs,
            cost,
            known: BTreeMap::new(),
        }
    }

    /// The values that cost these recordings least; what does not help stays as it was.
    pub(super) fn best(&mut self, start: &Values, over: &[usize], name: &str) -> Values {
        let mut best = start.clone();
        let mut least = self.costs(std::slice::from_ref(&best), over)[0];
        for pass in 1..=2 {
            for (i, knob) in self.knobs.iter().enumerate() {
                let values = if pass == 1 {
                    knob.grid(GRID)
                } else {
                    AROUND.map(|factor| knob.times(best[i], factor)).to_vec()
                };
                let tried: Vec<Values> = values
                    .into_iter()
                    .map(|value| with(&best, i, value))
                    .collect();
                for (values, cost) in tried.iter().zip(self.costs(&tried, over)) {
                    if cost < least - LEAST_GAIN {
                        (best, least) = (values.clone(), cost);
                    }
                }
                crate::app::print_err(&format!(
                    "{name}, pass {pass}: {} of {} tunables, {} playings, cost of a visit {least:.4}",
                    i + 1,
                    self.knobs.len(),
                    self.known.len()
                ));
            }
        }
        self.without_idle(best, start, over, least)
    }

    /// Takes back what gains nothing any more.
    fn without_idle(
        &mut self,
        mut best: Values,
        start: &Values,
        over: &[usize],
        mut least: f64,
    ) -> Values {
        for (i, value) in start.iter().enumerate() {
            let back = with(&best, i, *value);
            let cost = self.costs(std::slice::from_ref(&back), over)[0];
            if cost <= least + LEAST_GAIN {
                (best, least) = (back, cost);
            }
        }
        best
    }

    fn costs(&mut self, tried: &[Values], over: &[usize]) -> Vec<f64> {
        self.play(tried, over);
        let score =
            |values: &Values| Score::sum(over.iter().map(|i| &self.known[&key(values, *i)]));
        tried.iter().map(|v| (self.cost)(&score(v))).collect()
    }

    /// The score of each recording with these values.
    pub(super) fn scores(&mut self, values: &Values, over: &[usize]) -> Vec<Score> {
        self.play(std::slice::from_ref(values), over);
        let scores = over.iter().map(|i| self.known[&key(values, *i)].clone());
        scores.collect()
    }

    /// Plays what has not been played yet.
    fn play(&mut self, tried: &[Values], over: &[usize]) {
        let pairs = tried.iter().flat_map(|v| over.iter().map(move |i| (v, *i)));
        let mut jobs: BTreeMap<Key, &Values> = BTreeMap::new();
        for (values, i) in pairs {
            let key = key(values, i);
            if !self.known.contains_key(&key) {
                jobs.insert(key, values);
            }
        }
        let (waiting, done) = (Mutex::new(jobs), Mutex::new(Vec::new()));
        let (trials, knobs) = (self.trials, self.knobs);
        let work = || {
            while let Some((key, values)) = lock(&waiting).pop_first() {
                let score = trials[key.1].score(knobs, values);
                lock(&done).push((key, score));
            }
        };
        std::thread::scope(|scope| {
            for n in 0..THREADS {
                let thread = std::thread::Builder::new().name(format!("tune-{n}"));
                thread
                    .spawn_scoped(scope, work)
                    .expect("the system has a thread for us");
            }
        });
        self.known.extend(std::mem::take(&mut *lock(&done)));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no playing panics")
}

fn with(values: &Values, place: usize, value: f64) -> Values {
    let mut values = values.clone();
    values[place] = value;
    values
}

fn key(values: &Values, trial: usize) -> Key {
    (values.iter().map(|v| v.to_bits()).collect(), trial)
}

impl Trial {
    fn score(&self, knobs: &[Knob], values: &Values) -> Score {
        let mut store = Store::clone(&self.store);
        store.tunables = knobs::with(&store.tunables, knobs, values);
        let events = self.tape.play(&Arc::new(store));
        let receipts = score::receipts("events", &events).expect("our own events are right");
        score::score(&self.truths, &receipts)
    }
}

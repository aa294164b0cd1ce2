//! Readers and cameras that fail for a while, and mostly say so; by chance, or in a scene.

use crate::sim::effects::Effects;
use crate::sim::incident::Incident;
use crate::sim::random::Random;
use crate::sim::shop::Task;
use crate::sim::tape::Tape;
use crate::sim::world::{DT, Occurrence, World};

const SCHEMA: &str = "basketd.SourceState";
/// The box notices a silence after so long.
const NOTICED_S: f64 = 2.0;

#[derive(Debug)]
pub(in crate::sim) struct Outages {
    sources: Vec<String>,
    incidents: Vec<Incident>,
    chance: f64,
    random: Random,
}

impl Outages {
    pub(in crate::sim) fn new(
        seed: u64,
        world: &World,
        effects: &Effects,
        incidents: &[Incident],
    ) -> Self {
        let readers = world.shop.readers.iter().map(|r| format!("rfid/{}", r.id));
        let floor = |e: &&crate::sim::shop::Eye| matches!(e.task, Task::Floor(_));
        let eyes = world.shop.eyes.iter().filter(floor);
        Self {
            sources: readers
                .chain(eyes.map(|e| format!("camera/{}", e.id)))
                .collect(),
            incidents: incidents.to_vec(),
            chance: effects.outages_per_hour / 3600.0 * DT,
            random: Random::stream(seed, "outages"),
        }
    }

    pub(in crate::sim) fn step(&mut self, world: &World, tape: &mut Tape) {
        for occurrence in &world.occurrences {
            let Occurrence::Signal(n) = occurrence else {
                continue;
            };
            if let Some(Incident::Silent {
                sources,
                seconds,
                told,
            }) = self.incidents.get(*n)
            {
                for source in sources {
                    silence(tape, source, (world.now, world.now + seconds), *told);
                }
            }
        }
        let quiet = self.chance == 0.0 || self.sources.is_empty() || world.now < 15.0;
        if quiet || !self.random.chance(self.chance) {
            return;
        }
        let source = self.sources[self.random.index(self.sources.len())].clone();
        let until = world.now + self.random.range(8.0, 25.0);
        silence(tape, &source, (world.now, until), true);
    }
}

fn silence(tape: &mut Tape, source: &str, (from, until): (f64, f64), told: bool) {
    if told {
        let state = |state: &str| format!("{{\"source\": \"{source}\", \"state\": \"{state}\"}}");
        let noticed = from + NOTICED_S;
        tape.send("/source", SCHEMA, noticed, noticed, state("offline"));
        tape.send("/source", SCHEMA, until, until, state("online"));
    }
    tape.mute(source.to_owned(), until);
}

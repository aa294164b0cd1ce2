//! Doors and gates: contacts, tokens, and helpers' notes.
//!
//! A door opens when somebody wants through and shuts 2.2 s after the last one did.

use crate::sim::random::Random;
use crate::sim::tape::Tape;
use crate::sim::world::{Occurrence, World};

const OPEN_S: f64 = 2.2;
const SCHEMA: &str = "basketd.GateEvent";

#[derive(Debug)]
pub(in crate::sim) struct Gates {
    open_until: Vec<Option<f64>>,
    random: Random,
}

impl Gates {
    pub(in crate::sim) fn new(seed: u64, world: &World) -> Self {
        Self {
            open_until: vec![None; world.shop.doors.len()],
            random: Random::stream(seed, "gates"),
        }
    }

    pub(in crate::sim) fn step(&mut self, world: &World, tape: &mut Tape) {
        let now = world.now;
        for door in 0..self.open_until.len() {
            if self.open_until[door].is_some_and(|until| until <= now) {
                self.open_until[door] = None;
                send(
                    world,
                    tape,
                    door,
                    now,
                    "{\"kind\": \"door\", \"open\": false}".into(),
                );
            }
        }
        for occurrence in &world.occurrences {
            match occurrence {
                Occurrence::Pass(door) => self.pass(world, tape, *door),
                Occurrence::Admitted(door, visit) => {
                    let after = self.random.range(0.2, 0.6);
                    send(world, tape, *door, now + after, admitted(world, *visit));
                }
                Occurrence::Presented(door, visit) => {
                    let token = world.visits[*visit].token.as_deref().unwrap_or_default();
                    let json = format!("{{\"kind\": \"presented\", \"token\": \"{token}\"}}");
                    let after = self.random.range(0.01, 0.3);
                    send(world, tape, *door, now + after, json);
                }
                Occurrence::Command(what, shelf, by) => {
                    let json = format!(
                        "{{\"command\": \"{what}\", \"shelf\": \"{shelf}\", \"by\": \"{by}\"}}"
                    );
                    tape.send("/command", "basketd.Command", now, now, json);
                }
                Occurrence::Signal(_) => {}
            }
        }
    }

    fn pass(&mut self, world: &World, tape: &mut Tape, door: usize) {
        if self.open_until[door].is_none() {
            send(
                world,
                tape,
                door,
                world.now,
                "{\"kind\": \"door\", \"open\": true}".into(),
            );
        }
        self.open_until[door] = Some(world.now + OPEN_S);
    }
}

fn send(world: &World, tape: &mut Tape, door: usize, at: f64, json: String) {
    let topic = format!("/gate/{}", world.shop.doors[door].gate);
    tape.send(&topic, SCHEMA, at, at, json);
}

fn admitted(world: &World, visit: usize) -> String {
    let v = &world.visits[visit];
    let mut json = format!(
        "{{\"kind\": \"admitted\", \"token\": \"{}\"",
        v.token.as_deref().unwrap_or_default()
    );
    if let Some(member) = &v.member {
        json.push_str(&format!(", \"member\": \"{member}\""));
    }
    if v.people.len() > 1 {
        json.push_str(&format!(", \"party\": {}", v.people.len()));
    }
    if v.staff {
        json.push_str(", \"role\": \"staff\"");
    }
    json.push('}');
    json
}

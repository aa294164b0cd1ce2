//! Where people are, twice a second: what tracking is judged by.

use serde_json::json;

use super::world::World;
use crate::units::signal::round_to;
use crate::units::{TimeDelta, Timestamp};

const PERIOD_S: f64 = 0.5;

/// `people.jsonl`, as it grows.
#[derive(Debug)]
pub(super) struct Whereabouts {
    epoch: Timestamp,
    next: f64,
    lines: String,
}

impl Whereabouts {
    pub(super) fn new(epoch: Timestamp) -> Self {
        Self {
            epoch,
            next: 0.0,
            lines: String::new(),
        }
    }

    pub(super) fn step(&mut self, world: &World) {
        if world.now < self.next {
            return;
        }
        self.next += PERIOD_S;
        let at = (self.epoch + TimeDelta::from_secs(world.now)).to_string();
        for (n, person) in world.people.iter().enumerate().filter(|p| p.1.inside()) {
            let line = json!({
                "at": at,
                "visit": name(world, person.visit),
                "person": n + 1,
                "x": round_to(person.position.x, 3),
                "y": round_to(person.position.y, 3),
            });
            self.lines.push_str(&line.to_string());
            self.lines.push('\n');
        }
    }

    pub(super) fn finish(self) -> String {
        self.lines
    }
}

/// The token; visits without one are counted as they come.
fn name(world: &World, visit: usize) -> String {
    let v = &world.visits[visit];
    let before = world.visits.iter().take(visit + 1);
    let count = before.filter(|o| o.token.is_none() && o.staff == v.staff);
    match &v.token {
        Some(token) => token.clone(),
        None if v.staff => format!("staff-{}", count.count()),
        None => format!("anonymous-{}", count.count()),
    }
}

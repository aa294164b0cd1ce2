//! Sensors, clocks and lines that fail.
//!
//! | number | scene | expected |
//! | --- | --- | --- |
//! | 40 | `reader-offline` | the item; review: a sensor was away for half a minute |
//! | 41 | `cameras-offline` | the item; review: nobody was seen for half a minute |
//! | 41 | `camera-blocked` | the item: another camera sees the place, or review |
//! | 42 | `reader-clock-off` | the item, as if the clock were right |
//! | 42 | `camera-clock-off` | the same |
//! | 45 | `repeated` | the item, though messages come twice, late and out of order |
//! | 47 | `power-cut` | the item taken before; review; nobody is charged for tags that fell silent |
//! | 47 | `power-cut-untold` | the same, though no message tells of it |

use super::*;
use crate::sim::shop::Task;

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "reader-offline",
        shows: "the shelf's reader is away for 30 s while an item is taken",
        sensors: TAGS,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let sources = s.reader_of(a).into_iter().collect();
            away(s, a, sources);
        },
    },
    Scene {
        name: "cameras-offline",
        shows: "all floor cameras are away for 30 s while an item is taken",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let sources = floor_cameras(s.shop).collect();
            away(s, a, sources);
        },
    },
    Scene {
        name: "camera-blocked",
        shows: "something stands before a floor camera all the time",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let eyes: Vec<&str> = s.shop.eyes.iter().map(|e| e.id.as_str()).collect();
            if let Some(camera) = eyes.first() {
                let camera = (*camera).to_owned();
                s.play.incidents.push(Incident::Blocked { camera });
            }
            let steps = s.buys(a);
            s.comes(0.0, steps);
        },
    },
    Scene {
        name: "reader-clock-off",
        shows: "the clock of the shelf's reader is 2 s ahead",
        sensors: TAGS,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let source = s.reader_of(a);
            clock_off(s, a, source);
        },
    },
    Scene {
        name: "camera-clock-off",
        shows: "the clock of a floor camera is 2 s ahead",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let source = floor_cameras(s.shop).next();
            clock_off(s, a, source);
        },
    },
    Scene {
        name: "repeated",
        shows: "sensors' messages come twice, late and out of order",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            s.play.incidents.push(Incident::Repeated);
            let (a, b) = (s.facing(), s.facing());
            let mut steps = s.buys(a);
            s.go(&mut steps, b);
            s.take(&mut steps, b, 1);
            s.comes(0.0, steps);
        },
    },
    Scene {
        name: "power-cut",
        shows: "a reader loses power and says so: all of its tags fall silent together",
        sensors: TAGS,
        premises: PLAIN,
        script: |s| power_cut(s, true),
    },
    Scene {
        name: "power-cut-untold",
        shows: "a reader's tags fall silent together, and no message tells of it",
        sensors: TAGS,
        premises: PLAIN,
        script: |s| power_cut(s, false),
    },
];

const AHEAD_S: f64 = 2.0;
const AWAY_S: f64 = 30.0;
const CUT_S: f64 = 20.0;

fn floor_cameras(shop: &Shop) -> impl Iterator<Item = String> + '_ {
    let floor = |e: &&crate::sim::shop::Eye| matches!(e.task, Task::Floor(_));
    let eyes = shop.eyes.iter().filter(floor);
    eyes.map(|e| format!("camera/{}", e.id))
}

fn clock_off(s: &mut Stage<'_>, a: Where, source: Option<String>) {
    if let Some(source) = source {
        let ahead_s = AHEAD_S;
        s.play.incidents.push(Incident::Clock { source, ahead_s });
    }
    let steps = s.buys(a);
    s.comes(0.0, steps);
}

/// Somebody takes one while these are away, and leaves when they are back.
fn away(s: &mut Stage<'_>, a: Where, sources: Vec<String>) {
    s.play.incidents.push(Incident::Silent {
        sources,
        seconds: AWAY_S,
        told: true,
    });
    let mut steps = s.start(a);
    steps.extend([Step::Signal(0), Step::Stand(4.0)]);
    s.take(&mut steps, a, 1);
    steps.extend([Step::Stow(Carry::Basket), Step::Stand(AWAY_S)]);
    s.comes(0.0, steps).review = true;
}

/// Somebody has taken one and stands before the shelf while the reader is away.
fn power_cut(s: &mut Stage<'_>, told: bool) {
    let a = s.facing();
    let sources = s.reader_of(a).into_iter().collect();
    s.play.incidents.push(Incident::Silent {
        sources,
        seconds: CUT_S,
        told,
    });
    let mut steps = s.buys(a);
    steps.extend([Step::Stand(8.0), Step::Signal(0), Step::Stand(CUT_S + 6.0)]);
    s.comes(0.0, steps).review = true;
}

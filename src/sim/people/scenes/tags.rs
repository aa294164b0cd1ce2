//! Tags that are not heard, lie, or are no sale.
//!
//! | number | scene | expected |
//! | --- | --- | --- |
//! | 20 | `pocket` | it: the gate may not hear it |
//! | 21 | `unheard-at-the-gate` | it, from what the shelf tells |
//! | 22 | `foil-bag` | all; review: tags that vanish together are no put-back |
//! | 23 | `tag-torn-off` | the item; review: its tag is still heard on the shelf |
//! | 24 | `untagged` | it, from scales and cameras |
//! | 25 | `double-tagged` | one unit: two tags that always move together |
//! | 26 | `bought-yesterday` | the item taken, not the one brought along |
//! | 27 | `foreign-tag` | the item taken, not the one brought along |
//! | 29 | `stock-by-the-gate` | the item taken; cartons by the gate are as loud as sales |

use super::*;
use crate::sim::stock::Brought;

const STACK: Premises = Premises {
    stack: true,
    ..PLAIN
};

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "pocket",
        shows: "an item goes into a pocket",
        sensors: ANY,
        premises: PLAIN,
        script: |s| carried(s, Carry::Pocket),
    },
    Scene {
        name: "unheard-at-the-gate",
        shows: "a can or bottle in a bag full of such is not heard at the gate",
        sensors: ANY,
        premises: PLAIN,
        script: |s| carried(s, Carry::Crammed),
    },
    Scene {
        name: "foil-bag",
        shows: "two items go into a bag lined with foil",
        sensors: TAGS,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let b = s.beside(a);
            let mut steps = s.start(a);
            s.take(&mut steps, a, 1);
            s.take(&mut steps, b, 1);
            steps.extend([Step::Stow(Carry::Bag), Step::Stand(2.0)]);
            let arrival = s.comes(0.0, steps);
            arrival.foil = true;
            arrival.review = true;
        },
    },
    Scene {
        name: "tag-torn-off",
        shows: "tears an item's tag off, leaves it on the shelf, keeps the item",
        sensors: UNTAGGED,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let along = s.along(a);
            let mut steps = s.start(a);
            s.take(&mut steps, a, 1);
            steps.extend([Step::Stand(2.0), Step::TearTag(a.0, a.1, along)]);
            steps.push_back(Step::Stow(Carry::Bag));
            s.comes(0.0, steps).review = true;
        },
    },
    Scene {
        name: "untagged",
        shows: "takes an item without a tag",
        sensors: UNTAGGED,
        premises: PLAIN,
        script: |s| tagged(s, 0),
    },
    Scene {
        name: "double-tagged",
        shows: "takes an item that bears two tags",
        sensors: ANY,
        premises: PLAIN,
        script: |s| tagged(s, 2),
    },
    Scene {
        name: "bought-yesterday",
        shows: "brings an item that was sold here another day, and takes one",
        sensors: ANY,
        premises: PLAIN,
        script: |s| brings(s, Brought::BoughtBefore),
    },
    Scene {
        name: "foreign-tag",
        shows: "wears another retailer's live tag, and takes one",
        sensors: ANY,
        premises: PLAIN,
        script: |s| brings(s, Brought::Foreign),
    },
    Scene {
        name: "stock-by-the-gate",
        shows: "cartons stand beside the way out, and one item is taken",
        sensors: TAGS,
        premises: STACK,
        script: |s| {
            let a = s.facing();
            let steps = s.buys(a);
            s.comes(0.0, steps);
        },
    },
];

/// A can or a bottle, put away so that its tag is hard to hear.
fn carried(s: &mut Stage<'_>, how: Carry) {
    let a = s.facing_with(&[Kind::Can, Kind::Bottle]);
    let mut steps = s.start(a);
    s.take(&mut steps, a, 1);
    steps.push_back(Step::Stow(how));
    s.comes(0.0, steps);
}

fn tagged(s: &mut Stage<'_>, tags: usize) {
    let a = s.facing();
    s.play.tagged.push((a, tags));
    let steps = s.buys(a);
    s.comes(0.0, steps);
}

fn brings(s: &mut Stage<'_>, what: Brought) {
    let a = s.facing();
    let steps = s.buys(a);
    s.comes(0.0, steps).brings.push(what);
}

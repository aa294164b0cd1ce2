//! What one shopper does.
//!
//! | number | scene | expected |
//! | --- | --- | --- |
//! | 1 | `take-one` | it |
//! | 2 | `put-back` | nothing |
//! | 3 | `wrong-shelf` | nothing |
//! | 4 | `neighbours-cell` | nothing, and no sale of the neighbour's goods |
//! | 5 | `swap` | the item; review: something that is not the shop's stands in its place |
//! | 19 | `consumed` | the item, though only its wrapper is left, on a shelf |
//! | 28 | `turn-back` | nothing |
//! | 31 | `re-entry` | each time what was taken then, though the first item comes in again |
//! | 32 | `restroom` | it: the track is lost in a room without cameras, the coat comes off |
//! | 33 | `left-by-the-door` | nothing |
//! | 34 | `take-two-at-once` | both |
//! | 35 | `touch-three-take-one` | one |
//! | 50 | `abandoned-basket` | nothing; review: staff have to see to the basket |

use super::*;
use crate::sim::stock::Brought;

const ROOM: Premises = Premises {
    room: true,
    ..PLAIN
};

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "take-one",
        shows: "takes one item and leaves",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let steps = s.buys(a);
            s.comes(0.0, steps);
        },
    },
    Scene {
        name: "take-two-at-once",
        shows: "two of a kind in one hand",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let mut steps = s.start(a);
            s.take(&mut steps, a, 2);
            s.comes(0.0, steps);
        },
    },
    Scene {
        name: "touch-three-take-one",
        shows: "touches three, takes one",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let mut steps = s.start(a);
            for _ in 0..3 {
                steps.push_back(s.reach(a, Act::Touch));
                steps.push_back(Step::Stand(0.7));
            }
            s.take(&mut steps, a, 1);
            s.comes(0.0, steps);
        },
    },
    Scene {
        name: "put-back",
        shows: "puts an item back where it was",
        sensors: ANY,
        premises: PLAIN,
        script: |s| returned(s, |_, _| Back::Home),
    },
    Scene {
        name: "wrong-shelf",
        shows: "leaves an item on another shelf",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            returned(s, |s, (f, l, _)| {
                let mut other = s.facing();
                for _ in 0..50 {
                    if (other.0, other.1) != (f, l) {
                        break;
                    }
                    other = s.facing();
                }
                s.at(other)
            });
        },
    },
    Scene {
        name: "neighbours-cell",
        shows: "drops an item among the goods beside it",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            returned(s, |s, a| {
                let beside = s.beside(a);
                s.at(beside)
            });
        },
    },
    Scene {
        name: "left-by-the-door",
        shows: "leaves an item on the shelf nearest to the way out",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            returned(s, |s, _| {
                let door = s.shop.doors[s.shop.exit].inside;
                let near = |f: &usize| {
                    let fixture = &s.shop.fixtures[*f];
                    fixture.spot(fixture.length() / 2.0, 0.5).distance(door)
                };
                let all = 0..s.shop.fixtures.len();
                let f = all.min_by(|a, b| near(a).total_cmp(&near(b)));
                let place = s.facing_of(f.unwrap_or(0));
                s.at(place)
            });
        },
    },
    Scene {
        name: "swap",
        shows: "puts a foreign item of equal weight where one was taken",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let mut steps = s.buys(a);
            let along = s.along(a);
            steps.push_back(Step::Return(Back::BroughtAt(a.0, a.1, along)));
            let good = s.shop.level(a.0, a.1).facings[a.2].good;
            let arrival = s.comes(0.0, steps);
            arrival.brings.push(Brought::AsHeavyAs(good));
            arrival.review = true;
        },
    },
    Scene {
        name: "consumed",
        shows: "consumes an item inside and leaves its wrapper on a shelf",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            let (a, b) = (s.facing(), s.facing());
            let mut steps = s.start(a);
            s.take(&mut steps, a, 1);
            let wrapper = Step::Return(s.at(b));
            steps.extend([Step::Stand(6.0), Step::Consume, wrapper, Step::Stand(1.0)]);
            s.comes(0.0, steps);
        },
    },
    Scene {
        name: "turn-back",
        shows: "turns round at the door and puts back",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let mut steps = s.buys(a);
            let door = s.shop.doors[s.shop.exit].inside;
            let back = Step::Return(Back::Home);
            steps.extend([Step::Go(door, 0.3), Step::Stand(1.5), back]);
            s.comes(0.0, steps);
        },
    },
    Scene {
        name: "re-entry",
        shows: "leaves and comes again with the same token and the bought item",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            let (a, b) = (s.facing(), s.facing());
            let first = s.buys(a);
            let second = s.buys(b);
            let token = s.comes(0.0, first).token.clone();
            let away = s.gone(a) - FIRST_S + 12.0;
            let again = s.comes(away, second);
            again.token = token;
            again.brings.push(Brought::CarriedOut(0));
        },
    },
    Scene {
        name: "restroom",
        shows: "goes to a room without cameras and comes back in other clothes",
        sensors: ANY,
        premises: ROOM,
        script: |s| {
            let (a, b) = (s.facing(), s.facing());
            let mut steps = s.buys(a);
            if let Some(room) = s.shop.room {
                let inside = s.shop.zones[room].middle();
                steps.extend([Step::Go(inside, 0.2), Step::Stand(12.0), Step::Change]);
            }
            s.go(&mut steps, b);
            s.take(&mut steps, b, 1);
            s.comes(0.0, steps);
        },
    },
    Scene {
        name: "abandoned-basket",
        shows: "puts the basket down on the floor and leaves without it",
        sensors: ANY,
        premises: PLAIN,
        script: |s| {
            let (a, b) = (s.facing(), s.facing());
            let mut steps = s.buys(a);
            s.go(&mut steps, b);
            s.take(&mut steps, b, 1);
            steps.extend([Step::Stow(Carry::Basket), Step::Abandon, Step::Stand(1.0)]);
            s.comes(0.0, steps).review = true;
        },
    },
];

/// Takes one, looks at it, and puts it somewhere.
fn returned(s: &mut Stage<'_>, to: fn(&mut Stage<'_>, Where) -> Back) {
    let a = s.facing();
    let mut steps = s.start(a);
    s.take(&mut steps, a, 1);
    let back = to(s, a);
    steps.extend([Step::Stand(2.0), Step::Return(back), Step::Stand(1.0)]);
    s.comes(0.0, steps);
}

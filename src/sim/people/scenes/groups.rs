//! Several people at once.
//!
//! | number | scene | expected |
//! | --- | --- | --- |
//! | 6 | `two-at-one-shelf` | each the own item |
//! | 7 | `reach-across` | whoever reached, not who stands before the shelf |
//! | 8 | `hand-over` | whoever carries it out |
//! | 9 | `party` | all on the one receipt |
//! | 10 | `party-leaves-apart` | both baskets on the one receipt, when the last has left |
//! | 11 | `one-leaves-early` | the item on the one receipt, when the last has left |
//! | 12 | `shared-basket` | all to whoever carries it out |
//! | 13 | `tail-gater` | the other's item to the other; nobody is charged for the own: review |
//! | 14 | `no-token` | nobody is charged: review |
//! | 18 | `helped` | whoever was helped |
//! | 30 | `two-lanes` | each the own item, though both leave at once side by side |
//! | 46 | `crowd` | each the own item |
//! | 49 | `returned-by-another` | neither is charged |

use super::*;

const LANE: Premises = Premises {
    lane: true,
    ..PLAIN
};

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "two-at-one-shelf",
        shows: "two shoppers reach the same shelf within a second",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let b = s.beside(a);
            let then = s.reached(a).max(s.reached(b));
            for (later, place) in [(0.0, a), (2.0, b)] {
                let mut steps = s.start(place);
                steps.push_back(Step::Until(then + s.random.range(0.0, 0.5)));
                s.take(&mut steps, place, 1);
                steps.push_back(Step::Stow(Carry::Basket));
                s.comes(later, steps);
            }
        },
    },
    Scene {
        name: "reach-across",
        shows: "takes from in front of somebody who only looks",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let mut looks = s.start(a);
            looks.push_back(Step::Until(s.reached(a) + 4.0));
            s.comes(0.0, looks);
            let takes = s.buys(a);
            s.comes(2.5, takes);
        },
    },
    Scene {
        name: "hand-over",
        shows: "gives an item to another visit",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            given(s, a, 1);
        },
    },
    Scene {
        name: "helped",
        shows: "reaches a high shelf for somebody else and hands the item over",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let (f, _, _) = s.facing();
            let l = s.shop.fixtures[f].levels.len() - 1;
            let n = s.random.index(s.shop.level(f, l).facings.len());
            let high = s.full((f, l, n));
            given(s, high, 1);
        },
    },
    Scene {
        name: "shared-basket",
        shows: "two visits, one basket: one takes, the other carries all out",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            given(s, a, 2);
        },
    },
    Scene {
        name: "party",
        shows: "three with one token take in different places",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let (a, b) = (s.facing(), s.facing());
            let c = s.beside(a);
            party(s, &[Some(a), Some(b), Some(c)], Step::Leave);
        },
    },
    Scene {
        name: "party-leaves-apart",
        shows: "two with one token take and leave one after the other",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let (a, b) = (s.facing(), s.facing());
            party(s, &[Some(a), Some(b)], Step::LeaveAlone);
            let others = &mut s.play.arrivals[0].people[1];
            others.push_front(Step::Stand(14.0));
        },
    },
    Scene {
        name: "one-leaves-early",
        shows: "of two with one token one leaves at once with nothing",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            party(s, &[Some(a), None], Step::LeaveAlone);
            let takes = &mut s.play.arrivals[0].people[0];
            takes.push_front(Step::Stand(12.0));
        },
    },
    Scene {
        name: "tail-gater",
        shows: "somebody without a token on the heels of another",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let (a, b) = (s.facing(), s.facing());
            let steps = s.buys(a);
            s.comes(0.0, steps);
            let close = s.buys(b);
            s.comes(1.3, close).token = None;
        },
    },
    Scene {
        name: "no-token",
        shows: "comes in though the gate let nobody in, and takes",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let a = s.facing();
            let steps = s.buys(a);
            s.comes(0.0, steps).token = None;
        },
    },
    Scene {
        name: "two-lanes",
        shows: "two leave at once by lanes side by side",
        sensors: SEEN,
        premises: LANE,
        script: |s| {
            let (a, b) = (s.facing(), s.facing());
            let lane = s.shop.lane.unwrap_or(s.shop.exit);
            let then = s.gone(a).max(s.gone(b));
            for (later, place, door) in [(0.0, a, s.shop.exit), (1.5, b, lane)] {
                let mut steps = s.buys(place);
                // They wait before the lanes until both are there.
                steps.push_back(Step::Go(s.shop.doors[door].inside, 0.2));
                steps.push_back(Step::Until(then));
                s.comes(later, steps).by_lane = later > 0.0;
            }
        },
    },
    Scene {
        name: "crowd",
        shows: "thirty come within forty seconds of opening",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let mut later = 0.0;
            for _ in 0..CROWD {
                let place = s.facing();
                let steps = s.buys(place);
                s.comes(later, steps);
                later += s.random.range(1.2, 1.5);
            }
        },
    },
    Scene {
        name: "returned-by-another",
        shows: "one leaves an item on a wrong shelf, another puts it where it belongs",
        sensors: SEEN,
        premises: PLAIN,
        script: |s| {
            let (a, b) = (s.facing(), s.facing());
            let mut first = s.start(a);
            s.take(&mut first, a, 1);
            first.extend([Step::Return(s.at(b)), Step::Stand(1.0)]);
            s.comes(0.0, first);
            let mut second = s.start(b);
            second.push_back(Step::Until(s.gone(a).max(s.gone(b)) + 6.0));
            second.push_back(s.reach(b, Act::PickUp));
            second.extend([Step::Stand(1.5), Step::Return(Back::Home)]);
            s.comes(20.0, second);
        },
    },
];

const CROWD: u32 = 30;

/// One visit takes so many and gives all to another that waits beside.
fn given(s: &mut Stage<'_>, place: Where, count: u32) {
    let beside = s.beside(place);
    let mut gives = s.start(place);
    for _ in 0..count {
        s.take(&mut gives, place, 1);
    }
    for _ in 0..count {
        gives.extend([Step::Stand(1.5), Step::HandOver, Step::Stand(1.0)]);
    }
    s.comes(0.0, gives);
    let mut waits = s.start(beside);
    waits.extend([
        Step::Stand(14.0 + 6.0 * f64::from(count)),
        Step::Stow(Carry::Basket),
    ]);
    s.comes(1.5, waits);
}

/// People with one token, each of whom takes one item or only looks.
fn party(s: &mut Stage<'_>, places: &[Option<Where>], leave: Step) {
    let mut people = Vec::new();
    for place in places {
        let mut steps = match place {
            Some(place) => s.buys(*place),
            None => Steps::from([Step::Wander]),
        };
        steps.push_back(leave.clone());
        people.push(steps);
    }
    s.comes(0.0, Steps::new()).people = people;
}

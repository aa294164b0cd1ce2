//! Accounts as a person tells them apart: by what was moved which way, not by which sensor told of
//! which item.

use crate::fusion::Direction;
use crate::fusion::trace::{Decided, Weighed};
use crate::gs1::Gtin;

/// What was moved: products with their number, each way.
pub(super) type What = Vec<(Direction, Gtin, u32)>;

/// All accounts of the same things.
pub(super) struct Group<'a> {
    pub(super) what: What,
    pub(super) probability: f64,
    /// The best of them.
    pub(super) best: &'a Weighed,
}

/// The told one first, then by probability.
pub(super) fn groups(decided: &Decided) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for account in &decided.accounts {
        let what = what(account);
        match groups.iter_mut().find(|g| g.what == what) {
            Some(group) => group.probability += account.probability,
            None => groups.push(Group {
                what,
                probability: account.probability,
                best: account,
            }),
        }
    }
    if let Some((_, others)) = groups.split_first_mut() {
        others.sort_by(|a, b| {
            b.probability
                .total_cmp(&a.probability)
                .then(b.best.log_likelihood.total_cmp(&a.best.log_likelihood))
        });
    }
    groups
}

fn what(account: &Weighed) -> What {
    let mut what: What = Vec::new();
    for act in &account.acts {
        let same = |(d, g, _): &&mut (Direction, Gtin, u32)| *d == act.direction && *g == act.gtin;
        match what.iter_mut().find(same) {
            Some((_, _, n)) => *n += 1,
            None => what.push((act.direction, act.gtin, 1)),
        }
    }
    what.sort();
    what
}

/// What speaks for the first of two groups of accounts against the second, nats; negative against
/// it. The terms sum to the log of the odds. Where the second was too unlikely to be followed, only
/// what the sensors say of it is known.
pub(super) fn why(first: &Group<'_>, second: &Group<'_>) -> Vec<(&'static str, f64)> {
    let (one, two) = (first.best, second.best);
    let (a, b) = (one.parts, two.parts);
    let mut why = vec![
        ("scales", a.scale - b.scale),
        ("tags", a.tags - b.tags),
        ("cameras", a.cameras - b.cameras),
        ("silence", a.silence - b.silence),
        ("prior", a.prior - b.prior),
    ];
    let mut all: Option<f64> = None;
    if one.way > 0.0 && two.way > 0.0 {
        let people = one.who_log - two.who_log;
        let sensors = one.log_likelihood - two.log_likelihood;
        let ways = libm::log(one.way) - libm::log(two.way);
        let odds = libm::log(first.probability / second.probability);
        why.push(("people", people));
        why.push(("held", ways - sensors - people));
        why.push(("ways", odds - ways));
        all = Some(odds);
    }
    why.retain(|(_, nats)| nats.abs() >= 0.05);
    let told: f64 = why.iter().map(|(_, nats)| nats).sum();
    let rest = all.map(|all| all - told).filter(|rest| rest.abs() >= 0.05);
    why.extend(rest.map(|rest| ("rest", rest)));
    why.sort_by(|x, y| y.1.total_cmp(&x.1).then(x.0.cmp(y.0)));
    why
}

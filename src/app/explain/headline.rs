//! What an interaction was, in one line: as a fact where it is one, and with its share of the
//! probability where it is a guess.

use super::accounts::groups;
use super::interaction::Teller;
use crate::app::words::{done, name, percent};
use crate::fusion::trace::{ActTrace, Decided, Weighed};
use crate::ids::VisitId;

/// What is so likely is told as a fact.
const FACT: f64 = 0.9;
/// The same as probable; less is unclear.
const PROBABLE: f64 = 0.6;

impl Teller<'_> {
    /// What it was, in one line.
    pub(super) fn headline(&self, d: &Decided) -> String {
        let shelf = &self.store.shelf(d.shelf).id;
        let told = match d.accounts.first() {
            None => "nothing was weighed".to_owned(),
            Some(account) if account.acts.is_empty() => self.nothing(d),
            Some(account) => self.something(d, account),
        };
        format!("shelf {shelf}: {told}")
    }

    fn nothing(&self, d: &Decided) -> String {
        let groups = groups(d);
        let first = groups.first().map_or(1.0, |g| g.probability);
        match (first, groups.get(1)) {
            (p, Some(next)) if p < PROBABLE => format!(
                "unclear: perhaps nothing was moved ({}), perhaps {} ({})",
                percent(p),
                self.what(&next.what),
                percent(next.probability)
            ),
            (p, _) if p < FACT => {
                format!(
                    "something stirred, and probably nothing was moved ({})",
                    percent(p)
                )
            }
            _ => "something stirred, and nothing was moved".to_owned(),
        }
    }

    fn something(&self, d: &Decided, account: &Weighed) -> String {
        let acts = account.acts.iter().enumerate().map(|(i, act)| {
            let what = name(self.store, act.gtin);
            let who = d.acts.get(i).map_or_else(String::new, |a| self.by(a));
            format!("{what} {}{who}", done(act.direction))
        });
        let acts = counted(acts);
        if d.restock {
            return acts;
        }
        let groups = groups(d);
        match (groups.first().map_or(1.0, |g| g.probability), groups.get(1)) {
            (p, _) if p >= FACT => acts,
            (p, Some(next)) if p < PROBABLE => format!(
                "unclear: perhaps {acts} ({}), perhaps {} ({})",
                percent(p),
                self.what(&next.what),
                percent(next.probability)
            ),
            (p, _) => format!("probably ({}) {acts}", percent(p)),
        }
    }

    /// Who did an act, if it was done.
    fn by(&self, act: &ActTrace) -> String {
        let one =
            |(who, p): &(Option<VisitId>, f64)| format!("{} ({})", self.who(*who), percent(*p));
        match &act.who[..] {
            [] => String::new(),
            [(who, p), ..] if *p >= FACT => format!(" by {}", self.who(*who)),
            [first, ..] if first.1 >= PROBABLE => format!(", probably by {}", one(first)),
            [first, second, ..] => format!(
                ", unclear by whom: perhaps {}, perhaps {}",
                one(first),
                one(second)
            ),
            [first] => format!(", perhaps by {}", one(first)),
        }
    }
}

/// Those that read the same are told once, with their number.
fn counted(acts: impl Iterator<Item = String>) -> String {
    let mut told: Vec<(String, usize)> = Vec::new();
    for act in acts {
        match told.iter_mut().find(|(known, _)| *known == act) {
            Some((_, n)) => *n += 1,
            None => told.push((act, 1)),
        }
    }
    let each = told.into_iter().map(|(act, n)| match n {
        1 => act,
        n => format!("{n} x {act}"),
    });
    let each: Vec<String> = each.collect();
    each.join(", and ")
}

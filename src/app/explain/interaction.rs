//! One interaction as text: what the sensors said, what it can have been and why it is taken for
//! what it is, and who it was.

use std::collections::BTreeMap;

use super::accounts::{Group, What, groups, why};
use super::rows::row;
use super::story::Since;
use crate::app::local::Local;
use crate::app::words::{NBSP, done, grams, likelier, name, odds, percent, product, speaks, tag};
use crate::fusion::trace::{ActTrace, Decided, Near, Stood};
use crate::fusion::{Direction, Piece};
use crate::ids::{TrackId, VisitId};
use crate::presence::{TagHeard, TagSay};
use crate::shelf::{CountStep, WeightStep};
use crate::store::Store;
use crate::units::Timestamp;

/// Accounts told of one interaction.
const ACCOUNTS: usize = 4;
/// Less likely ones are not told, but for the first two.
const FAINT: f64 = 0.001;
/// Whose share in something is less is one of the others, where not all is told.
const SHARE: f64 = 0.05;

pub(super) struct Teller<'a> {
    pub(super) store: &'a Store,
    pub(super) local: &'a Local,
    /// The visit whose story it is.
    pub(super) visit: VisitId,
    pub(super) all: bool,
    /// When each visit came in.
    pub(super) entered: &'a BTreeMap<VisitId, Timestamp>,
    /// Whose each track is.
    pub(super) whose: &'a BTreeMap<TrackId, VisitId>,
}

impl Teller<'_> {
    pub(super) fn body(&self, out: &mut String, d: &Decided, since: Since) {
        for (i, piece) in d.pieces.iter().enumerate() {
            row(
                out,
                if i == 0 { "evidence" } else { "" },
                &self.piece(piece),
            );
        }
        if d.restock {
            row(out, "so", "staff was filling the shelf: no shopper's doing");
            return;
        }
        let groups = groups(d);
        for (i, group) in groups.iter().enumerate().take(ACCOUNTS) {
            if i > 1 && group.probability < FAINT {
                break;
            }
            let text = format!(
                "{:>8}  {}",
                percent(group.probability),
                self.what(&group.what)
            );
            row(out, if i == 0 { "accounts" } else { "" }, &text);
        }
        if let [first, second, ..] = &groups[..] {
            self.why(out, first, second);
        }
        for (i, act) in d.acts.iter().enumerate() {
            self.act(out, d, i, act);
        }
        if d.acts.is_empty() {
            self.near(out, d);
        }
        match since {
            Since::Stands => {}
            Since::Overruled => row(out, "later", "no longer believed: see the receipt"),
            Since::Charged => {
                row(
                    out,
                    "later",
                    "the receipt charges something from here: see there",
                );
            }
        }
    }

    /// This shopper and who else may have had a hand in it.
    fn near(&self, out: &mut String, d: &Decided) {
        let told = |n: &&Near| self.all || n.visit == self.visit || n.acted >= SHARE;
        if !self.store.has_floor_cameras() {
            return;
        }
        for near in d.near.iter().filter(told) {
            let one = self.one(near.visit);
            let text = match near.stood {
                _ if self.is_before(near.visit, d) => format!("{one} had not come in yet"),
                Some(stood) => format!("{one} stood {}", place(&stood)),
                None => format!("nobody saw where {one} stood"),
            };
            row(out, "near", &text);
        }
    }

    fn is_before(&self, visit: VisitId, d: &Decided) -> bool {
        let entered = self.entered.get(&visit);
        entered.is_some_and(|at| d.window.1 < *at)
    }

    fn why(&self, out: &mut String, first: &Group<'_>, second: &Group<'_>) {
        let why = why(first, second);
        let told: Vec<String> = why
            .iter()
            .map(|(what, log)| format!("{}{NBSP}{log:+.1}", word(what)))
            .collect();
        let told = told.join(", ");
        let all = libm::log(first.probability / second.probability);
        let text = match (why.first(), second.probability > 0.0) {
            (None, _) => "nothing tells the two apart".to_owned(),
            (Some(_), true) if all < 0.0 => format!(
                "{} for the next over all people, though no one way of it is as likely; in nats: {told}",
                odds(all)
            ),
            (Some(_), true) => format!(
                "{} against the next, which is {all:.1}{NBSP}nats: {told}",
                odds(all)
            ),
            (Some((what, log)), false) if *log >= RULES_OUT => {
                format!("{} the next out; in nats: {told}", rules(what))
            }
            (Some(_), false) => format!(
                "who stood where and what each held before rule the next out; besides, in nats: {told}"
            ),
        };
        row(out, "because", &text);
    }

    fn act(&self, out: &mut String, d: &Decided, i: usize, traced: &ActTrace) {
        let Some(act) = d.accounts.first().and_then(|a| a.acts.get(i)) else {
            return;
        };
        let told = product(self.store, act.gtin);
        let own = act.epc.map(|epc| format!(", tag {}", tag(&epc)));
        let text = format!(
            "{told} {} at {}, {:.2}{NBSP}m along{}",
            done(act.direction),
            self.local.time(act.at()),
            act.along,
            own.unwrap_or_default()
        );
        row(out, "act", &text);
        // Tags that were not taken speak against it as a rule.
        let told = |(n, (say, _)): &(usize, &(TagSay, Option<TagHeard>))| {
            *n == 0 || self.all || say.log > 0.0
        };
        for (n, (say, heard)) in traced.tags.iter().enumerate().filter(told) {
            let text = self.tag(say, heard.as_ref());
            let of = if n == 0 && traced.tags_of_product > traced.tags.len() {
                format!(" (of {} tags of the product)", traced.tags_of_product)
            } else {
                String::new()
            };
            row(out, "  tags", &format!("{text}{of}"));
        }
        row(out, "  who", &self.shares(&traced.who));
        for (n, (visit, share)) in traced.who.iter().enumerate() {
            let told = |v: &VisitId| {
                let whose = self.all || n == 0 || *v == self.visit;
                whose && self.is_told(Some(*v), *share)
            };
            let Some(visit) = visit.filter(told) else {
                continue;
            };
            let stood = traced.stood.iter().find(|(v, _)| *v == visit);
            let one = self.one(visit);
            if self.is_before(visit, d) {
                row(out, "", &format!("{one} had not come in yet"));
            } else if let Some((_, stood)) = stood {
                row(out, "", &format!("{one} stood {}", place(stood)));
            }
        }
    }

    /// Whether a share in something is told by itself.
    fn is_told(&self, who: Option<VisitId>, share: f64) -> bool {
        let own = self.all || who == Some(self.visit);
        share >= if own { FAINT } else { SHARE }
    }

    /// Each with a share worth telling, and the others together.
    fn shares(&self, who: &[(Option<VisitId>, f64)]) -> String {
        let (told, others): (Vec<_>, Vec<_>) =
            who.iter().partition(|(v, share)| self.is_told(*v, *share));
        let mut text: Vec<String> = told
            .iter()
            .map(|(who, p)| format!("{} {}", self.who(*who), percent(*p)))
            .collect();
        let rest: f64 = others.iter().map(|(_, p)| p).sum();
        if rest >= FAINT {
            let whose = match others[..] {
                [(who, _)] => self.who(who),
                _ => "others".to_owned(),
            };
            text.push(format!("{whose} {}", percent(rest)));
        }
        text.join(", ")
    }

    fn tag(&self, say: &TagSay, heard: Option<&TagHeard>) -> String {
        let mut text = format!("{} {}: ", tag(&say.epc), speaks(say.log, "it"));
        let Some(heard) = heard else {
            text.push_str("never heard");
            return text;
        };
        let before = heard.before.map(|at| self.local.time(at));
        match before {
            Some(at) => text.push_str(&format!("heard here last at {at}")),
            None => text.push_str("not heard here shortly before"),
        }
        match (heard.since, heard.weaker_db) {
            (None, _) => text.push_str(", and no more since"),
            (Some((_, last, n)), weaker) => {
                let level = match weaker {
                    Some(db) if db > 3.0 => format!(", {db:.0}{NBSP}dB weaker"),
                    Some(db) if db < -3.0 => format!(", {:.0}{NBSP}dB louder", -db),
                    Some(_) => ", as loud as ever".to_owned(),
                    None => String::new(),
                };
                let last = self.local.time(last);
                text.push_str(&format!(
                    ", since then {}, the last at {last}{level}",
                    times(n)
                ));
            }
        }
        if heard.elsewhere {
            text.push_str(", also heard elsewhere");
        }
        text
    }

    fn piece(&self, piece: &Piece) -> String {
        match piece {
            Piece::Weight(step) => self.weight(step),
            Piece::Count(step) => self.count(step),
            Piece::Tag {
                epc,
                gtin,
                direction,
                window,
                log_odds,
            } => {
                let product = name(self.store, *gtin);
                let (from, to) = (self.local.time(window.0), self.local.time(window.1));
                match direction {
                    Direction::Take => format!(
                        "tag {} of {product}: heard last at {from}, missed at {to}; {}",
                        tag(epc),
                        likelier(*log_odds, "that it left", "that it did not")
                    ),
                    Direction::Putback => format!(
                        "tag {} of {product}: at rest here again between {from} and {to}",
                        tag(epc)
                    ),
                }
            }
        }
    }

    fn weight(&self, step: &WeightStep) -> String {
        let plates: Vec<String> = step
            .plates
            .iter()
            .map(|p| {
                let id = &self.store.scales[p.scale.index()].id;
                format!("{id} {}{NBSP}±{NBSP}{:.1}", grams(p.grams), p.sigma)
            })
            .collect();
        let place = step
            .middle(self.store)
            .map(|m| format!(" at about {m:.2}{NBSP}m"))
            .unwrap_or_default();
        let parts: Vec<String> = step.parts.iter().map(|p| grams(p.grams)).collect();
        let parts = if parts.len() > 1 {
            format!("; in {} moves: {}", parts.len(), parts.join(", "))
        } else {
            String::new()
        };
        format!(
            "scales {}{place}, {} ({}){parts}",
            grams(step.total()),
            self.span(step.after, step.before),
            plates.join(", ")
        )
    }

    fn count(&self, step: &CountStep) -> String {
        let camera = &self.store.cameras[step.camera.index()].id;
        let n = step.delta.unsigned_abs();
        let what = match (step.delta < 0, step.carried) {
            (true, true) => "a product went in a hand",
            (true, false) => "a product is missing at its place",
            (false, true) => "a product came in a hand",
            (false, false) => "a product stands where none was",
        };
        let times = if n > 1 {
            format!(" ({n} of them)")
        } else {
            String::new()
        };
        let named: Vec<String> = step
            .gtins
            .iter()
            .take(3)
            .filter(|(_, p)| *p >= 0.02)
            .map(|(g, p)| format!("{} {}", name(self.store, *g), percent(*p)))
            .collect();
        let named = if named.is_empty() {
            "which one it cannot say".to_owned()
        } else {
            named.join(", ")
        };
        format!(
            "camera {camera}: {what}{times} at {:.2}{NBSP}m, {}; {named}; {}",
            step.along,
            self.span(step.after, step.before),
            likelier(step.log_odds, "that it is real", "that it is not")
        )
    }

    pub(super) fn what(&self, what: &What) -> String {
        if what.is_empty() {
            return "nothing was moved".to_owned();
        }
        let parts: Vec<String> = what
            .iter()
            .map(|(direction, gtin, n)| {
                format!("{n} x {} {}", name(self.store, *gtin), done(*direction))
            })
            .collect();
        parts.join(", ")
    }

    pub(super) fn span(&self, from: Timestamp, to: Timestamp) -> String {
        format!("{} to {}", self.local.time(from), self.local.time(to))
    }

    pub(super) fn who(&self, who: Option<VisitId>) -> String {
        who.map_or_else(|| "nobody".to_owned(), |visit| self.one(visit))
    }

    /// Another visit's number, or this one.
    pub(super) fn one(&self, visit: VisitId) -> String {
        if visit == self.visit {
            "this shopper".to_owned()
        } else {
            visit.to_string()
        }
    }
}

/// So many nats for something rule out what is against it, more or less alone.
const RULES_OUT: f64 = 4.0;

fn word(what: &str) -> &str {
    match what {
        "silence" => "what a camera did not see",
        "prior" => "how common it is",
        "people" => "who stood where",
        "held" => "what each held before",
        "ways" => "how many can have done it",
        other => other,
    }
}

fn rules(what: &str) -> String {
    let rule = match what {
        "scales" | "tags" | "cameras" => "rule",
        _ => "rules",
    };
    format!("{} {rule}", word(what))
}

fn place(s: &Stood) -> String {
    let side = if s.sideways < 0.0 { "left" } else { "right" };
    let off = if s.off < 0.0 { "behind" } else { "off" };
    format!(
        "{:.2}{NBSP}m {side} of the place and {:.2}{NBSP}m {off} the shelf ({} ±{NBSP}{:.2}{NBSP}m)",
        s.sideways.abs(),
        s.off.abs(),
        s.track,
        s.sigma
    )
}

fn times(n: u32) -> String {
    match n {
        1 => "one read".to_owned(),
        n => format!("{n} reads"),
    }
}

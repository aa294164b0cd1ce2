//! One interaction as text: what the sensors said, what it can have been and why it is taken for
//! what it is, and who it was.

use std::fmt::Write as _;

use super::accounts::{Group, What, groups, why};
use super::local::Local;
use super::words::{done, grams, name, nats, odds, percent, product, tag};
use crate::fusion::trace::{ActTrace, Decided, Stood};
use crate::fusion::{Direction, Piece};
use crate::ids::VisitId;
use crate::presence::{TagHeard, TagSay};
use crate::shelf::{CountStep, WeightStep};
use crate::store::Store;
use crate::units::Timestamp;

/// Accounts told of one interaction.
const ACCOUNTS: usize = 4;
/// Less likely ones are not told, but for the first two.
const FAINT: f64 = 0.001;

pub(super) struct Teller<'a> {
    pub(super) store: &'a Store,
    pub(super) local: &'a Local,
    /// The visit whose story it is.
    pub(super) visit: VisitId,
}

impl Teller<'_> {
    /// What it was, in one line.
    pub(super) fn head(&self, d: &Decided) -> String {
        let shelf = &self.store.shelf(d.shelf).id;
        let Some(account) = d.accounts.first() else {
            return format!("shelf {shelf}: nothing was weighed");
        };
        if account.acts.is_empty() {
            return format!("shelf {shelf}: something stirred, and nothing was moved");
        }
        let acts = account.acts.iter().zip(&account.who);
        let acts: Vec<String> = acts
            .map(|(act, who)| {
                let what = name(self.store, act.gtin);
                format!("{what} {} by {}", done(act.direction), self.who(*who))
            })
            .collect();
        format!("shelf {shelf}: {}", acts.join(", "))
    }

    pub(super) fn body(&self, out: &mut String, d: &Decided) {
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
            for near in &d.near {
                let one = self.one(near.visit);
                let text = match near.stood {
                    Some(stood) => format!("{one} stood {}", place(&stood)),
                    None => format!("nobody saw where {one} stood"),
                };
                row(out, "near", &text);
            }
        }
    }

    fn why(&self, out: &mut String, first: &Group<'_>, second: &Group<'_>) {
        let why = why(first.best, second.best);
        let told: Vec<String> = why
            .iter()
            .map(|(what, log)| format!("{} {log:+.1}", word(what)))
            .collect();
        let reasons = if told.is_empty() {
            "nothing tells the two apart".to_owned()
        } else {
            format!("in nats: {}", told.join(", "))
        };
        let text = if second.probability > 0.0 {
            let all = libm::log(first.probability / second.probability);
            format!("{} against the next; {reasons}", odds(all))
        } else {
            format!("the next weighs nothing beside it; {reasons}")
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
            "{told} {} at {}, {:.2} m along{}",
            done(act.direction),
            self.local.time(act.at()),
            act.along,
            own.unwrap_or_default()
        );
        row(out, "act", &text);
        for (n, (say, heard)) in traced.tags.iter().enumerate() {
            let text = self.tag(say, heard.as_ref());
            let of = if n == 0 && traced.tags_of_product > traced.tags.len() {
                format!(" (of {} tags of the product)", traced.tags_of_product)
            } else {
                String::new()
            };
            row(out, "  tags", &format!("{text}{of}"));
        }
        let who: Vec<String> = traced
            .who
            .iter()
            .filter(|(_, p)| *p >= FAINT)
            .map(|(who, p)| format!("{} {}", self.who(*who), percent(*p)))
            .collect();
        row(out, "  who", &who.join(", "));
        for (visit, stood) in &traced.stood {
            let text = format!("{} stood {}", self.one(*visit), place(stood));
            row(out, "", &text);
        }
    }

    fn tag(&self, say: &TagSay, heard: Option<&TagHeard>) -> String {
        let mut text = format!("{} {} for it: ", tag(&say.epc), nats(say.log));
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
                    Some(db) if db > 3.0 => format!(", {db:.0} dB weaker"),
                    Some(db) if db < -3.0 => format!(", {:.0} dB louder", -db),
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
                        "tag {} of {product}: heard last at {from}, missed at {to}; {} that it left",
                        tag(epc),
                        odds(*log_odds)
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
                format!("{id} {} ± {:.1}", grams(p.grams), p.sigma)
            })
            .collect();
        let place = step
            .middle(self.store)
            .map(|m| format!(" at about {m:.2} m"))
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
            "camera {camera}: {what}{times} at {:.2} m, {}; {named}; {} that it is real",
            step.along,
            self.span(step.after, step.before),
            odds(step.log_odds)
        )
    }

    fn what(&self, what: &What) -> String {
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

    fn span(&self, from: Timestamp, to: Timestamp) -> String {
        format!("{} to {}", self.local.time(from), self.local.time(to))
    }

    fn who(&self, who: Option<VisitId>) -> String {
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

fn word(what: &str) -> &str {
    match what {
        "silence" => "what a camera did not see",
        "prior" => "how common it is",
        "people" => "who stood where",
        "held" => "what each held before",
        other => other,
    }
}

fn place(s: &Stood) -> String {
    let side = if s.sideways < 0.0 { "left" } else { "right" };
    let off = if s.off < 0.0 { "behind" } else { "off" };
    format!(
        "{:.2} m {side} of the place and {:.2} m {off} the shelf ({} ± {:.2} m)",
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

/// Letters of a line's text.
const WIDTH: usize = 84;

/// A text with its word before it, in as many lines as it takes.
pub(super) fn row(out: &mut String, word: &str, text: &str) {
    let mut word = word;
    let mut line = String::new();
    let mut begin = |word: &mut &str, line: &str| {
        // Writing to a string never fails.
        writeln!(out, "            {word:<8} {line}").expect("a string takes all text");
        *word = "";
    };
    for part in text.split(' ') {
        if line.chars().count() + part.chars().count() > WIDTH {
            begin(&mut word, line.trim_end());
            line = "    ".to_owned();
        }
        line.push_str(part);
        line.push(' ');
    }
    begin(&mut word, line.trim_end());
}

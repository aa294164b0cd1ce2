//! A visit's receipt as text: whether it is settled and why, where each item came from, and what its
//! doubt is made of.

use super::doubt::Doubt;
use super::interaction::Teller;
use super::origin::{Origin, Overruled};
use super::rows::row;
use super::story::Grounds;
use crate::app::words::{NBSP, list, name, percent, product, reason, tag};
use crate::basket::event::{Line, Receipt};
use crate::fusion::Direction;
use crate::fusion::trace::Decided;
use crate::wire::event::money;

/// Less doubt than this is not told apart.
const FAINT: f64 = 0.005;
/// Causes of doubt told.
const CAUSES: usize = 4;

impl Teller<'_> {
    pub(super) fn charged(&self, what: &str, receipt: &Receipt) -> String {
        let decision = if receipt.review {
            "a person must look at it"
        } else {
            "settled"
        };
        let total = money(self.store, receipt.total);
        let currency = &self.store.currency.code;
        format!("{what}: {total} {currency}, {decision}")
    }

    pub(super) fn receipt(&self, out: &mut String, receipt: &Receipt, grounds: &Grounds<'_>) {
        row(out, "sure", &self.sure(receipt));
        let mut doubts = self.doubts(receipt, grounds);
        doubts.sort_by(|a, b| b.0.total_cmp(&a.0));
        doubts.retain(|(p, _)| *p >= FAINT);
        for (n, (_, text)) in doubts.iter().take(CAUSES).enumerate() {
            row(out, if n == 0 { "doubt" } else { "" }, text);
        }
        for (line, origins) in receipt.lines.iter().zip(&grounds.origins) {
            row(out, "line", &self.bill_line(line));
            for origin in origins {
                row(out, "  from", &self.origin(origin));
            }
        }
        for overruled in &grounds.overruled {
            row(out, "no more", &self.overruled(overruled));
        }
        for why in &receipt.reasons {
            row(out, "because", &self.because(why, grounds));
        }
    }

    /// What was published before, and what is now.
    pub(super) fn changed(&self, out: &mut String, now: &Receipt, before: Option<&Receipt>) {
        row(out, "sure", &self.sure(now));
        for line in &now.lines {
            row(out, "line", &self.bill_line(line));
        }
        if let Some(before) = before {
            for change in self.changes(now, before) {
                row(out, "changed", &change);
            }
        }
        for why in &now.reasons {
            row(out, "because", &reason(self.store, why));
        }
    }

    fn changes(&self, now: &Receipt, before: &Receipt) -> Vec<String> {
        let count = |of: &Receipt, line: &Line| {
            let same = of.lines.iter().filter(|l| l.gtin == line.gtin);
            same.map(|l| l.quantity).sum::<u32>()
        };
        let mut changes: Vec<String> = Vec::new();
        for line in &now.lines {
            let (old, goods) = (count(before, line), product(self.store, line.gtin));
            if old == 0 {
                changes.push(format!("{} x {goods} was added", line.quantity));
            } else if old != line.quantity {
                changes.push(format!("{goods}: {} instead of {old}", line.quantity));
            }
        }
        let gone = before.lines.iter().filter(|l| count(now, l) == 0);
        changes.extend(gone.map(|l| {
            let goods = product(self.store, l.gtin);
            format!("{} x {goods} is not charged any more", l.quantity)
        }));
        let decision = |r: &Receipt| if r.review { "under review" } else { "settled" };
        if now.review != before.review {
            changes.push(format!("{} instead of {}", decision(now), decision(before)));
        }
        changes.push(format!(
            "{} sure, before {}",
            percent(now.confidence),
            percent(before.confidence)
        ));
        changes
    }

    /// What a wrong receipt would cost at this doubt, against a person's look.
    fn sure(&self, receipt: &Receipt) -> String {
        let t = &self.store.tunables.basket;
        let (wrong, look) = (t.wrong_receipt_cost, t.review_cost);
        let cost = (1.0 - receipt.confidence) * wrong;
        let sum = format!(
            "{}: (1{NBSP}-{NBSP}{:.3}) x {wrong} = {cost:.2}",
            percent(receipt.confidence),
            receipt.confidence
        );
        match (cost > look, receipt.review) {
            (true, _) => format!("{sum}, more than a review's {look}: a person must look"),
            (false, false) => format!("{sum}, less than a review's {look}: settled"),
            (false, true) => {
                format!("{sum}, less than a review's {look}, but a person must look in any case")
            }
        }
    }

    /// Each with its probability.
    fn doubts(&self, receipt: &Receipt, grounds: &Grounds<'_>) -> Vec<(f64, String)> {
        let doubt = &grounds.doubt;
        let mut all: Vec<(f64, String)> = Vec::new();
        if let Some(items) = doubt.items {
            let which = self.doubtful(receipt, grounds);
            all.push((
                items,
                format!("{} that the items are others{which}", percent(items)),
            ));
        }
        let met = doubt.met.iter();
        all.extend(met.map(|met| {
            let other = match met.visit {
                Some(visit) => format!("{visit} ({})", met.other),
                None => met.other.to_string(),
            };
            let text = format!(
                "{} that this shopper and {other} were taken for each other when they met at {}",
                percent(met.mistaken),
                self.local.time(met.since)
            );
            (met.mistaken, text)
        }));
        all.push((
            doubt.rest,
            self.rest(doubt, &self.doubtful(receipt, grounds)),
        ));
        all
    }

    /// What no finding tells apart; `which` items are in doubt.
    fn rest(&self, doubt: &Doubt, which: &str) -> String {
        let mut what = Vec::new();
        if self.store.has_floor_cameras() {
            what.push("another came in at the gate than was taken for them".to_owned());
        } else {
            what.push("another went out when a door opened than was taken to".to_owned());
        }
        if self.store.scales.is_empty() {
            what.push("something went unseen that no scale could feel".to_owned());
        }
        if doubt.items.is_none() {
            what.push(format!("the items are others{which}"));
        }
        format!("{} that {}", percent(doubt.rest), what.join(", or that "))
    }

    /// Lines that are not sure, and what may be missing.
    fn doubtful(&self, receipt: &Receipt, grounds: &Grounds<'_>) -> String {
        let other = |l: &Line| {
            let known = grounds.doubt.lines.get(&l.gtin);
            known.copied().unwrap_or(1.0 - l.confidence)
        };
        let lines = receipt.lines.iter().filter(|l| other(l) > FAINT);
        let mut all: Vec<(f64, String)> = lines
            .map(|l| {
                let (p, goods) = (other(l), name(self.store, l.gtin));
                (
                    p,
                    format!("{} that it is not {} x {goods}", percent(p), l.quantity),
                )
            })
            .collect();
        let missing = grounds.missing.iter().filter(|(_, p)| *p >= FAINT);
        all.extend(missing.map(|(gtin, p)| {
            let goods = name(self.store, *gtin);
            (*p, format!("{} that {goods} is missing", percent(*p)))
        }));
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let told: Vec<String> = all.into_iter().take(CAUSES).map(|(_, text)| text).collect();
        if told.is_empty() {
            String::new()
        } else {
            format!(": {}", told.join("; "))
        }
    }

    fn bill_line(&self, line: &Line) -> String {
        let tags: Vec<String> = line.epcs.iter().map(tag).collect();
        let tags = match tags.len() {
            0 => String::new(),
            1 => format!(", tag {}", tags[0]),
            _ => format!(", tags {}", list(&tags)),
        };
        format!(
            "{}{NBSP}x {} at {}, {} sure{tags}",
            line.quantity,
            product(self.store, line.gtin),
            money(self.store, line.unit_price),
            percent(line.confidence)
        )
    }

    fn moment_of(&self, d: &Decided) -> String {
        let shelf = &self.store.shelf(d.shelf).id;
        format!("shelf {shelf} at {}", self.local.time(d.window.0))
    }

    fn origin(&self, origin: &Origin<'_>) -> String {
        let from = self.moment_of(origin.decided);
        let own = origin.taker == Some(self.visit);
        let epc = origin.epc.map(|epc| format!("{}, ", tag(&epc)));
        let epc = epc.unwrap_or_default();
        let took = match (origin.told, own, origin.taker) {
            (true, true, _) => "taken by them".to_owned(),
            (false, true, _) => {
                format!(
                    "taken by them, as it is believed now; `{}` is no longer believed",
                    self.told_as(origin.decided)
                )
            }
            (told, false, taker) => {
                let taker = self.who(taker);
                let believed = if told {
                    String::new()
                } else {
                    format!("; `{}` is no longer believed", self.told_as(origin.decided))
                };
                format!(
                    "likeliest taken there by {taker}, and by where its tag was heard since in these \
                     hands now: handed over, or taken by them after all{believed}"
                )
            }
        };
        format!("{epc}{from}: {took}")
    }

    /// The account that was told of an interaction.
    fn told_as(&self, d: &Decided) -> String {
        let groups = super::accounts::groups(d);
        groups
            .first()
            .map_or_else(String::new, |g| self.what(&g.what))
    }

    fn overruled(&self, overruled: &Overruled<'_>) -> String {
        let told = overruled.told;
        let goods = name(self.store, told.act.gtin);
        let moment = self.moment_of(told.decided);
        let held = match overruled.held {
            Some(p) => format!(": {} that they have it", percent(p)),
            None => String::new(),
        };
        match told.act.direction {
            Direction::Take => {
                format!(
                    "the taking of {goods} from {moment} is no longer believed to be theirs{held}"
                )
            }
            Direction::Putback => {
                format!("the putting back of {goods} to {moment} is no longer believed")
            }
        }
    }

    /// A reason with what is known of its probability.
    fn because(&self, why: &str, grounds: &Grounds<'_>) -> String {
        let text = reason(self.store, why);
        let missing = grounds.missing.iter();
        let known = missing
            .filter(|(gtin, _)| why == format!("possibly-missing {gtin}"))
            .map(|(_, p)| format!(": {}", percent(*p)))
            .next();
        text + &known.unwrap_or_default()
    }
}

//! A visit's story as text, for the shop's technician and for a shopper who complains.

use std::fmt::Write as _;

use super::interaction::{Teller, row};
use super::local::Local;
use super::story::{Moment, Tale};
use super::words::{name, nats, percent, place, product, tag};
use crate::basket::event::{Receipt, VisitOpened};
use crate::fusion::Witness;
use crate::fusion::trace::{Decided, Followed, GateTag, Late};
use crate::ids::TrackId;
use crate::store::Store;
use crate::wire::event::money;

pub(super) fn text(store: &Store, tale: &Tale<'_>) -> String {
    let (visit, moments) = (tale.visit, &tale.moments);
    let local = Local::of(store);
    let teller = Teller {
        store,
        local: &local,
        visit,
    };
    let mut out = String::new();
    if let Some((at, _)) = moments.first() {
        let (date, zone) = (local.date(*at), &local.name);
        row_head(
            &mut out,
            &format!("visit {visit} on {date}, times in {zone}"),
        );
    }
    for (at, moment) in moments {
        // Writing to a string never fails.
        write!(out, "\n{}  ", local.time(*at)).expect("a string takes all text");
        teller.moment(&mut out, moment);
    }
    if tale.untold > 0 {
        let n = tale.untold;
        row_head(
            &mut out,
            &format!(
                "\nnot told: {n} times that something stirred at a shelf and was hardly this shopper's doing (--all)"
            ),
        );
    }
    out.truncate(out.trim_end().len());
    out
}

fn row_head(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

impl Teller<'_> {
    fn moment(&self, out: &mut String, moment: &Moment<'_>) {
        match moment {
            Moment::Interaction(decided, decided_at) => {
                row_head(out, &self.head(decided));
                self.body(out, decided);
                row(out, "decided", &self.local.time(*decided_at));
            }
            Moment::Closed(basket) => {
                self.receipt(out, "receipt", &basket.receipt);
            }
            Moment::Adjusted(basket) => {
                let head = format!("receipt changed ({})", basket.reason);
                self.receipt(out, &head, &basket.receipt);
            }
            Moment::Gate(left, tags) => {
                let who = self.one(*left);
                let head = format!("what the gate heard of these tags when {who} left");
                row_head(out, &head);
                for tag in tags {
                    row(out, "tag", &self.gate_tag(tag));
                }
            }
            told => row_head(out, &self.line(told)),
        }
    }

    fn line(&self, moment: &Moment<'_>) -> String {
        match moment {
            Moment::Opened(opened) => self.opened(opened),
            Moment::Bound {
                track,
                began,
                after_gate_s,
                others,
                before,
            } => {
                let mut text = format!("track {track} is this shopper");
                if let Some(before) = before {
                    text.push_str(&format!(", and no longer {before}"));
                }
                if let (Some(began), Some(after)) = (began, after_gate_s) {
                    let seen = self.local.time(*began);
                    let side = if *after < 0.0 { "before" } else { "after" };
                    text.push_str(&format!(
                        ": first seen at {seen}, {:.1} s {side} the visit began",
                        after.abs()
                    ));
                    text.push_str(&beside(others));
                }
                text
            }
            Moment::Unbound(track, to) => format!("track {track} is {to} from now on"),
            Moment::Lost(track) => format!("track {track} was lost inside"),
            Moment::Merged(track, into) => {
                format!("tracks {track} and {into} are one person, who goes on as {into}")
            }
            Moment::Doubted(track, p) => format!(
                "{} that track {track} was taken for another when they met",
                percent(*p)
            ),
            Moment::Late(late, decided, act) => self.late(late, decided, *act),
            Moment::Left(gate) => match gate {
                Some(gate) => format!("left by gate {}", self.store.gates[gate.index()].id),
                None => "left".to_owned(),
            },
            Moment::Inside(inside) => format!(
                "tag {} was heard at {} after the shopper had left: {} against their having it",
                tag(&inside.epc),
                place(self.store, inside.place),
                nats(-inside.log)
            ),
            Moment::Followed(followed) => self.followed(followed),
            Moment::Judged(verdict) => {
                let [a, b] = verdict.meeting.tracks;
                format!(
                    "by the tags that they carry {} that {a} and {b} were taken for each other when \
                     they met at {}; by their looks it was {}",
                    percent(verdict.mistaken),
                    self.local.time(verdict.meeting.since),
                    percent(verdict.meeting.seen)
                )
            }
            Moment::Interaction(..)
            | Moment::Gate(..)
            | Moment::Closed(_)
            | Moment::Adjusted(_) => String::new(),
        }
    }

    fn followed(&self, followed: &Followed) -> String {
        let (first, last, n) = followed.heard;
        let goods = name(self.store, followed.gtin);
        let mut text = format!(
            "tag {} of {goods} was heard in {n} seconds from {} to {}; whose walk it follows:",
            tag(&followed.epc),
            self.local.time(first),
            self.local.time(last)
        );
        for (visit, before, log, after) in &followed.visits {
            let fit = if *log > -0.05 {
                "no other fits better".to_owned()
            } else {
                format!("{:.1} nats worse than the best", -log)
            };
            text.push_str(&format!(
                " {} {} (before {}; {fit}),",
                self.one(*visit),
                percent(*after),
                percent(*before)
            ));
        }
        text.pop();
        text
    }

    fn opened(&self, opened: &VisitOpened) -> String {
        let gate = opened.gate.map_or_else(
            || "by no gate that told of it".to_owned(),
            |gate| format!("by gate {}", self.store.gates[gate.index()].id),
        );
        let token = opened.token.as_deref().map_or_else(
            || "without a token".to_owned(),
            |token| format!("with token {token}"),
        );
        let party = match opened.party {
            0 | 1 => String::new(),
            n => format!(", a party of {n}"),
        };
        format!("came in {gate} {token}{party}")
    }

    fn late(&self, late: &Late, decided: &Decided, act: usize) -> String {
        let (from, to) = late.window;
        let by = match (late.by, late.epc) {
            (Witness::Rfid, Some(epc)) => format!("tag {}", tag(&epc)),
            (Witness::Rfid, None) => "a tag".to_owned(),
            (Witness::Scale, _) => "a scale".to_owned(),
            (Witness::Camera(camera, _), _) => {
                format!("camera {}", self.store.cameras[camera.index()].id)
            }
        };
        let acts = decided.accounts.first().and_then(|a| a.acts.get(act));
        let what = acts.map_or_else(String::new, |a| name(self.store, a.gtin));
        format!(
            "{by} tells late of {what} at shelf {}, moved between {} and {}: no other item",
            self.store.shelf(decided.shelf).id,
            self.local.time(from),
            self.local.time(to)
        )
    }

    fn gate_tag(&self, t: &GateTag) -> String {
        let heard = match t.gate {
            Some((first, last, n)) => format!(
                "{n} x from {} to {}",
                self.local.time(first),
                self.local.time(last)
            ),
            None => "not at all".to_owned(),
        };
        format!(
            "{} of {}: {heard}; {} for its being in their hands, {} before",
            tag(&t.epc),
            name(self.store, t.gtin),
            nats(t.log),
            percent(t.held)
        )
    }

    fn receipt(&self, out: &mut String, head: &str, receipt: &Receipt) {
        let decision = if receipt.review {
            "a person must look at it"
        } else {
            "settled"
        };
        let total = money(self.store, receipt.total);
        let currency = &self.store.currency.code;
        row_head(out, &format!("{head}: {total} {currency}, {decision}"));
        for line in &receipt.lines {
            let tags: Vec<String> = line.epcs.iter().map(tag).collect();
            let tags = if tags.is_empty() {
                String::new()
            } else {
                format!(", tags {}", tags.join(" "))
            };
            let text = format!(
                "{} x {} at {}, {} sure{tags}",
                line.quantity,
                product(self.store, line.gtin),
                money(self.store, line.unit_price),
                percent(line.confidence)
            );
            row(out, "line", &text);
        }
        for reason in &receipt.reasons {
            row(out, "because", reason);
        }
    }
}

fn beside(others: &[TrackId]) -> String {
    match others {
        [] => "; nobody else came in about then".to_owned(),
        [other] => format!("; {other} came in about then, too"),
        many => {
            let many: Vec<String> = many.iter().map(ToString::to_string).collect();
            format!("; {} came in about then, too", many.join(", "))
        }
    }
}

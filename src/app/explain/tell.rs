//! A visit's story as text, for the shop's technician and for a shopper who complains.

use super::doubt::Met;
use super::interaction::Teller;
use super::rows::{head, row};
use super::story::{Moment, Tale, Untold};
use crate::app::local::Local;
use crate::app::words::{NBSP, list, name, percent, place, plain, speaks, tag};
use crate::basket::event::VisitOpened;
use crate::fusion::Witness;
use crate::fusion::met::Verdict;
use crate::fusion::trace::{AtGate, Decided, Followed, GateTag, Inside, Late};
use crate::ids::{TrackId, VisitId};
use crate::store::Store;
use crate::units::Timestamp;

pub(super) fn text(store: &Store, tale: &Tale<'_>) -> String {
    let (visit, moments) = (tale.visit, &tale.moments);
    let local = Local::of(store);
    let teller = Teller {
        store,
        local: &local,
        visit,
        all: tale.all,
        entered: &tale.entered,
        whose: &tale.whose,
    };
    let mut out = String::new();
    if let Some((at, _)) = moments.first() {
        let (date, zone) = (local.date(*at), &local.name);
        out.push_str(&format!("visit {visit} on {date}, times in {zone}\n"));
    }
    for (at, moment) in moments {
        out.push('\n');
        teller.moment(&mut out, *at, moment);
    }
    untold(&mut out, tale.untold);
    plain(out.trim_end())
}

fn untold(out: &mut String, untold: Untold) {
    let Untold { stirred, others } = untold;
    if stirred + others > 0 {
        out.push_str("\nnot told, but with --all:\n");
    }
    if stirred > 0 {
        out.push_str(&format!(
            "{stirred:>10}  times that something stirred at a shelf and was hardly this shopper's doing\n"
        ));
    }
    if others > 0 {
        out.push_str(&format!(
            "{others:>10}  meetings, tags and gates that told next to nothing of this shopper\n"
        ));
    }
}

impl Teller<'_> {
    fn moment(&self, out: &mut String, at: Timestamp, moment: &Moment<'_>) {
        let time = self.local.time(at);
        let mut begin = |text: &str| head(out, &time, text);
        match moment {
            Moment::Interaction(decided, decided_at, since) => {
                begin(&self.headline(decided));
                self.body(out, decided, *since);
                row(out, "decided", &self.local.time(*decided_at));
            }
            Moment::Closed(basket, grounds) => {
                begin(&self.charged("receipt", &basket.receipt));
                self.receipt(out, &basket.receipt, grounds);
            }
            Moment::Adjusted(basket, before) => {
                let what = format!("receipt changed after closing ({})", basket.reason);
                begin(&self.charged(&what, &basket.receipt));
                self.changed(out, &basket.receipt, *before);
            }
            Moment::Gate(gate, tags) => {
                let who = self.one(gate.visit);
                begin(&format!("{who} left: what the gate heard of these tags"));
                for tag in tags {
                    row(out, "tag", &self.gate_tag(gate, tag));
                }
            }
            Moment::Followed(followed) => {
                begin(&self.followed(followed));
                self.walks(out, followed);
            }
            told => begin(&self.line(told)),
        }
    }

    fn line(&self, moment: &Moment<'_>) -> String {
        match moment {
            Moment::Opened(opened) => self.opened(opened),
            Moment::Bound { .. } => self.bound(moment),
            Moment::Unbound(track, to) => format!("track {track} is {to} from now on"),
            Moment::Lost(track) => format!("track {track} was lost inside"),
            Moment::Merged(track, into) => {
                format!("tracks {track} and {into} are one person, who goes on as {into}")
            }
            Moment::Met(met) => self.met(met),
            Moment::Late(late, decided, act) => self.late(late, decided, *act),
            Moment::Left(gate) => match gate {
                Some(gate) => format!("left by gate {}", self.store.gates[gate.index()].id),
                None => "left".to_owned(),
            },
            Moment::Inside(inside) => self.inside(inside),
            Moment::Judged(verdict) => self.judged(verdict),
            Moment::Interaction(..)
            | Moment::Gate(..)
            | Moment::Followed(_)
            | Moment::Closed(..)
            | Moment::Adjusted(..) => String::new(),
        }
    }

    fn bound(&self, moment: &Moment<'_>) -> String {
        let Moment::Bound {
            track,
            began,
            after_gate_s,
            others,
            before,
            sure,
        } = moment
        else {
            return String::new();
        };
        let mut text = format!("track {track} is this shopper");
        if let Some(before) = before {
            text.push_str(&format!(", and no longer {before}"));
        }
        if let (Some(began), Some(after)) = (began, after_gate_s) {
            let seen = self.local.time(*began);
            let side = if *after < 0.0 { "before" } else { "after" };
            text.push_str(&format!(
                ": first seen at {seen}, {:.1}{NBSP}s {side} the visit began",
                after.abs()
            ));
            text.push_str(&beside(others));
        }
        if let Some(sure) = sure {
            // What no sensor saw is in the same doubt.
            let least = if self.store.scales.is_empty() {
                "at least "
            } else {
                ""
            };
            let sure = percent(*sure);
            text.push_str(&format!("; {least}{sure} sure that it is the right one"));
        }
        text
    }

    /// A track, and whose it is.
    fn track(&self, track: TrackId, whose: Option<VisitId>) -> String {
        let whose = whose.or_else(|| self.whose.get(&track).copied());
        whose.map_or_else(
            || track.to_string(),
            |visit| format!("{track} ({})", self.one(visit)),
        )
    }

    pub(super) fn met(&self, met: &Met) -> String {
        format!(
            "{} met {} at {}: {} that they were taken for each other from then on",
            self.track(met.own, Some(self.visit)),
            self.track(met.other, met.visit),
            self.local.time(met.since),
            percent(met.mistaken)
        )
    }

    fn judged(&self, verdict: &Verdict) -> String {
        let m = &verdict.meeting;
        let [a, b] = [0, 1].map(|n| self.track(m.tracks[n], Some(m.visits[n])));
        format!(
            "by the tags that they carry {} that {a} and {b} were taken for each other when they met \
             at {}; by their looks it was {}",
            percent(verdict.mistaken),
            self.local.time(m.since),
            percent(m.seen)
        )
    }

    fn inside(&self, inside: &Inside) -> String {
        format!(
            "tag {} was heard at {} after the shopper had left: {}",
            tag(&inside.epc),
            place(self.store, inside.place),
            speaks(inside.log, "their having it")
        )
    }

    fn followed(&self, followed: &Followed) -> String {
        let (first, last, n) = followed.heard;
        let goods = name(self.store, followed.gtin);
        let heard = match n {
            1 => format!("heard at {}", self.local.time(first)),
            n => format!("heard in {n} seconds from {}", self.span(first, last)),
        };
        format!(
            "tag {} of {goods} was {heard}, away from its place: whose walk does it follow?",
            tag(&followed.epc)
        )
    }

    /// The best walk first, then who may hold it by now.
    fn walks(&self, out: &mut String, followed: &Followed) {
        let mut visits = followed.visits.clone();
        visits.sort_by(|a, b| b.2.total_cmp(&a.2).then(b.3.total_cmp(&a.3)));
        let told = |(visit, before, _, after): &&(VisitId, f64, f64, f64)| {
            self.all || *visit == self.visit || before.max(*after) >= HELD
        };
        let walks: Vec<String> = visits
            .iter()
            .filter(told)
            .map(|(visit, _, log, _)| {
                let fit = match *log {
                    log if log > -0.05 => "none fits better".to_owned(),
                    log => format!("{:.1}{NBSP}nats worse than the best", -log),
                };
                format!("{}: {fit}", self.one(*visit))
            })
            .collect();
        row(out, "walks", &walks.join("; "));
        visits.sort_by(|a, b| b.3.total_cmp(&a.3).then(a.0.cmp(&b.0)));
        let mut held: Vec<String> = visits
            .iter()
            .filter(told)
            .map(|(visit, before, _, after)| {
                let one = self.one(*visit);
                format!("{one} {} (before {})", percent(*after), percent(*before))
            })
            .collect();
        let rest = |p: fn(&(VisitId, f64, f64, f64)) -> f64| {
            let known: f64 = visits.iter().filter(told).map(p).sum();
            (1.0 - known).max(0.0)
        };
        let (before, after) = (rest(|v| v.1), rest(|v| v.3));
        held.push(format!(
            "others or nobody {} (before {})",
            percent(after),
            percent(before)
        ));
        row(out, "held by", &held.join(", "));
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

    fn gate_tag(&self, gate: &AtGate, t: &GateTag) -> String {
        let who = if gate.visit == self.visit {
            "their"
        } else {
            "its"
        };
        let having = speaks(t.log, &format!("{who} having it"));
        format!(
            "{} of {}: {} before; {}: {having}; {} after",
            tag(&t.epc),
            name(self.store, t.gtin),
            percent(t.held),
            self.gate_heard(gate, t),
            percent(t.held_after)
        )
    }

    /// What speaks for a visit's having carried a tag out, or against it.
    fn gate_heard(&self, gate: &AtGate, t: &GateTag) -> String {
        let after = |at: Timestamp| at.secs_since(gate.left_at);
        let here = match t.gate {
            None => "the gate did not hear it".to_owned(),
            Some((first, _, n)) if after(first) > PASSED_S => format!(
                "the gate heard it {n}{NBSP}x, but not before {:.1}{NBSP}s after they had passed",
                after(first)
            ),
            Some((_, last, n)) if after(last) < -PASSING_S => format!(
                "the gate heard it {n}{NBSP}x, but no more from {:.1}{NBSP}s before they passed",
                -after(last)
            ),
            Some((first, last, n)) => format!(
                "the gate heard it {n}{NBSP}x about when they passed, {}",
                self.span(first, last)
            ),
        };
        let later = t.later.map(|(at, where_)| {
            format!(
                ", and it was still heard {:.1}{NBSP}s after they had left, at {}",
                after(at),
                place(self.store, where_)
            )
        });
        here + &later.unwrap_or_default()
    }
}

/// Who holds a tag with less than this probability is told with all only.
const HELD: f64 = 0.05;
/// A tag is heard as it passes a gate within this of its carrier's leaving, seconds; the engine
/// takes what is heard later for somebody else's.
const PASSING_S: f64 = 0.9;
const PASSED_S: f64 = 1.5;

fn beside(others: &[(TrackId, Option<VisitId>)]) -> String {
    let names: Vec<String> = others
        .iter()
        .map(|(track, whose)| match whose {
            Some(visit) => format!("{track} ({visit})"),
            None => track.to_string(),
        })
        .collect();
    match names.is_empty() {
        true => "; nobody else came in about then".to_owned(),
        false => format!("; {} came in about then, too", list(&names)),
    }
}

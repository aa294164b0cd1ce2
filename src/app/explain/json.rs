//! A visit's story as JSON lines: one object a line, with `at` (RFC 3339, UTC), `kind` and `visit`.
//!
//! | `kind` | holds besides |
//! | --- | --- |
//! | `opened` | `gate`, `token`, `party` |
//! | `track` | `track`, `seen_at`, `after_s` from the visit's beginning, `others` seen to come then, `before`: whose it was |
//! | `track-given` | `track`, `to`: the visit that it is from now on |
//! | `track-lost`, `track-merged` | `track`, `into` |
//! | `track-doubted` | `track`, `probability` that it was taken for another |
//! | `interaction` | `decided_at`, `shelf`, `from`, `to`, `restock`, `evidence`, `accounts`, `reasons`, `acts`, `near` |
//! | `late` | `shelf`, `gtin`, `from`, `to`, `by`, `epc` |
//! | `left` | `gate` |
//! | `gate-tags` | `left`: the visit that left then, `tags` with `epc`, `gtin`, `reads`, `first`, `last`, `held_before`, `nats` |
//! | `followed` | `epc`, `gtin`, `first`, `last`, `seconds`, `visits`: each with `visit`, `before`, `nats` against the best walk, `after` |
//! | `meeting-judged` | `tracks`, `since`, `seen`, `probability` that they were taken for each other |
//! | `heard-inside` | `epc`, `place`, `nats` |
//! | `receipt`, `receipt-adjusted` | `lines`, `total`, `currency`, `decision`, `reasons` |
//!
//! `nats` are natural logs of how much likelier something is one way than the other; metres, grams
//! and probabilities from 0 to 1.

use serde_json::{Value, json};

use super::accounts::{groups, why};
use super::story::{Moment, Tale};
use super::words::{done, place};
use crate::basket::event::Receipt;
use crate::fusion::trace::{ActTrace, Decided, GateTag, Stood, Weighed};
use crate::fusion::{Piece, Witness};
use crate::ids::{GateIx, VisitId};
use crate::store::Store;
use crate::units::Timestamp;
use crate::units::signal::round_to;
use crate::wire::event::money;

pub(super) fn lines(store: &Store, tale: &Tale<'_>) -> String {
    let line = |(at, moment): &(Timestamp, Moment<'_>)| {
        let (kind, more) = Shape { store }.moment(moment);
        let mut line = json!({"at": at, "kind": kind, "visit": tale.visit.to_string()});
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        line.to_string()
    };
    let lines: Vec<String> = tale.moments.iter().map(line).collect();
    lines.join("\n")
}

struct Shape<'a> {
    store: &'a Store,
}

impl Shape<'_> {
    fn moment(&self, moment: &Moment<'_>) -> (&'static str, Value) {
        match moment {
            Moment::Opened(v) => (
                "opened",
                json!({"gate": self.gate(v.gate), "token": v.token, "party": v.party}),
            ),
            Moment::Bound {
                track,
                began,
                after_gate_s,
                others,
                before,
            } => (
                "track",
                json!({
                    "track": track.to_string(),
                    "seen_at": began,
                    "after_s": after_gate_s.map(|s| round_to(s, 3)),
                    "others": others.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "before": before.map(|v| v.to_string()),
                }),
            ),
            Moment::Unbound(track, to) => (
                "track-given",
                json!({"track": track.to_string(), "to": to.to_string()}),
            ),
            Moment::Lost(track) => ("track-lost", json!({"track": track.to_string()})),
            Moment::Merged(track, into) => (
                "track-merged",
                json!({"track": track.to_string(), "into": into.to_string()}),
            ),
            Moment::Doubted(track, p) => (
                "track-doubted",
                json!({"track": track.to_string(), "probability": probability(*p)}),
            ),
            Moment::Interaction(decided, at) => ("interaction", self.decided(decided, *at)),
            Moment::Late(late, decided, act) => {
                let acts = decided.accounts.first().and_then(|a| a.acts.get(*act));
                let more = json!({
                    "shelf": self.store.shelf(decided.shelf).id,
                    "gtin": acts.map(|a| a.gtin),
                    "from": late.window.0,
                    "to": late.window.1,
                    "by": self.witness(late.by),
                    "epc": late.epc,
                });
                ("late", more)
            }
            Moment::Left(gate) => ("left", json!({"gate": self.gate(*gate)})),
            Moment::Gate(left, tags) => {
                let tags: Vec<Value> = tags.iter().map(|t| gate_tag(t)).collect();
                ("gate-tags", json!({"left": left.to_string(), "tags": tags}))
            }
            Moment::Followed(followed) => {
                let visit = |(visit, before, log, after): &(VisitId, f64, f64, f64)| {
                    json!({
                        "visit": visit.to_string(),
                        "before": probability(*before),
                        "nats": rounded(*log),
                        "after": probability(*after),
                    })
                };
                let (first, last, seconds) = followed.heard;
                let visits: Vec<Value> = followed.visits.iter().map(visit).collect();
                let more = json!({
                    "epc": followed.epc,
                    "gtin": followed.gtin,
                    "first": first,
                    "last": last,
                    "seconds": seconds,
                    "visits": visits,
                });
                ("followed", more)
            }
            Moment::Judged(verdict) => (
                "meeting-judged",
                json!({
                    "tracks": verdict.meeting.tracks.map(|t| t.to_string()),
                    "since": verdict.meeting.since,
                    "seen": probability(verdict.meeting.seen),
                    "probability": probability(verdict.mistaken),
                }),
            ),
            Moment::Inside(inside) => (
                "heard-inside",
                json!({
                    "epc": inside.epc,
                    "place": place(self.store, inside.place),
                    "nats": rounded(inside.log),
                }),
            ),
            Moment::Closed(basket) => ("receipt", self.receipt(&basket.receipt)),
            Moment::Adjusted(basket) => ("receipt-adjusted", self.receipt(&basket.receipt)),
        }
    }

    fn decided(&self, d: &Decided, decided_at: Timestamp) -> Value {
        let groups = groups(d);
        let reasons: Vec<Value> = match &groups[..] {
            [first, second, ..] => why(first.best, second.best)
                .into_iter()
                .map(|(what, nats)| json!({"by": what, "nats": rounded(nats)}))
                .collect(),
            _ => Vec::new(),
        };
        let accounts: Vec<Value> = groups
            .iter()
            .map(|g| account(g.probability, g.best))
            .collect();
        let evidence: Vec<Value> = d.pieces.iter().map(|p| self.piece(p)).collect();
        let acts = d.acts.iter().enumerate();
        let acts: Vec<Value> = acts.map(|(i, a)| act(d, i, a)).collect();
        let near: Vec<Value> = d
            .near
            .iter()
            .map(|n| {
                json!({
                    "visit": n.visit.to_string(),
                    "acted": probability(n.acted),
                    "stood": n.stood.map(place_of),
                })
            })
            .collect();
        json!({
            "decided_at": decided_at,
            "shelf": self.store.shelf(d.shelf).id,
            "from": d.window.0,
            "to": d.window.1,
            "restock": d.restock,
            "evidence": evidence,
            "accounts": accounts,
            "reasons": reasons,
            "acts": acts,
            "near": near,
        })
    }

    fn piece(&self, piece: &Piece) -> Value {
        let (from, to) = piece.window();
        match piece {
            Piece::Weight(step) => {
                let plate = |p: &crate::shelf::PlateStep| {
                    json!({
                        "scale": self.store.scales[p.scale.index()].id,
                        "grams": round_to(p.grams, 1),
                        "sigma": round_to(p.sigma, 1),
                    })
                };
                json!({
                    "sensor": "scale",
                    "from": from,
                    "to": to,
                    "grams": round_to(step.total(), 1),
                    "along": step.middle(self.store).map(|m| round_to(m, 3)),
                    "plates": step.plates.iter().map(plate).collect::<Vec<_>>(),
                })
            }
            Piece::Count(step) => json!({
                "sensor": "camera",
                "from": from,
                "to": to,
                "camera": self.store.cameras[step.camera.index()].id,
                "delta": step.delta,
                "along": round_to(step.along, 3),
                "in_hand": step.carried,
                "gtins": step.gtins.iter().map(|(g, p)| json!({"gtin": g, "probability": probability(*p)})).collect::<Vec<_>>(),
                "nats": rounded(step.log_odds),
            }),
            Piece::Tag {
                epc,
                gtin,
                direction,
                log_odds,
                ..
            } => json!({
                "sensor": "tag",
                "from": from,
                "to": to,
                "epc": epc,
                "gtin": gtin,
                "act": done(*direction),
                "nats": rounded(*log_odds),
            }),
        }
    }

    fn receipt(&self, receipt: &Receipt) -> Value {
        let line = |l: &crate::basket::event::Line| {
            json!({
                "gtin": l.gtin,
                "name": l.name,
                "quantity": l.quantity,
                "unit_price": money(self.store, l.unit_price),
                "epcs": l.epcs,
                "confidence": probability(l.confidence),
            })
        };
        json!({
            "lines": receipt.lines.iter().map(line).collect::<Vec<_>>(),
            "total": money(self.store, receipt.total),
            "currency": self.store.currency.code,
            "decision": if receipt.review { "review" } else { "settle" },
            "reasons": receipt.reasons,
        })
    }

    fn gate(&self, gate: Option<GateIx>) -> Option<&str> {
        gate.map(|gate| self.store.gates[gate.index()].id.as_str())
    }

    fn witness(&self, witness: Witness) -> String {
        match witness {
            Witness::Rfid => "tag".to_owned(),
            Witness::Scale => "scale".to_owned(),
            Witness::Camera(camera, _) => {
                format!("camera {}", self.store.cameras[camera.index()].id)
            }
        }
    }
}

fn account(p: f64, w: &Weighed) -> Value {
    let acts: Vec<Value> = w
        .acts
        .iter()
        .map(|a| json!({"act": done(a.direction), "gtin": a.gtin, "epc": a.epc}))
        .collect();
    json!({
        "probability": probability(p),
        "acts": acts,
        "nats": {
            "scales": rounded(w.parts.scale),
            "tags": rounded(w.parts.tags),
            "cameras": rounded(w.parts.cameras),
            "silence": rounded(w.parts.silence),
            "prior": rounded(w.parts.prior),
        },
    })
}

fn act(d: &Decided, i: usize, traced: &ActTrace) -> Value {
    let told = d.accounts.first().and_then(|a| a.acts.get(i));
    let who: Vec<Value> = traced
        .who
        .iter()
        .map(|(v, p)| json!({"visit": v.map(|v| v.to_string()), "probability": probability(*p)}))
        .collect();
    let stood: Vec<Value> = traced
        .stood
        .iter()
        .map(|(v, s)| json!({"visit": v.to_string(), "stood": place_of(*s)}))
        .collect();
    let tags: Vec<Value> = traced
        .tags
        .iter()
        .map(|(say, heard)| {
            json!({
                "epc": say.epc,
                "nats": rounded(say.log),
                "heard_before": heard.and_then(|h| h.before),
                "reads_since": heard.and_then(|h| h.since).map_or(0, |(_, _, n)| n),
                "heard_last": heard.and_then(|h| h.since).map(|(_, last, _)| last),
                "weaker_db": heard.and_then(|h| h.weaker_db).map(rounded),
                "elsewhere": heard.is_some_and(|h| h.elsewhere),
            })
        })
        .collect();
    json!({
        "act": told.map(|a| done(a.direction)),
        "gtin": told.map(|a| a.gtin),
        "epc": told.and_then(|a| a.epc),
        "acted_at": told.map(crate::fusion::hypothesis::Act::at),
        "along": told.map(|a| round_to(a.along, 3)),
        "who": who,
        "stood": stood,
        "tags": tags,
        "tags_of_product": traced.tags_of_product,
    })
}

fn gate_tag(t: &GateTag) -> Value {
    json!({
        "epc": t.epc,
        "gtin": t.gtin,
        "reads": t.gate.map_or(0, |(_, _, n)| n),
        "first": t.gate.map(|(first, _, _)| first),
        "last": t.gate.map(|(_, last, _)| last),
        "held_before": probability(t.held),
        "nats": rounded(t.log),
    })
}

fn place_of(s: Stood) -> Value {
    json!({
        "track": s.track.to_string(),
        "sideways": round_to(s.sideways, 3),
        "off": round_to(s.off, 3),
        "sigma": round_to(s.sigma, 3),
    })
}

fn probability(p: f64) -> f64 {
    round_to(p.clamp(0.0, 1.0), 4)
}

fn rounded(nats: f64) -> f64 {
    round_to(nats, 2)
}

//! A visit's story as JSON lines: one object a line, with `at` (RFC 3339, UTC), `kind` and `visit`.
//!
//! | `kind` | holds besides |
//! | --- | --- |
//! | `opened` | `gate`, `token`, `party` |
//! | `track` | `track`, `seen_at`, `after_s` from the visit's beginning, `others` seen to come then, `before`: whose it was, `sure`: at least so probable is it |
//! | `track-given` | `track`, `to`: the visit that it is from now on |
//! | `track-lost`, `track-merged` | `track`, `into` |
//! | `track-doubted` | `track`, `other`, `other_visit`, `since`, `probability` that they were taken for each other |
//! | `interaction` | `decided_at`, `shelf`, `from`, `to`, `restock`, `evidence`, `accounts`, `reasons`, `acts`, `near`, `later`: `overruled` where the receipt does not believe it any more, `charged` where it charges what was told otherwise, else `stands` |
//! | `late` | `shelf`, `gtin`, `from`, `to`, `by`, `epc` |
//! | `left` | `gate` |
//! | `gate-tags` | `left`: the visit that left then, `tags` with `epc`, `gtin`, `reads`, `first`, `last`, `held_before`, `nats`, `held_after`, `heard_later` |
//! | `followed` | `epc`, `gtin`, `first`, `last`, `seconds`, `visits`: each with `visit`, `before`, `nats` against the best walk, `after` |
//! | `meeting-judged` | `tracks`, `since`, `seen`, `probability` that they were taken for each other |
//! | `heard-inside` | `epc`, `place`, `nats` |
//! | `receipt` | `lines`, `total`, `currency`, `confidence`, `expected_cost` of its being wrong, `review_cost`, `decision`, `reasons`, `doubt`: probabilities by cause, `from`: where what each line charges came from, `overruled`: what is not believed any more, `missing` |
//! | `receipt-adjusted` | the same down to `reasons`, and `reason` |
//!
//! `nats` are natural logs of how much likelier something is one way than the other; metres, grams
//! and probabilities from 0 to 1.

use serde_json::{Value, json};

use super::accounts::{groups, why};
use super::doubt::Met;
use super::origin::Origin;
use super::story::{Grounds, Moment, Since, Tale};
use crate::app::words::{done, place};
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
                sure,
            } => (
                "track",
                json!({
                    "track": track.to_string(),
                    "seen_at": began,
                    "after_s": after_gate_s.map(|s| round_to(s, 3)),
                    "others": others.iter().map(|(t, _)| t.to_string()).collect::<Vec<_>>(),
                    "before": before.map(|v| v.to_string()),
                    "sure": sure.map(probability),
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
            Moment::Met(met) => ("track-doubted", met_of(met)),
            Moment::Interaction(decided, at, since) => {
                let mut more = self.decided(decided, *at);
                more["later"] = json!(match since {
                    Since::Stands => "stands",
                    Since::Overruled => "overruled",
                    Since::Charged => "charged",
                });
                ("interaction", more)
            }
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
            Moment::Gate(gate, tags) => {
                let tags: Vec<Value> = tags.iter().map(|t| gate_tag(t)).collect();
                let left = gate.visit.to_string();
                ("gate-tags", json!({"left": left, "tags": tags}))
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
            Moment::Closed(basket, grounds) => {
                let mut more = self.receipt(&basket.receipt);
                self.ground(&mut more, grounds);
                ("receipt", more)
            }
            Moment::Adjusted(basket, _) => {
                let mut more = self.receipt(&basket.receipt);
                more["reason"] = json!(basket.reason);
                ("receipt-adjusted", more)
            }
        }
    }

    fn decided(&self, d: &Decided, decided_at: Timestamp) -> Value {
        let groups = groups(d);
        let reasons: Vec<Value> = match &groups[..] {
            [first, second, ..] => why(first, second)
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

    /// What a receipt rests on, beside what it says.
    fn ground(&self, receipt: &mut Value, grounds: &Grounds<'_>) {
        let doubt = &grounds.doubt;
        receipt["doubt"] = json!({
            "items": doubt.items.map(probability),
            "meetings": doubt.met.iter().map(met_of).collect::<Vec<_>>(),
            "rest": probability(doubt.rest),
        });
        let origins = grounds.origins.iter();
        let origins: Vec<Vec<Value>> = origins
            .map(|line| line.iter().map(|o| self.origin(o)).collect())
            .collect();
        receipt["from"] = json!(origins);
        let overruled = grounds.overruled.iter().map(|o| {
            json!({
                "shelf": self.store.shelf(o.told.decided.shelf).id,
                "at": o.told.decided.window.0,
                "act": done(o.told.act.direction),
                "gtin": o.told.act.gtin,
                "held": o.held.map(probability),
            })
        });
        receipt["overruled"] = overruled.collect();
        let missing = grounds.missing.iter();
        let missing = missing.map(|(g, p)| json!({"gtin": g, "probability": probability(*p)}));
        receipt["missing"] = missing.collect();
    }

    fn origin(&self, origin: &Origin<'_>) -> Value {
        json!({
            "shelf": self.store.shelf(origin.decided.shelf).id,
            "at": origin.decided.window.0,
            "epc": origin.epc,
            "taken_by": origin.taker.map(|v| v.to_string()),
            "told": origin.told,
        })
    }

    fn receipt(&self, receipt: &Receipt) -> Value {
        let t = &self.store.tunables.basket;
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
            "confidence": probability(receipt.confidence),
            "expected_cost": round_to((1.0 - receipt.confidence) * t.wrong_receipt_cost, 3),
            "review_cost": t.review_cost,
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
        "held_after": probability(t.held_after),
        "heard_later": t.later.map(|(at, _)| at),
    })
}

fn met_of(met: &Met) -> Value {
    json!({
        "track": met.own.to_string(),
        "other": met.other.to_string(),
        "other_visit": met.visit.map(|v| v.to_string()),
        "since": met.since,
        "probability": probability(met.mistaken),
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

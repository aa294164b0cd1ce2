//! Receipts against what was expected of them, and what must never be.

use std::collections::BTreeSet;
use std::fmt;

use super::play::{Expected, Job, Played, Receipt};

/// Counts over the visits of a scene.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cell {
    visits: u32,
    exact: u32,
    settled: u32,
    wrong: u32,
    against_review: u32,
    /// Receipts of nobody, with something on them.
    unexpected: u32,
}

impl Cell {
    pub(super) fn count(&mut self, played: &Played) {
        let paired = pair(played);
        for (expected, receipt) in played.expected.iter().zip(&paired) {
            self.visits += 1;
            let Some(receipt) = receipt else {
                continue;
            };
            let exact = receipt.items == expected.items;
            let settled = receipt.settled;
            self.exact += u32::from(exact);
            self.settled += u32::from(settled);
            self.wrong += u32::from(settled && !exact);
            self.against_review += u32::from(settled && expected.decision == "review");
        }
        let mut rest = played.receipts.iter();
        let known = |r: &Receipt| paired.iter().flatten().any(|p| p.visit == r.visit);
        let nobody = |r: &&Receipt| !known(r) && !r.items.is_empty();
        self.wrong += rest.clone().filter(nobody).filter(|r| r.settled).count() as u32;
        self.unexpected += rest.by_ref().filter(nobody).count() as u32;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.visits += other.visits;
        self.exact += other.exact;
        self.settled += other.settled;
        self.wrong += other.wrong;
        self.against_review += other.against_review;
        self.unexpected += other.unexpected;
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{} exact, {} settled, {} wrong settled",
            self.exact, self.visits, self.settled, self.wrong
        )?;
        for (n, what) in [
            (self.against_review, "against review"),
            (self.unexpected, "of nobody"),
        ] {
            if n > 0 {
                write!(f, ", {n} {what}")?;
            }
        }
        Ok(())
    }
}

/// For each visit its receipt: by token, several of one token in the order of leaving; those
/// without a token likewise.
fn pair(played: &Played) -> Vec<Option<&Receipt>> {
    let mut used = BTreeSet::new();
    let mut find = |expected: &Expected| {
        let mut same = played
            .receipts
            .iter()
            .filter(|r| r.token == expected.token && !used.contains(&r.visit));
        let found = match expected.token {
            Some(_) => same.next(),
            // A box that nobody was, seen for a moment, has a visit too.
            None => same.min_by_key(|r| {
                let apart = (r.left_at - expected.left_at).as_micros().abs();
                (r.items.is_empty(), apart)
            }),
        };
        used.extend(found.map(|r| r.visit.clone()));
        found
    };
    played.expected.iter().map(&mut find).collect()
}

/// What no engine may do, however little it understands of a scene.
pub(super) fn faults(job: &Job, played: &Played) -> Vec<String> {
    let mut faults = Vec::new();
    let settled = || played.receipts.iter().filter(|r| r.settled);
    let mut charged = BTreeSet::new();
    for receipt in settled() {
        for epc in &receipt.epcs {
            if !charged.insert(epc) {
                faults.push(format!("tag {epc} is charged twice"));
            }
        }
    }
    match job.scene {
        "tail-gater" | "no-token" => {
            let unknown = played.expected.iter().filter(|e| e.token.is_none());
            let unknown: BTreeSet<_> = unknown.flat_map(|e| e.items.keys()).collect();
            let known = played.expected.iter().filter(|e| e.token.is_some());
            let known: BTreeSet<_> = known.flat_map(|e| e.items.keys()).collect();
            for gtin in unknown.difference(&known) {
                // Without a token there is nobody to charge.
                let mut pay = settled().filter(|r| r.token.is_some());
                if pay.any(|r| r.items.contains_key(*gtin)) {
                    faults.push(format!("somebody pays {gtin}, which nobody known took"));
                }
            }
        }
        "power-cut" | "power-cut-untold" => {
            for (expected, receipt) in played.expected.iter().zip(pair(played)) {
                let more = receipt.filter(|r| r.settled).into_iter().flat_map(|r| {
                    let sold = |gtin: &str| expected.items.get(gtin).copied().unwrap_or(0);
                    let items = r.items.iter();
                    items.filter(move |(gtin, n)| **n > sold(gtin))
                });
                faults.extend(more.map(|(gtin, _)| format!("the power cut sells {gtin}")));
            }
        }
        _ => {}
    }
    faults
}

//! `basketd score`: receipts against the truth. Each visit's lines are those of its last
//! `basket.closed` or `basket.adjusted`; visits are paired with the truth by token, those of one
//! token in the order of leaving, and anonymous ones by the nearest time of leaving within 45 s.

mod pair;
mod read;
mod table;
mod wrong;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Serialize;

pub use self::pair::pair;
pub use self::read::{Action, ActionKind, Items, Receipt, Truth, receipts, truths};
use self::table::{table, wrong_table};
use self::wrong::{Wrong, wrong};
use crate::gs1::Gtin;
use crate::units::signal::{median, round_to};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What really happened, a line a visit.
    #[arg(long)]
    truth: PathBuf,
    /// The events that were published, a line each.
    #[arg(long)]
    events: PathBuf,
    /// One JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

/// The figures; shares are of 1, times in seconds, `None` where there is nothing to share.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Score {
    /// Visits in the truth.
    pub visits: u32,
    /// Visits with a receipt and no truth, and the other way round.
    pub unexpected: u32,
    pub without_receipt: u32,
    pub items: u64,
    pub charged: u64,
    pub right: u64,
    pub precision: Option<f64>,
    pub recall: Option<f64>,
    pub f1: Option<f64>,
    /// Receipts whose items are exactly the truth's, of the visits in the truth.
    pub exact: u32,
    pub exact_share: Option<f64>,
    /// Receipts settled without review, and how many of them are wrong.
    pub settled: u32,
    pub settled_share: Option<f64>,
    pub settled_wrong: u32,
    pub settled_wrong_share: Option<f64>,
    /// Items on another shopper's receipt than the one who carried them out.
    pub cross_charged: u64,
    pub cross_charged_share: Option<f64>,
    pub close_median_s: Option<f64>,
    pub close_p95_s: Option<f64>,
    /// Receipts that are exactly right and were settled without review.
    #[serde(skip)]
    pub exact_settled: u32,
    /// Settled receipts, those without a truth, too.
    #[serde(skip)]
    pub settled_all: u32,
    /// From leaving to the receipt, visit by visit, seconds.
    #[serde(skip)]
    pub waits: Vec<f64>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let truth = truths(&args.truth.display().to_string(), &text(&args.truth)?)?;
    let receipts = receipts(&args.events.display().to_string(), &text(&args.events)?)?;
    ensure!(
        !truth.is_empty(),
        "{}: holds no visit, so that nothing can be measured",
        args.truth.display()
    );
    let paired = pair(&truth, &receipts);
    if let Some(why) = strange(&truth, &receipts, &paired) {
        let (truth, events) = (args.truth.display(), args.events.display());
        super::print_err(&format!(
            "{truth}: {why} of {events}: it is probably the truth of another recording"
        ));
    }
    let told = Told {
        score: &score(&truth, &receipts),
        wrong: wrong(&truth, &receipts, &paired),
    };
    super::print(&if args.json {
        serde_json::to_string(&told)?
    } else {
        format!("{}{}", table(told.score), wrong_table(&told.wrong))
    });
    Ok(())
}

/// All that is told, as `--json` has it.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    score: &'a Score,
    wrong: Vec<Wrong<'a>>,
}

/// Why a truth is probably another recording's than the receipts.
fn strange(
    truth: &[Truth],
    receipts: &[Receipt],
    paired: &[Option<usize>],
) -> Option<&'static str> {
    if receipts.is_empty() {
        return None;
    }
    let with_token = || truth.iter().zip(paired).filter(|(t, _)| t.token.is_some());
    if with_token().next().is_some() && with_token().all(|(_, r)| r.is_none()) {
        return Some("no token in it is that of a receipt");
    }
    let none = paired.iter().all(Option::is_none);
    none.then_some("none of its visits left at the time of a receipt")
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Measures receipts against what really happened.
pub fn score(truth: &[Truth], receipts: &[Receipt]) -> Score {
    let paired = pair(truth, receipts);
    let mut s = Score {
        visits: truth.len() as u32,
        ..Score::default()
    };
    let (mut missing, mut wrong) = (Items::new(), Items::new());
    let none = Items::new();
    for (t, r) in truth.iter().zip(&paired) {
        let receipt = r.and_then(|r| receipts.get(r));
        s.without_receipt += u32::from(receipt.is_none());
        let charged = receipt.map_or(&none, |r| &r.items);
        s.count(&t.items, charged, &mut missing, &mut wrong);
        let exact = receipt.is_some() && t.items == *charged;
        s.exact += u32::from(exact);
        if let Some(receipt) = receipt {
            s.settled += u32::from(receipt.settled);
            s.exact_settled += u32::from(receipt.settled && exact);
            s.settled_wrong += u32::from(receipt.settled && !exact);
            s.waits.push(receipt.closed_at.secs_since(t.left_at));
        }
    }
    s.settled_all = s.settled;
    for receipt in unpaired(receipts, &paired) {
        s.unexpected += 1;
        s.settled_all += u32::from(receipt.settled);
        s.settled_wrong += u32::from(receipt.settled && !receipt.items.is_empty());
        s.count(&none, &receipt.items, &mut missing, &mut wrong);
    }
    let crossed = wrong
        .iter()
        .map(|(gtin, n): (&Gtin, &u64)| *n.min(missing.get(gtin).unwrap_or(&0)));
    s.cross_charged = crossed.sum();
    s.finish();
    s
}

/// The receipts that are of no visit of the truth.
fn unpaired<'a>(
    receipts: &'a [Receipt],
    paired: &[Option<usize>],
) -> impl Iterator<Item = &'a Receipt> {
    let used: BTreeSet<usize> = paired.iter().flatten().copied().collect();
    let all = receipts.iter().enumerate();
    all.filter(move |(r, _)| !used.contains(r))
        .map(|(_, receipt)| receipt)
}

impl Score {
    /// All of them as if they were of one day.
    pub fn sum<'a>(scores: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for s in scores {
            all.visits += s.visits;
            all.unexpected += s.unexpected;
            all.without_receipt += s.without_receipt;
            all.items += s.items;
            all.charged += s.charged;
            all.right += s.right;
            all.exact += s.exact;
            all.settled += s.settled;
            all.settled_all += s.settled_all;
            all.exact_settled += s.exact_settled;
            all.settled_wrong += s.settled_wrong;
            all.cross_charged += s.cross_charged;
            all.waits.extend(&s.waits);
        }
        all.finish();
        all
    }

    fn count(&mut self, truth: &Items, charged: &Items, missing: &mut Items, wrong: &mut Items) {
        for (gtin, n) in truth {
            let found = charged.get(gtin).copied().unwrap_or(0).min(*n);
            self.items += n;
            self.right += found;
            *missing.entry(*gtin).or_insert(0) += n - found;
        }
        for (gtin, n) in charged {
            self.charged += n;
            *wrong.entry(*gtin).or_insert(0) +=
                n.saturating_sub(truth.get(gtin).copied().unwrap_or(0));
        }
    }

    fn finish(&mut self) {
        let of_items =
            |part: u64, whole: u64| (whole > 0).then(|| round_to(part as f64 / whole as f64, 4));
        let of_visits = |part: u32, whole: u32| of_items(part.into(), whole.into());
        self.precision = of_items(self.right, self.charged);
        self.recall = of_items(self.right, self.items);
        self.f1 = of_items(2 * self.right, self.charged + self.items);
        self.exact_share = of_visits(self.exact, self.visits);
        self.settled_share = of_visits(self.settled, self.visits);
        self.settled_wrong_share = of_visits(self.settled_wrong, self.settled_all);
        self.cross_charged_share = of_items(self.cross_charged, self.items);
        let mut waits = self.waits.clone();
        self.close_median_s = median(&mut waits).map(|s| round_to(s, 3));
        let p95 = (waits.len() * 95).div_ceil(100).saturating_sub(1);
        self.close_p95_s = waits.get(p95).map(|s| round_to(*s, 3));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{TimeDelta, Timestamp};

    fn gtin(n: u64) -> Gtin {
        Gtin::from_payload(n).unwrap()
    }

    fn receipt(token: Option<&str>, left_s: i64, items: &[(u64, u64)], settled: bool) -> Receipt {
        let left_at = Timestamp::from_micros(left_s * 1_000_000);
        Receipt {
            visit: String::new(),
            token: token.map(str::to_owned),
            left_at,
            closed_at: left_at + TimeDelta::from_millis(2000),
            items: items.iter().map(|(g, n)| (gtin(*g), *n)).collect(),
            settled,
            lines: Vec::new(),
            confidence: None,
        }
    }

    fn truth(token: Option<&str>, left_s: i64, items: &[(u64, u64)]) -> Truth {
        Truth {
            token: token.map(str::to_owned),
            items: items.iter().map(|(g, n)| (gtin(*g), *n)).collect(),
            left_at: Timestamp::from_micros(left_s * 1_000_000),
            events: Vec::new(),
        }
    }

    #[test]
    fn an_item_on_the_wrong_receipt_is_cross_charged() {
        let truths = [
            truth(Some("a"), 10, &[(1, 1), (2, 1)]),
            truth(Some("b"), 20, &[(3, 2)]),
        ];
        let receipts = [
            receipt(Some("a"), 10, &[(1, 1)], true),
            receipt(Some("b"), 20, &[(2, 1), (3, 2)], false),
        ];
        let s = score(&truths, &receipts);
        assert_eq!((s.items, s.charged, s.right, s.cross_charged), (4, 4, 3, 1));
        assert_eq!((s.exact, s.settled, s.settled_wrong), (0, 1, 1));
        assert_eq!(s.f1, Some(0.75));
    }

    #[test]
    fn anonymous_visits_pair_by_the_nearest_leaving_within_45_s() {
        let truths = [truth(None, 100, &[(1, 1)]), truth(None, 130, &[(2, 1)])];
        let receipts = [
            receipt(None, 128, &[(2, 1)], true),
            receipt(None, 300, &[(1, 1)], true),
        ];
        let s = score(&truths, &receipts);
        assert_eq!((s.without_receipt, s.unexpected, s.exact), (1, 1, 1));
    }

    #[test]
    fn visits_of_one_token_pair_in_the_order_of_leaving() {
        let truths = [
            truth(Some("a"), 50, &[(2, 1)]),
            truth(Some("a"), 10, &[(1, 1)]),
        ];
        let receipts = [
            receipt(Some("a"), 12, &[(1, 1)], true),
            receipt(Some("a"), 55, &[(2, 1)], true),
        ];
        assert_eq!(score(&truths, &receipts).exact, 2);
    }
}

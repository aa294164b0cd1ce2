//! `basketd score`: receipts against the truth. Each visit's lines are those of its last
//! `basket.closed` or `basket.adjusted`; visits are paired with the truth by token, those of one
//! token in the order of leaving, and anonymous ones by the nearest time of leaving within 45 s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::gs1::Gtin;
use crate::units::signal::{median, round_to};
use crate::units::{TimeDelta, Timestamp};

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

/// A line of `truth.jsonl`: what a visit carried out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Truth {
    pub token: Option<String>,
    pub items: BTreeMap<Gtin, u32>,
    pub left_at: Timestamp,
    /// What was taken and put back when, where the truth says it.
    #[serde(default)]
    pub events: Vec<Action>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Action {
    pub at: Timestamp,
    pub gtin: Gtin,
    pub kind: ActionKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionKind {
    Taken,
    Returned,
}

#[derive(Debug, Deserialize)]
struct Published {
    #[serde(rename = "type")]
    kind: String,
    time: Timestamp,
    data: serde_json::Value,
}

#[derive(Debug, Deserialize)]
struct PublishedBasket {
    visit: String,
    #[serde(default)]
    token: Option<String>,
    left_at: Option<Timestamp>,
    lines: Vec<PublishedLine>,
    decision: String,
    #[serde(default)]
    confidence: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct PublishedLine {
    gtin: Gtin,
    quantity: u32,
    #[serde(default)]
    confidence: Option<f64>,
}

/// A visit's receipt as it stood at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    pub visit: String,
    pub token: Option<String>,
    pub left_at: Timestamp,
    pub closed_at: Timestamp,
    pub items: BTreeMap<Gtin, u32>,
    pub settled: bool,
    /// How likely each line is right, where the event says it.
    pub lines: Vec<(Gtin, f64)>,
    /// How likely the whole is right, where the event says it.
    pub confidence: Option<f64>,
}

/// How far apart the times of leaving of an anonymous visit and its truth may lie.
const ANONYMOUS_WINDOW: TimeDelta = TimeDelta::from_millis(45_000);

/// The figures; shares are of 1, times in seconds, `None` where there is nothing to share.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Score {
    /// Visits in the truth.
    pub visits: u32,
    /// Visits with a receipt and no truth, and the other way round.
    pub unexpected: u32,
    pub without_receipt: u32,
    pub items: u32,
    pub charged: u32,
    pub right: u32,
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
    pub cross_charged: u32,
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
    let score = score(&truth, &receipts);
    super::print(&if args.json {
        serde_json::to_string(&score)?
    } else {
        table(&score)
    });
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// The truth as a file has it; `name` is how problems name that.
pub fn truths(name: &str, text: &str) -> anyhow::Result<Vec<Truth>> {
    lines(text)
        .map(|(n, line)| serde_json::from_str(line).with_context(|| format!("{name}:{n}")))
        .collect()
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(i, l)| (i + 1, l));
    numbered.filter(|(_, l)| !l.trim().is_empty())
}

/// The receipts of a file of events, as they stand at its end; `name` is how problems name it.
pub fn receipts(name: &str, text: &str) -> anyhow::Result<Vec<Receipt>> {
    let mut by_visit: BTreeMap<String, Receipt> = BTreeMap::new();
    for (n, line) in lines(text) {
        let place = || format!("{name}:{n}");
        let event: Published = serde_json::from_str(line).with_context(place)?;
        if !matches!(
            event.kind.as_str(),
            "basketd.basket.closed" | "basketd.basket.adjusted"
        ) {
            continue;
        }
        let basket: PublishedBasket = serde_json::from_value(event.data).with_context(place)?;
        let visit = basket.visit.clone();
        let before = by_visit.get(&visit);
        if before.is_none() && basket.left_at.is_none() {
            anyhow::bail!("{}: visit {visit} was adjusted but never closed", place());
        }
        let receipt = receipt(event.time, basket, before);
        by_visit.insert(visit, receipt);
    }
    let mut receipts: Vec<Receipt> = by_visit.into_values().collect();
    receipts.sort_by(|a, b| (a.left_at, &a.token).cmp(&(b.left_at, &b.token)));
    Ok(receipts)
}

/// What a closed or adjusted basket makes of the receipt before it.
fn receipt(at: Timestamp, basket: PublishedBasket, before: Option<&Receipt>) -> Receipt {
    let mut items = BTreeMap::new();
    for line in &basket.lines {
        *items.entry(line.gtin).or_insert(0) += line.quantity;
    }
    let lines = basket.lines.iter();
    let lines = lines.filter_map(|line| Some((line.gtin, line.confidence?)));
    let closed = match (basket.left_at, before) {
        (None, Some(before)) => (before.token.clone(), before.left_at, before.closed_at),
        (left_at, _) => (basket.token, left_at.unwrap_or(at), at),
    };
    let (token, left_at, closed_at) = closed;
    Receipt {
        visit: basket.visit,
        token,
        left_at,
        closed_at,
        items,
        settled: basket.decision == "settle",
        lines: lines.collect(),
        confidence: basket.confidence,
    }
}

/// For each truth the place of its receipt.
pub fn pair(truth: &[Truth], receipts: &[Receipt]) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..truth.len()).collect();
    order.sort_by_key(|i| truth[*i].left_at);
    let mut used = vec![false; receipts.len()];
    let mut paired = vec![None; truth.len()];
    for t in &order {
        let same = |r: &usize| !used[*r] && receipts[*r].token == truth[*t].token;
        if truth[*t].token.is_some() {
            paired[*t] = (0..receipts.len()).find(same);
        }
        if let Some(r) = paired[*t] {
            used[r] = true;
        }
    }
    let mut near: Vec<(TimeDelta, usize, usize)> = Vec::new();
    for t in order.into_iter().filter(|t| truth[*t].token.is_none()) {
        for r in (0..receipts.len()).filter(|r| receipts[*r].token.is_none()) {
            let apart = truth[t].left_at - receipts[r].left_at;
            near.push((apart.max(-apart), t, r));
        }
    }
    near.sort();
    for (apart, t, r) in near {
        if apart <= ANONYMOUS_WINDOW && !used[r] && paired[t].is_none() {
            paired[t] = Some(r);
            used[r] = true;
        }
    }
    paired
}

/// Measures receipts against what really happened.
pub fn score(truth: &[Truth], receipts: &[Receipt]) -> Score {
    let paired = pair(truth, receipts);
    let mut s = Score {
        visits: truth.len() as u32,
        ..Score::default()
    };
    let (mut missing, mut wrong) = (BTreeMap::new(), BTreeMap::new());
    let none = BTreeMap::new();
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
    for (r, receipt) in receipts.iter().enumerate() {
        if !paired.contains(&Some(r)) {
            s.unexpected += 1;
            s.settled_all += u32::from(receipt.settled);
            s.settled_wrong += u32::from(receipt.settled && !receipt.items.is_empty());
            s.count(&none, &receipt.items, &mut missing, &mut wrong);
        }
    }
    let crossed = wrong
        .iter()
        .map(|(gtin, n): (&Gtin, &u32)| *n.min(missing.get(gtin).unwrap_or(&0)));
    s.cross_charged = crossed.sum();
    s.finish();
    s
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

    fn count(
        &mut self,
        truth: &BTreeMap<Gtin, u32>,
        charged: &BTreeMap<Gtin, u32>,
        missing: &mut BTreeMap<Gtin, u32>,
        wrong: &mut BTreeMap<Gtin, u32>,
    ) {
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
        let share = |part: u32, whole: u32| {
            (whole > 0).then(|| round_to(f64::from(part) / f64::from(whole), 4))
        };
        self.precision = share(self.right, self.charged);
        self.recall = share(self.right, self.items);
        self.f1 = share(2 * self.right, self.charged + self.items);
        self.exact_share = share(self.exact, self.visits);
        self.settled_share = share(self.settled, self.visits);
        self.settled_wrong_share = share(self.settled_wrong, self.settled_all);
        self.cross_charged_share = share(self.cross_charged, self.items);
        let mut waits = self.waits.clone();
        self.close_median_s = median(&mut waits).map(|s| round_to(s, 3));
        let p95 = (waits.len() * 95).div_ceil(100).saturating_sub(1);
        self.close_p95_s = waits.get(p95).map(|s| round_to(*s, 3));
    }
}

fn table(s: &Score) -> String {
    let share = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    let seconds = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.2} s"));
    let rows = [
        (
            "visits",
            format!(
                "{} ({} without receipt, {} unexpected)",
                s.visits, s.without_receipt, s.unexpected
            ),
        ),
        (
            "items",
            format!(
                "{} carried out, {} charged, {} right",
                s.items, s.charged, s.right
            ),
        ),
        ("precision", share(s.precision)),
        ("recall", share(s.recall)),
        ("F1", share(s.f1)),
        (
            "exact receipts",
            format!("{} ({})", s.exact, share(s.exact_share)),
        ),
        (
            "settled without review",
            format!("{} ({})", s.settled, share(s.settled_share)),
        ),
        (
            "wrong among the settled",
            format!("{} ({})", s.settled_wrong, share(s.settled_wrong_share)),
        ),
        (
            "cross-charged items",
            format!("{} ({})", s.cross_charged, share(s.cross_charged_share)),
        ),
        ("leaving to closed, median", seconds(s.close_median_s)),
        ("leaving to closed, p95", seconds(s.close_p95_s)),
    ];
    rows.map(|(name, value)| format!("{name:<26} {value}"))
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gtin(n: u64) -> Gtin {
        Gtin::from_payload(n).unwrap()
    }

    fn receipt(token: Option<&str>, left_s: i64, items: &[(u64, u32)], settled: bool) -> Receipt {
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

    fn truth(token: Option<&str>, left_s: i64, items: &[(u64, u32)]) -> Truth {
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

//! Truths and receipts as files hold them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::{Deserialize, Deserializer};

use crate::gs1::Gtin;
use crate::units::Timestamp;

/// How many units of each product. Files hold up to 32 bits; sums of them have room.
pub type Items = BTreeMap<Gtin, u64>;

fn quantities<'de, D: Deserializer<'de>>(from: D) -> Result<Items, D::Error> {
    let items = BTreeMap::<Gtin, u32>::deserialize(from)?;
    Ok(items.into_iter().map(|(g, n)| (g, n.into())).collect())
}

/// A line of `truth.jsonl`: what a visit carried out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Truth {
    pub token: Option<String>,
    #[serde(deserialize_with = "quantities")]
    pub items: Items,
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
    pub items: Items,
    pub settled: bool,
    /// How likely each line is right, where the event says it.
    pub lines: Vec<(Gtin, f64)>,
    /// How likely the whole is right, where the event says it.
    pub confidence: Option<f64>,
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
    let mut items = Items::new();
    for line in &basket.lines {
        *items.entry(line.gtin).or_insert(0) += u64::from(line.quantity);
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

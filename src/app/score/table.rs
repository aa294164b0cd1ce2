//! The figures as people read them.

use super::wrong::Wrong;
use super::{Items, Score};

/// Wrong receipts that are listed; `--json` has all.
const SHOWN: usize = 20;

pub(super) fn table(s: &Score) -> String {
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

/// A line for each wrong receipt, each after a line break; nothing where all are right.
pub(super) fn wrong_table(wrong: &[Wrong<'_>]) -> String {
    if wrong.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n\nwrong receipts, {} in all; `basketd explain --visit` tells how one came about",
        wrong.len()
    );
    for wrong in &wrong[..wrong.len().min(SHOWN)] {
        text.push_str(&format!(
            "\n{:<10} {}  left {}  {}  wanted {}; charged {}",
            wrong.visit.unwrap_or("no receipt"),
            wrong.token.unwrap_or("anonymous"),
            wrong.left_at,
            wrong.decision.unwrap_or("-"),
            items(&wrong.wanted),
            items(&wrong.charged)
        ));
    }
    if wrong.len() > SHOWN {
        let more = wrong.len() - SHOWN;
        text.push_str(&format!("\nand {more} more; --json has all"));
    }
    text
}

fn items(items: &Items) -> String {
    let lines: Vec<String> = items.iter().map(|(g, n)| format!("{n} x {g}")).collect();
    match lines.len() {
        0 => "nothing".to_owned(),
        _ => lines.join(", "),
    }
}

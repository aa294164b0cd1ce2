//! The figures as people read them.

use super::Score;

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

//! What the figures must be: generous floors for the short form, bars for the long one.

use basketd::app::score::Score;

/// A column at a noise, and the least F1 of a few days.
const FLOORS: [(&str, f64); 10] = [
    ("all-nominal", 0.85),
    ("rfid-floor-nominal", 0.75),
    ("scale-floor-nominal", 0.50),
    ("vision-nominal", 0.35),
    ("rfid-nominal", 0.65),
    ("all-harsh", 0.75),
    ("rfid-floor-harsh", 0.60),
    ("scale-floor-harsh", 0.45),
    ("vision-harsh", 0.30),
    ("rfid-harsh", 0.60),
];

/// What a column has to reach over many days; what is none asserts nothing.
struct Bar {
    name: &'static str,
    f1: f64,
    exact: Option<f64>,
    settled: Option<f64>,
    /// At most, of the settled.
    wrong: Option<f64>,
    /// At most, of the items.
    crossed: Option<f64>,
}

const fn nominal(
    name: &'static str,
    f1: f64,
    exact: f64,
    settled: f64,
    wrong: f64,
    crossed: Option<f64>,
) -> Bar {
    Bar {
        name,
        f1,
        exact: Some(exact),
        settled: Some(settled),
        wrong: Some(wrong),
        crossed,
    }
}

const fn harsh(name: &'static str, f1: f64) -> Bar {
    Bar {
        name,
        f1,
        exact: None,
        settled: None,
        wrong: None,
        crossed: None,
    }
}

const BARS: [Bar; 10] = [
    nominal("all-nominal", 0.98, 0.95, 0.95, 0.005, Some(0.002)),
    nominal("rfid-floor-nominal", 0.96, 0.90, 0.90, 0.01, Some(0.005)),
    nominal("scale-floor-nominal", 0.92, 0.80, 0.75, 0.02, Some(0.01)),
    nominal("vision-nominal", 0.80, 0.55, 0.40, 0.05, Some(0.02)),
    nominal("rfid-nominal", 0.92, 0.80, 0.80, 0.02, None),
    harsh("all-harsh", 0.92),
    harsh("rfid-floor-harsh", 0.85),
    harsh("scale-floor-harsh", 0.75),
    harsh("vision-harsh", 0.60),
    harsh("rfid-harsh", 0.75),
];

/// What lies below the floor, a line each.
pub(crate) fn below_floor(name: &str, score: &Score) -> Vec<String> {
    let floors = FLOORS.iter().filter(|(of, _)| *of == name);
    let f1 = score.f1.unwrap_or(0.0);
    let below = floors.filter(|(_, least)| f1 < *least);
    below
        .map(|(_, least)| format!("{name}: F1 {f1}, at least {least}"))
        .collect()
}

/// The bars that were missed, a line each.
pub(crate) fn missed(name: &str, score: &Score) -> Vec<String> {
    let Some(bar) = BARS.iter().find(|bar| bar.name == name) else {
        return Vec::new();
    };
    let mut missed = Vec::new();
    let least = [
        ("F1", score.f1, Some(bar.f1)),
        ("exact receipts", score.exact_share, bar.exact),
        ("settled", score.settled_share, bar.settled),
    ];
    for (what, is, least) in least {
        let is = is.unwrap_or(0.0);
        if let Some(least) = least.filter(|least| is < *least) {
            missed.push(format!("{name}: {what} {is}, at least {least}"));
        }
    }
    let most = [
        (
            "wrong among the settled",
            score.settled_wrong_share,
            bar.wrong,
        ),
        ("cross-charged", score.cross_charged_share, bar.crossed),
    ];
    for (what, is, most) in most {
        let is = is.unwrap_or(0.0);
        if let Some(most) = most.filter(|most| is > *most) {
            missed.push(format!("{name}: {what} {is}, at most {most}"));
        }
    }
    missed
}

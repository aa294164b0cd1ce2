//! Which tunables are fitted, and within which values. A tunable that is added to the store file is
//! fitted without a word here, unless its range needs one.

use serde_json::Value;

use crate::store::Tunables;

/// One number that is fitted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Knob {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) start: f64,
    low: f64,
    high: f64,
    whole: bool,
}

/// A value for each knob.
pub(super) type Values = Vec<f64>;

/// The tables that are fitted.
const TABLES: [&str; 2] = ["fusion", "basket"];

/// What mistakes cost is the measure; how long a visit may last no short recording shows.
const NOT_FITTED: [&str; 3] = ["wrong_receipt_cost", "review_cost", "longest_visit_s"];

/// Values beyond these are nonsense, whatever the recordings say.
const RANGES: [(&str, f64, f64); 7] = [
    ("wait_scale_s", 0.5, 6.0),
    ("wait_camera_s", 0.5, 10.0),
    ("wait_rfid_s", 1.0, 12.0),
    ("nobody", 1e-5, 0.1),
    ("unseen_carrier", 1e-4, 0.3),
    ("reach_sideways_m", 0.1, 0.8),
    ("reach_beyond_m", 0.1, 0.8),
];

/// How far from its default a number of no range of its own may go, times.
const FAR: f64 = 8.0;

/// The knobs of the tables that are fitted, in their order.
pub(super) fn of(tunables: &Tunables) -> Vec<Knob> {
    let values = json(tunables);
    let defaults = json(&Tunables::default());
    let mut knobs = Vec::new();
    for table in TABLES {
        for (name, value) in values[table].as_object().into_iter().flatten() {
            let (Some(start), Some(default)) = (value.as_f64(), defaults[table][name].as_f64())
            else {
                continue;
            };
            if !NOT_FITTED.contains(&name.as_str()) {
                let (low, high) = range(name, default);
                knobs.push(Knob {
                    table: table.to_owned(),
                    name: name.clone(),
                    start,
                    low,
                    high,
                    whole: value.is_u64() || value.is_i64(),
                });
            }
        }
    }
    knobs
}

fn range(name: &str, default: f64) -> (f64, f64) {
    if let Some((_, low, high)) = RANGES.iter().find(|(known, ..)| *known == name) {
        return (*low, *high);
    }
    let (low, high) = (default / FAR, default * FAR);
    let unit = name.rsplit('_').next().unwrap_or_default();
    // A share or a probability stays one.
    let share = default > 0.0 && default < 1.0 && !["s", "m", "mm", "g", "us"].contains(&unit);
    if share {
        (low, high.min((1.0 + default) / 2.0))
    } else {
        (low, high)
    }
}

fn json(tunables: &Tunables) -> Value {
    serde_json::to_value(tunables).expect("tunables are plain values")
}

/// The tunables with these values in place of theirs.
pub(super) fn with(tunables: &Tunables, knobs: &[Knob], values: &Values) -> Tunables {
    let mut json = json(tunables);
    for (knob, value) in knobs.iter().zip(values) {
        json[&knob.table][&knob.name] = if knob.whole {
            Value::from(*value as i64)
        } else {
            Value::from(*value)
        };
    }
    serde_json::from_value(json).expect("a number stands where a number stood")
}

impl Knob {
    /// Evenly spaced values over the whole range, by their logarithms.
    pub(super) fn grid(&self, steps: usize) -> Vec<f64> {
        // A default of 0 says nothing of the scale.
        if self.low <= 0.0 {
            return Vec::new();
        }
        let ratio = libm::log(self.high / self.low) / (steps.max(2) - 1) as f64;
        let at = |i: usize| self.round(self.low * libm::exp(ratio * i as f64));
        (0..steps).map(at).collect()
    }

    /// The same value some times as large, within the range.
    pub(super) fn times(&self, value: f64, factor: f64) -> f64 {
        self.round((value * factor).clamp(self.low, self.high))
    }

    /// To three significant digits: what is tried is what is written.
    fn round(&self, value: f64) -> f64 {
        if self.whole {
            return value.round();
        }
        let text = format!("{value:.2e}");
        text.parse().unwrap_or(value)
    }

    /// The value as TOML.
    pub(super) fn text(&self, value: f64) -> String {
        if self.whole {
            format!("{value:.0}")
        } else {
            format!("{value:?}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mistakes_cost_is_not_fitted() {
        let knobs = of(&Tunables::default());
        assert!(knobs.iter().any(|k| k.name == "wait_rfid_s"));
        assert!(!knobs.iter().any(|k| k.name.ends_with("_cost")));
    }

    #[test]
    fn values_go_where_they_came_from() {
        let mut tunables = Tunables::default();
        let knobs = of(&tunables);
        let values: Values = knobs.iter().map(|k| k.times(k.start, 0.5)).collect();
        tunables = with(&tunables, &knobs, &values);
        let read: Values = of(&tunables).iter().map(|k| k.start).collect();
        assert_eq!(read, values);
    }

    #[test]
    fn a_grid_spans_the_range() {
        for knob in of(&Tunables::default()) {
            let grid = knob.grid(5);
            assert!(grid.is_sorted() && grid.len() == 5, "{knob:?}: {grid:?}");
        }
    }

    #[test]
    fn a_share_stays_below_one() {
        assert_eq!(range("some_share", 0.6), (0.6 / FAR, 0.8));
        assert_eq!(range("some_wait_s", 0.5), (0.5 / FAR, 4.0));
    }
}

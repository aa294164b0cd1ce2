//! The tables that are printed: the figures of each column, how far the engine's own certainty can
//! be trusted, and what waiting gains.

use basketd::app::score::Score;

use crate::day::Played;

/// The figures of one column at one noise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) days: Vec<Played>,
    pub(crate) all: Score,
}

impl Row {
    pub(crate) fn new(name: String, days: Vec<Played>) -> Self {
        let all = Score::sum(days.iter().map(|d| &d.score));
        Self { name, days, all }
    }

    /// The naive solver's figures, where it ran.
    pub(crate) fn naive(&self) -> Option<Score> {
        let scores: Option<Vec<&Score>> = self.days.iter().map(|d| d.naive.as_ref()).collect();
        scores.map(Score::sum)
    }
}

pub(crate) const HEAD: &str = "column               visits  F1     (95 % of days)   exact   settled wrong/settled \
                               crossed  take p50  p95  closed p95  naive F1  x real time";

/// A line of figures.
pub(crate) fn line(row: &Row) -> String {
    let s = &row.all;
    let (low, high) = interval(&row.days);
    let mut taken: Vec<f64> = row.days.iter().flat_map(|d| d.taken_s.clone()).collect();
    let (p50, p95) = (percentile(&mut taken, 50), percentile(&mut taken, 95));
    let share = |v: Option<f64>| v.map_or("     -".to_owned(), |v| format!("{v:.4}"));
    let naive = row.naive().and_then(|n| n.f1);
    let length_s: f64 = row.days.iter().map(|d| d.length_s).sum();
    let engine_s: f64 = row.days.iter().map(|d| d.engine_s).sum();
    format!(
        "{:<20} {:>6}  {} ({low:.3} - {high:.3})  {}  {}  {} ({:>2})   {}   {p50:>5.2} {p95:>5.2}  {:>8.2}   {}  {:>5.0}",
        row.name,
        s.visits,
        share(s.f1),
        share(s.exact_share),
        share(s.settled_share),
        share(s.settled_wrong_share),
        s.settled_wrong,
        share(s.cross_charged_share),
        s.close_p95_s.unwrap_or(f64::NAN),
        share(naive),
        length_s / engine_s,
    )
}

/// Days that are drawn anew from those that there are.
const RESAMPLES: usize = 1000;

/// Between which values 95 % of F1 lie when the days are drawn anew.
fn interval(days: &[Played]) -> (f64, f64) {
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        (chance % days.len().max(1) as u64) as usize
    };
    let mut f1s: Vec<f64> = Vec::new();
    for _ in 0..RESAMPLES {
        let (mut right, mut sum) = (0, 0);
        for _ in days {
            let s = &days[draw()].score;
            right += 2 * s.right;
            sum += s.items + s.charged;
        }
        f1s.push(right as f64 / sum.max(1) as f64);
    }
    let tail = |f1s: &mut Vec<f64>, thousandth: usize| {
        f1s.sort_by(f64::total_cmp);
        f1s[(f1s.len() * thousandth / 1000).min(f1s.len() - 1)]
    };
    (tail(&mut f1s, 25), tail(&mut f1s, 975))
}

pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// The lower edges of the bins of certainty.
const BINS: [f64; 8] = [0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995];
/// Bins with fewer lines prove nothing.
const BIN_LEAST: usize = 200;
/// How far the share that is right may lie from the mean certainty of its bin.
const BIN_APART: f64 = 0.05;

/// What was said to be so likely, and what was right: the table, and what is wrong with it.
pub(crate) fn reliability(what: &str, said: &[(f64, bool)]) -> (String, Vec<String>) {
    use std::fmt::Write as _;
    let mut text = format!("{what}: said to be      number   mean said   right\n");
    let mut faults = Vec::new();
    let mut error = 0.0;
    for (i, low) in BINS.iter().enumerate() {
        let high = BINS.get(i + 1).copied().unwrap_or(f64::INFINITY);
        let bin: Vec<_> = said.iter().filter(|s| s.0 >= *low && s.0 < high).collect();
        let n = bin.len() as f64;
        let mean = bin.iter().map(|s| s.0).sum::<f64>() / n;
        let share = bin.iter().filter(|s| s.1).count() as f64 / n;
        let shown = high.min(1.0);
        if bin.is_empty() {
            writeln!(text, "    {low:>5.3} - {shown:>5.3}  {:>12}", 0).unwrap();
            continue;
        }
        writeln!(
            text,
            "    {low:>5.3} - {shown:>5.3}  {:>12}   {mean:>9.3}   {share:.3}",
            bin.len()
        )
        .unwrap();
        error += (share - mean).abs() * n / said.len() as f64;
        if bin.len() >= BIN_LEAST && (share - mean).abs() > BIN_APART {
            faults.push(format!(
                "{what} from {low}: {share:.3} are right, {mean:.3} were said to be"
            ));
        }
    }
    write!(text, "    expected calibration error {error:.4}").unwrap();
    (text, faults)
}

/// What waiting longer gains and costs.
pub(crate) fn waits(row: &Row) -> Option<String> {
    let times: Vec<f64> = row.days.first()?.waits.iter().map(|w| w.0).collect();
    if times.is_empty() {
        return None;
    }
    let mut text = format!("{}: waiting   F1      exact   closed p95", row.name);
    for (i, times) in times.iter().enumerate() {
        let all = Score::sum(row.days.iter().map(|d| &d.waits[i].1));
        text.push_str(&format!(
            "\n    {times:>8.2} times   {:.4}  {:.4}  {:>8.2} s",
            all.f1.unwrap_or(f64::NAN),
            all.exact_share.unwrap_or(f64::NAN),
            all.close_p95_s.unwrap_or(f64::NAN)
        ));
    }
    Some(text)
}

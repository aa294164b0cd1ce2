//! `basketd tune`: fits tunables to recordings whose truth is known, and says by recordings that it
//! was not fitted to whether that is worth anything.
//!
//! The search goes tunable by tunable over a few values each, so that the same recordings give the
//! same answer. What mistakes cost is the shop's to say and is not fitted: it is the measure.

mod knobs;
mod search;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};

use self::knobs::{Knob, Values};
use self::search::{Search, Trial};
use super::score::{self, Score};
use super::trial::Tape;
use crate::store::tunables::BasketTunables;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders, each with a recording, its store file and its truth; two or more.
    #[arg(required = true, value_name = "REC_DIR")]
    folders: Vec<PathBuf>,
    /// The recording, in each folder.
    #[arg(long, default_value = "recording.mcap")]
    recording: PathBuf,
    /// The store file, in each folder, or one for all.
    #[arg(long, default_value = "store.toml")]
    store: PathBuf,
    /// The truth, in each folder.
    #[arg(long, default_value = "truth.jsonl")]
    truth: PathBuf,
    /// Where to write the tables for the store file; they are printed otherwise.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Recordings are held out in so many parts at most.
const FOLDS: usize = 5;

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    ensure!(
        args.folders.len() >= 2,
        "{}: one recording is too few; one is held out to see what the others are worth: name two \
         or more",
        args.folders.first().unwrap_or(&PathBuf::new()).display()
    );
    refuse_twice(args)?;
    refuse_overwriting(args)?;
    let trials: Vec<Trial> = args
        .folders
        .iter()
        .map(|folder| open(args, folder))
        .collect::<anyhow::Result<_>>()?;
    let first = &trials[0].store.tunables;
    let knobs = knobs::of(first);
    if trials.iter().any(|t| knobs::of(&t.store.tunables) != knobs) {
        let place = args.folders[0].join(&args.store);
        super::print_err(&format!(
            "the store files have other tunables; the search begins with those of {}",
            place.display()
        ));
    }
    let costs = first.basket.clone();
    let start: Values = knobs.iter().map(|k| k.start).collect();
    let mut search = Search::new(&trials, &knobs, |score| cost(score, &costs));
    let all: Vec<usize> = (0..trials.len()).collect();
    let fitted = search.best(&start, &all, "all recordings");
    let folds = trials.len().min(FOLDS);
    let mut held_out = Vec::new();
    for fold in 0..folds {
        let (out, rest): (Vec<usize>, Vec<usize>) = all.iter().partition(|i| *i % folds == fold);
        let name = format!("fold {} of {folds}", fold + 1);
        let values = search.best(&start, &rest, &name);
        held_out.extend(search.scores(&values, &out));
    }
    let before = Score::sum(&search.scores(&start, &all));
    let after = Score::sum(&search.scores(&fitted, &all));
    let validated = Score::sum(&held_out);
    let report = Report {
        knobs: &knobs,
        start: &start,
        fitted: &fitted,
        recordings: trials.len(),
        folds,
        costs: [&before, &after, &validated].map(|score| cost(score, &costs)),
        scores: [&before, &after, &validated],
    };
    let Some(text) = report.fragment() else {
        super::print(report.refusal());
        super::print(&format!("\nWhat was tried:\n\n{}", report.table()));
        return Ok(());
    };
    super::print(&report.table());
    match &args.out {
        Some(path) => {
            std::fs::write(path, text)
                .with_context(|| format!("failed to write {}", path.display()))?;
            super::print(&format!("written to {}", path.display()));
        }
        None => super::print(&format!("\n{text}")),
    }
    Ok(())
}

/// The file itself, whichever way its name leads to it.
fn same(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// A recording that is named twice would be held out and fitted to at once.
fn refuse_twice(args: &Args) -> anyhow::Result<()> {
    let mut seen: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for folder in &args.folders {
        let path = folder.join(&args.recording);
        if let Some(first) = seen.insert(same(&path), path.clone()) {
            bail!(
                "{}: the same recording as {}; one that is held out must not be among the others: \
                 name each once",
                path.display(),
                first.display()
            );
        }
    }
    Ok(())
}

/// The output must be none of the inputs.
fn refuse_overwriting(args: &Args) -> anyhow::Result<()> {
    let Some(out) = &args.out else { return Ok(()) };
    for folder in &args.folders {
        for input in [&args.recording, &args.store, &args.truth] {
            ensure!(
                same(&folder.join(input)) != same(out),
                "{}: would be written over what is read; give another name",
                out.display()
            );
        }
    }
    Ok(())
}

fn open(args: &Args, folder: &Path) -> anyhow::Result<Trial> {
    let path = folder.join(&args.truth);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let truths = score::truths(&path.display().to_string(), &text)?;
    ensure!(
        !truths.is_empty(),
        "{}: holds no visit, so that nothing can be measured",
        path.display()
    );
    let store = super::load::load(&folder.join(&args.store))?.store;
    let path = folder.join(&args.recording);
    let mut tape = Tape::read(&store, &path)?;
    ensure!(
        !tape.is_empty(),
        "{}: holds no message for this store",
        path.display()
    );
    if tape.ignored > 0 {
        super::print_err(&format!(
            "{}: {} messages are not used: frames are not looked at, and what is wrong is left out",
            path.display(),
            tape.ignored
        ));
    }
    // Other waiting times have other deadlines than those of the run that was recorded.
    tape.free_timers();
    Ok(Trial {
        store: Arc::new(store),
        tape,
        truths,
    })
}

/// What a visit costs on average: a person for each receipt that is not settled and right, the
/// shop's name for each that is settled and wrong, and what is missing of F1.
fn cost(score: &Score, costs: &BasketTunables) -> f64 {
    let visits = f64::from(score.visits.max(1));
    let looked_at = f64::from(score.visits - score.exact_settled) * costs.review_cost;
    let wrong = f64::from(score.settled_wrong) * costs.wrong_receipt_cost;
    (looked_at + wrong) / visits + 1.0 - score.f1.unwrap_or(1.0)
}

/// What came of it, as people read it.
struct Report<'a> {
    knobs: &'a [Knob],
    start: &'a Values,
    fitted: &'a Values,
    recordings: usize,
    folds: usize,
    /// Before, after, and for recordings that were held out.
    costs: [f64; 3],
    scores: [&'a Score; 3],
}

impl Report<'_> {
    fn changed(&self) -> impl Iterator<Item = (&Knob, f64, f64)> {
        let values = self.start.iter().zip(self.fitted);
        let all = self.knobs.iter().zip(values);
        all.filter(|(_, (from, to))| from != to)
            .map(|(knob, (from, to))| (knob, *from, *to))
    }

    fn table(&self) -> String {
        let mut text = format!("{:<32} {:>10} {:>10}", "tunable", "from", "to");
        for (knob, from, to) in self.changed() {
            let name = format!("{}.{}", knob.table, knob.name);
            let (from, to) = (knob.text(from), knob.text(to));
            text.push_str(&format!("\n{name:<32} {from:>10} {to:>10}"));
        }
        text.push_str(&format!(
            "\n\n{:<32} {:>10} {:>10} {:>10}",
            "", "before", "after", "held out"
        ));
        let rows: [(&str, fn(&Score) -> Option<f64>); 4] = [
            ("F1", |s| s.f1),
            ("exact receipts", |s| s.exact_share),
            ("settled without review", |s| s.settled_share),
            ("wrong among the settled", |s| s.settled_wrong_share),
        ];
        for (name, share) in rows {
            text.push_str(&format!("\n{name:<32}"));
            for score in self.scores {
                let share = share(score).map_or("-".to_owned(), |v| format!("{v:.4}"));
                text.push_str(&format!(" {share:>10}"));
            }
        }
        let [before, after, held_out] = self.costs;
        text.push_str(&format!(
            "\n{:<32} {before:>10.4} {after:>10.4} {held_out:>10.4}",
            "cost of a visit"
        ));
        text
    }

    /// Tables as the store file takes them; `None` where they would not help recordings that they
    /// were not fitted to.
    fn fragment(&self) -> Option<String> {
        let [before, after, held_out] = self.costs;
        if held_out >= before || self.changed().next().is_none() {
            return None;
        }
        let mut text = format!(
            "# Fitted by `basketd tune` to {} recordings with {} visits.\n\
             # Cost of a visit: {before:.4} before, {after:.4} with these values; {held_out:.4} for\n\
             # recordings that were held out, in {} parts.\n",
            self.recordings, self.scores[0].visits, self.folds
        );
        let mut table = "";
        for (knob, from, to) in self.changed() {
            if knob.table != table {
                table = &knob.table;
                text.push_str(&format!("\n[{table}]\n"));
            }
            let (name, from, to) = (&knob.name, knob.text(from), knob.text(to));
            text.push_str(&format!("{name} = {to} # was {from}\n"));
        }
        Some(text)
    }

    fn refusal(&self) -> &'static str {
        if self.changed().next().is_none() {
            "Nothing is gained: no other values make a visit cost less. Keep the store file as it \
             is; nothing is written."
        } else {
            "Nothing is gained: recordings that were held out do not cost less by other values. \
             Keep the store file as it is; nothing is written."
        }
    }
}

//! `basketd inspect FILE`: what a recording, a capture of LLRP or a model file holds.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{inspect_llrp, inspect_model};
use crate::recording::{self, Facts, Topic};
use crate::units::Timestamp;

pub(super) fn run(path: &Path, as_json: bool) -> anyhow::Result<()> {
    // A model goes by its manifest's name without `.toml`, too.
    let named = !path.exists() && path.with_added_extension("toml").is_file();
    if inspect_model::is_model(path) || named {
        return inspect_model::run(path, as_json);
    }
    if inspect_llrp::is_capture(path) {
        return inspect_llrp::run(path, as_json);
    }
    let facts = recording::facts(&[PathBuf::from(path)])?;
    super::print(&if as_json {
        lines(&facts)
    } else {
        table(&facts)
    });
    Ok(())
}

fn time(nanos: u64) -> String {
    Timestamp::from_nanos(nanos).to_string()
}

fn schema(topic: &Topic) -> String {
    let names: Vec<String> = topic
        .schemas
        .iter()
        .map(|(s, e)| format!("{s} ({e})"))
        .collect();
    names.join(", ")
}

/// A line of JSON for each topic, then one for the whole.
fn lines(facts: &Facts) -> String {
    let topic = |(name, t): (&String, &Topic)| {
        let gaps: Vec<_> = t
            .gaps
            .iter()
            .map(|(length, begin)| json!({"from": time(*begin), "seconds": *length as f64 / 1e9}))
            .collect();
        json!({
            "topic": name,
            "schema": schema(t),
            "messages": t.messages,
            "bytes": t.bytes,
            "rate_hz": crate::units::signal::round_to(t.rate(), 3),
            "first": time(t.first),
            "last": time(t.last),
            "longest_gaps": gaps,
        })
        .to_string()
    };
    let mut out: Vec<String> = facts.topics.iter().map(topic).collect();
    let whole = json!({
        "messages": facts.messages,
        "first": facts.first.map(time),
        "last": facts.last.map(time),
        "ordered": facts.files.iter().all(|f| f.ordered),
        "metadata": facts.metadata,
        "attachments": facts.attachments,
        "notices": facts.notices,
    });
    out.push(whole.to_string());
    out.join("\n")
}

fn table(facts: &Facts) -> String {
    let wide = facts
        .topics
        .keys()
        .map(String::len)
        .max()
        .unwrap_or(0)
        .max(5);
    let mut out = vec![format!(
        "{:<wide$}  {:>9}  {:>8}  {:>9}  {:>9}  {:>9}  schema",
        "topic", "messages", "Hz", "span s", "gap s", "from s"
    )];
    for (name, t) in &facts.topics {
        let span = (t.last - t.first) as f64 / 1e9;
        // The longest time without a message, and where it begins in the recording.
        let (gap, from) = t.gaps.first().copied().unwrap_or_default();
        let from = from.saturating_sub(facts.first.unwrap_or(0));
        let (gap, from) = (gap as f64 / 1e9, from as f64 / 1e9);
        out.push(format!(
            "{name:<wide$}  {:>9}  {:>8.2}  {span:>9.2}  {gap:>9.3}  {from:>9.2}  {}",
            t.messages,
            t.rate(),
            schema(t)
        ));
    }
    if let (Some(first), Some(last)) = (facts.first, facts.last) {
        let seconds = (last - first) as f64 / 1e9;
        let (from, to) = (time(first), time(last));
        out.push(format!(
            "{} messages in {seconds:.2} s, {from} to {to}",
            facts.messages
        ));
    }
    out.extend(
        facts
            .metadata
            .iter()
            .map(|(key, value)| format!("{key} = {value}")),
    );
    out.extend(
        facts
            .attachments
            .iter()
            .map(|(name, n)| format!("attachment {name}, {n} bytes")),
    );
    out.extend(
        facts
            .notices
            .iter()
            .map(|(what, n)| format!("{n} x {what}")),
    );
    out.join("\n")
}

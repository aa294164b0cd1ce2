//! `basketd schema`: what the daemon says and hears, for programs that read or check it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::print;
use crate::wire::schema::{asyncapi, schemas};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Prints this JSON Schema (2020-12): `basketd.item.taken`, `basketd.TagRead`, …; without it
    /// the AsyncAPI 3.0.0 document.
    #[arg(conflicts_with = "out")]
    name: Option<String>,
    /// Writes `asyncapi.json` and `schemas/<name>.json` into this folder instead.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(folder) = &args.out {
        return write_all(folder);
    }
    let text = match &args.name {
        None => pretty(&asyncapi())?,
        Some(name) => match schemas().get(name.as_str()) {
            Some(schema) => pretty(schema)?,
            None => {
                let known: Vec<&str> = schemas().keys().copied().collect();
                bail!("no schema `{name}`; there are:\n{}", known.join("\n"));
            }
        },
    };
    print(&text);
    Ok(())
}

fn write_all(folder: &Path) -> anyhow::Result<()> {
    let below = folder.join("schemas");
    fs::create_dir_all(&below).with_context(|| format!("{}", below.display()))?;
    write(&folder.join("asyncapi.json"), &asyncapi())?;
    for (name, schema) in schemas() {
        write(&below.join(format!("{name}.json")), schema)?;
    }
    Ok(())
}

fn write(path: &Path, value: &Value) -> anyhow::Result<()> {
    let text = pretty(value)?;
    fs::write(path, text + "\n").with_context(|| format!("{}", path.display()))
}

fn pretty(value: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)?)
}

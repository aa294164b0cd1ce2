//! `basketd explain`: how one visit's receipt came about. The recording is played once more with
//! findings shown, what concerns the visit is put in the order in which it happened, and told as
//! text for people or as JSON lines.

mod accounts;
mod bill;
mod doubt;
mod headline;
mod interaction;
mod json;
mod origin;
mod pick;
mod rows;
mod story;
mod tell;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::bail;

use self::story::Story;
use super::local::Local;
use crate::ids::VisitId;
use crate::store::Store;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The recording; several files in order are one.
    #[arg(required = true)]
    recordings: Vec<PathBuf>,
    /// The store file.
    #[arg(long)]
    store: PathBuf,
    /// The visit: its id as events have it (`v-000017`), or the token that was shown.
    #[arg(long)]
    visit: String,
    /// Tells also of what had next to no weight for this visit: interactions that were hardly its
    /// doing, meetings without a doubt, and what was heard of tags that it hardly held.
    #[arg(long)]
    all: bool,
    /// JSON lines instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let loaded = super::load::load(&args.store)?;
    let story = Rc::new(RefCell::new(Story::default()));
    let watcher = Rc::clone(&story);
    let watch = Box::new(move |at, output: &_| watcher.borrow_mut().on_output(at, output));
    super::replay::watch(&loaded, &args.recordings, watch)?;
    let story = story.borrow();
    let visit = chosen(&loaded.store, &story, &args.visit)?;
    let tale = story.of(visit, args.all);
    super::print(&if args.json {
        json::lines(&loaded.store, &tale)
    } else {
        tell::text(&loaded.store, &tale)
    });
    Ok(())
}

/// The visit that is meant.
fn chosen(store: &Store, story: &Story, name: &str) -> anyhow::Result<VisitId> {
    let by_id = story.visits().find(|v| v.visit.to_string() == name);
    if let Some(visit) = by_id {
        return Ok(visit.visit);
    }
    let local = Local::of(store);
    let of_token: Vec<_> = story
        .visits()
        .filter(|v| v.token.as_deref() == Some(name))
        .collect();
    match of_token[..] {
        [visit] => Ok(visit.visit),
        [] => {
            let all: Vec<_> = story.visits().collect();
            if all.is_empty() {
                bail!("no visit `{name}`: the recording holds none");
            }
            bail!(
                "no visit `{name}`; there are, times in {}\n{}",
                local.name,
                story.list(&local, &all)
            );
        }
        _ => bail!(
            "{} visits of the token `{name}`; choose one by its id\n{}",
            of_token.len(),
            story.list(&local, &of_token)
        ),
    }
}

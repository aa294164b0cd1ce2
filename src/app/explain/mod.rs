//! `basketd explain`: how one visit's receipt came about. The recording is played once more with
//! findings shown, what concerns the visit is put in the order in which it happened, and told as
//! text for people or as JSON lines.

mod accounts;
mod interaction;
mod json;
mod local;
mod story;
mod tell;
mod words;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::bail;

use self::story::Story;
use crate::ids::VisitId;

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
    /// Tells of every interaction in which the visit was a candidate, also of those that were hardly
    /// its doing and in which nothing is taken to have been moved.
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
    let visit = chosen(&story, &args.visit)?;
    let tale = story.of(visit, args.all);
    super::print(&if args.json {
        json::lines(&loaded.store, &tale)
    } else {
        tell::text(&loaded.store, &tale)
    });
    Ok(())
}

/// The visit that is meant.
fn chosen(story: &Story, name: &str) -> anyhow::Result<VisitId> {
    let by_id = story.visits().find(|v| v.visit.to_string() == name);
    if let Some(visit) = by_id {
        return Ok(visit.visit);
    }
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
            bail!("no visit `{name}`; there are\n{}", story.list(&all));
        }
        _ => bail!(
            "{} visits of the token `{name}`; choose one by its id\n{}",
            of_token.len(),
            story.list(&of_token)
        ),
    }
}

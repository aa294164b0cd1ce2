//! Reads a store file with all that it names from disk.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::store::{Link, Problem, Settings, Store, StoreFile, file};

/// A store file, ready for any subcommand.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub store: Store,
    pub settings: Settings,
    /// The folder of the store file: relative paths begin here.
    pub folder: PathBuf,
    /// The folder of model manifests.
    pub models: PathBuf,
    /// Of the store file, hexadecimal.
    pub sha256: String,
    /// Of the store file with its catalogue and tag list, hexadecimal.
    pub inputs_sha256: String,
    /// The texts themselves.
    pub inputs: Inputs,
}

/// The texts that a store is read from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The store file's.
    pub text: String,
    /// Of the files that it names, by the name it gives them.
    pub files: BTreeMap<String, String>,
}

impl Inputs {
    /// Over all texts with their names, hexadecimal.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.text);
        for (name, text) in &self.files {
            for part in [name, text] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        hex(&hash.finalize())
    }

    /// The store as these texts have it; `None` where they are not right.
    pub fn store(&self) -> Option<Store> {
        let mut open = |name: &str| {
            let text = self.files.get(name).cloned();
            text.ok_or_else(|| "not kept".to_owned())
        };
        let read = file::read("store.toml", &self.text, &mut open);
        read.ok().map(|file| file.store)
    }
}

/// Everything that is wrong with a store file, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What is known of a store file, be it right or not.
#[derive(Debug)]
pub struct Survey {
    /// `None` where there is any problem.
    pub file: Option<StoreFile>,
    /// What the file refers to and was not opened.
    pub links: Vec<Link>,
    pub problems: Vec<Problem>,
    /// The folder of the store file: relative paths begin here.
    pub folder: PathBuf,
    /// The folder of model manifests.
    pub models: PathBuf,
    /// Of the store file, hexadecimal.
    pub sha256: String,
    pub inputs: Inputs,
}

/// Reads and validates a store file, its catalogue and its tag list.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    let survey = survey(path)?;
    let Some(StoreFile { store, settings }) = survey.file else {
        return Err(Problems(survey.problems));
    };
    Ok(Loaded {
        store,
        settings,
        folder: survey.folder,
        models: survey.models,
        sha256: survey.sha256,
        inputs_sha256: survey.inputs.sha256(),
        inputs: survey.inputs,
    })
}

/// The same, going on where there are problems.
pub fn survey(path: &Path) -> Result<Survey, Problems> {
    let name = path.display().to_string();
    let text = read(path).map_err(|why| Problems(vec![Problem::unread(&name, why)]))?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut files = BTreeMap::new();
    let mut open = |file: &str| {
        let text = read(&folder.join(file))?;
        files.insert(file.to_owned(), text.clone());
        Ok(text)
    };
    let survey = file::survey(&name, &text, &mut open);
    let models = match &survey.models {
        Some(models) => folder.join(models),
        None => bundled_models(),
    };
    let hash = Sha256::digest(text.as_bytes());
    Ok(Survey {
        file: survey.file,
        links: survey.links,
        problems: survey.problems,
        folder,
        models,
        sha256: hex(&hash),
        inputs: Inputs { text, files },
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        format!("not UTF-8 text in line {}", line + 1)
    })
}

/// The models that come with basketd: beside the program, as packages put them, or beside the
/// sources that it was built from.
fn bundled_models() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let beside = program.parent().unwrap_or(Path::new(""));
    let places = [
        beside.join("models"),
        beside.join("../share/basketd/models"),
        beside.join("../../models"),
    ];
    let found = places.into_iter().find(|place| place.is_dir());
    found.unwrap_or_else(|| PathBuf::from("/usr/share/basketd/models"))
}

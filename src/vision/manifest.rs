//! Model manifests: what stands beside a model's weights and says how to feed and read it. A
//! [`Manifest`] is whole: its family exists, its labels are known, its weights are the ones meant.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use super::families::{FAMILIES, Family, Size};
use super::prepare::{Channels, InputSpec, Resize};
use crate::gs1::Gtin;
use crate::observation::Class;
use crate::store::nearest;

/// A side of a network's input that is larger was mistyped.
const MOST_PIXELS_A_SIDE: usize = 4096;

/// A model, ready to be loaded.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its file name without `.toml`.
    pub name: String,
    pub weights: PathBuf,
    /// Of the weights as they were found, lower-case hex.
    pub sha256: String,
    pub family: &'static dyn Family,
    pub labels: Vec<String>,
    pub input: InputSpec,
    /// The least score of a detection.
    pub score: f32,
    /// The most that two boxes of one class may overlap (intersection over union).
    pub nms: f32,
    /// What each label is to us; `None` for labels that are dropped.
    pub roles: Vec<Option<Role>>,
    /// The product that each label is.
    pub gtins: Vec<Option<Gtin>>,
}

/// What a label is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Seen(Class),
    /// For blurring alone.
    Face,
}

/// Everything that is wrong with a manifest, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    pub problems: Vec<String>,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ManifestError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    file: Spanned<String>,
    sha256: Option<Spanned<String>>,
    family: Spanned<String>,
    labels: Spanned<RawLabels>,
    input: Spanned<RawInput>,
    score: Option<Spanned<f32>>,
    nms: Option<Spanned<f32>>,
    #[serde(default)]
    classes: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    gtins: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a file name or an array of labels")]
enum RawLabels {
    File(String),
    List(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInput {
    width: usize,
    height: usize,
    #[serde(default = "letterbox")]
    resize: Resize,
    #[serde(default = "rgb")]
    channels: Channels,
    #[serde(default = "one")]
    scale: f32,
    #[serde(default)]
    mean: [f32; 3],
    #[serde(default = "ones")]
    std: [f32; 3],
}

fn letterbox() -> Resize {
    Resize::Letterbox
}

fn rgb() -> Channels {
    Channels::Rgb
}

fn one() -> f32 {
    1.0
}

fn ones() -> [f32; 3] {
    [1.0; 3]
}

/// Thresholds of manifests that give none: those of the YOLOX project's own demo.
const DEFAULT_SCORE: f32 = 0.3;
const DEFAULT_NMS: f32 = 0.45;

impl Manifest {
    /// The model of this name in a folder of manifests.
    pub fn load(folder: &Path, name: &str) -> Result<Self, ManifestError> {
        let path = folder.join(format!("{name}.toml"));
        if path.exists() {
            return Self::open(&path);
        }
        let known = names(folder);
        let hint = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "the folder has no manifest".to_owned(),
        };
        Err(ManifestError {
            problems: vec![format!("no file {}; {hint}", path.display())],
        })
    }

    /// The model of a manifest file.
    pub fn open(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path).map_err(|error| ManifestError {
            problems: vec![format!("failed to read {}: {error}", path.display())],
        })?;
        let mut problems = Problems::new(path, &text);
        match toml::from_str::<Raw>(&text) {
            Ok(raw) => {
                let manifest = problems.check(&raw);
                manifest.filter(|_| problems.lines.is_empty())
            }
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start);
                problems.add(start, &hinted(error.message()));
                None
            }
        }
        .ok_or_else(|| problems.into_error())
    }

    /// Reads the weights, which must still be those that the manifest was loaded with.
    pub fn read_weights(&self) -> Result<Vec<u8>, ManifestError> {
        let problem = |what: String| ManifestError {
            problems: vec![format!("{}: {what}", self.weights.display())],
        };
        let bytes = std::fs::read(&self.weights).map_err(|error| problem(error.to_string()))?;
        if sha256(&bytes) == self.sha256 {
            Ok(bytes)
        } else {
            Err(problem("changed while it was loaded".to_owned()))
        }
    }

    /// The model's input, NCHW.
    pub fn input_shape(&self) -> [usize; 4] {
        let Size { width, height } = self.input.size;
        [1, 3, height, width]
    }

    /// The name and hash under which its detections are journaled.
    pub fn id(&self) -> String {
        format!("{}@sha256:{}", self.name, self.sha256)
    }
}

/// The models that a folder has manifests of.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let manifests = paths.filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let mut names: Vec<String> = manifests
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// The nearest known key behind a message that lists the known ones.
fn hinted(message: &str) -> String {
    let message = message.trim().replace('\n', "; ");
    let mut words = message.split('`').skip(1).step_by(2);
    let near = words.next().and_then(|word| nearest(word, words));
    match near.filter(|_| message.starts_with("unknown field")) {
        Some(near) => format!("{message}; did you mean `{near}`?"),
        None => message,
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Collects problems with their places in the text.
struct Problems<'a> {
    path: &'a Path,
    text: &'a str,
    /// With their byte offsets.
    lines: Vec<(usize, String)>,
}

impl<'a> Problems<'a> {
    fn new(path: &'a Path, text: &'a str) -> Self {
        Self {
            path,
            text,
            lines: Vec::new(),
        }
    }

    /// `file:line:column: what`, of a byte offset in the text.
    fn add(&mut self, offset: usize, what: &str) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(start..).map_or(0, |rest| rest.chars().count()) + 1;
        let path = self.path.display();
        self.lines
            .push((offset, format!("{path}:{line}:{column}: {what}")));
    }

    /// In the order of their places.
    fn into_error(mut self) -> ManifestError {
        self.lines.sort();
        ManifestError {
            problems: self.lines.into_iter().map(|(_, line)| line).collect(),
        }
    }

    fn beside(&self, file: &str) -> PathBuf {
        self.path.with_file_name("").join(file)
    }

    fn check(&mut self, raw: &Raw) -> Option<Manifest> {
        let family = self.family(&raw.family);
        let (weights, sha256) = self.weights(&raw.file, raw.sha256.as_ref());
        let labels = self.labels(&raw.labels);
        let input = self.input(&raw.input);
        let score = self.share(raw.score.as_ref(), DEFAULT_SCORE, "score");
        let nms = self.share(raw.nms.as_ref(), DEFAULT_NMS, "nms");
        let gtins = self.gtins(&raw.gtins, &labels);
        let roles = self.roles(&raw.classes, &labels, &gtins);
        if raw.classes.is_empty() && raw.gtins.is_empty() {
            let end = self.text.len();
            self.add(
                end,
                "[classes] names no label, so the model would see nothing",
            );
        }
        Some(Manifest {
            name: self.path.file_stem()?.to_string_lossy().into_owned(),
            weights,
            sha256: sha256?,
            family: family?,
            labels,
            input,
            score,
            nms,
            roles,
            gtins,
        })
    }

    fn family(&mut self, name: &Spanned<String>) -> Option<&'static dyn Family> {
        let known = FAMILIES.iter().find(|one| one.name() == name.get_ref());
        if known.is_none() {
            let all: Vec<_> = FAMILIES.iter().map(|one| one.name()).collect();
            let near = nearest(name.get_ref(), all.iter().copied()).unwrap_or_default();
            let what = format!(
                "no family `{}`: {}; did you mean `{near}`?",
                name.get_ref(),
                all.join(", ")
            );
            self.add(name.span().start, &what);
        }
        known.copied()
    }

    fn weights(
        &mut self,
        file: &Spanned<String>,
        wanted: Option<&Spanned<String>>,
    ) -> (PathBuf, Option<String>) {
        let path = self.beside(file.get_ref());
        let found = match std::fs::read(&path) {
            Ok(bytes) => sha256(&bytes),
            Err(error) => {
                let what = format!("failed to read {}: {error}", path.display());
                self.add(file.span().start, &what);
                return (path, None);
            }
        };
        if let Some(wanted) = wanted.filter(|hash| !hash.get_ref().eq_ignore_ascii_case(&found)) {
            let shown: String = wanted.get_ref().chars().take(64).collect();
            let what = format!(
                "{} has sha256 {found}, not the {shown} that is asked for",
                path.display()
            );
            self.add(wanted.span().start, &what);
        }
        (path, Some(found))
    }

    fn labels(&mut self, raw: &Spanned<RawLabels>) -> Vec<String> {
        let labels = match raw.get_ref() {
            RawLabels::List(labels) => labels.clone(),
            RawLabels::File(file) => {
                let path = self.beside(file);
                match std::fs::read_to_string(&path) {
                    Ok(text) => {
                        let lines = text.lines().map(|line| line.trim().to_owned());
                        lines.filter(|line| !line.is_empty()).collect()
                    }
                    Err(error) => {
                        let what = format!("failed to read {}: {error}", path.display());
                        self.add(raw.span().start, &what);
                        return Vec::new();
                    }
                }
            }
        };
        if labels.is_empty() {
            self.add(raw.span().start, "no labels");
        }
        labels
    }

    fn input(&mut self, raw: &Spanned<RawInput>) -> InputSpec {
        let at = raw.span().start;
        let raw = raw.get_ref();
        let most = MOST_PIXELS_A_SIDE;
        if !(1..=most).contains(&raw.width) || !(1..=most).contains(&raw.height) {
            self.add(at, &format!("width and height must be 1 to {most}"));
        }
        let numbers = raw.mean.iter().chain(&raw.std).chain([&raw.scale]);
        if !numbers.clone().all(|v| v.is_finite()) {
            self.add(at, "scale, mean and std must be finite");
        }
        if raw.std.contains(&0.0) || raw.scale == 0.0 {
            self.add(at, "scale and std must not be zero");
        }
        InputSpec {
            size: Size {
                width: raw.width,
                height: raw.height,
            },
            resize: raw.resize,
            channels: raw.channels,
            scale: raw.scale,
            mean: raw.mean,
            std: raw.std,
        }
    }

    fn share(&mut self, raw: Option<&Spanned<f32>>, default: f32, name: &str) -> f32 {
        let Some(raw) = raw else { return default };
        let value = *raw.get_ref();
        if !(value > 0.0 && value <= 1.0) {
            let what = format!("{name} must be above 0 and at most 1, not {value}");
            self.add(raw.span().start, &what);
        }
        value
    }

    /// The places of a label among all (some lists hold one twice).
    fn places(&mut self, label: &str, at: usize, labels: &[String]) -> Vec<usize> {
        let numbered = labels.iter().enumerate();
        let same = numbered.filter(|(_, one)| *one == label);
        let places: Vec<_> = same.map(|(place, _)| place).collect();
        if places.is_empty() && !labels.is_empty() {
            let near = nearest(label, labels.iter().map(String::as_str)).unwrap_or_default();
            let what = format!("the model has no label `{label}`; did you mean `{near}`?");
            self.add(at, &what);
        }
        places
    }

    fn gtins(
        &mut self,
        raw: &BTreeMap<String, Spanned<String>>,
        labels: &[String],
    ) -> Vec<Option<Gtin>> {
        let mut gtins = vec![None; labels.len()];
        for (label, text) in raw {
            let at = text.span().start;
            let places = self.places(label, at, labels);
            match text.get_ref().parse() {
                Ok(gtin) => places.iter().for_each(|place| gtins[*place] = Some(gtin)),
                Err(error) => self.add(at, &format!("`{}`: {error}", text.get_ref())),
            }
        }
        gtins
    }

    /// A label with a GTIN is a product without being called so.
    fn roles(
        &mut self,
        raw: &BTreeMap<String, Spanned<String>>,
        labels: &[String],
        gtins: &[Option<Gtin>],
    ) -> Vec<Option<Role>> {
        let product = Role::Seen(Class::Product);
        let mut roles: Vec<_> = gtins.iter().map(|gtin| gtin.map(|_| product)).collect();
        for (label, class) in raw {
            let at = class.span().start;
            let role = match class.get_ref().as_str() {
                "person" => Role::Seen(Class::Person),
                "hand" => Role::Seen(Class::Hand),
                "product" => product,
                "face" => Role::Face,
                other => {
                    self.add(
                        at,
                        &format!("no class `{other}`: person, hand, product or face"),
                    );
                    continue;
                }
            };
            for place in self.places(label, at, labels) {
                if gtins[place].is_some() && role != product {
                    self.add(
                        at,
                        &format!("`{label}` has a GTIN and can only be a product"),
                    );
                }
                roles[place] = Some(role);
            }
        }
        roles
    }
}

//! `basketd inspect MODEL`: what a model file wants to be given and gives, which family that looks
//! like, and which runtime would compute it.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::vision::{
    Backend, Choice, Description, Detector, Manifest, Port, Session, Size, Timings, guess,
};

/// What is known of a model.
#[derive(Debug, Serialize)]
pub(super) struct ModelReport {
    pub weights: PathBuf,
    #[serde(flatten)]
    pub backend: Description,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    /// The family and number of labels that the shapes look like.
    pub guess: Option<(&'static str, usize)>,
    /// Where a manifest was asked for.
    pub manifest: Option<ManifestReport>,
}

/// What a manifest says, and that its model runs.
#[derive(Debug, Serialize)]
pub(super) struct ManifestReport {
    pub name: String,
    pub sha256: String,
    pub family: &'static str,
    pub labels: usize,
    /// Milliseconds that the model took for one plain picture.
    pub run_ms: f64,
}

/// Whether a path names a model rather than a recording or a capture.
pub(super) fn is_model(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("onnx" | "toml"))
}

/// Looks at an `.onnx` file, or at a manifest and the model that it names. A manifest may go
/// without its `.toml`.
pub(super) fn inspect(path: &Path, choice: Choice) -> anyhow::Result<ModelReport> {
    let backend = Backend::choose(choice)?;
    if path
        .extension()
        .is_some_and(|extension| extension == "onnx")
    {
        let shown = || path.display().to_string();
        let weights = std::fs::read(path).with_context(shown)?;
        let session = backend.load(&weights, None).with_context(shown)?;
        return Ok(bare(path, &session, backend));
    }
    let manifest = if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        Manifest::open(path)?
    } else {
        Manifest::open(&path.with_added_extension("toml"))?
    };
    let mut detector = Detector::load(&manifest, backend)?;
    let run_ms = one_picture(&mut detector)?.run_ns as f64 / 1e6;
    let mut report = bare(&manifest.weights, detector.session(), backend);
    report.manifest = Some(ManifestReport {
        name: manifest.name,
        sha256: manifest.sha256,
        family: manifest.family.name(),
        labels: manifest.labels.len(),
        run_ms,
    });
    Ok(report)
}

fn bare(weights: &Path, session: &Session, backend: Backend) -> ModelReport {
    ModelReport {
        weights: weights.to_owned(),
        backend: backend.describe(),
        inputs: session.inputs().to_vec(),
        outputs: session.outputs().to_vec(),
        guess: guessed(session),
        manifest: None,
    }
}

/// Only where the model leaves nothing open but the number of pictures.
fn guessed(session: &Session) -> Option<(&'static str, usize)> {
    let [input] = session.inputs() else {
        return None;
    };
    let &[_, _, Some(height), Some(width)] = &input.shape[..] else {
        return None;
    };
    let shape = |port: &Port| {
        let mut dims = port.shape.iter();
        let batch = dims.next()?.unwrap_or(1);
        let rest: Option<Vec<usize>> = dims.copied().collect();
        Some([vec![batch], rest?].concat())
    };
    let outputs: Option<Vec<_>> = session.outputs().iter().map(shape).collect();
    guess(Size { width, height }, &outputs?)
}

/// The smallest picture there is; the model's time does not depend on what it shows.
fn one_picture(detector: &mut Detector) -> anyhow::Result<Timings> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(1, 1).write_to(&mut bytes, image::ImageFormat::Png)?;
    detector.detect(bytes.get_ref(), 1, 1)?;
    Ok(detector.take_timings())
}

impl fmt::Display for ModelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "weights  {}", self.weights.display())?;
        writeln!(f, "backend  {}", self.backend)?;
        for port in &self.inputs {
            writeln!(f, "input    {port}")?;
        }
        for port in &self.outputs {
            writeln!(f, "output   {port}")?;
        }
        match self.guess {
            Some((family, labels)) => writeln!(f, "looks    {family}, labels: {labels}")?,
            None => writeln!(f, "looks    like no family that is known")?,
        }
        let Some(manifest) = &self.manifest else {
            return Ok(());
        };
        writeln!(f, "name     {}", manifest.name)?;
        writeln!(f, "sha256   {}", manifest.sha256)?;
        writeln!(
            f,
            "family   {}, labels: {}",
            manifest.family, manifest.labels
        )?;
        writeln!(f, "run      {:.2} ms", manifest.run_ms)
    }
}

/// Prints the report, as text or as one line of JSON.
#[expect(clippy::print_stdout, reason = "the subcommand's output")]
pub(super) fn run(path: &Path, json: bool) -> anyhow::Result<()> {
    let report = inspect(path, Choice::from_env()?)?;
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

//! One model, one thread: a frame's bytes in, detections in the pixels of the store file's camera
//! out. Fed the same bytes it gives the same detections.

use std::fmt;

use image::RgbImage;

use super::backend::{Backend, Description, Session, SessionError, Tensor};
use super::families::{Faults, RawDetection, Sink, arrange};
use super::manifest::{Manifest, ManifestError, Role};
use super::nms::suppress;
use super::prepare::{InputGeometry, PictureError, Prepare};
use super::timings::Timings;
use crate::clock::Stopwatch;
use crate::observation::Detection;
use crate::units::BBox;

/// A loaded model.
pub struct Detector {
    manifest: Manifest,
    backend: Backend,
    session: Session,
    prepare: Prepare,
    /// The model's outputs in its own order, and where the family's are among them.
    shapes: Vec<Vec<usize>>,
    order: Vec<usize>,
    raw: Vec<RawDetection>,
    timings: Timings,
}

/// A picture for a model.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// A JPEG or PNG.
    Encoded(&'a [u8]),
    /// Not empty.
    Rgb(&'a RgbImage),
}

/// What a model saw in a frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// Best first.
    pub detections: Vec<Detection>,
    /// For blurring alone, in the same pixels.
    pub faces: Vec<BBox>,
}

/// Why a model was refused.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("model `{model}`: {error}")]
    Session { model: String, error: SessionError },
    #[error(
        "model `{model}`: found output {found}, family {family} with {labels} labels has {expected}"
    )]
    Shapes {
        model: String,
        found: String,
        family: &'static str,
        labels: usize,
        expected: String,
    },
    #[error("model `{model}`: on a plain grey picture {faults}")]
    Scores { model: String, faults: Faults },
}

/// Why a frame gave no detections.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error("failed to run the model: {0}")]
    Session(#[from] SessionError),
    #[error("the model's output changed its shape to {0}")]
    Shapes(String),
    #[error("the model's output was refused: {0}")]
    Scores(Faults),
    #[error("inference panicked")]
    Panicked,
    #[error("the camera has no model")]
    NoModel,
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Detector");
        text.field("model", &self.manifest.name);
        text.field("backend", &self.describe())
            .finish_non_exhaustive()
    }
}

impl Detector {
    /// Loads a model, runs it once on plain grey, and refuses it where its outputs are not its
    /// family's.
    pub fn load(manifest: &Manifest, backend: Backend) -> Result<Self, LoadError> {
        let model = || manifest.name.clone();
        let weights = manifest.read_weights()?;
        let refused = |error| LoadError::Session {
            model: model(),
            error,
        };
        let mut session = backend
            .load(&weights, Some(manifest.input_shape()))
            .map_err(refused)?;
        let prepare = Prepare::new(manifest.input.clone());
        let (shapes, _) = session.run(prepare.input(), shapes_of).map_err(refused)?;
        let labels = manifest.labels.len();
        let expected = manifest.family.outputs(manifest.input.size, labels);
        let order = arrange(&shapes, &expected).ok_or_else(|| LoadError::Shapes {
            model: model(),
            found: listed(&shapes),
            family: manifest.family.name(),
            labels,
            expected: listed(&expected),
        })?;
        let mut detector = Self {
            manifest: manifest.clone(),
            backend,
            session,
            prepare,
            shapes,
            order,
            raw: Vec::new(),
            timings: Timings::default(),
        };
        match detector.infer() {
            Ok(_) => Ok(detector),
            Err(FrameError::Scores(faults)) => Err(LoadError::Scores {
                model: model(),
                faults,
            }),
            Err(other) => Err(refused(SessionError::Runtime(other.to_string()))),
        }
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    pub fn describe(&self) -> Description {
        self.backend.describe()
    }

    /// Of the frames since the last call.
    pub fn take_timings(&mut self) -> Timings {
        std::mem::take(&mut self.timings)
    }

    /// What the model sees in a JPEG or PNG, in the pixels of a camera of the given size.
    pub fn detect(
        &mut self,
        image: &[u8],
        camera_width: u32,
        camera_height: u32,
    ) -> Result<Found, FrameError> {
        self.look(Shown::Encoded(image), camera_width, camera_height)
    }

    /// The same of a picture in either form.
    pub fn look(
        &mut self,
        picture: Shown<'_>,
        camera_width: u32,
        camera_height: u32,
    ) -> Result<Found, FrameError> {
        let total = Stopwatch::start();
        let frame = match picture {
            Shown::Encoded(image) => self.prepare.decode(image)?,
            Shown::Rgb(picture) => self.prepare.take_rgb(picture),
        };
        let decode_ns = total.nanos();
        let geometry = self.prepare.normalise(frame)?;
        let prepare_ns = total.nanos() - decode_ns;
        let run_ns = self.infer()?;
        let found = self.found(&geometry, [camera_width, camera_height].map(f64::from));
        self.timings += Timings {
            frames: 1,
            decode_ns,
            prepare_ns,
            run_ns,
            total_ns: total.nanos(),
        };
        Ok(found)
    }

    /// Runs the model on what is prepared and leaves its boxes in `raw`; gives the nanoseconds
    /// that the model took.
    fn infer(&mut self) -> Result<u64, FrameError> {
        let Self {
            manifest,
            session,
            prepare,
            shapes,
            order,
            raw,
            ..
        } = self;
        raw.clear();
        let read = |outputs: &[Tensor<'_>]| {
            if !outputs.iter().map(|o| &o.shape).eq(shapes.iter()) {
                return Err(FrameError::Shapes(listed(&shapes_of(outputs))));
            }
            let arranged: Vec<_> = order.iter().map(|place| outputs[*place].clone()).collect();
            let mut sink = Sink::new(manifest.score, raw);
            manifest
                .family
                .decode(&arranged, manifest.input.size, &mut sink);
            sink.finish().map_err(FrameError::Scores)
        };
        let (outcome, run_ns) = session.run(prepare.input(), read)?;
        outcome.map(|()| run_ns)
    }

    fn found(&mut self, geometry: &InputGeometry, camera: [f64; 2]) -> Found {
        let roles = &self.manifest.roles;
        let role = |raw: &RawDetection| roles.get(raw.label).copied().flatten();
        self.raw.retain(|raw| role(raw).is_some());
        suppress(&mut self.raw, self.manifest.nms, role);
        let mut found = Found::default();
        for raw in &self.raw {
            let Some(bbox) = in_camera(raw.bbox, geometry, camera) else {
                continue;
            };
            match role(raw) {
                Some(Role::Face) => found.faces.push(bbox),
                Some(Role::Seen(class)) => {
                    let gtin = self.manifest.gtins.get(raw.label).copied().flatten();
                    let gtin = gtin.map(|gtin| (gtin, f64::from(raw.label_score)));
                    found.detections.push(Detection {
                        class,
                        score: f64::from(raw.score),
                        bbox,
                        gtins: gtin.into_iter().collect(),
                        embedding: Vec::new(),
                    });
                }
                None => {}
            }
        }
        found
    }
}

/// From the network's pixels to the camera's, clipped; `None` where nothing is left.
fn in_camera(bbox: [f32; 4], geometry: &InputGeometry, camera: [f64; 2]) -> Option<BBox> {
    let frame = [geometry.frame.width as f64, geometry.frame.height as f64];
    let at = |value: f32, axis: usize| {
        let scale = f64::from(geometry.scale[axis]) * frame[axis] / camera[axis];
        (f64::from(value) / scale).clamp(0.0, camera[axis])
    };
    let [x0, y0, x1, y1] = bbox;
    let bbox = BBox::new(at(x0, 0), at(y0, 1), at(x1, 0), at(y1, 1));
    (bbox.width() > 0.0 && bbox.height() > 0.0).then_some(bbox)
}

fn shapes_of(outputs: &[Tensor<'_>]) -> Vec<Vec<usize>> {
    outputs.iter().map(|output| output.shape.clone()).collect()
}

/// `[1,85,22,22]`, and several with a blank between.
fn listed(shapes: &[Vec<usize>]) -> String {
    let one = |shape: &Vec<usize>| {
        let dims: Vec<_> = shape.iter().map(usize::to_string).collect();
        format!("[{}]", dims.join(","))
    };
    shapes.iter().map(one).collect::<Vec<_>>().join(" ")
}

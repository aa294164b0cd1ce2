//! Inference: a camera's frame in, what a model saw in it out.
//!
//! [`Manifest`] says how a model wants to be fed and read, [`Backend`] which runtime computes it,
//! a family how its outputs become boxes; [`Detector`] is the three together, for one thread.
//! [`Pool`] runs detectors on named threads, [`FrameRunner`] puts their answers back into a stream
//! of messages; [`Live`] looks at the newest frames of live cameras. Nothing here decides anything about shoppers, and no answer depends on how many
//! threads work or which is first.

mod backend;
mod detector;
mod families;
mod frame_runner;
mod live;
mod manifest;
mod newest_wins;
mod nms;
mod onnxruntime;
mod pool;
mod prepare;
mod timings;
#[cfg(feature = "tract")]
mod tract;

pub use backend::{
    Backend, BackendError, CHOICE_VARIABLE, Choice, Description, Port, Session, SessionError,
};
pub use detector::{Detector, Found, FrameError, LoadError, Shown};
pub use families::{FAMILIES, Family, Size, guess};
pub use frame_runner::{FrameRunner, Out};
pub use live::{Live, Looked, Shot, Tell};
pub use manifest::{Manifest, ManifestError, Role};
pub use newest_wins::NewestWins;
pub use pool::{CameraModel, Frame, Inferred, Pool};
pub use prepare::{Channels, InputSpec, Resize};
pub use timings::Timings;

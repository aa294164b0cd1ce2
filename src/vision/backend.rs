//! The runtimes that can compute a model, behind one seam: an ONNX Runtime library where one is
//! found, else tract, which is compiled in. Both give the same numbers to about 1e-3.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use super::onnxruntime;
#[cfg(feature = "tract")]
use super::tract;

/// The environment variable by which an operator chooses the runtime.
pub const CHOICE_VARIABLE: &str = "BASKETD_BACKEND";

/// Which runtime is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// ONNX Runtime where a library is found, else tract.
    #[default]
    Auto,
    OnnxRuntime,
    Tract,
}

impl Choice {
    /// What [`CHOICE_VARIABLE`] says; [`Choice::Auto`] where it is not set.
    pub fn from_env() -> Result<Self, BackendError> {
        match std::env::var(CHOICE_VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse(),
            _ => Ok(Self::Auto),
        }
    }
}

impl FromStr for Choice {
    type Err = BackendError;

    fn from_str(text: &str) -> Result<Self, BackendError> {
        match text {
            "auto" => Ok(Self::Auto),
            "onnxruntime" => Ok(Self::OnnxRuntime),
            "tract" => Ok(Self::Tract),
            _ => Err(BackendError::Unknown(text.to_owned())),
        }
    }
}

/// Why no runtime could be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    #[error("no backend `{0}`: auto, onnxruntime or tract")]
    Unknown(String),
    #[error("no ONNX Runtime: {0}")]
    NoOnnxRuntime(String),
    #[error("this basketd was built without tract")]
    NoTract,
}

/// A runtime that works on this box.
#[derive(Debug, Clone, Copy)]
pub enum Backend {
    OnnxRuntime(&'static onnxruntime::Library),
    #[cfg(feature = "tract")]
    Tract,
}

/// A runtime's name, version and, where it was loaded from a file, that file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    pub backend: &'static str,
    pub version: String,
    pub library: Option<PathBuf>,
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.backend, self.version)?;
        match &self.library {
            Some(path) => write!(f, " ({})", path.display()),
            None => Ok(()),
        }
    }
}

impl Backend {
    /// The runtime for a choice; says in the log which it is, and why where it is second best.
    pub fn choose(choice: Choice) -> Result<Self, BackendError> {
        let backend = match choice {
            Choice::OnnxRuntime => Self::onnxruntime()?,
            Choice::Tract => Self::tract()?,
            Choice::Auto => Self::onnxruntime().or_else(|error| {
                let backend = Self::tract()?;
                tracing::warn!(%error, "tract runs the models, at a half to a fifth of the speed");
                Ok(backend)
            })?,
        };
        let Description {
            backend: name,
            version,
            library,
        } = backend.describe();
        tracing::info!(backend = name, version, ?library, "inference ready");
        Ok(backend)
    }

    fn onnxruntime() -> Result<Self, BackendError> {
        match onnxruntime::library() {
            Ok(library) => Ok(Self::OnnxRuntime(library)),
            Err(why) => Err(BackendError::NoOnnxRuntime(why.to_owned())),
        }
    }

    #[cfg(feature = "tract")]
    fn tract() -> Result<Self, BackendError> {
        Ok(Self::Tract)
    }

    #[cfg(not(feature = "tract"))]
    fn tract() -> Result<Self, BackendError> {
        Err(BackendError::NoTract)
    }

    pub fn describe(self) -> Description {
        match self {
            Self::OnnxRuntime(library) => library.describe(),
            #[cfg(feature = "tract")]
            Self::Tract => tract::describe(),
        }
    }

    /// Makes a model ready to run. `input` is the shape that it will be fed, NCHW; without it the
    /// model's own is taken.
    pub fn load(self, weights: &[u8], input: Option<[usize; 4]>) -> Result<Session, SessionError> {
        match self {
            Self::OnnxRuntime(library) => library.load(weights, input).map(Session::OnnxRuntime),
            #[cfg(feature = "tract")]
            Self::Tract => tract::load(weights, input).map(Session::Tract),
        }
    }
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    pub name: String,
    /// The type of its elements, such as `f32`.
    pub kind: String,
    /// `None` for a dimension that the model leaves open.
    pub shape: Vec<Option<usize>>,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims = self.shape.iter().map(|dim| match dim {
            Some(dim) => dim.to_string(),
            None => "?".to_owned(),
        });
        let dims: Vec<_> = dims.collect();
        write!(f, "{} {} [{}]", self.name, self.kind, dims.join(","))
    }
}

/// One output of a run: row-major numbers and their shape; the two agree.
#[derive(Debug, Clone)]
pub struct Tensor<'a> {
    pub shape: Vec<usize>,
    pub data: &'a [f32],
}

/// Why a runtime refused a model or failed to run it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error("{0}")]
    Runtime(String),
    #[error("the model has {0} inputs; one image is all it can be given")]
    Inputs(usize),
    #[error("the model's input {found} does not take f32 {wanted:?}, as the manifest says")]
    Input { found: String, wanted: [usize; 4] },
    #[error("the runtime panicked: {0}")]
    Panicked(String),
}

/// A model ready to run, for one thread.
#[derive(Debug)]
pub enum Session {
    OnnxRuntime(onnxruntime::Session),
    #[cfg(feature = "tract")]
    Tract(tract::Session),
}

impl Session {
    pub fn inputs(&self) -> &[Port] {
        match self {
            Self::OnnxRuntime(session) => &session.inputs,
            #[cfg(feature = "tract")]
            Self::Tract(session) => &session.inputs,
        }
    }

    pub fn outputs(&self) -> &[Port] {
        match self {
            Self::OnnxRuntime(session) => &session.outputs,
            #[cfg(feature = "tract")]
            Self::Tract(session) => &session.outputs,
        }
    }

    /// Runs the model on an input of the shape given at loading, and reads its outputs. Gives
    /// what `read` made of them, and the nanoseconds that the model took.
    pub(super) fn run<R>(
        &mut self,
        input: &[f32],
        read: impl FnOnce(&[Tensor<'_>]) -> R,
    ) -> Result<(R, u64), SessionError> {
        match self {
            Self::OnnxRuntime(session) => session.run(input, read),
            #[cfg(feature = "tract")]
            Self::Tract(session) => session.run(input, read),
        }
    }
}

/// Whether a model takes one f32 image of this shape.
pub(super) fn check_input(inputs: &[Port], wanted: [usize; 4]) -> Result<(), SessionError> {
    let [found] = inputs else {
        return Err(SessionError::Inputs(inputs.len()));
    };
    let open_or_equal = |(dim, wanted): (&Option<usize>, usize)| dim.is_none_or(|d| d == wanted);
    let fits = found.kind == "f32"
        && found.shape.len() == wanted.len()
        && found.shape.iter().zip(wanted).all(open_or_equal);
    if fits {
        Ok(())
    } else {
        let found = found.to_string();
        Err(SessionError::Input { found, wanted })
    }
}

//! ONNX Runtime, loaded from a library that somebody put on the box. A process can have one
//! library and one environment, so both live here for good.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, TensorRef, ValueType};

use super::backend::{Description, Port, SessionError, Tensor, check_input};
use crate::clock::Stopwatch;

/// The environment variable that names the library, the same that other programs with `ort` use.
const PATH_VARIABLE: &str = "ORT_DYLIB_PATH";

/// The library of this process.
#[derive(Debug)]
pub struct Library {
    environment: Environment,
    version: String,
    path: PathBuf,
}

/// The library, looked for at the first call; the error is one line that says why there is none.
pub(super) fn library() -> Result<&'static Library, &'static str> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(find).as_ref().map_err(String::as_str)
}

/// Where a library may lie, best first, and whether somebody named it.
fn candidates() -> Vec<(PathBuf, bool)> {
    const FILE: &str = "libonnxruntime.so";
    let named = std::env::var_os(PATH_VARIABLE).filter(|path| !path.is_empty());
    let mut places: Vec<_> = named.map(|path| (path.into(), true)).into_iter().collect();
    if let Ok(exe) = std::env::current_exe() {
        places.push((exe.with_file_name(FILE), false));
    }
    for folder in ["/usr/lib/basketd", "/usr/local/lib"] {
        places.push((Path::new(folder).join(FILE), false));
    }
    // Plain names are searched by the dynamic linker; the second is the SONAME that packages ship.
    places.push((FILE.into(), false));
    places.push(("libonnxruntime.so.1".into(), false));
    places
}

fn find() -> Result<Library, String> {
    let mut reasons = Vec::new();
    for (path, named) in candidates() {
        let plain = path
            .parent()
            .is_some_and(|folder| folder.as_os_str().is_empty());
        if !named && !plain && !path.exists() {
            continue;
        }
        match open(&path) {
            Ok(library) => {
                for reason in &reasons {
                    tracing::warn!(%reason, "an ONNX Runtime library was passed over");
                }
                return Ok(library);
            }
            // A name that the linker does not find is no news; a file that is there and does not
            // load is.
            Err(OpenError::Load(ort::LoadDynamicError::Dlopen { .. })) if !named && plain => {}
            Err(reason) => reasons.push(one_line(&reason.to_string())),
        }
    }
    if reasons.is_empty() {
        reasons.push(format!("no library found; {PATH_VARIABLE} can name one"));
    }
    Err(reasons.join("; "))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Load(#[from] ort::LoadDynamicError),
    #[error(transparent)]
    Environment(#[from] ort::Error),
}

/// Only `init_from` is ever called: `init` panics where there is no library.
fn open(path: &Path) -> Result<Library, OpenError> {
    let builder = ort::init_from(path)?
        .with_name("basketd")
        .with_telemetry(false)
        .with_logger(Arc::new(log));
    let path = mapped(path).unwrap_or_else(|| path.to_owned());
    let environment = builder.build()?;
    Ok(Library {
        environment,
        version: version(&path).unwrap_or_else(|| "of unknown version".to_owned()),
        path,
    })
}

/// The file that was really loaded: the linker may have found a plain name anywhere.
fn mapped(asked: &Path) -> Option<PathBuf> {
    if asked.is_absolute() {
        return Some(asked.to_owned());
    }
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let files = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    files
        .map(Path::new)
        .find(|file| {
            let name = file.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("libonnxruntime.so"))
        })
        .map(Path::to_owned)
}

/// The version by the library's own account. `ort` checks it and keeps it to itself.
#[expect(
    unsafe_code,
    reason = "two calls of the C interface that `ort` does not offer"
)]
fn version(path: &Path) -> Option<String> {
    // SAFETY: the library is loaded already, so that no initialiser runs; it exports this
    // function with this type, or `ort` would have refused it.
    let text = unsafe {
        let library = libloading::Library::new(path).ok()?;
        let base = library
            .get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase")
            .ok()?();
        std::ffi::CStr::from_ptr((base.as_ref()?.GetVersionString)()).to_owned()
    };
    text.into_string().ok()
}

fn log(level: LogLevel, category: &str, _id: &str, _place: &str, message: &str) {
    match level {
        LogLevel::Error | LogLevel::Fatal => tracing::error!(category, message, "onnxruntime"),
        LogLevel::Warning => tracing::debug!(category, message, "onnxruntime"),
        LogLevel::Info | LogLevel::Verbose => tracing::trace!(category, message, "onnxruntime"),
    }
}

impl Library {
    pub(super) fn describe(&self) -> Description {
        Description {
            backend: "onnxruntime",
            version: self.version.clone(),
            library: Some(self.path.clone()),
        }
    }

    pub(super) fn load(
        &self,
        weights: &[u8],
        input: Option<[usize; 4]>,
    ) -> Result<Session, SessionError> {
        let session = build(&self.environment, weights)
            .map_err(|error| SessionError::Runtime(one_line(&error.to_string())))?;
        let inputs: Vec<_> = session.inputs().iter().map(port).collect();
        if let Some(wanted) = input {
            check_input(&inputs, wanted)?;
        }
        Ok(Session {
            outputs: session.outputs().iter().map(port).collect(),
            inputs,
            shape: input.unwrap_or_default(),
            session,
        })
    }
}

/// One thread a session and a session a worker gave twice the frames of one session with two
/// threads (measured, YOLOX-nano); a pool that spins while it waits burnt four times the time at
/// ten frames a second.
fn build(environment: &Environment, weights: &[u8]) -> ort::Result<ort::session::Session> {
    ort::session::Session::builder(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        .commit_from_memory(weights)
}

fn port(outlet: &Outlet) -> Port {
    let (kind, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (
            ty.to_string(),
            shape.iter().map(|dim| usize::try_from(*dim).ok()).collect(),
        ),
        other => (format!("{other:?}"), Vec::new()),
    };
    Port {
        name: outlet.name().to_owned(),
        kind,
        shape,
    }
}

/// A model in this library.
#[derive(Debug)]
pub struct Session {
    session: ort::session::Session,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    shape: [usize; 4],
}

impl Session {
    pub(super) fn run<R>(
        &mut self,
        input: &[f32],
        read: impl FnOnce(&[Tensor<'_>]) -> R,
    ) -> Result<(R, u64), SessionError> {
        let failed = |error: ort::Error| SessionError::Runtime(one_line(&error.to_string()));
        let name = self.inputs.first().map_or("", |port| &port.name);
        let image = TensorRef::from_array_view((self.shape, input)).map_err(failed)?;
        let watch = Stopwatch::start();
        let outputs = self
            .session
            .run(ort::inputs![name => image])
            .map_err(failed)?;
        let spent = watch.nanos();
        let mut tensors = Vec::with_capacity(outputs.len());
        for place in 0..outputs.len() {
            let (shape, data) = outputs[place].try_extract_tensor::<f32>().map_err(failed)?;
            let shape = shape
                .iter()
                .map(|dim| usize::try_from(*dim).unwrap_or(0))
                .collect();
            tensors.push(Tensor { shape, data });
        }
        Ok((read(&tensors), spent))
    }
}

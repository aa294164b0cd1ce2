//! tract, compiled in: a half to a fifth of ONNX Runtime's speed, and nothing to install. Its
//! panics on odd models stay in here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid as _;
use tract_onnx::tract_hir::internal::{DimLike as _, Op};

use super::backend::{Description, Port, SessionError, Tensor as Output, check_input};
use crate::clock::Stopwatch;

/// The version that Cargo.toml pins.
const VERSION: &str = "0.23.9";

/// A model compiled for one input shape.
pub struct Session {
    plan: Arc<TypedRunnableModel>,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    shape: [usize; 4],
}

/// The plan would fill pages.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = f.debug_struct("Session");
        text.field("shape", &self.shape).finish_non_exhaustive()
    }
}

pub(super) fn describe() -> Description {
    Description {
        backend: "tract",
        version: VERSION.to_owned(),
        library: None,
    }
}

pub(super) fn load(weights: &[u8], input: Option<[usize; 4]>) -> Result<Session, SessionError> {
    guarded(|| {
        let mut model = onnx().model_for_read(&mut &*weights).map_err(failed)?;
        let inputs = ports(&model, &model.inputs, |fact| {
            let shape = fact
                .shape
                .dims()
                .map(|dim| dim.concretize()?.to_usize().ok());
            (fact.datum_type.concretize(), shape.collect())
        })?;
        if let Some(wanted) = input {
            check_input(&inputs, wanted)?;
            let fact = f32::fact(wanted).into();
            model = model.with_input_fact(0, fact).map_err(failed)?;
        }
        let model = model.into_optimized().map_err(failed)?;
        let outputs = ports(&model, &model.outputs, |fact| {
            let shape = fact.shape.iter().map(|dim| dim.to_usize().ok());
            (Some(fact.datum_type), shape.collect())
        })?;
        Ok(Session {
            plan: model.into_runnable().map_err(failed)?,
            inputs,
            outputs,
            shape: input.unwrap_or_default(),
        })
    })
}

fn ports<F, O>(
    model: &Graph<F, O>,
    outlets: &[OutletId],
    read: impl Fn(&F) -> (Option<DatumType>, Vec<Option<usize>>),
) -> Result<Vec<Port>, SessionError>
where
    F: Fact + Clone + 'static,
    O: std::fmt::Debug + std::fmt::Display + AsRef<dyn Op> + AsMut<dyn Op> + Clone + 'static,
{
    let port = |outlet: &OutletId| {
        let (kind, shape) = read(model.outlet_fact(*outlet).map_err(failed)?);
        let name = model.outlet_label(*outlet);
        Ok(Port {
            name: name
                .unwrap_or_else(|| &model.node(outlet.node).name)
                .to_owned(),
            kind: kind.map_or_else(|| "?".to_owned(), |kind| format!("{kind:?}").to_lowercase()),
            shape,
        })
    };
    outlets.iter().map(port).collect()
}

impl Session {
    pub(super) fn run<R>(
        &mut self,
        input: &[f32],
        read: impl FnOnce(&[Output<'_>]) -> R,
    ) -> Result<(R, u64), SessionError> {
        let (values, spent) = guarded(|| {
            let image = Tensor::from_shape(&self.shape, input).map_err(failed)?;
            let watch = Stopwatch::start();
            let values = self.plan.run(tvec!(image.into())).map_err(failed)?;
            Ok((values, watch.nanos()))
        })?;
        let mut outputs = Vec::with_capacity(values.len());
        for value in &values {
            let plain = value.try_as_plain_ram().map_err(failed)?;
            outputs.push(Output {
                shape: value.shape().to_vec(),
                data: plain.as_slice::<f32>().map_err(failed)?,
            });
        }
        Ok((read(&outputs), spent))
    }
}

fn failed(error: TractError) -> SessionError {
    let text = format!("{error:#}");
    SessionError::Runtime(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A panic as an error. Nothing that a panic could leave half done outlives the call.
fn guarded<R>(work: impl FnOnce() -> Result<R, SessionError>) -> Result<R, SessionError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(SessionError::Panicked(
            text.unwrap_or("without a word").to_owned(),
        ))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_that_is_told_is_the_one_that_is_built() {
        let lock = include_str!("../../Cargo.lock");
        let package = format!("name = \"tract-onnx\"\nversion = \"{}\"", super::VERSION);
        assert!(lock.contains(&package));
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let error = super::guarded::<()>(|| panic!("index {} out of bounds", 7)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the runtime panicked: index 7 out of bounds"
        );
    }
}

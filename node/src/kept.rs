//! The model that a node keeps for scoring: `model/` in its folder. Of several runs it is that of the one whose result
//! came last.
//!
//! ```text
//! model.safetensors   the parameters, as the federation made them
//! detector.json       this node's scaling, calibration and alarm threshold
//! run.json            the run that made it: what training alone would need to be compared
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use common::message::model::{Optimizer, Plan};
use common::model::{ParameterVector, Schema};
use edge::file::write_replacing;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::detect::detector::Profile;
use crate::detect::{Detector, DetectorError};

/// The run that made a model, as far as training alone would need it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunNote {
    /// Its id.
    pub run: String,
    /// Rounds done.
    pub rounds: u32,
    /// Passes over the telemetry in each.
    pub epochs: u32,
    /// Windows in one step.
    pub batch: u32,
    /// How the parameters stepped along a gradient.
    pub optimizer: Optimizer,
    /// Its step size.
    pub learning_rate: f32,
    /// The proximal term's factor; 0 for none.
    pub proximal: f32,
    /// Records between the starts of two windows.
    pub stride: u32,
    /// The run's seed.
    pub seed: u64,
}

impl RunNote {
    /// What is noted of a plan after some rounds.
    pub fn of(run: &str, rounds: u32, plan: &Plan) -> Self {
        let Plan { epochs, batch, optimizer, learning_rate, proximal, stride, seed, .. } = *plan;
        Self { run: run.to_owned(), rounds, epochs, batch, optimizer, learning_rate, proximal, stride, seed }
    }
}

/// Writes a model; the old one stays until the new one is whole.
///
/// # Errors
///
/// Names the file.
pub fn write(dir: &Path, detector: &Detector, note: &RunNote) -> Result<()> {
    let new = dir.join("model.new");
    let _ = fs::remove_dir_all(&new);
    fs::create_dir_all(&new).with_context(|| new.display().to_string())?;
    write_replacing(&new.join("model.safetensors"), &to_safetensors(detector.parameters())?)?;
    write_replacing(&new.join("detector.json"), &serde_json::to_vec_pretty(&detector.profile())?)?;
    write_replacing(&new.join("run.json"), &serde_json::to_vec_pretty(note)?)?;
    let kept = dir.join("model");
    let old = dir.join("model.old");
    let _ = fs::remove_dir_all(&old);
    if kept.exists() {
        fs::rename(&kept, &old).with_context(|| kept.display().to_string())?;
    }
    fs::rename(&new, &kept).with_context(|| kept.display().to_string())?;
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

/// Reads the model that was kept.
///
/// # Errors
///
/// Names the file and what is wrong with it.
pub fn read(dir: &Path) -> Result<(Detector, RunNote)> {
    let kept = dir.join("model");
    let profile: Profile = read_json(&kept.join("detector.json"))?;
    let note = read_json(&kept.join("run.json"))?;
    let schema = common::model::Task::Forecaster(profile.task()?).schema()?;
    let parameters = read_parameters(&kept.join("model.safetensors"), schema)?;
    let detector: Result<Detector, DetectorError> = Detector::from_profile(profile, parameters);
    Ok((detector.with_context(|| kept.display().to_string())?, note))
}

/// Reads a safetensors file that must have just these tensors.
///
/// # Errors
///
/// Names the file, and the tensor that is missing or of another shape.
pub fn read_parameters(path: &Path, schema: Schema) -> Result<ParameterVector> {
    let bytes = read_bytes(path)?;
    from_safetensors(&bytes, schema).with_context(|| path.display().to_string())
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read_bytes(path)?).with_context(|| path.display().to_string())
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{} is missing; a finished run leaves a model here", path.display())
        }
        read => read.with_context(|| path.display().to_string()),
    }
}

/// Tensors in schema order, F32, little-endian, row-major.
fn to_safetensors(parameters: &ParameterVector) -> Result<Vec<u8>> {
    let bytes: Vec<u8> = parameters.values().iter().flat_map(|value| value.to_le_bytes()).collect();
    let schema = Arc::clone(parameters.schema());
    let mut views = BTreeMap::new();
    for (tensor, range) in schema.ranges() {
        let shape = tensor.shape.iter().map(|side| *side as usize).collect();
        let view = TensorView::new(Dtype::F32, shape, &bytes[range.start * 4..range.end * 4])?;
        views.insert(tensor.name.to_string(), view);
    }
    Ok(safetensors::serialize(views, None)?)
}

fn from_safetensors(bytes: &[u8], schema: Schema) -> Result<ParameterVector> {
    let file = SafeTensors::deserialize(bytes).context("not a safetensors file")?;
    let mut values = Vec::with_capacity(schema.parameters());
    for (tensor, _) in schema.ranges() {
        let view = file.tensor(&tensor.name).with_context(|| format!("tensor `{}`", tensor.name))?;
        let shape: Vec<usize> = tensor.shape.iter().map(|side| *side as usize).collect();
        if view.dtype() != Dtype::F32 || view.shape() != shape {
            bail!(
                "tensor `{}` is {:?} of shape {:?}, not F32 of {shape:?}",
                tensor.name,
                view.dtype(),
                view.shape()
            );
        }
        values.extend(view.data().as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)));
    }
    Ok(ParameterVector::new(Arc::new(schema), values)?)
}

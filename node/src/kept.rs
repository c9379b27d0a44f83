//! The model that a node keeps for scoring: `model/` in its folder. Of several runs it is that of the one whose result
//! came last.
//!
//! ```text
//! model.sealed      the parameters, as the federation made them: a safetensors file, sealed
//! own.sealed        the parameters by which this node scores, where its own are better here
//! detector.sealed   this node's scaling, calibration and alarm threshold: JSON, sealed
//! known.sealed      what all nodes know of their telemetry, where the model was evaluated: numbers, sealed
//! run.json          the run that made it: what training alone would need to be compared
//! ```
//!
//! What is sealed is bound to what `run.json` says, so that files of two runs or rounds do not open together.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use common::message::model::{Optimizer, Plan};
use common::model::{ParameterVector, Schema, Statistics};
use custody::Vault;
use edge::file::write_replacing;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::detect::detector::Profile;
use crate::detect::{Chosen, Detector, DetectorError};

const MODEL: &str = "model.sealed";
const OWN: &str = "own.sealed";
const DETECTOR: &str = "detector.sealed";
const KNOWN: &str = "known.sealed";

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
    /// By whose parameters this node scores.
    #[serde(default)]
    pub chosen: Chosen,
    /// By how many records of its own it measures.
    #[serde(default)]
    pub records: u64,
}

/// What was kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What the node scores by.
    pub detector: Detector,
    /// The parameters that the federation made.
    pub federated: ParameterVector,
    /// The run.
    pub note: RunNote,
    /// What all nodes know of their telemetry, where a newcomer may have to measure by it.
    pub known: Option<Statistics>,
}

impl RunNote {
    /// What is noted of a plan after some rounds.
    pub fn of(run: &str, rounds: u32, plan: &Plan) -> Self {
        let Plan { epochs, batch, optimizer, learning_rate, proximal, stride, seed, .. } = *plan;
        let (run, chosen, records) = (run.to_owned(), Chosen::Federated, 0);
        Self { run, rounds, epochs, batch, optimizer, learning_rate, proximal, stride, seed, chosen, records }
    }
}

/// The model that was kept last, for who scores by it while others are trained.
#[derive(Clone, Default)]
pub struct Newest(Arc<Mutex<Option<(Detector, RunNote)>>>);

impl Newest {
    /// Puts a model in place of one that nobody took.
    pub fn put(&self, detector: Detector, note: RunNote) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((detector, note));
    }

    /// The model, if it is another one than was taken before.
    pub fn take(&self) -> Option<(Detector, RunNote)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Writes a model; the old one stays until the new one is whole.
///
/// # Errors
///
/// Names the file.
pub fn write(dir: &Path, vault: &Vault, Kept { detector, federated, note, known }: &Kept) -> Result<()> {
    let is_own = note.chosen != Chosen::Federated;
    let new = dir.join("model.new");
    let _ = fs::remove_dir_all(&new);
    fs::create_dir_all(&new).with_context(|| new.display().to_string())?;
    let note = serde_json::to_vec_pretty(note)?;
    write_replacing(&new.join("run.json"), &note)?;
    let seal = |file: &str, plain: &[u8]| vault.write(&new.join(file), &sealed_name(file, &note), plain);
    seal(MODEL, &to_safetensors(federated)?)?;
    if is_own {
        seal(OWN, &to_safetensors(detector.parameters())?)?;
    }
    seal(DETECTOR, &serde_json::to_vec(&detector.profile())?)?;
    if let Some(known) = known {
        seal(KNOWN, &bytes(known.values()))?;
    }
    let kept = dir.join("model");
    let old = dir.join("model.old");
    if kept.exists() {
        let _ = fs::remove_dir_all(&old);
        fs::rename(&kept, &old).with_context(|| kept.display().to_string())?;
    }
    fs::rename(&new, &kept).with_context(|| kept.display().to_string())?;
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

/// Whether a model was kept.
pub fn is_there(dir: &Path) -> bool {
    place(dir).join("run.json").exists()
}

/// Where the model is. A node that was killed while it put a new one in its place has the old one beside it.
fn place(dir: &Path) -> PathBuf {
    let (kept, old) = (dir.join("model"), dir.join("model.old"));
    if !kept.exists() && old.exists() { old } else { kept }
}

/// Reads the model that was kept.
///
/// # Errors
///
/// Names the file and what is wrong with it.
pub fn read(dir: &Path, vault: &Vault) -> Result<Kept> {
    loop {
        let before = fs::read(place(dir).join("run.json")).ok();
        match read_once(dir, vault) {
            // A model may be replaced while it is read: then the new one is.
            Err(_) if before != fs::read(place(dir).join("run.json")).ok() => (),
            read => return read,
        }
    }
}

fn read_once(dir: &Path, vault: &Vault) -> Result<Kept> {
    let kept = place(dir);
    let path = kept.join("run.json");
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing(&path)),
        read => read.with_context(|| path.display().to_string())?,
    };
    let note: RunNote = serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?;
    let open = |file: &str| {
        let path = kept.join(file);
        let plain = vault.read(&path, &sealed_name(file, &bytes))?.ok_or_else(|| missing(&path))?;
        Ok::<_, anyhow::Error>((path, plain))
    };
    let (path, profile) = open(DETECTOR)?;
    let profile: Profile = serde_json::from_slice(&profile).with_context(|| path.display().to_string())?;
    let schema = profile.task.schema()?;
    let parameters = |file: &str| {
        let (path, model) = open(file)?;
        from_safetensors(&model, schema.clone()).with_context(|| path.display().to_string())
    };
    let federated = parameters(MODEL)?;
    let own = if note.chosen == Chosen::Federated { federated.clone() } else { parameters(OWN)? };
    let known = || {
        let (path, known) = open(KNOWN)?;
        Statistics::of(&profile.task, floats(&known)).with_context(|| path.display().to_string())
    };
    let known = kept.join(KNOWN).exists().then(known).transpose()?;
    let detector: Result<Detector, DetectorError> = Detector::from_profile(profile, own);
    Ok(Kept { detector: detector.with_context(|| kept.display().to_string())?, federated, note, known })
}

/// The name of a sealed file beside this note.
fn sealed_name(file: &str, note: &[u8]) -> String {
    format!("model/{file} of {}", blake3::hash(note))
}

fn missing(path: &Path) -> anyhow::Error {
    anyhow!("{} is missing; a finished run leaves a model here", path.display())
}

/// Little-endian.
fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

/// Tensors in schema order, F32, little-endian, row-major.
fn to_safetensors(parameters: &ParameterVector) -> Result<Vec<u8>> {
    let bytes = bytes(parameters.values());
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
        values.extend(floats(view.data()));
    }
    Ok(ParameterVector::new(Arc::new(schema), values)?)
}

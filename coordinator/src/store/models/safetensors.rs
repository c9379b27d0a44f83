//! The header of a model file, as the safetensors format describes it ("Format" in its README):
//! eight bytes of length, JSON, then all values of all tensors.
//!
//! Written here, not by the library, because the name of the file is the hash of its bytes: the
//! order of keys must not depend on a hash map. Read with the library, so that the two agree.

use std::fmt::Write;

use ::safetensors::Dtype;
use ::safetensors::tensor::Metadata;
use common::id::RoundId;
use common::model::{Schema, Task};
use serde::Serialize;

/// Bytes of JSON in a header: over 4096 tensors and 1024 metrics with the longest names.
pub(super) const HEADER_BYTES_MAX: u64 = 8 << 20;

/// What a file says of its model beside names and shapes. Only what the same seed and data give
/// again in another run belongs here: no run, no time, no node, or equal models would have
/// different hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About<'t> {
    /// The round that made it; 0 for the first model of a run.
    pub round: RoundId,
    /// What it was trained for. Someone who has only the file can use the model with this.
    pub task: &'t Task,
}

/// What a model file says of its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The round that made it; 0 for the first model of a run.
    pub round: RoundId,
    /// What it was trained for, in JSON, with the keys that it has in a run's configuration.
    pub task: String,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// The bytes before the values.
pub(super) fn header(about: &About<'_>, schema: &Schema) -> Vec<u8> {
    let task = json(&json(about.task));
    let mut text = format!("{{\"__metadata__\":{{\"round\":\"{}\",\"task\":{task}}}", about.round);
    for (tensor, range) in schema.ranges() {
        let (name, shape) = (json(tensor.name.as_str()), &*tensor.shape);
        let (start, end) = (range.start * 4, range.end * 4);
        let _ = write!(
            text,
            ",{name}:{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"
        );
    }
    text.push('}');
    // The values begin at a multiple of eight bytes.
    let padded = text.len().next_multiple_of(8);
    let mut bytes = (padded as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes.resize(8 + padded, b' ');
    bytes
}

/// What a header says, of a file of this size.
pub(super) fn describe(header: &[u8], bytes: u64) -> Result<Described, String> {
    let metadata: Metadata =
        serde_json::from_slice(header).map_err(|error| format!("its header: {error}"))?;
    let said = |key: &str| {
        let text = metadata.metadata().as_ref().and_then(|texts| texts.get(key)).cloned();
        text.ok_or_else(|| format!("its metadata has no `{key}`"))
    };
    let round = said("round")?.parse().map_err(|_| "its `round` is no number".to_owned())?;
    Ok(Described { round: RoundId(round), task: said("task")?, bytes })
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("a text or a task is JSON")
}

/// Whether a file with this header and as many bytes of values holds the tensors of this schema, in its order.
pub(super) fn fits(header: &[u8], schema: &Schema, values_bytes: u64) -> Result<(), String> {
    let metadata: Metadata =
        serde_json::from_slice(header).map_err(|error| format!("its header: {error}"))?;
    for (tensor, range) in schema.ranges() {
        let name = &tensor.name;
        let info = metadata.info(name).ok_or_else(|| format!("it has no tensor `{name}`"))?;
        let shape: Vec<usize> = tensor.shape.iter().map(|&side| side as usize).collect();
        if info.dtype != Dtype::F32
            || info.shape != shape
            || info.data_offsets != (range.start * 4, range.end * 4)
        {
            let (dtype, found) = (&info.dtype, &info.shape);
            return Err(format!(
                "its tensor `{name}` is {dtype:?} {found:?}, not F32 {shape:?} in the task's order"
            ));
        }
    }
    let (found, expected) = (metadata.tensors().len(), schema.tensors().len());
    if found != expected {
        return Err(format!("it has {found} tensors, not {expected}"));
    }
    match schema.parameters() as u64 * 4 {
        expected if expected == values_bytes => Ok(()),
        expected => Err(format!("it has {values_bytes} bytes of values, not {expected}")),
    }
}

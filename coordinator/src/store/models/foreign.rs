//! A model file that comes from outside: of another coordinator, or written by other software with the metadata that
//! ours have.
//!
//! Its tensors may lie in any order, as other software sorts them by name: what is stored is written anew.

use std::fs;
use std::path::{Path, PathBuf};

use ::safetensors::{Dtype, SafeTensorError, SafeTensors};
use common::limits::PARAMETERS_MAX;
use common::model::Schema;

use super::safetensors::{Described, HEADER_BYTES_MAX, describe};
use crate::store::{StoreError, io_error};

/// The largest model with the longest header.
const FILE_BYTES_MAX: u64 = PARAMETERS_MAX * 4 + HEADER_BYTES_MAX + 8;

/// The bytes of a file that may be a model.
#[derive(Debug)]
pub struct Foreign {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Foreign {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], or [`StoreError::NotAModel`] when it is larger than any model.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let length = fs::metadata(path).map_err(io_error("read", path))?.len();
        let mut foreign = Self { path: path.to_owned(), bytes: Vec::new() };
        if length > FILE_BYTES_MAX {
            return Err(foreign.fault(format!("its {length} bytes are more than a model may have")));
        }
        foreign.bytes = fs::read(path).map_err(io_error("read", path))?;
        Ok(foreign)
    }

    /// What it says of itself.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotAModel`] when it is no safetensors file, or has not the metadata of a model.
    pub fn described(&self) -> Result<Described, StoreError> {
        SafeTensors::read_metadata(&self.bytes).map_err(|error| self.unreadable(&error))?;
        // Eight bytes of length, and a header that ends within the file: just read.
        let (length, rest) = self.bytes.split_at(8);
        let length = u64::from_le_bytes(length.try_into().expect("these are eight bytes"));
        let described = describe(&rest[..length as usize], self.bytes.len() as u64);
        described.map_err(|reason| {
            self.fault(format!(
                "{reason}; a model that `coordinator model export` wrote has `round` and `task`"
            ))
        })
    }

    /// The values of these tensors, in their order.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotAModel`] names the tensor that is missing, of another shape, one too many, or not finite.
    pub fn values(&self, schema: &Schema) -> Result<Vec<f32>, StoreError> {
        let file = SafeTensors::deserialize(&self.bytes).map_err(|error| self.unreadable(&error))?;
        let mut values = Vec::with_capacity(schema.parameters());
        for tensor in schema.tensors() {
            let name = &tensor.name;
            let view = file.tensor(name).map_err(|_| self.fault(format!("it has no tensor `{name}`")))?;
            let shape: Vec<usize> = tensor.shape.iter().map(|&side| side as usize).collect();
            if view.dtype() != Dtype::F32 || view.shape() != shape {
                let (dtype, found) = (view.dtype(), view.shape());
                let reason =
                    format!("its tensor `{name}` is {dtype:?} {found:?}, not F32 {shape:?} as its task says");
                return Err(self.fault(reason));
            }
            let of_tensor = view.data().as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value));
            let start = values.len();
            values.extend(of_tensor);
            if let Some(index) = values[start..].iter().position(|value| !value.is_finite()) {
                let value = values[start + index];
                return Err(self.fault(format!("value {index} of its tensor `{name}` is {value}")));
            }
        }
        match (file.len(), schema.tensors().len()) {
            (found, expected) if found == expected => Ok(values),
            (found, expected) => {
                Err(self.fault(format!("it has {found} tensors, not the {expected} of its task")))
            }
        }
    }

    fn unreadable(&self, error: &SafeTensorError) -> StoreError {
        self.fault(format!("it is no safetensors file: {error}"))
    }

    fn fault(&self, reason: String) -> StoreError {
        StoreError::NotAModel { path: self.path.clone(), reason }
    }
}

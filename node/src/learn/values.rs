//! Numbers as tensors, and back.

use burn::tensor::{Device, Tensor, TensorData};

use super::LearnError;

/// The processor.
pub(super) fn device() -> Device {
    Device::flex()
}

/// Values as a tensor.
pub(super) fn flat(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &device())
}

/// Rows of one width as a tensor: [rows, width].
pub(super) fn rows<'v>(rows: impl ExactSizeIterator<Item = &'v [f32]>, width: usize) -> Tensor<2> {
    let count = rows.len();
    let mut values = Vec::with_capacity(count * width);
    rows.for_each(|row| values.extend_from_slice(row));
    Tensor::from_data(TensorData::new(values, [count, width]), &device())
}

/// The values of a tensor, row-major.
pub(super) fn floats<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, LearnError> {
    let data = tensor.try_into_data().map_err(|error| LearnError::Backend(error.to_string()))?;
    data.try_into_vec().map_err(|error| LearnError::Backend(format!("{error:?}")))
}

//! Numbers as tensors, and back.

use burn::tensor::{Tensor, TensorData};

use super::LearnError;
use super::device::device;

/// Values as a tensor.
pub(super) fn flat(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &device())
}

/// Rows of one width as a tensor: [rows, width].
pub(super) fn rows<'v>(rows: impl ExactSizeIterator<Item = &'v [f32]>, width: usize) -> Tensor<2> {
    let mut values = Vec::with_capacity(rows.len() * width);
    rows.for_each(|row| values.extend_from_slice(row));
    matrix(values, width)
}

/// Values, row after row, as a tensor: [rows, width].
pub(super) fn matrix(values: Vec<f32>, width: usize) -> Tensor<2> {
    let rows = values.len() / width.max(1);
    Tensor::from_data(TensorData::new(values, [rows, width]), &device())
}

/// The values of a tensor, row-major.
pub(super) fn floats<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, LearnError> {
    let data = tensor.try_into_data().map_err(|error| LearnError::Backend(error.to_string()))?;
    data.try_into_vec().map_err(|error| LearnError::Backend(format!("{error:?}")))
}

/// The place of the largest value; of equal ones the first.
pub(super) fn largest(values: &[f32]) -> usize {
    let largest = values.iter().enumerate().rev().max_by(|one, other| one.1.total_cmp(other.1));
    largest.map_or(0, |(place, _)| place)
}

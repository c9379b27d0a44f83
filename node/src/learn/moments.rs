//! What a model in closed form is made of: the mean second moments of what it sees and should say.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use common::model::Layer;

use super::values::{floats, matrix};
use super::{Examples, LearnError};

/// Examples in one product.
const BATCH: usize = 1024;

/// The mean, over all examples, of `x̃ᵀ x̃`, and of a ridge regression of `x̃ᵀ y`, as its layer has them; `x̃` is what is seen and
/// a 1. After each batch `progress` is told how many are done, and may break it off.
pub(super) fn moments<E: Examples>(
    task: &E::Task,
    layer: &Layer,
    examples: &E,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<f32>, LearnError> {
    let all: Vec<usize> = (0..examples.count()).collect();
    let mut sums = Vec::new();
    let mut done = 0;
    for chosen in all.chunks(BATCH) {
        let ones = matrix(vec![1.0; chosen.len()], 1);
        let seen = Tensor::cat(vec![examples.see(task, chosen), ones], 1);
        let transposed = seen.clone().transpose();
        let mut products = floats(transposed.clone().matmul(seen))?;
        if let Layer::Ridge { .. } = layer {
            products.extend(floats(transposed.matmul(examples.target(task, chosen)))?);
        }
        sums.resize(products.len(), 0.0_f64);
        sums.iter_mut().zip(products).for_each(|(sum, product)| *sum += f64::from(product));
        done += chosen.len();
        if progress(done).is_break() {
            return Err(LearnError::Cancelled);
        }
    }
    Ok(sums.into_iter().map(|sum| (sum / all.len() as f64) as f32).collect())
}

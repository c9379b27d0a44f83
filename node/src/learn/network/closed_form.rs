//! Linear layers in closed form, out of the moments of what they take and should give.
//!
//! With `x̃` what is taken and a 1, the moments are the means of `x̃ᵀ x̃` and of `x̃ᵀ y`. Those of several nodes together are
//! their mean, weighted by examples: so one round gives exactly what all telemetry in one place would have given.

use nalgebra::{DMatrix, DVector};

use super::super::LearnError;
use super::super::values::matrix;
use super::linear::Linear;

/// The penalty on squared weights, beside the mean squared error of values whose spread is about 1.
const PENALTY: f64 = 0.01;

/// `W = (G + λ I)⁻¹ C`, where the weight of the 1 is not penalised (Hoerl and Kennard 1970).
pub(super) fn ridge(gram: &[f32], cross: &[f32], outputs: usize) -> Result<Linear, LearnError> {
    let mut gram = square(gram);
    let seen = gram.nrows();
    // That of the 1, so little that nothing is seen of it: without any example all moments are zero.
    let penalty = |place| if place + 1 < seen { PENALTY } else { PENALTY * PENALTY * PENALTY };
    (0..seen).for_each(|place| gram[(place, place)] += penalty(place));
    let cross = DMatrix::from_row_iterator(seen, outputs, cross.iter().map(|value| f64::from(*value)));
    let weights = gram.cholesky().ok_or(LearnError::NoMoments)?.solve(&cross);
    Ok(linear(&weights))
}

/// The last so many of the values that are taken, out of the components of the largest variance: `x̂ = m + (x - m) V Vᵀ`
/// (Pearson 1901).
pub(super) fn principal(gram: &[f32], outputs: usize, components: usize) -> Result<Linear, LearnError> {
    let gram = square(gram);
    let inputs = gram.nrows() - 1;
    let mean = DVector::from_iterator(inputs, (0..inputs).map(|place| gram[(place, inputs)]));
    let covariance = gram.view((0, 0), (inputs, inputs)) - &mean * mean.transpose();
    let eigen = covariance.try_symmetric_eigen(f64::EPSILON, ITERATIONS_MAX).ok_or(LearnError::NoMoments)?;
    let mut order: Vec<usize> = (0..inputs).collect();
    order.sort_by(|one, other| eigen.eigenvalues[*other].total_cmp(&eigen.eigenvalues[*one]));
    order.truncate(components);
    let kept = eigen.eigenvectors.select_columns(&order);
    let weights = &kept * kept.rows(inputs - outputs, outputs).transpose();
    let bias = mean.rows(inputs - outputs, outputs).transpose() - mean.transpose() * &weights;
    let mut all = weights.insert_row(inputs, 0.0);
    all.set_row(inputs, &bias);
    Ok(linear(&all))
}

/// Steps of the eigenvalue iteration: some for each value are usual.
const ITERATIONS_MAX: usize = 100_000;

fn square(gram: &[f32]) -> DMatrix<f64> {
    let side = gram.len().isqrt();
    DMatrix::from_row_iterator(side, side, gram.iter().map(|value| f64::from(*value)))
}

/// Of weights whose last row is the bias: [inputs + 1, outputs].
fn linear(weights: &DMatrix<f64>) -> Linear {
    let (seen, outputs) = weights.shape();
    let row = |row: usize| weights.row(row).iter().map(|value| *value as f32).collect::<Vec<_>>();
    let weight = (0..seen - 1).flat_map(row).collect();
    Linear { weight: matrix(weight, outputs), bias: matrix(row(seen - 1), outputs) }
}

//! What a model says, and how wrong it is.

use burn::tensor::Tensor;
use common::model::{Classifier, ParameterVector};

use super::examples::seen;
use super::labelled::Share;
use super::network::Network;
use super::values::{flat, floats};
use super::{Examples, LearnError, check};

/// Examples in one pass: bounds the memory, and is large enough for the matrix product.
const BATCH: usize = 1024;

/// How good a classifier is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// The share of examples whose likeliest class is theirs.
    pub accuracy: f64,
    /// Mean cross-entropy.
    pub loss: f64,
}

/// What the model says of every example: [examples, outputs], row-major. Of windows that is the forecast, in scaled
/// values; of inputs it is a score for each class.
///
/// # Errors
///
/// [`LearnError`] when task, parameters and examples do not belong together.
pub fn predict<E: Examples>(
    task: &E::Task,
    parameters: &ParameterVector,
    examples: &E,
) -> Result<Vec<f32>, LearnError> {
    let mut all = Vec::new();
    in_batches(task, parameters, examples, |output, chosen| {
        let outputs = output.dims()[1];
        let from = all.len();
        all.extend(floats(output)?);
        let said = all[from..].chunks_exact_mut(outputs).zip(chosen);
        said.for_each(|(outputs, index)| examples.settle(task, *index, outputs));
        Ok(())
    })?;
    Ok(all)
}

/// The mean loss over all examples, as in training; for those kept for validation.
///
/// # Errors
///
/// As [`predict`], and [`LearnError::NoExamples`].
pub fn mean_loss<E: Examples>(
    task: &E::Task,
    parameters: &ParameterVector,
    examples: &E,
) -> Result<f64, LearnError> {
    let mut sum = 0.0;
    in_batches(task, parameters, examples, |output, chosen| {
        sum += loss_sum(task, examples, output, chosen)?;
        Ok(())
    })?;
    mean(sum, examples)
}

/// How good a classifier is on these examples.
///
/// # Errors
///
/// As [`mean_loss`].
pub fn quality(
    task: &Classifier,
    parameters: &ParameterVector,
    examples: &Share,
) -> Result<Quality, LearnError> {
    let (mut loss, mut right) = (0.0, 0);
    in_batches(task, parameters, examples, |output, chosen| {
        loss += loss_sum(task, examples, output.clone(), chosen)?;
        let scores = floats(output)?;
        let told = scores.chunks_exact(examples.set().classes() as usize).map(likeliest);
        right += told.zip(chosen).filter(|(told, index)| *told == examples.class(**index) as usize).count();
        Ok(())
    })?;
    Ok(Quality { accuracy: mean(right as f64, examples)?, loss: mean(loss, examples)? })
}

fn mean<E: Examples>(sum: f64, examples: &E) -> Result<f64, LearnError> {
    if examples.count() == 0 { Err(LearnError::NoExamples) } else { Ok(sum / examples.count() as f64) }
}

fn loss_sum<E: Examples>(
    task: &E::Task,
    examples: &E,
    output: Tensor<2>,
    chosen: &[usize],
) -> Result<f64, LearnError> {
    let (loss, _) = E::loss(task, output, examples.target(task, chosen));
    Ok(floats(loss)?.iter().map(|loss| f64::from(*loss)).sum::<f64>() * chosen.len() as f64)
}

/// The place of the largest score; of equal ones the first.
fn likeliest(scores: &[f32]) -> usize {
    let best = scores.iter().enumerate().rev().max_by(|one, other| one.1.total_cmp(other.1));
    best.map_or(0, |(place, _)| place)
}

/// Hands on what the model says of all examples, one batch after the other.
fn in_batches<E: Examples>(
    task: &E::Task,
    parameters: &ParameterVector,
    examples: &E,
    mut take: impl FnMut(Tensor<2>, &[usize]) -> Result<(), LearnError>,
) -> Result<(), LearnError> {
    let layers = check(task, parameters, examples)?;
    let network = Network::new(&layers, &flat(parameters.values()))?;
    let all: Vec<usize> = (0..examples.count()).collect();
    all.chunks(BATCH)
        .try_for_each(|chosen| take(network.forward(seen(task, &layers, examples, chosen)), chosen))
}

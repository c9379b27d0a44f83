//! What a model says, and how wrong it is.

use burn::tensor::Tensor;
use common::model::{Classifier, Forecaster, ParameterVector};

use super::aim::aim;
use super::labelled::Share;
use super::network::{ByRow, Network};
use super::values::{flat, floats, largest};
use super::{Examples, LearnError, check, layers};

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

/// A model that was built once, to be asked for one example after the other.
pub struct Predictor {
    task: Forecaster,
    layers: Vec<Box<dyn ByRow>>,
    /// What the layer before gave, and what the next one gives.
    values: [Vec<f32>; 2],
    inputs: usize,
}

impl Predictor {
    /// The forecaster of this task with these parameters.
    ///
    /// # Errors
    ///
    /// [`LearnError`] when task and parameters do not belong together.
    pub fn new(task: &Forecaster, parameters: &ParameterVector) -> Result<Self, LearnError> {
        let layers = layers(task, parameters)?;
        let network = Network::new(&layers, &flat(parameters.values()))?;
        Self::of(task, &network, layers[0].inputs() as usize)
    }

    /// The forecaster that is this network, of so many inputs.
    pub(super) fn of(task: &Forecaster, network: &Network, inputs: usize) -> Result<Self, LearnError> {
        let values = [Vec::new(), Vec::new()];
        Ok(Self { task: task.clone(), layers: network.by_row()?, values, inputs })
    }

    /// What the model says of the values that a window has for it, up to the order of its sums the same as [`predict`] does.
    ///
    /// # Panics
    ///
    /// When there are not as many values as the model has inputs.
    pub fn say(&mut self, seen: &[f32]) -> &[f32] {
        assert_eq!(seen.len(), self.inputs, "there is a value for each input");
        let aim = aim(&self.task);
        let [given, taken] = &mut self.values;
        given.clear();
        given.extend_from_slice(seen);
        aim.see(given);
        for layer in &self.layers {
            layer.forward(given, taken);
            std::mem::swap(given, taken);
        }
        aim.settle(seen, given);
        given
    }
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
        let from = all.len();
        all.extend(floats(output)?);
        examples.settle(task, chosen, &mut all[from..]);
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
        let told = scores.chunks_exact(examples.set().classes() as usize).map(largest);
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
    all.chunks(BATCH).try_for_each(|chosen| take(network.forward(examples.see(task, chosen)), chosen))
}

#[cfg(test)]
mod tests {
    use common::model::Task;

    use super::super::samples::{forecaster, swinging};
    use super::*;

    #[test]
    fn one_example_after_the_other_is_said_as_all_at_once() {
        let (task, windows) = (forecaster(&["x", "y"], 6, &[5]), swinging(40, 6));
        let parameters = Task::Forecaster(task.clone()).initial(1).unwrap();
        let all = predict(&task, &parameters, &windows).unwrap();
        let mut predictor = Predictor::new(&task, &parameters).unwrap();
        for (index, said) in all.chunks_exact(2).enumerate() {
            let one = predictor.say(windows.past(index));
            assert!(one.iter().zip(said).all(|(one, other)| (one - other).abs() < 1e-6), "{index}");
        }
        let other = forecaster(&["x"], 6, &[5]);
        assert_eq!(Predictor::new(&other, &parameters).err(), Some(LearnError::OtherSchema));
    }
}

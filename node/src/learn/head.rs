//! Training of the head, a model's last layer, alone: what comes before it stays as it is (Arivazhagan et al. 2019,
//! "FedPer"; Collins et al. 2021, "FedRep").
//!
//! To the head, what the layers before it make of an example is the example: so it is a model of one layer, trained as any.

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::Tensor;
use common::model::{Layer, ParameterVector, Schema};

use super::network::Network;
use super::values::flat;
use super::{Examples, LearnError, Progress, Trained, Training, check, train};

/// Examples as the layers before the head represent them.
struct Represented<'e, E> {
    examples: &'e E,
    body: Network,
    head: Layer,
}

impl<E: Examples> Examples for Represented<'_, E> {
    type Task = E::Task;

    fn layers(&self, _: &E::Task) -> Result<Vec<Layer>, LearnError> {
        Ok(vec![self.head])
    }

    fn count(&self) -> usize {
        self.examples.count()
    }

    fn see(&self, task: &E::Task, chosen: &[usize]) -> Tensor<2> {
        self.body.forward(self.examples.see(task, chosen))
    }

    fn target(&self, task: &E::Task, chosen: &[usize]) -> Tensor<2> {
        self.examples.target(task, chosen)
    }

    fn loss(task: &E::Task, output: Tensor<2>, target: Tensor<2>) -> (Tensor<1>, Tensor<2>) {
        E::loss(task, output, target)
    }
}

/// As [`train`], but that only the last layer is another one afterwards. `None` where it is the only one, as in closed form.
///
/// # Errors
///
/// As [`train`].
pub fn train_head<E: Examples>(
    task: &E::Task,
    start: &ParameterVector,
    examples: &E,
    settings: &Training<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<Trained>, LearnError> {
    let layers = check(task, start, examples)?;
    let Some((&head, body @ [_, ..])) = layers.split_last() else { return Ok(None) };
    let schema = Schema::of_layers(&[head])?;
    let (held, own) = start.values().split_at(start.values().len() - schema.parameters());
    let first = ParameterVector::new(Arc::new(schema), own.to_vec()).map_err(|_| LearnError::OtherSchema)?;
    let represented = Represented { examples, body: Network::new(body, &flat(held))?, head };
    let correction = settings.correction.map(|correction| &correction[held.len()..]);
    let trained = train(task, &first, &represented, &Training { correction, ..*settings }, progress)?;
    let mut parameters = start.clone();
    parameters.values_mut()[held.len()..].copy_from_slice(trained.parameters.values());
    Ok(Some(Trained { parameters, ..trained }))
}

#[cfg(test)]
mod tests {
    use common::message::model::Optimizer;
    use common::model::{Forecaster, Network as Kind, Task};

    use super::super::mean_loss;
    use super::super::samples::{forecaster, go_on, swinging};
    use super::*;

    fn task(network: Kind, hidden: &[u32]) -> (Forecaster, ParameterVector) {
        let task = Forecaster { network, ..forecaster(&["x", "y"], 6, hidden) };
        let first = Task::Forecaster(task.clone()).initial(1).unwrap();
        (task, first)
    }

    #[test]
    fn the_head_is_trained_and_the_layers_before_it_stay_whatever_they_are() {
        let kinds = [
            (Kind::Perceptron, &[16, 8][..]),
            (Kind::Lstm, &[8]),
            (Kind::Convolution, &[12]),
            (Kind::Autoencoder, &[8, 4]),
        ];
        for (network, hidden) in kinds {
            let ((task, first), windows) = (task(network, hidden), swinging(300, 6));
            let settings = Training { epochs: 30, learning_rate: 1e-2, ..Training::default() };
            let trained = train_head(&task, &first, &windows, &settings, &mut go_on).unwrap().unwrap();
            let last = task.layers().last().unwrap().inputs() as usize * 2 + 2;
            let held = first.values().len() - last;
            assert_eq!(trained.parameters.values()[..held], first.values()[..held], "{network:?}");
            let loss = |parameters| mean_loss(&task, parameters, &windows).unwrap();
            let (before, after) = (loss(&first), loss(&trained.parameters));
            assert!(after < before / 2.0, "{network:?}: loss went from {before} to {after}");
            assert_eq!(trained.samples, windows.count() as u64);
        }
    }

    #[test]
    fn a_step_of_the_head_is_its_part_of_a_step_of_the_whole_model() {
        let ((task, first), windows) = (task(Kind::Perceptron, &[8]), swinging(100, 6));
        let correction: Vec<f32> = (0..first.values().len()).map(|place| place as f32 * 1e-3).collect();
        let settings = Training {
            batch: windows.count(),
            optimizer: Optimizer::Sgd,
            learning_rate: 0.1,
            correction: Some(&correction),
            ..Training::default()
        };
        let whole = train(&task, &first, &windows, &settings, &mut go_on).unwrap();
        let head = train_head(&task, &first, &windows, &settings, &mut go_on).unwrap().unwrap();
        assert_eq!((head.steps, head.loss.to_bits()), (whole.steps, whole.loss.to_bits()));
        let held = first.values().len() - (8 * 2 + 2);
        let both = head.parameters.values()[held..].iter().zip(&whole.parameters.values()[held..]);
        assert!(both.clone().count() == 18 && both.clone().all(|(one, other)| (one - other).abs() < 1e-6));
        assert_ne!(head.parameters.values()[held..], first.values()[held..]);
    }

    #[test]
    fn what_has_one_layer_has_no_head_of_its_own() {
        let windows = swinging(100, 6);
        for (network, hidden) in [(Kind::Ridge, &[][..]), (Kind::Pca, &[1]), (Kind::Perceptron, &[])] {
            let (task, first) = task(network, hidden);
            let trained = train_head(&task, &first, &windows, &Training::default(), &mut go_on).unwrap();
            assert_eq!(trained, None, "{network:?}");
        }
    }
}

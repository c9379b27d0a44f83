//! What is trained: the task of a run, its tensors and its seeded initial weights.
//!
//! The weights are drawn here, not by the learning library: the coordinator makes the first model
//! without linking it, and the same seed gives the same bytes on every machine.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};

use super::{Foresees, Layer, Network, ParameterVector, Schema, SchemaError, statistics};
use crate::limits::{METRICS_MAX, NAME_BYTES_MAX, PAST_STEPS_MAX};
use crate::wire::{Fault, Input, List, Text, Wire, WireError};

/// The name of a metric, as in a CSV header.
pub type MetricName = Text<NAME_BYTES_MAX>;

/// What a run trains; written in a run's configuration and in model files as here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// What comes next, from windows of telemetry.
    Forecaster(Forecaster),
    /// How such a model does on the telemetry of all nodes, and what that is like: nothing is trained.
    Evaluation(Forecaster),
    /// Which of some classes an example is of: a multi-layer perceptron.
    Classifier(Classifier),
    /// A flat vector without meaning: for measuring rounds, not for learning.
    Flat {
        /// Its length.
        parameters: u32,
    },
}

/// Steps x metrics -> hidden layers -> what is foreseen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forecaster {
    /// The metrics that it sees, in the order of inputs.
    pub metrics: List<MetricName, METRICS_MAX>,
    /// How many records before this one it sees.
    pub past_steps: u32,
    /// Of what kind its hidden layers are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network: Network,
    /// Width of each hidden layer.
    #[serde(default)]
    pub hidden: List<u32, 8>,
    /// What it says.
    #[serde(default, skip_serializing_if = "is_default")]
    pub foresees: Foresees,
}

crate::wire_fields!(Forecaster { metrics, past_steps, network, hidden, foresees });

/// What goes without saying.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Forecaster {
    /// Whether it sees the record too at which it says something, and not only those before.
    pub fn sees_record(&self) -> bool {
        self.network.sees_record() || self.foresees != Foresees::Record
    }

    /// Its layers from the input to the output.
    pub fn layers(&self) -> Vec<Layer> {
        let metrics = self.metrics.len() as u32;
        let steps = self.past_steps.saturating_add(u32::from(self.sees_record()));
        self.network.layers((steps, metrics), &self.hidden, self.foresees.outputs(metrics))
    }

    /// Names and shapes of its tensors.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] when it would be over a limit, or its parts do not go together.
    pub fn schema(&self) -> Result<Schema, SchemaError> {
        if self.past_steps > PAST_STEPS_MAX {
            return Err(SchemaError::TooManySteps);
        }
        if !self.network.takes(&self.hidden) {
            return Err(SchemaError::Layers);
        }
        if self.network.is_closed_form() && self.foresees != Foresees::Record {
            return Err(SchemaError::ClosedForm);
        }
        self.foresees.fits(&self.metrics)?;
        Schema::of_layers(&self.layers())
    }
}

/// Inputs -> hidden layers (`ReLU`) -> a score for each class, whose softmax are probabilities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// Values of an example.
    pub inputs: u32,
    /// Width of each hidden layer.
    pub hidden: List<u32, 8>,
    /// Classes, counted from 0.
    pub classes: u32,
}

crate::wire_fields!(Classifier { inputs, hidden, classes });

impl Classifier {
    /// Its layers from the input to the output.
    pub fn layers(&self) -> Vec<Layer> {
        Network::Perceptron.layers((1, self.inputs), &self.hidden, self.classes)
    }
}

impl Task {
    /// What sees windows of telemetry, if that is trained or evaluated.
    pub fn forecaster(&self) -> Option<&Forecaster> {
        match self {
            Self::Forecaster(forecaster) | Self::Evaluation(forecaster) => Some(forecaster),
            Self::Classifier(_) | Self::Flat { .. } => None,
        }
    }

    /// Its layers from the input to the output; none for a vector without meaning.
    fn layers(&self) -> Vec<Layer> {
        match self {
            Self::Forecaster(forecaster) | Self::Evaluation(forecaster) => forecaster.layers(),
            Self::Classifier(classifier) => classifier.layers(),
            Self::Flat { .. } => Vec::new(),
        }
    }

    /// Names and shapes of the model's tensors.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] when the model would be over a limit.
    pub fn schema(&self) -> Result<Schema, SchemaError> {
        match self {
            Self::Forecaster(forecaster) => forecaster.schema(),
            Self::Evaluation(forecaster) => {
                let mut tensors = forecaster.schema()?.tensors().to_vec();
                tensors.extend(statistics::tensors(forecaster)?);
                Schema::new(tensors)
            }
            Self::Classifier(_) => Schema::of_layers(&self.layers()),
            Self::Flat { parameters } => Schema::flat(*parameters),
        }
    }

    /// The first model of a run: weights and biases uniform in ±1/√(values that a sum of the layer is of)
    /// (the usual default for linear layers; `LeCun` et al. 1998, section 4.6), from this seed; moments and statistics
    /// are zero.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] when the model would be over a limit.
    pub fn initial(&self, seed: u64) -> Result<ParameterVector, SchemaError> {
        let schema = Arc::new(self.schema()?);
        let mut parameters = ParameterVector::zeros(Arc::clone(&schema));
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let mut ranges = schema.ranges();
        for layer in self.layers() {
            let bound = layer.fan_in().map(|sums| 1.0 / f64::from(sums).sqrt());
            for (_, range) in ranges.by_ref().take(layer.tensors(0)?.len()) {
                let Some(bound) = bound else { continue };
                for value in &mut parameters.values_mut()[range] {
                    *value = random.random_range(-bound..=bound) as f32;
                }
            }
        }
        Ok(parameters)
    }
}

impl Wire for Task {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Forecaster(forecaster) => {
                out.push(1);
                forecaster.put(out);
            }
            Self::Flat { parameters } => {
                out.push(2);
                parameters.put(out);
            }
            Self::Classifier(classifier) => {
                out.push(3);
                classifier.put(out);
            }
            Self::Evaluation(forecaster) => {
                out.push(4);
                forecaster.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        match u8::take(input)? {
            1 => Forecaster::take(input).map(Self::Forecaster),
            2 => Ok(Self::Flat { parameters: Wire::take(input)? }),
            3 => Classifier::take(input).map(Self::Classifier),
            4 => Forecaster::take(input).map(Self::Evaluation),
            tag => Err(input.error(Fault::Unknown(u64::from(tag)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    fn forecaster() -> Task {
        Task::Forecaster(Forecaster {
            metrics: vec![Text::try_from("cpu").unwrap(), Text::try_from("memory").unwrap()]
                .try_into()
                .unwrap(),
            past_steps: 19,
            network: Network::Perceptron,
            hidden: vec![64, 16, 64].try_into().unwrap(),
            foresees: Foresees::Record,
        })
    }

    fn classifier(inputs: u32, classes: u32) -> Task {
        Task::Classifier(Classifier { inputs, hidden: vec![200, 200].try_into().unwrap(), classes })
    }

    #[test]
    fn the_forecaster_has_a_weight_and_a_bias_a_layer() {
        let schema = forecaster().schema().unwrap();
        let shapes: Vec<&[u32]> = schema.tensors().iter().map(|tensor| &*tensor.shape).collect();
        assert_eq!(shapes[..4], [&[38, 64][..], &[64], &[64, 16], &[16]]);
        assert_eq!(schema.parameters(), 38 * 64 + 64 + 64 * 16 + 16 + 16 * 64 + 64 + 64 * 2 + 2);
    }

    #[test]
    fn initial_weights_are_bounded_by_fan_in_and_depend_on_the_seed_alone() {
        let first = forecaster().initial(7).unwrap();
        assert_eq!(first, forecaster().initial(7).unwrap());
        assert_ne!(first, forecaster().initial(8).unwrap());
        let bound = 1.0 / 38_f32.sqrt();
        assert!(first.values()[..38 * 64].iter().all(|value| value.abs() <= bound && *value != 0.0));
    }

    #[test]
    fn each_network_has_a_model_and_none_of_them_sees_more_steps_than_may_be() {
        let Task::Forecaster(forecaster) = forecaster() else { panic!("it is one") };
        for (network, expected) in [(Network::Lstm, "layer3.weight"), (Network::Convolution, "layer3.weight")]
        {
            let task =
                |past_steps| Task::Forecaster(Forecaster { past_steps, network, ..forecaster.clone() });
            let initial = task(19).initial(3).unwrap();
            assert!(initial.values().iter().all(|value| *value != 0.0));
            let tensors = initial.schema().tensors();
            assert_eq!(tensors[tensors.len() - 2].name.as_str(), expected);
            assert_eq!(decode(&encode(&task(19))), Ok(task(19)));
            assert_eq!(task(PAST_STEPS_MAX + 1).schema(), Err(SchemaError::TooManySteps));
        }
    }

    #[test]
    fn what_sees_the_record_takes_a_step_more_and_a_closed_form_begins_with_zeros() {
        let Task::Forecaster(forecaster) = forecaster() else { panic!("it is one") };
        let task = |network, hidden: &[u32]| {
            let hidden = hidden.to_vec().try_into().unwrap();
            Task::Forecaster(Forecaster { network, hidden, ..forecaster.clone() })
        };
        let first = |task: &Task| task.schema().map(|schema| schema.tensors()[0].shape.to_vec());
        assert_eq!(first(&task(Network::Autoencoder, &[16])), Ok(vec![40, 16]));
        assert_eq!(first(&task(Network::Ridge, &[])), Ok(vec![39, 39]));
        assert_eq!(first(&task(Network::Pca, &[2])), Ok(vec![41, 41]));
        for closed in [task(Network::Ridge, &[]), task(Network::Pca, &[2])] {
            assert!(closed.initial(3).unwrap().values().iter().all(|value| value.to_bits() == 0));
        }
        for layers in [task(Network::Ridge, &[4]), task(Network::Pca, &[]), task(Network::Pca, &[2, 2])] {
            assert_eq!(layers.schema(), Err(SchemaError::Layers));
        }
    }

    #[test]
    fn a_task_that_foresees_something_else_says_as_many_values() {
        let Task::Forecaster(forecaster) = forecaster() else { panic!("it is one") };
        let quantiles = [0.1, 0.5, 0.9].map(|quantile| super::super::Quantile::try_from(quantile).unwrap());
        let metric = || Text::try_from("cpu").unwrap();
        let quantiles = quantiles.to_vec().try_into().unwrap();
        let load = Foresees::Load(super::super::Load { metric: metric(), steps: 6, quantiles });
        let task =
            |network, foresees| Task::Forecaster(Forecaster { network, foresees, ..forecaster.clone() });
        let schema = task(Network::Lstm, load.clone()).schema().unwrap();
        assert_eq!(*schema.tensors().last().unwrap().shape, [18]);
        assert_eq!(task(Network::Perceptron, load.clone()).schema().unwrap().tensors()[0].shape[0], 40);
        let hidden = List::default();
        let closed = Forecaster { network: Network::Ridge, hidden, foresees: load, ..forecaster.clone() };
        assert_eq!(Task::Forecaster(closed).schema(), Err(SchemaError::ClosedForm));
        let seen = Foresees::Failure(super::super::Failure { metric: metric(), steps: 6 });
        let error = task(Network::Perceptron, seen).schema().unwrap_err();
        assert!(error.to_string().starts_with("what it foresees is of metric `cpu`"), "{error}");
    }

    #[test]
    fn the_classifier_is_laid_out_and_begun_as_the_forecaster_is() {
        let task = classifier(784, 10);
        let schema = task.schema().unwrap();
        assert_eq!(schema.parameters(), 784 * 200 + 200 + 200 * 200 + 200 + 200 * 10 + 10);
        let last = schema.tensors().last().unwrap();
        assert_eq!((last.name.as_str(), &*last.shape), ("layer2.bias", &[10][..]));
        let first = task.initial(7).unwrap();
        let largest = |values: &[f32]| values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!((0.035..=1.0 / 28.0).contains(&largest(&first.values()[..784 * 200])));
        let bound = 1.0 / 200_f32.sqrt();
        assert!((0.9 * bound..=bound).contains(&largest(&first.values()[784 * 200 + 200..])));
    }

    #[test]
    fn a_classifier_over_a_limit_or_with_an_empty_layer_has_no_model() {
        assert_eq!(classifier(4_000_000, 2).schema(), Err(SchemaError::TooManyParameters));
        assert_eq!(classifier(0, 2).schema(), Err(SchemaError::Empty("layer0.weight".into())));
        assert_eq!(classifier(4, 0).schema(), Err(SchemaError::Empty("layer2.weight".into())));
    }

    #[test]
    fn an_evaluation_has_statistics_behind_the_parameters_and_begins_without_any() {
        let Task::Forecaster(of) = forecaster() else { panic!("it is one") };
        let (model, evaluation) = (forecaster().initial(7).unwrap(), Task::Evaluation(of));
        assert_eq!(evaluation.forecaster(), forecaster().forecaster());
        let first = evaluation.initial(7).unwrap();
        let (parameters, statistics) = first.values().split_at(model.values().len());
        assert_eq!(parameters, model.values());
        assert!(!statistics.is_empty() && statistics.iter().all(|value| value.to_bits() == 0));
        assert_eq!(decode(&encode(&evaluation)), Ok(evaluation));
    }

    #[test]
    fn a_task_is_read_back_from_its_bytes() {
        for task in [forecaster(), classifier(784, 10), Task::Flat { parameters: 10 }] {
            assert_eq!(decode(&encode(&task)), Ok(task));
        }
    }
}

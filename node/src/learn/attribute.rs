//! Why a model says what it says: integrated gradients (Sundararajan et al. 2017).
//!
//! On the way from a window whose values are all usual (zero, since they are scaled) to the window that was seen, what the
//! model says changes bit by bit; each metric has the part that its values made.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use common::model::{Forecaster, Foresees, ParameterVector};

use super::aim::aim;
use super::network::Network;
use super::predict::Predictor;
use super::values::{flat, floats, largest, matrix, rows};
use super::{LearnError, layers};

/// Points on the way, each in the middle of its part: the sum is then within some thousandths.
const POINTS: usize = 64;

/// A model that was built once, to be asked why of one window after the other.
pub struct Attributor {
    task: Forecaster,
    network: Network,
    inputs: usize,
    outputs: usize,
}

/// The values at all points on the way to these.
fn way(values: &[f32]) -> Vec<f32> {
    let along = |point: usize| (point as f32 + 0.5) / POINTS as f32;
    (0..POINTS).flat_map(|point| values.iter().map(move |value| value * along(point))).collect()
}

/// What each metric's values make of a change with these slopes at the points on the way to them, in the order of metrics.
fn parts(columns: usize, slopes: &[f32], values: &[f32]) -> Vec<f64> {
    let mut parts = vec![0.0; columns];
    for slopes in slopes.chunks_exact(values.len()) {
        for (place, (slope, value)) in slopes.iter().zip(values).enumerate() {
            parts[place % columns] += f64::from(slope * value) / POINTS as f64;
        }
    }
    parts
}

impl Attributor {
    /// The forecaster of this task with these parameters.
    ///
    /// # Errors
    ///
    /// [`LearnError`] when task and parameters do not belong together.
    pub fn new(task: &Forecaster, parameters: &ParameterVector) -> Result<Self, LearnError> {
        let layers = layers(task, parameters)?;
        let network = Network::new(&layers, &flat(parameters.values()))?;
        let (inputs, outputs) = (layers[0].inputs() as usize, layers[layers.len() - 1].outputs() as usize);
        Ok(Self { task: task.clone(), network, inputs, outputs })
    }

    /// The same model, to be asked what it says.
    ///
    /// # Errors
    ///
    /// [`LearnError::Backend`].
    pub fn predictor(&self) -> Result<Predictor, LearnError> {
        Predictor::of(&self.task, &self.network, self.inputs)
    }

    /// How much each metric has of what the model says of the values that a window has, in the order of metrics: of the highest
    /// load that it foresees, or of the probability of a failure. They add up to what it says of this window less what it says of
    /// one without anything in it.
    ///
    /// # Errors
    ///
    /// [`LearnError::Backend`].
    ///
    /// # Panics
    ///
    /// When there are not as many values as the model has inputs.
    pub fn said(&self, seen: &[f32]) -> Result<Vec<f64>, LearnError> {
        let Self { task, network, inputs, outputs } = self;
        let mut input = seen.to_vec();
        aim(task).see(&mut input);
        let mut said = floats(network.forward(matrix(input.clone(), *inputs)))?;
        let place = largest(&said);
        let slope = |output: Tensor<2>| {
            let mut wanted = vec![0.0; POINTS * outputs];
            wanted.iter_mut().skip(place).step_by(*outputs).for_each(|value| *value = 1.0);
            let wanted = matrix(wanted, *outputs);
            Ok(if let Foresees::Failure(_) = task.foresees {
                let probability = sigmoid(output);
                wanted * probability.clone() * (probability - 1.0).neg()
            } else {
                wanted
            })
        };
        let slopes = floats(network.slopes_by_input(matrix(way(&input), *inputs), slope)?)?;
        let mut parts = parts(task.metrics.len(), &slopes, &input);
        if let Foresees::Load(load) = &task.foresees
            && let Some(column) = task.metrics.iter().position(|metric| *metric == load.metric)
        {
            // The mean in the window is the metric's own, and its spread there is the unit of all parts.
            said.splice(.., [0.0, 1.0]);
            aim(task).settle(seen, &mut said);
            let (mean, spread) = (f64::from(said[0]), f64::from(said[1] - said[0]));
            for part in &mut parts {
                *part *= spread;
            }
            parts[column] += mean;
        }
        Ok(parts)
    }

    /// How much each metric has of how wrong the model is on a record, by the values that a window has and those of the record
    /// behind it. `slopes` appends the slope of how wrong it is by each value that is said, of what is said and what came. They
    /// add up to how wrong it is there, less how wrong it is where nothing is in window and record.
    ///
    /// # Errors
    ///
    /// [`LearnError::Backend`].
    ///
    /// # Panics
    ///
    /// When there are not as many values as window and record have.
    pub fn surprise(
        &self,
        seen: &[f32],
        slopes: impl Fn(&[f32], &[f32], &mut Vec<f32>),
    ) -> Result<Vec<f64>, LearnError> {
        let Self { task, network, inputs, outputs } = self;
        let record = &seen[seen.len() - outputs..];
        let way = way(seen);
        let points = way.chunks_exact(seen.len());
        let input = rows(points.clone().map(|point| &point[..*inputs]), *inputs);
        let mut by_said = Vec::with_capacity(POINTS * outputs);
        let by_input = network.slopes_by_input(input, |said| {
            for (point, said) in points.zip(floats(said)?.chunks_exact(*outputs)) {
                slopes(said, &point[point.len() - outputs..], &mut by_said);
            }
            Ok(matrix(by_said.clone(), *outputs))
        })?;
        let columns = task.metrics.len();
        let of_seen = parts(columns, &floats(by_input)?, &seen[..*inputs]);
        // An error is what is said less what came.
        let of_record = parts(columns, &by_said, record);
        Ok(of_seen.iter().zip(of_record).map(|(seen, record)| seen - record).collect())
    }
}

#[cfg(test)]
mod tests {
    use common::model::{Failure, Load, Network, Quantile, Task};

    use super::super::predict;
    use super::super::samples::{forecaster, swinging, table};
    use super::*;

    /// A window in which nothing is.
    fn usual() -> pipeline::Windows {
        pipeline::window(table(2, &[0.0; 8]), &pipeline::Window { past_steps: 3, stride: 1, gap_steps: 3 })
    }

    fn parts_and_change(foresees: Foresees) -> (Vec<f64>, f64) {
        let task = Forecaster { foresees, ..forecaster(&["x", "y"], 3, &[8, 6]) };
        let parameters = Task::Forecaster(task.clone()).initial(3).unwrap();
        let windows = swinging(40, 3);
        let attributor = Attributor::new(&task, &parameters).unwrap();
        let parts = attributor.said(windows.past_and_next(9)).unwrap();
        let said = predict(&task, &parameters, &windows).unwrap();
        let outputs = said.len() / windows.count();
        let said = &said[9 * outputs..10 * outputs];
        let usual = predict(&task, &parameters, &usual()).unwrap();
        let place = largest(said);
        if let Foresees::Failure(_) = task.foresees {
            let probability = |logit: f32| 1.0 / (1.0 + f64::from(-logit).exp());
            return (parts, probability(said[place]) - probability(usual[place]));
        }
        // A load is foreseen in spreads of its window, which is the least there is where nothing moves.
        let seen = windows.past_and_next(9).iter().step_by(2).map(|value| f64::from(*value));
        let spread = seen.collect::<pipeline::Moments>().sd().hypot(0.05);
        (parts, f64::from(said[place]) - f64::from(usual[place]) / 0.05 * spread)
    }

    #[test]
    fn the_parts_add_up_to_what_is_said_beyond_the_usual() {
        let quantiles = [0.5, 0.9].map(|quantile| Quantile::try_from(quantile).unwrap()).to_vec();
        let load =
            Load { metric: "x".try_into().unwrap(), steps: 3, quantiles: quantiles.try_into().unwrap() };
        let failure = Failure { metric: "down".try_into().unwrap(), steps: 3 };
        for foresees in [Foresees::Load(load), Foresees::Failure(failure)] {
            let (parts, change) = parts_and_change(foresees.clone());
            let sum: f64 = parts.iter().sum();
            assert!(
                (sum - change).abs() < 2e-3 * (1.0 + change.abs()),
                "{foresees:?}: {sum} is not {change}"
            );
            assert!(parts.iter().any(|part| part.abs() > 1e-4), "{parts:?}");
        }
    }

    #[test]
    fn the_parts_add_up_to_how_wrong_a_model_is_whatever_its_network() {
        let wrong = |said: &[f32], came: &[f32]| -> f64 {
            said.iter().zip(came).map(|(said, came)| f64::from(said - came).powi(2)).sum()
        };
        let kinds = [
            (Network::Perceptron, &[8, 6][..]),
            (Network::Lstm, &[5]),
            (Network::Convolution, &[3, 2]),
            (Network::Autoencoder, &[4, 2, 4]),
        ];
        for (network, hidden) in kinds {
            let task = Forecaster { network, ..forecaster(&["x", "y"], 3, hidden) };
            let parameters = Task::Forecaster(task.clone()).initial(3).unwrap();
            let windows = swinging(40, 3);
            let attributor = Attributor::new(&task, &parameters).unwrap();
            let slopes = |said: &[f32], came: &[f32], out: &mut Vec<f32>| {
                out.extend(said.iter().zip(came).map(|(said, came)| 2.0 * (said - came)));
            };
            let parts = attributor.surprise(windows.past_and_next(9), slopes).unwrap();
            let said = predict(&task, &parameters, &windows).unwrap();
            let usual = predict(&task, &parameters, &usual()).unwrap();
            let change = wrong(&said[18..20], windows.next(9)) - wrong(&usual[..2], &[0.0; 2]);
            let sum: f64 = parts.iter().sum();
            assert!((sum - change).abs() < 5e-3 * (1.0 + change.abs()), "{network:?}: {sum} is not {change}");
            assert!(parts.iter().all(|part| part.abs() > 1e-4), "{parts:?}");
        }
    }
}

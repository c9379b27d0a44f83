//! Why a model says what it says: integrated gradients (Sundararajan et al. 2017).
//!
//! On the way from a window whose values are all usual (zero, since they are scaled) to the window that was seen, what the
//! model says changes bit by bit; each metric has the part that its values made.

use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use common::model::{Forecaster, Foresees, ParameterVector};

use super::aim::aim;
use super::network::Network;
use super::values::{flat, floats, largest, matrix};
use super::{LearnError, layers};

/// Points on the way, each in the middle of its part: the sum is then within some thousandths.
const POINTS: usize = 64;

/// How much each metric has of what the model says of the values that a window has, in the order of metrics: of the highest
/// load that it foresees, or of the probability of a failure. They add up to what it says of this window less what it says of
/// one without anything in it.
///
/// # Errors
///
/// [`LearnError`] when task and parameters do not belong together.
///
/// # Panics
///
/// When there are not as many values as the model has inputs.
pub fn attribute(
    task: &Forecaster,
    parameters: &ParameterVector,
    seen: &[f32],
) -> Result<Vec<f64>, LearnError> {
    let layers = layers(task, parameters)?;
    let network = Network::new(&layers, &flat(parameters.values()))?;
    let mut input = seen.to_vec();
    aim(task).see(&mut input);
    let outputs = layers[layers.len() - 1].outputs() as usize;
    let mut said = floats(network.forward(matrix(input.clone(), input.len())))?;
    let place = largest(&said);
    let along = |point: usize| (point as f32 + 0.5) / POINTS as f32;
    let way: Vec<f32> =
        (0..POINTS).flat_map(|point| input.iter().map(move |value| value * along(point))).collect();
    let slope = |output: Tensor<2>| {
        let mut wanted = vec![0.0; POINTS * outputs];
        wanted.iter_mut().skip(place).step_by(outputs).for_each(|value| *value = 1.0);
        let wanted = matrix(wanted, outputs);
        if let Foresees::Failure(_) = task.foresees {
            let probability = sigmoid(output);
            wanted * probability.clone() * (probability - 1.0).neg()
        } else {
            wanted
        }
    };
    let slopes = floats(network.slopes_by_input(matrix(way, input.len()), slope))?;
    let columns = task.metrics.len();
    let mut parts = vec![0.0; columns];
    for slopes in slopes.chunks_exact(input.len()) {
        for (place, (slope, value)) in slopes.iter().zip(&input).enumerate() {
            parts[place % columns] += f64::from(slope * value) / POINTS as f64;
        }
    }
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

#[cfg(test)]
mod tests {
    use common::model::{Failure, Load, Quantile, Task};

    use super::super::predict;
    use super::super::samples::{forecaster, swinging};
    use super::*;

    fn parts_and_change(foresees: Foresees) -> (Vec<f64>, f64) {
        let task = Forecaster { foresees, ..forecaster(&["x", "y"], 3, &[8, 6]) };
        let parameters = Task::Forecaster(task.clone()).initial(3).unwrap();
        let windows = swinging(40, 3);
        let parts = attribute(&task, &parameters, windows.past_and_next(9)).unwrap();
        let said = predict(&task, &parameters, &windows).unwrap();
        let outputs = said.len() / windows.count();
        let said = &said[9 * outputs..10 * outputs];
        let usual = pipeline::window(
            super::super::samples::table(2, &[0.0; 8]),
            &pipeline::Window { past_steps: 3, stride: 1, gap_steps: 3 },
        );
        let usual = predict(&task, &parameters, &usual).unwrap();
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
}

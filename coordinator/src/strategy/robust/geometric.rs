//! The geometric median: the point whose distances to all deltas, weighted by samples, have the smallest sum.

use super::distance;

/// Steps of Weiszfeld's algorithm; the paper's experiments need three to four (figure 3 there).
const STEPS: usize = 32;

/// `ν`: nearer than this, a delta weighs no more (equation 3 there).
const SMOOTHING: f64 = 1e-6;

/// A point that a step moves by less than this share of its norm is the median.
const ENOUGH: f64 = 1e-7;

/// The smoothed Weiszfeld algorithm (Pillutla, Kakade and Harchaoui 2022, algorithm 2), from the weighted mean.
pub(super) fn median(deltas: &[&[f32]], samples: &[u64]) -> Vec<f32> {
    let samples: Vec<f64> = samples.iter().map(|samples| *samples as f64).collect();
    let mut point = weighted_mean(deltas, &samples);
    let origin = vec![0.0; point.len()];
    for _ in 0..STEPS {
        let weight = |(delta, samples): (&&[f32], &f64)| {
            samples / distance::squared(&point, delta).sqrt().max(SMOOTHING)
        };
        let weights: Vec<f64> = deltas.iter().zip(&samples).map(weight).collect();
        let next = weighted_mean(deltas, &weights);
        let moved = distance::squared(&point, &next);
        let length = distance::squared(&next, &origin);
        point = next;
        if moved <= ENOUGH * ENOUGH * length {
            break;
        }
    }
    point
}

fn weighted_mean(deltas: &[&[f32]], weights: &[f64]) -> Vec<f32> {
    let total: f64 = weights.iter().sum();
    let value = |index: usize| {
        let sum: f64 =
            deltas.iter().zip(weights).map(|(delta, weight)| weight * f64::from(delta[index])).sum();
        (sum / total) as f32
    };
    (0..deltas[0].len()).map(value).collect()
}

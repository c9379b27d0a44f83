//! One metric at each of the next steps, at some quantiles: the mean pinball loss (Koenker and Bassett 1978).
//!
//! What is said has the quantiles of the first step, then those of the second. The metric is seen and foreseen as it moves around
//! its mean in the window, in spreads of its own there (Kim et al. 2022): machines differ most in how high their load is and how
//! much it moves, and least in how it goes on from there. So quantiles hold on machines with little history too.

use burn::tensor::Tensor;
use common::model::{Load, MetricName};
use pipeline::{Moments, Windows};

use super::super::values::matrix;
use super::Aim;

/// A metric that stands still in a window has this spread there, where 1 is that of the node's history.
const SPREAD_MIN: f32 = 0.05;

pub(super) struct Ahead {
    columns: usize,
    column: usize,
    steps: usize,
    quantiles: Vec<f32>,
}

impl Ahead {
    /// The load that a model sees with these metrics; one that it does not see has no model.
    pub(super) fn of(load: &Load, metrics: &[MetricName]) -> Self {
        let column = metrics.iter().position(|metric| *metric == load.metric).unwrap_or(0);
        let quantiles = load.quantiles.iter().map(|quantile| f64::from(*quantile) as f32).collect();
        Self { columns: metrics.len(), column, steps: load.steps as usize, quantiles }
    }

    /// Mean and spread of the metric in what a window has.
    fn moments(&self, seen: &[f32]) -> (f32, f32) {
        let moments: Moments =
            seen.iter().skip(self.column).step_by(self.columns).map(|value| f64::from(*value)).collect();
        (moments.mean as f32, (moments.sd() as f32).hypot(SPREAD_MIN))
    }
}

impl Aim for Ahead {
    fn is_known(&self, windows: &Windows, index: usize) -> bool {
        windows.ahead(index, self.steps).len() == self.steps
    }

    fn see(&self, seen: &mut [f32]) {
        let (mean, spread) = self.moments(seen);
        let values = seen.iter_mut().skip(self.column).step_by(self.columns);
        values.for_each(|value| *value = (*value - mean) / spread);
    }

    fn target(&self, windows: &Windows, index: usize, out: &mut Vec<f32>) {
        let (mean, spread) = self.moments(windows.past_and_next(index));
        for row in windows.ahead(index, self.steps) {
            let value = (windows.table().row(row)[self.column] - mean) / spread;
            out.extend(self.quantiles.iter().map(|_| value));
        }
    }

    fn settle(&self, seen: &[f32], outputs: &mut [f32]) {
        let (mean, spread) = self.moments(seen);
        for output in outputs {
            *output = *output * spread + mean;
        }
    }

    fn loss(&self, output: Tensor<2>, target: Tensor<2>) -> (Tensor<1>, Tensor<2>) {
        let [windows, outputs] = target.dims();
        let quantiles = matrix(self.quantiles.repeat(self.steps), outputs);
        // What is said too low costs the quantile of how much, too high the rest of one.
        let low = target - output;
        let is_low = low.clone().greater_elem(0.0).float();
        let weight = quantiles - (is_low - 1.0).neg();
        ((low * weight.clone()).mean(), weight.neg() / (windows * outputs) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::table;
    use super::super::super::values::{floats, rows};
    use super::*;
    use pipeline::{Window, window};

    const AHEAD: Ahead = Ahead { columns: 2, column: 1, steps: 2, quantiles: Vec::new() };

    #[test]
    fn a_load_is_known_where_all_its_steps_are() {
        let values: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let windows = window(table(2, &values), &Window { past_steps: 1, stride: 1, gap_steps: 3 });
        let ahead = Ahead { quantiles: vec![0.1, 0.9], ..AHEAD };
        let known: Vec<bool> = (0..windows.count()).map(|index| ahead.is_known(&windows, index)).collect();
        assert_eq!(known, [true, true, true, false, false]);
        let mut out = Vec::new();
        ahead.target(&windows, 0, &mut out);
        // It was 1 and 3: a mean of 2 and a spread of 1.
        ahead.settle(windows.past_and_next(0), &mut out);
        let close = |values: &[f32], expected: &[f32]| {
            values.len() == expected.len()
                && values.iter().zip(expected).all(|(value, expected)| (value - expected).abs() < 1e-5)
        };
        assert!(close(&out, &[5.0, 5.0, 7.0, 7.0]), "{out:?}");
        let mut seen = windows.past_and_next(0).to_vec();
        ahead.see(&mut seen);
        let spread = 1.0_f32.hypot(SPREAD_MIN);
        assert!(close(&seen, &[0.0, -1.0 / spread, 2.0, 1.0 / spread]), "{seen:?}");
    }

    #[test]
    fn what_is_too_low_costs_the_quantile_and_what_is_too_high_the_rest() {
        let ahead = Ahead { quantiles: vec![0.1, 0.9], steps: 1, ..AHEAD };
        let said = |one: f32, other: f32| rows([&[one, other][..]].into_iter(), 2);
        let (loss, slope) = ahead.loss(said(0.0, 0.0), said(2.0, 2.0));
        assert!((floats(loss).unwrap()[0] - (0.1 + 0.9)).abs() < 1e-6);
        let close = |slope: Tensor<2>, expected: [f32; 2]| {
            floats(slope)
                .unwrap()
                .iter()
                .zip(expected)
                .all(|(slope, expected)| (slope - expected).abs() < 1e-6)
        };
        assert!(close(slope, [-0.05, -0.45]));
        let (loss, slope) = ahead.loss(said(0.0, 0.0), said(-2.0, -2.0));
        assert!((floats(loss).unwrap()[0] - (0.9 + 0.1)).abs() < 1e-6);
        assert!(close(slope, [0.45, 0.05]));
    }
}

//! Scores by what was usual until then: on its stream a detector goes on learning how large its errors are, as the benchmark
//! has detectors do, and what is usual of a series in its first days is not for long.

use anyhow::Result;
use common::model::ParameterVector;
use ingest::record::TelemetryRecord;
use node::detect::evaluate::Plan;
use node::detect::{History, smooth};
use node::learn::predict;
use pipeline::{Moments, Window, clean, window};

use super::profile::Scores;
use crate::dataset::Machine;

/// The least spread of squared errors, in squares of the series' own spreads.
const ERROR_SPREAD_MIN: f64 = 1e-6;

/// How far each squared error of a model is above the mean of those before it, in their spreads.
///
/// # Errors
///
/// Why the model or the telemetry cannot be used.
pub(super) fn model(
    plan: &Plan,
    (machine, history): (&Machine, &History),
    parameters: &ParameterVector,
) -> Result<Scores> {
    let table = clean(&machine.test, &plan.task.metrics, &plan.preparation.clean)?.table;
    let gap_steps = plan.preparation.gap_steps;
    let params = Window { past_steps: plan.task.past_steps, stride: 1, gap_steps };
    let windows = window(history.scaler.scale(table)?, &params);
    let forecasts = predict(&plan.task, parameters, &windows)?;
    let mut errors = vec![None; machine.test.len()];
    for (index, forecast) in forecasts.iter().enumerate() {
        let record = windows.table().rows[windows.target(index)].record;
        errors[record] = Some(f64::from(forecast - windows.next(index)[0]).powi(2));
    }
    Ok(smoothed(plan, surprises(&errors, ERROR_SPREAD_MIN, |above| above.max(0.0))))
}

/// How far each value is from the mean of those before it, in their spreads.
pub(super) fn z_score(plan: &Plan, machine: &Machine) -> Scores {
    let value = |record: &TelemetryRecord| Some(f64::from(record.values[0]));
    let values: Vec<Option<f64>> = machine.test.iter().map(value).collect();
    smoothed(plan, surprises(&values, plan.preparation.scale.sd_min, f64::abs))
}

fn smoothed(plan: &Plan, mut scores: Scores) -> Scores {
    smooth(scores.iter_mut().flatten(), plan.preparation.calibrate.smoothing_factor);
    scores
}

/// How far each value is from the mean of those before it, in their spreads; the first has no score.
fn surprises(values: &[Option<f64>], spread_min: f64, far: fn(f64) -> f64) -> Scores {
    let mut usual = Moments::default();
    let surprise = |value: &Option<f64>| {
        let value = (*value)?;
        let surprise = far(value - usual.mean) / usual.sd().max(spread_min);
        let is_first = usual.count == 0;
        usual.add(value);
        (!is_first).then_some(surprise)
    };
    values.iter().map(surprise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_judged_by_those_before_it_only() {
        let values = [Some(1.0), Some(3.0), None, Some(5.0), Some(0.0)];
        let scores = surprises(&values, 0.5, |above| above.max(0.0));
        // After 1: nothing varied, so the least spread counts. After 1 and 3: mean 2, spread 1.
        let expected = [None, Some(4.0), None, Some(3.0), Some(0.0)];
        for (score, expected) in scores.into_iter().zip(expected) {
            assert_eq!(score.is_some(), expected.is_some());
            assert!((score.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-12, "{score:?}");
        }
        assert!(surprises(&values, 0.5, f64::abs)[4] > Some(1.0));
    }
}

//! What scores and explanations are worth on the labelled part of a machine's telemetry.

use anyhow::Result;
use common::model::ParameterVector;
use node::detect::metrics::{auc_pr, auc_roc, hit_rate, vus};
use node::detect::{Detector, Explained, History, smooth};
use pipeline::clean;
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::dataset::Machine;
use super::methods::Bench;

/// How good a method is on a machine, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) vus_pr: f64,
    pub(crate) auc_pr: f64,
    pub(crate) auc_roc: f64,
    /// Mean over the faults whose causes are known: `HitRate@100%` and `@150%`.
    pub(crate) hit_rates: Option<[f64; 2]>,
}

/// A model, with the machine's own scaling and calibration.
pub(crate) fn model(
    bench: &Bench<'_>,
    machine: (&Machine, &History),
    parameters: ParameterVector,
) -> Result<Figures> {
    let (machine, history) = machine;
    let detector = Detector::fit(&bench.plan.task, parameters, history)?;
    let are_known = !machine.causes.is_empty();
    let explained = detector.explain(&machine.test, |_| are_known)?;
    let scores: Vec<Option<f64>> =
        explained.iter().map(|explained| Some(explained.as_ref()?.verdict.score)).collect();
    let hit_rates = are_known.then(|| named(&explained, machine));
    Ok(Figures { hit_rates, ..rank(bench, machine, &scores)? })
}

/// What shares of the disturbed metrics the explanations name, in the mean over the faults.
fn named(explained: &[Option<Explained>], machine: &Machine) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for (rows, causes) in &machine.causes {
        let mut fault = Vec::new();
        for Explained { contributions, .. } in explained[rows.clone()].iter().flatten() {
            fault.resize(contributions.len(), 0.0);
            fault.iter_mut().zip(contributions).for_each(|(sum, part)| *sum += part);
        }
        for (sum, percent) in sums.iter_mut().zip([100, 150]) {
            *sum += hit_rate(&fault, causes, percent);
        }
    }
    sums.map(|sum| sum / machine.causes.len() as f64)
}

/// Scores by chance.
pub(crate) fn random(bench: &Bench<'_>, machine: &Machine, seed: u64) -> Result<Figures> {
    let random = &mut ChaCha20Rng::seed_from_u64(seed);
    let scores: Vec<_> = machine.test.iter().map(|_| Some(random.random::<f64>())).collect();
    rank(bench, machine, &scores)
}

/// How many spreads the metrics are from their usual means, in the mean over all of them, smoothed as a detector's scores.
pub(crate) fn z_score(bench: &Bench<'_>, machine: &Machine, history: &History) -> Result<Figures> {
    let cleaned = clean(&machine.test, &bench.plan.task.metrics, &bench.plan.preparation.clean)?;
    let table = history.scaler.scale(cleaned.table)?;
    let mut far = vec![None; machine.test.len()];
    for (index, row) in table.rows.iter().enumerate() {
        let values = table.row(index);
        let sum: f64 =
            values.iter().filter(|value| value.is_finite()).map(|value| f64::from(value.abs())).sum();
        far[row.record] = Some(sum / values.len().max(1) as f64);
    }
    smooth(far.iter_mut().flatten(), bench.plan.preparation.calibrate.smoothing_factor);
    rank(bench, machine, &far)
}

/// A record without a score is left out.
fn rank(bench: &Bench<'_>, machine: &Machine, scores: &[Option<f64>]) -> Result<Figures> {
    let scored = scores.iter().zip(&machine.labels);
    let (scores, labels): (Vec<f64>, Vec<bool>) =
        scored.filter_map(|(score, label)| Some(((*score)?, *label))).unzip();
    Ok(Figures {
        vus_pr: vus(&labels, &scores, bench.plan.width)?.pr,
        auc_pr: auc_pr(&labels, &scores)?,
        auc_roc: auc_roc(&labels, &scores)?,
        hit_rates: None,
    })
}

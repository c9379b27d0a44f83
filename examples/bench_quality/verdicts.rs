//! What each method makes of a machine's later telemetry: a score for each record, and why.

use anyhow::Result;
use common::model::{Forecaster, ParameterVector, Statistics};
use node::detect::evaluate::Plan;
use node::detect::{Detector, Divided, Explained, History, Preparation, Reasons, newcomer, smooth};
use pipeline::{Scale, Scaler, Split, clean};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::dataset::Machine;
use super::pca;

/// Scores of a test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdicts {
    /// None of a record in a stretch without gaps that is too short.
    pub(crate) scores: Vec<Option<f64>>,
    /// For each fault how much of its scores each metric has; nothing where the method does not say.
    pub(crate) contributions: Vec<Vec<f64>>,
    /// The same of each metric's values, in place of its errors.
    pub(crate) attributions: Vec<Vec<f64>>,
    /// Above this, a score is an alarm, where the method says so.
    pub(crate) threshold: Option<f64>,
}

/// A model, with the machine's own scaling and calibration.
///
/// # Errors
///
/// Why the model or the telemetry cannot be used.
pub(crate) fn model(
    task: &Forecaster,
    (machine, history): (&Machine, &History),
    parameters: ParameterVector,
) -> Result<Verdicts> {
    by(machine, &Detector::fit(task, parameters, history)?)
}

/// A model, as a newcomer would use it that measures by what others know together and by its own history, and does not go on with
/// that.
///
/// # Errors
///
/// Why the model or the telemetry cannot be used.
pub(crate) fn pooled(
    plan: &Plan,
    machine: &Machine,
    (parameters, known): (ParameterVector, &Statistics),
) -> Result<Verdicts> {
    let preparation = Preparation { split: Split { validation: 0.0 }, ..plan.preparation };
    let own = Divided::of(&plan.task, &machine.training, &preparation)?;
    by(machine, &newcomer::detector(&plan.task, parameters, known, own, &preparation)?)
}

/// A model, as a node with a growing history uses it: it measures anew now and then while its test goes on.
///
/// # Errors
///
/// Why the model or the telemetry cannot be used.
pub(crate) fn growing(
    plan: &Plan,
    machine: &Machine,
    (parameters, known): (ParameterVector, &Statistics),
) -> Result<Verdicts> {
    let Plan { task, preparation, .. } = plan;
    let Machine { test, .. } = machine;
    let mut own = machine.training.clone();
    let before = own.len();
    let mut detector = newcomer::fit(task, parameters, Some(known), &own, preparation)?;
    let mut explained = Vec::new();
    while own.len() < before + test.len() {
        let from = own.len() - before;
        let is_due = |at: &usize| preparation.newcomer.is_due(own.len() as u64, (before + at) as u64);
        let to = (from + 1..test.len()).find(is_due).unwrap_or(test.len());
        let seen = from.saturating_sub(detector.run_up());
        let wanted = |record: usize, _| seen + record >= from && machine.is_faulty(seen + record);
        let judged = detector.explain(&test[seen..to], wanted)?;
        explained.extend_from_slice(&judged[from - seen..]);
        own.extend_from_slice(&test[from..to]);
        if to < test.len() {
            detector = newcomer::anew(&detector, Some(known), &own, preparation)?;
        }
    }
    Ok(verdicts(machine, &explained, None))
}

fn by(machine: &Machine, detector: &Detector) -> Result<Verdicts> {
    let explained = detector.explain(&machine.test, |record, _| machine.is_faulty(record))?;
    Ok(verdicts(machine, &explained, Some(detector.threshold().0)))
}

fn verdicts(machine: &Machine, explained: &[Option<Explained>], threshold: Option<f64>) -> Verdicts {
    let of_faults = |parts: fn(&Reasons) -> &Vec<f64>| {
        by_fault(machine, |record| Some(parts(&explained[record].as_ref()?.reasons).clone()))
    };
    let score = |explained: &Explained| explained.verdict.score;
    Verdicts {
        scores: explained.iter().map(|explained| explained.as_ref().map(score)).collect(),
        contributions: of_faults(|reasons| &reasons.contributions),
        attributions: of_faults(|reasons| &reasons.attributions),
        threshold,
    }
}

impl Verdicts {
    /// The same, explained by what each metric's values have of the scores.
    pub(crate) fn by_values(&self) -> Self {
        Self { contributions: self.attributions.clone(), ..self.clone() }
    }
}

/// What the principal components of the machine's own history leave over.
///
/// # Errors
///
/// Why the telemetry cannot be used.
pub(crate) fn pca(plan: &Plan, machine: &Machine) -> Result<Verdicts> {
    let (task, parameters, history) = pca::fit(&plan.task, machine, &plan.preparation)?;
    model(&task, (machine, &history), parameters)
}

/// What each metric has of the scores during each fault.
fn by_fault(machine: &Machine, parts: impl Fn(usize) -> Option<Vec<f64>>) -> Vec<Vec<f64>> {
    let metrics = machine.test.first().map_or(0, |record| record.metrics.len());
    let sum = |mut sums: Vec<f64>, parts: Vec<f64>| {
        sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        sums
    };
    let faults = machine.faults.iter();
    faults.map(|fault| fault.rows.clone().filter_map(&parts).fold(vec![0.0; metrics], sum)).collect()
}

/// Scores by chance, others for each machine.
pub(crate) fn random(machine: &Machine, seed: u64) -> Verdicts {
    let own = blake3::hash(format!("{seed} {}", machine.name).as_bytes());
    let random = &mut ChaCha20Rng::from_seed(*own.as_bytes());
    let scores = machine.test.iter().map(|_| Some(random.random())).collect();
    Verdicts { scores, ..Verdicts::default() }
}

/// How many spreads the metrics are from their usual means, in the mean over all of them, smoothed as a detector's scores.
///
/// # Errors
///
/// Why the telemetry cannot be used.
pub(crate) fn z_score(plan: &Plan, machine: &Machine) -> Result<Verdicts> {
    let preparation = &plan.preparation;
    let cleaned = |records| clean(records, &plan.task.metrics, &preparation.clean);
    // Not cut at some spreads, as the input of a model is: nothing would be left to rank extremes by.
    let scale = Scale { clip: f32::INFINITY, ..preparation.scale };
    let scaler = Scaler::fit(&cleaned(&machine.training)?.table, &scale);
    let table = scaler.scale(cleaned(&machine.test)?.table)?;
    let mut scores = vec![None; machine.test.len()];
    for (index, row) in table.rows.iter().enumerate() {
        let values = table.row(index);
        let sum: f64 = values.iter().map(|value| f64::from(value.abs())).sum();
        scores[row.record] = Some(sum / values.len().max(1) as f64);
    }
    smooth(scores.iter_mut().flatten(), preparation.calibrate.smoothing_factor);
    Ok(Verdicts { scores, ..Verdicts::default() })
}

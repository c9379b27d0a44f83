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

/// The same, with what each metric's values have of the scores in place of what its errors have.
///
/// # Errors
///
/// As [`model`].
pub(crate) fn attributed(
    task: &Forecaster,
    (machine, history): (&Machine, &History),
    parameters: ParameterVector,
) -> Result<Verdicts> {
    let detector = Detector::fit(task, parameters, history)?;
    let explained = detector.explain(&machine.test, |record, _| machine.is_faulty(record))?;
    let threshold = Some(detector.threshold().0);
    Ok(verdicts(machine, &explained, |reasons| &reasons.attributions, threshold))
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
    let history = &machine.training;
    let mut own = history.clone();
    let mut measured = own.len() as u64;
    let mut detector = newcomer::fit(task, parameters, Some(known), &own, preparation)?;
    let (mut explained, mut from) = (Vec::new(), 0_usize);
    for at in 1..=machine.test.len() {
        own.push(machine.test[at - 1].clone());
        let records = own.len() as u64;
        if at < machine.test.len() && !preparation.newcomer.is_due(measured, records) {
            continue;
        }
        let before = from.saturating_sub(detector.run_up());
        let wanted = |record: usize, _| record >= from - before && machine.is_faulty(before + record);
        let judged = detector.explain(&machine.test[before..at], wanted)?;
        explained.extend_from_slice(&judged[from - before..]);
        (measured, from) = (records, at);
        detector = newcomer::anew(&detector, Some(known), &own, preparation)?;
    }
    Ok(verdicts(machine, &explained, |reasons| &reasons.contributions, None))
}

fn by(machine: &Machine, detector: &Detector) -> Result<Verdicts> {
    let explained = detector.explain(&machine.test, |record, _| machine.is_faulty(record))?;
    Ok(verdicts(machine, &explained, |reasons| &reasons.contributions, Some(detector.threshold().0)))
}

fn verdicts(
    machine: &Machine,
    explained: &[Option<Explained>],
    parts: impl Fn(&Reasons) -> &Vec<f64>,
    threshold: Option<f64>,
) -> Verdicts {
    let parts = |record: usize| Some(parts(&explained[record].as_ref()?.reasons).clone());
    let score = |explained: &Explained| explained.verdict.score;
    Verdicts {
        contributions: by_fault(machine, parts),
        scores: explained.iter().map(|explained| explained.as_ref().map(score)).collect(),
        threshold,
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

//! What scores and explanations are worth on the labelled part of a machine's telemetry.

use anyhow::Result;
use node::detect::metrics::{auc_pr, auc_roc, hit_rate, vus};

use super::dataset::Machine;
use super::verdicts::Verdicts;

/// How good a method is on a machine, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) vus_pr: f64,
    pub(crate) auc_pr: f64,
    pub(crate) auc_roc: f64,
    /// `HitRate@100%` and `@150%`: means over the faults whose causes are known, of a method that says why.
    pub(crate) hit_rates: [Option<f64>; 2],
}

/// Judges verdicts, with labels that fade over so many rows. A record without a score is left out.
///
/// # Errors
///
/// When nothing, or everything, is labelled as a fault.
pub(crate) fn judge(machine: &Machine, verdicts: &Verdicts, width: usize) -> Result<Figures> {
    let scored = verdicts.scores.iter().zip(&machine.labels);
    let (scores, labels): (Vec<f64>, Vec<bool>) =
        scored.filter_map(|(score, label)| Some(((*score)?, *label))).unzip();
    Ok(Figures {
        vus_pr: vus(&labels, &scores, width)?.pr,
        auc_pr: auc_pr(&labels, &scores)?,
        auc_roc: auc_roc(&labels, &scores)?,
        hit_rates: [100, 150].map(|percent| named(machine, verdicts, percent)),
    })
}

/// What share of the disturbed metrics the explanations name among the first so many percent as many.
fn named(machine: &Machine, verdicts: &Verdicts, percent: usize) -> Option<f64> {
    let known =
        machine.faults.iter().zip(&verdicts.contributions).filter(|(fault, _)| !fault.causes.is_empty());
    mean(known.map(|(fault, contributions)| hit_rate(contributions, &fault.causes, percent)))
}

/// Of no values there is none.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_usize);
    for value in values {
        (sum, count) = (sum + value, count + 1);
    }
    (count > 0).then(|| sum / count as f64)
}

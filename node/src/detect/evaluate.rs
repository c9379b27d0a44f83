//! Is the federation worth it to this node? Detection quality of models on its labelled telemetry: trained alone, trained
//! together, and trained together and then tuned to the node, all of it or its head alone.

use std::ops::ControlFlow;

use common::model::{Forecaster, ParameterVector};

use super::metrics::{auc_pr, auc_roc, vus};
use super::{Chosen, Detector, DetectorError, History, Preparation, choice, choose};
use crate::learn::{LearnError, Progress, Training};
use ingest::record::TelemetryRecord;

/// The run that is judged, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What was trained.
    pub task: Forecaster,
    /// Rounds of the run: training alone gets as many.
    pub rounds: u32,
    /// How a node trains in a round; its round number is not looked at.
    pub training: Training<'static>,
    /// Seed of the run's first model: training alone starts from the same.
    pub initial_seed: u64,
    /// How records become windows and scores.
    pub preparation: Preparation,
    /// Epochs of tuning.
    pub tune_epochs: u32,
    /// Records that a node usually has for training.
    pub usual_records: u64,
    /// Share of the usual records that a node needs to be tuned: a few would spoil the model.
    pub tune_share_min: f64,
    /// Widest fading of labels in the volumes, in rows.
    pub width: usize,
}

impl Plan {
    /// A model of this node alone.
    ///
    /// # Errors
    ///
    /// As [`train`](crate::learn::train).
    pub fn train_alone(
        &self,
        history: &History,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<ParameterVector, LearnError> {
        let run = (self.rounds, self.initial_seed);
        choice::train_alone(&self.task, &self.training, run, &history.training, progress)
    }

    /// What this node makes itself beside the federated model.
    ///
    /// # Errors
    ///
    /// As [`train`](crate::learn::train).
    pub fn own(
        &self,
        history: &History,
        federated: &ParameterVector,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Vec<(Chosen, ParameterVector)>, LearnError> {
        let run = (self.rounds, self.initial_seed, self.tune_epochs);
        choice::own(&self.task, &self.training, run, (&history.training, federated), progress)
    }
}

/// How good the scores of one model are, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Volume under the precision-recall surface.
    pub vus_pr: f64,
    /// Area under the precision-recall curve.
    pub auc_pr: f64,
    /// Area under the ROC curve.
    pub auc_roc: f64,
}

/// The models on one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Records the node had to train on.
    pub train_records: u64,
    /// Trained alone, with the budget of the whole run.
    pub local: Quality,
    /// The model of the run, with the node's own scaling and calibration.
    pub federated: Quality,
    /// The same with its head tuned; none where it has no head of its own, or the node has too little history to tune.
    pub head: Option<Quality>,
    /// The same after tuning all of it; equal to `federated` where the node has too little history to tune.
    pub tuned: Quality,
    /// Which of them is best on what the node has itself, without labels.
    pub chosen: Chosen,
}

/// Records to train on, and later ones with a label each that say what was wrong.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// Healthy for the most part.
    pub training: &'a [TelemetryRecord],
    /// Later than those.
    pub test: &'a [TelemetryRecord],
    /// Whether each test record is part of an anomaly.
    pub labels: &'a [bool],
}

/// Judges the parameters of a run on one node. `progress` is told of all training and may break it off.
///
/// # Errors
///
/// [`DetectorError`]: records that do not fit the task, too little history to train on, or labels that
/// cannot be ranked.
pub fn evaluate(
    plan: &Plan,
    node: &Labelled<'_>,
    federated: &ParameterVector,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Evaluation, DetectorError> {
    let (records, labels) = (node.test.len(), node.labels.len());
    if labels != records {
        return Err(DetectorError::WrongLabels { labels, records });
    }
    let history = History::prepare(&plan.task, node.training, &plan.preparation)?;
    let train_records = node.training.len() as u64;
    let own = if train_records as f64 >= plan.tune_share_min * plan.usual_records as f64 {
        plan.own(&history, federated, progress)?
    } else {
        vec![(Chosen::Local, plan.train_alone(&history, progress)?)]
    };
    let chosen = choose(&plan.task, &history, federated, &own)?;
    let judge = |parameters: &ParameterVector| quality(plan, &history, node, parameters.clone());
    let federated = judge(federated)?;
    let judged = own.iter().map(|(made, parameters)| Ok((*made, judge(parameters)?)));
    let judged = judged.collect::<Result<Vec<_>, DetectorError>>()?;
    let of = |which| judged.iter().find(|(made, _)| *made == which).map(|(_, quality)| *quality);
    Ok(Evaluation {
        train_records,
        local: of(Chosen::Local).unwrap_or(federated),
        federated,
        head: of(Chosen::Head),
        tuned: of(Chosen::Tuned).unwrap_or(federated),
        chosen,
    })
}

fn quality(
    plan: &Plan,
    history: &History,
    node: &Labelled<'_>,
    parameters: ParameterVector,
) -> Result<Quality, DetectorError> {
    let verdicts = Detector::fit(&plan.task, parameters, history)?.score(node.test)?;
    // A record that no window reaches has no score and is left out.
    let scored = verdicts.iter().zip(node.labels);
    let (scores, labels): (Vec<f64>, Vec<bool>) =
        scored.filter_map(|(verdict, label)| Some((verdict.as_ref()?.score, *label))).unzip();
    Ok(Quality {
        vus_pr: vus(&labels, &scores, plan.width)?.pr,
        auc_pr: auc_pr(&labels, &scores)?,
        auc_roc: auc_roc(&labels, &scores)?,
    })
}

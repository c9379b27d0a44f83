//! Training on the node's own telemetry: what the driver's [`Trainer`] is in a real node.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use common::id::RoundId;
use common::limits::WEIGHT_MAX;
use common::message::model::Plan;
use common::model::{Forecaster, ParameterVector, Statistics, Task};
use common::units::Timestamp;
use custody::Vault;
use ingest::record::TelemetryRecord;

use crate::alarms;
use crate::controls::Controls;
use crate::detect::choice;
use crate::detect::label::Stretch;
use crate::detect::{Detector, Divided, History, Preparation, newcomer, statistics};
use crate::kept::{self, Kept, Newest, RunNote};
use crate::learn::{self, Training};
use crate::participant::{Assignment, ControlChange, Trained, control};
use crate::telemetry::Telemetry;
use crate::trainer::Trainer;

/// Preparations that are kept, for runs that take turns; each is about as large as the records.
const PREPARED_MAX: usize = 4;

/// Learns from telemetry, and keeps models in the node's folder.
pub struct TelemetryTrainer {
    name: String,
    dir: PathBuf,
    vault: Arc<Vault>,
    controls: Controls,
    preparation: Preparation,
    telemetry: Arc<Mutex<Telemetry>>,
    clock: fn() -> Timestamp,
    /// Where a model that was kept is put for who scores by it.
    newest: Newest,
    /// What is kept, while it is to be measured anew as the records grow.
    growing: Option<Kept>,
    /// What alarms were confirmed when something was prepared last: nothing is learned from that.
    confirmed: Vec<Stretch>,
    /// What was prepared last: of which records, and for which task and stride. The newest is the last.
    prepared: Vec<(u64, Forecaster, u32, Arc<History>)>,
}

impl TelemetryTrainer {
    /// A trainer for the node of this name, with its folder and what opens that. The clock tells when sources are looked at.
    pub fn new(
        name: &str,
        (dir, vault): (PathBuf, Arc<Vault>),
        preparation: Preparation,
        (telemetry, newest): (Arc<Mutex<Telemetry>>, Newest),
        clock: fn() -> Timestamp,
    ) -> Self {
        let controls = Controls::of(&dir, Arc::clone(&vault));
        Self {
            name: name.to_owned(),
            dir,
            vault,
            controls,
            preparation,
            telemetry,
            clock,
            newest,
            growing: None,
            confirmed: Vec::new(),
            prepared: Vec::new(),
        }
    }

    /// Goes on with what was kept before.
    #[must_use]
    pub fn going_on(mut self, kept: Kept) -> Self {
        self.show(kept);
        self
    }

    /// What scores goes on by this.
    fn show(&mut self, kept: Kept) {
        self.newest.put(kept.detector.clone(), kept.note.clone());
        self.growing = Some(kept).filter(|kept| !self.preparation.newcomer.has_settled(kept.note.records));
    }

    /// What was prepared before a decision is not what would be now.
    fn heed_decisions(&mut self) {
        match alarms::confirmed(&self.dir) {
            Ok(confirmed) if confirmed == self.confirmed => (),
            Ok(confirmed) => {
                self.prepared.clear();
                self.confirmed = confirmed;
            }
            Err(error) => tracing::warn!(
                "{error:#}: what was confirmed since is not left out of training; remove what is wrong there"
            ),
        }
    }

    /// The node's records as windows; prepared again only when there are new ones.
    fn history(&mut self, task: &Forecaster, stride: u32) -> Result<Arc<History>, String> {
        self.heed_decisions();
        let mut telemetry = self.telemetry.lock().unwrap_or_else(PoisonError::into_inner);
        for note in telemetry.look((self.clock)()) {
            tracing::warn!("{note}");
        }
        let version = telemetry.version();
        self.prepared.retain(|(of, ..)| *of == version);
        if let Some((.., history)) =
            self.prepared.iter().find(|(_, known, every, _)| (known, *every) == (task, stride))
        {
            return Ok(Arc::clone(history));
        }
        let preparation = Preparation { stride, ..self.preparation };
        let (records, notes) = telemetry.records();
        for note in notes {
            tracing::info!("{note}");
        }
        let history = History::prepare(task, &healthy(records, &self.confirmed), &preparation);
        let history = Arc::new(history.map_err(|error| error.to_string())?);
        if self.prepared.len() == PREPARED_MAX {
            self.prepared.remove(0);
        }
        self.prepared.push((version, task.clone(), stride, Arc::clone(&history)));
        Ok(history)
    }

    /// What this node has to say in a round of an evaluation: what its records are like, and how wrong the model is on those
    /// that it would be checked on after training.
    fn evaluate(&mut self, task: &Forecaster, assignment: &Assignment) -> Result<Trained, String> {
        let Assignment { run, round, epoch, plan, .. } = assignment;
        let (model, known) = parted(task, &assignment.model)?;
        let history = self.history(task, plan.stride)?;
        let checked = if history.validation.count() > 0 { &history.validation } else { &history.training };
        let loss = learn::mean_loss(task, &model, checked).map_err(|error| error.to_string())?;
        let preparation = Preparation { stride: plan.stride, ..self.preparation };
        let own = self.measured(|records| Divided::of(task, records, &preparation)).1;
        let own = own.map_err(|error| error.to_string())?;
        let samples = (own.training().rows.len() as u64).min(WEIGHT_MAX);
        let told = statistics::measured(task, &model, (&known, round.0), own, &preparation);
        let told = told.map_err(|error| error.to_string())?;
        let values = [model.values(), told.values()].concat();
        let parameters = ParameterVector::new(Arc::clone(assignment.model.schema()), values);
        let parameters = parameters.map_err(|error| error.to_string())?;
        Ok(Trained {
            run: *run,
            epoch: *epoch,
            parameters,
            samples,
            steps: 1,
            loss: loss as f32,
            control: None,
        })
    }

    /// Keeps a model that was evaluated. A newcomer measures by what that told of all nodes, with the parameters that it has if
    /// they are of this model; who has a history of its own and the model already goes on as it is.
    fn keep_evaluated(&mut self, task: &Forecaster, assignment: &Assignment) -> Result<String, String> {
        let (model, known) = parted(task, &assignment.model)?;
        let kept = kept::read(&self.dir, &self.vault).ok().filter(|kept| kept.federated == model);
        let goes_on = kept.is_some();
        let (own, note) = kept.map_or_else(
            || (model.clone(), RunNote::of(&assignment.run.to_string(), 0, &assignment.plan)),
            |kept| (kept.detector.parameters().clone(), kept.note),
        );
        let preparation = Preparation { stride: note.stride, ..self.preparation };
        let is_newcomer = |records: u64| records < preparation.newcomer.known_records;
        let (records, detector) = self.measured(|records| {
            let is_wanted = !goes_on || is_newcomer(records.len() as u64);
            is_wanted.then(|| newcomer::fit(task, own, Some(&known), records, &preparation))
        });
        let Some(detector) = detector else {
            return Ok("the model was evaluated; this node goes on scoring by its own history".to_owned());
        };
        let detector = detector.map_err(|error| error.to_string())?;
        let note = RunNote { records, ..note };
        self.put(Kept { detector, federated: model, note, known: Some(known) })?;
        Ok(if is_newcomer(records) {
            format!(
                "the evaluated model is kept; with {records} records this node measures by what all nodes know together"
            )
        } else {
            "the evaluated model is kept".to_owned()
        })
    }

    /// What is made of the node's records, and how many they are.
    fn measured<D>(&mut self, made: impl FnOnce(&[TelemetryRecord]) -> D) -> (u64, D) {
        self.heed_decisions();
        let mut telemetry = self.telemetry.lock().unwrap_or_else(PoisonError::into_inner);
        let records = healthy(telemetry.records().0, &self.confirmed);
        (records.len() as u64, made(&records))
    }

    /// Keeps the parameters by which this node scores, and those that the federation made.
    fn store(
        &mut self,
        task: &Forecaster,
        (own, federated): (ParameterVector, ParameterVector),
        history: &History,
        note: RunNote,
    ) -> Result<(), String> {
        let detector = Detector::fit(task, own, history).map_err(|error| error.to_string())?;
        let records = history.records();
        self.put(Kept { detector, federated, note: RunNote { records, ..note }, known: None })
    }

    fn put(&mut self, kept: Kept) -> Result<(), String> {
        kept::write(&self.dir, &self.vault, &kept).map_err(|error| format!("{error:#}"))?;
        self.show(kept);
        Ok(())
    }

    /// Measures by all records that there are now, if they have grown enough.
    fn measure_anew(&mut self, growing: &mut Kept) -> Result<Option<String>, String> {
        let preparation = Preparation { stride: growing.note.stride, ..self.preparation };
        let (records, detector) = self.measured(|records| {
            let is_due = preparation.newcomer.is_due(growing.note.records, records.len() as u64);
            is_due.then(|| newcomer::anew(&growing.detector, growing.known.as_ref(), records, &preparation))
        });
        let Some(detector) = detector else { return Ok(None) };
        // Of what went wrong it is told once, until there are more.
        growing.note.records = records;
        growing.detector = detector.map_err(|error| format!("{error}: this node measures as before"))?;
        kept::write(&self.dir, &self.vault, growing).map_err(|error| format!("{error:#}"))?;
        Ok(Some(format!("this node measures anew, by {records} records of its own")))
    }
}

/// All records but those of alarms that were confirmed.
fn healthy<'r>(records: &'r [TelemetryRecord], confirmed: &[Stretch]) -> Cow<'r, [TelemetryRecord]> {
    if confirmed.is_empty() {
        return records.into();
    }
    let healthy = |record: &&_| !confirmed.iter().any(|stretch| stretch.has(record));
    records.iter().filter(healthy).cloned().collect()
}

/// The parameters of an evaluated model, and what is known of all nodes.
fn parted(task: &Forecaster, all: &ParameterVector) -> Result<(ParameterVector, Statistics), String> {
    let schema = task.schema().map_err(|error| error.to_string())?;
    let parted = Statistics::behind(task, &schema, all.values()).and_then(|(parameters, known)| {
        let parameters = parameters.to_vec();
        Ok((ParameterVector::new(Arc::new(schema), parameters)?, known))
    });
    parted.map_err(|error| error.to_string())
}

fn forecaster(assignment: &Assignment) -> Result<&Forecaster, String> {
    match &assignment.plan.task {
        Task::Forecaster(forecaster) | Task::Evaluation(forecaster) => Ok(forecaster),
        Task::Classifier(_) => {
            Err("the run has a classifier task, and telemetry has no classes to learn from".into())
        }
        Task::Flat { .. } => Err("the run has a flat task: it measures rounds and learns nothing".into()),
    }
}

fn is_evaluation(assignment: &Assignment) -> bool {
    matches!(assignment.plan.task, Task::Evaluation(_))
}

/// The seed of a node's own choices: of the run's seed and the node's name, so that it is another one on
/// each node and the same in each repetition.
pub fn node_seed(run_seed: u64, name: &str) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("starling 2026 order of a node's training windows");
    hasher.update(&run_seed.to_le_bytes());
    hasher.update(name.as_bytes());
    u64::from_le_bytes(*hasher.finalize().as_bytes().first_chunk().expect("a hash has 32 bytes"))
}

/// How the node of this name trains in a round.
pub fn settings(plan: &Plan, name: &str, round: RoundId) -> Training<'static> {
    Training {
        epochs: plan.epochs,
        batch: plan.batch as usize,
        optimizer: plan.optimizer,
        learning_rate: f64::from(plan.learning_rate),
        proximal: f64::from(plan.proximal),
        seed: node_seed(plan.seed, name),
        round: round.0,
        correction: None,
    }
}

impl Trainer for TelemetryTrainer {
    fn train(
        &mut self,
        assignment: &Assignment,
        progress: &mut dyn FnMut(u8) -> ControlFlow<()>,
    ) -> Result<Trained, String> {
        let task = forecaster(assignment)?;
        if is_evaluation(assignment) {
            return self.evaluate(task, assignment);
        }
        let plan = &assignment.plan;
        let history = self.history(task, plan.stride)?;
        let server = assignment.control.as_deref();
        let kept = server.map(|server| self.controls.load(assignment.run, server)).transpose();
        let kept = kept.map_err(|error| format!("{error:#}"))?;
        let correction =
            server.zip(kept.as_ref()).map(|(server, (_, own))| control::correction(&server.values, own));
        let settings =
            Training { correction: correction.as_deref(), ..settings(plan, &self.name, assignment.round) };
        let mut tell = |step: learn::Progress| {
            let done = u64::from(step.epoch - 1) * u64::from(step.steps) + u64::from(step.step);
            let all = u64::from(step.epochs) * u64::from(step.steps);
            progress((done * 100 / all.max(1)) as u8)
        };
        let trained = learn::train(task, &assignment.model, &history.training, &settings, &mut tell);
        let learn::Trained { parameters, samples, steps, loss } =
            trained.map_err(|error| error.to_string())?;
        let Assignment { run, epoch, .. } = *assignment;
        let mut change = None;
        if let Some((server, (held, from))) = server.zip(kept) {
            let way = (assignment.model.values(), parameters.values());
            let to = control::next(&server.values, &from, way, steps, plan.learning_rate);
            let kept = self.controls.keep(run, held, server.folded, (epoch, to.clone()));
            kept.map_err(|error| format!("{error:#}"))?;
            change = Some(ControlChange { from, to });
        }
        Ok(Trained { run, epoch, parameters, samples, steps, loss, control: change })
    }

    fn keep(&mut self, assignment: &Assignment) -> Result<String, String> {
        let task = forecaster(assignment)?;
        if is_evaluation(assignment) {
            return self.keep_evaluated(task, assignment);
        }
        let history = self.history(task, assignment.plan.stride)?;
        let model = (*assignment.model).clone();
        let note = RunNote::of(&assignment.run.to_string(), assignment.round.0, &assignment.plan);
        let rounds = note.rounds;
        self.store(task, (model.clone(), model), &history, note)?;
        Ok(format!("the model of {rounds} rounds is kept in {}", self.dir.join("model").display()))
    }

    fn choose(
        &mut self,
        assignment: &Assignment,
        progress: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<String>, String> {
        let task = forecaster(assignment)?;
        if is_evaluation(assignment) {
            return Ok(None);
        }
        let history = self.history(task, assignment.plan.stride)?;
        if !choice::is_possible(&history) {
            return Ok(None);
        }
        let federated = &*assignment.model;
        let (rounds, seed) = (assignment.round.0, assignment.plan.seed);
        let training = settings(&assignment.plan, &self.name, assignment.round);
        let mut tell = |_: learn::Progress| progress();
        let (windows, run) = (&history.training, (rounds, seed, TUNE_EPOCHS));
        let made = choice::own(task, &training, run, (windows, federated), &mut tell);
        let made = made.map_err(|error| error.to_string())?;
        let chosen = choice::choose(task, &history, federated, &made).map_err(|error| error.to_string())?;
        let Some((_, own)) = made.into_iter().find(|(made, _)| *made == chosen) else {
            return Ok(Some("the federated model foresees best on this node".to_owned()));
        };
        let note = RunNote::of(&assignment.run.to_string(), rounds, &assignment.plan);
        self.store(task, (own, federated.clone()), &history, RunNote { chosen, ..note })?;
        Ok(Some(format!(
            "this node scores by a model of its own ({chosen}), which foresees better here than the federated one"
        )))
    }

    fn idle(&mut self) -> Result<Option<String>, String> {
        let Some(mut growing) = self.growing.take() else { return Ok(None) };
        let done = self.measure_anew(&mut growing);
        match done {
            Ok(Some(_)) => self.show(growing),
            _ => self.growing = Some(growing),
        }
        done
    }
}

/// Passes over the node's telemetry with which it tunes the federated model, or its head, to itself.
const TUNE_EPOCHS: u32 = 5;

#[cfg(test)]
mod tests;

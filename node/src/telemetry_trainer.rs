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
use pipeline::Split;

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
        let (name, confirmed, prepared) = (name.to_owned(), Vec::new(), Vec::new());
        Self { name, dir, vault, controls, preparation, telemetry, clock, newest, confirmed, prepared }
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

    /// The node's records, cleaned and divided.
    fn divided(&mut self, task: &Forecaster, preparation: &Preparation) -> Result<Divided, String> {
        self.heed_decisions();
        let mut telemetry = self.telemetry.lock().unwrap_or_else(PoisonError::into_inner);
        let records = healthy(telemetry.records().0, &self.confirmed);
        Divided::of(task, &records, preparation).map_err(|error| error.to_string())
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
        let own = self.divided(task, &preparation)?;
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

    /// Keeps a model that was evaluated. A newcomer measures by what that told of all nodes; who has a history of its own and
    /// the model already goes on as it is.
    fn keep_evaluated(&mut self, task: &Forecaster, assignment: &Assignment) -> Result<String, String> {
        let (model, known) = parted(task, &assignment.model)?;
        // Nothing was trained, and a newcomer has nothing to spare for validation.
        let note = RunNote::of(&assignment.run.to_string(), 0, &assignment.plan);
        let split = Split { validation: 0.0 };
        let preparation = Preparation { stride: assignment.plan.stride, split, ..self.preparation };
        let own = self.divided(task, &preparation)?;
        let records = own.training().rows.len() as u64;
        if records < self.preparation.newcomer.records_min {
            let detector = newcomer::detector(task, model.clone(), &known, own, &preparation);
            let detector = detector.map_err(|error| error.to_string())?;
            self.put(Kept { detector, federated: model, note })?;
            return Ok(format!(
                "the evaluated model is kept; with {records} records this node measures by what all nodes know together"
            ));
        }
        if kept::read(&self.dir, &self.vault).is_ok_and(|kept| kept.federated == model) {
            return Ok("the model was evaluated; this node goes on scoring by its own history".to_owned());
        }
        let history = self.history(task, assignment.plan.stride)?;
        self.store(task, (model.clone(), model), &history, note)?;
        Ok("the evaluated model is kept".to_owned())
    }

    /// Keeps the parameters by which this node scores, and those that the federation made.
    fn store(
        &self,
        task: &Forecaster,
        (own, federated): (ParameterVector, ParameterVector),
        history: &History,
        note: RunNote,
    ) -> Result<(), String> {
        let detector = Detector::fit(task, own, history).map_err(|error| error.to_string())?;
        self.put(Kept { detector, federated, note })
    }

    fn put(&self, kept: Kept) -> Result<(), String> {
        kept::write(&self.dir, &self.vault, &kept).map_err(|error| format!("{error:#}"))?;
        self.newest.put(kept.detector, kept.note);
        Ok(())
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
}

/// Passes over the node's telemetry with which it tunes the federated model, or its head, to itself.
const TUNE_EPOCHS: u32 = 5;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use common::crypto::TenantKey;
    use common::crypto::bulk::InputKey;
    use common::id::{EpochId, RunId, TenantId};
    use common::message::model::Optimizer;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::alarms::{Log, State};
    use crate::config::NodeConfig;
    use crate::detect::alarm::Change;
    use crate::detect::alarm::samples::event;
    use crate::detect::{Chosen, Decision};
    use crate::learn::samples::forecaster;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// A trainer on a file of so many rows, a minute each, and the name of its source.
    fn trainer(dir: &Path, rows: usize) -> (TelemetryTrainer, String) {
        let path = dir.join("web-1.csv");
        let lines: Vec<String> = (0..rows).map(|row| format!("{},1\n", (row as f32).sin())).collect();
        fs::write(&path, format!("x,y\n{}", lines.concat())).unwrap();
        let source = format!("[[source]]\nkind = \"csv\"\npath = {:?}", path.display().to_string());
        let sample = include_str!("../samples/node.toml").replace("[[source]]\nkind = \"host\"", &source);
        let config = NodeConfig::parse(&sample).unwrap();
        let mut telemetry = Telemetry::open(&config).unwrap();
        telemetry.look(NOW);
        let source = telemetry.records().0[0].source().to_owned();
        let key = TenantKey::new(TenantId::of_name("a"), InputKey([7; 32]));
        let vault = Arc::new(Vault::new(key, ChaCha20Rng::seed_from_u64(1)));
        let telemetry = Arc::new(Mutex::new(telemetry));
        let kept = (telemetry, Newest::default());
        (TelemetryTrainer::new("n", (dir.to_owned(), vault), config.preparation, kept, || NOW), source)
    }

    #[test]
    fn what_was_confirmed_is_a_gap_in_what_is_learned_and_what_is_refuted_is_learned() {
        let dir = tempfile::tempdir().unwrap();
        let (mut trainer, source) = trainer(dir.path(), 400);
        let task = forecaster(&["x", "y"], 6, &[4]);
        let mut learned = || -> (usize, Vec<[usize; 2]>) {
            let history = trainer.history(&task, 1).unwrap();
            let rows = |windows: &pipeline::Windows| windows.table().rows.len();
            let runs = history.training.runs().iter().map(|run| [run.start, run.end]).collect();
            (rows(&history.training) + rows(&history.validation), runs)
        };
        assert_eq!(learned(), (400, vec![[0, 360]]));
        let (mut log, _) = Log::open(dir.path()).unwrap();
        let rows = [200, 229].map(|row| row * 60_000);
        log.write(&mut State::default(), &[event(1, Change::Recovered, &source, rows, 2.0)]).unwrap();
        assert_eq!(learned().0, 400, "nobody has decided");
        alarms::label(dir.path(), 1, Decision::Confirmed, NOW).unwrap();
        assert_eq!(learned(), (370, vec![[0, 200], [200, 333]]));
        alarms::label(dir.path(), 1, Decision::Refuted, NOW).unwrap();
        assert_eq!(learned(), (400, vec![[0, 360]]));
    }

    #[test]
    fn a_node_scores_by_a_model_of_its_own_when_that_foresees_better_and_keeps_the_federated_one() {
        let dir = tempfile::tempdir().unwrap();
        let (mut trainer, _) = trainer(dir.path(), 400);
        let task = forecaster(&["x", "y"], 6, &[8]);
        let schema = Arc::new(Task::Forecaster(task.clone()).schema().unwrap());
        // What the federation made says nothing here.
        let model = Arc::new(ParameterVector::zeros(schema));
        let flat = Plan::flat(1, 20, 7);
        let task = Task::Forecaster(task);
        let plan = Plan { task, batch: 16, learning_rate: 0.01, optimizer: Optimizer::Adam, ..flat };
        let assignment = Assignment {
            run: RunId([1; 16]),
            round: RoundId(20),
            epoch: EpochId(1),
            plan: Arc::new(plan),
            model,
            control: None,
        };
        let kept = |trainer: &TelemetryTrainer| {
            let kept = kept::read(dir.path(), &trainer.vault).unwrap();
            assert_eq!(kept.federated, *assignment.model);
            (kept.note.chosen, kept.detector)
        };
        trainer.keep(&assignment).unwrap();
        assert_eq!(kept(&trainer).0, Chosen::Federated);
        let stopped = trainer.choose(&assignment, &mut || ControlFlow::Break(()));
        assert_eq!((stopped.is_err(), kept(&trainer).0), (true, Chosen::Federated));
        let told = trainer.choose(&assignment, &mut || ControlFlow::Continue(())).unwrap().unwrap();
        let (chosen, detector) = kept(&trainer);
        assert_ne!(chosen, Chosen::Federated);
        assert!(told.contains(&chosen.to_string()), "{told}");
        assert_ne!(detector.parameters(), &*assignment.model);
        // Killed between the two steps that put a model in place of another.
        fs::rename(dir.path().join("model"), dir.path().join("model.old")).unwrap();
        assert_eq!(kept(&trainer), (chosen, detector.clone()));
        assert_eq!(trainer.newest.take().map(|(newest, _)| newest), Some(detector));
    }
}

//! A coordinator that is killed at any instant and started again ends in the model of one that never was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use common::crypto::TenantKey;
use common::crypto::bulk::InputKey;
use common::id::{EpochId, ModelHash, NodeId, RoundId, RunId, TenantId};
use common::message::update::UpdateHead;
use common::model::{Schema, Task};
use common::units::{Millis, Timestamp};
use coordinator::round::{
    Arrival, Checkpoint, Close, CohortSize, Deadlines, Input, Output, RoundOutcome, RoundPlan, Run,
};
use coordinator::store::{About, NewRun, RunStatus, Store, StoreError};
use coordinator::strategy::{Aggregator, Combine, Effort, Moments, SecondMoment, Server, Strategy};
use custody::Vault;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const RUN: RunId = RunId([7; 16]);
const PARAMETERS: u32 = 40;
const ROUNDS: u32 = 3;
const NODES: u8 = 5;

/// A strategy whose server remembers as much as any does.
const FEDADAM: Strategy = Strategy {
    server: Server::Adaptive {
        rule: SecondMoment::Adam { beta_2: 0.99 },
        learning_rate: 0.1,
        beta_1: 0.9,
        tau: 0.01,
    },
    ..Strategy::FEDAVG
};

/// A strategy whose nodes keep something from round to round.
const SCAFFOLD: Strategy =
    Strategy { combine: Combine::Scaffold { nodes: NODES as u32 }, ..Strategy::FEDAVG };

/// What a process holds; it is gone when the process is killed.
struct Process {
    store: Store,
    run: Run,
    updates: Aggregator,
    has_control: bool,
    task: Task,
    schema: Schema,
    now: Timestamp,
    /// What it was told to do and has not done.
    todo: Vec<Output>,
}

/// The process was killed before this step.
struct Killed;

fn plan() -> RoundPlan {
    let deadlines = Deadlines {
        selection: Millis(10),
        configuration: Millis(10),
        reporting: Millis(10),
        committing: Millis(10),
        rejoin: Millis(10),
    };
    let cohort =
        CohortSize { minimum: 3, goal: 3, over_selection: 1.0, close: Close::AtGoal, staleness_max: 0 };
    RoundPlan::new(cohort, deadlines, ROUNDS, 2, 11).unwrap()
}

fn open(dir: &Path) -> Store {
    let key = TenantKey::new(TenantId::of_name("killed"), InputKey([7; 32]));
    Store::open(dir, Arc::new(Vault::new(key, ChaCha20Rng::seed_from_u64(1)))).unwrap()
}

fn task() -> Task {
    Task::Flat { parameters: PARAMETERS }
}

/// What a node trains depends on what it is given, the node and the round, and on nothing else.
fn trained(node: NodeId, round: RoundId, given: &[f32]) -> Vec<u8> {
    let delta = |(index, value): (usize, &f32)| {
        (value + index as f32).sin() * 0.01 * f32::from(node.0[0]) + round.0 as f32 * 0.001
    };
    given.iter().enumerate().map(delta).flat_map(f32::to_le_bytes).collect()
}

impl Process {
    fn start(dir: &Path, strategy: Strategy) -> Self {
        let store = open(dir);
        let (task, schema) = (task(), task().schema().unwrap());
        if store.state().runs().unwrap().is_empty() {
            let model =
                store.models().save(&About { round: RoundId(0), task: &task }, &schema, &[0.0; 40]).unwrap();
            let (name, created) = ("killed".try_into().unwrap(), Timestamp(0));
            let new =
                NewRun { run: RUN, name, config: String::new(), rounds: ROUNDS, model, created, key: None };
            store.state().create_run(new).unwrap();
        }
        let position = store.state().resume_run(RUN).unwrap();
        if strategy.remembers() > 0 {
            store.prepare_moments(RUN, &position.checkpoint.moments).unwrap();
        }
        let present: BTreeSet<NodeId> = (1..=NODES).map(|index| NodeId([index; 32])).collect();
        let now = Timestamp(1);
        let (run, todo) = Run::begin(plan(), position, present, now);
        let updates = Aggregator::new(strategy, PARAMETERS as usize);
        let has_control = strategy.combine.has_control();
        Self { store, run, updates, has_control, task, schema, now, todo }
    }

    /// What nodes train from: the model, and the server's control variate where they keep one.
    fn given(&self) -> Vec<f32> {
        let mut given = self.model();
        if self.has_control {
            let (files, moments) = (self.store.moments(RUN), &self.run.checkpoint().moments);
            let zero = || vec![0.0; given.len()];
            let control = moments.first().map_or_else(zero, |hash| files.load(*hash, &self.schema).unwrap());
            given.extend(control);
        }
        given
    }

    fn model(&self) -> Vec<f32> {
        self.store.models().load(self.run.model(), &self.schema).unwrap()
    }

    /// Makes the files of the round's checkpoint from those of the last one.
    fn aggregate(&mut self, steps: &mut u32) -> Result<Checkpoint, Killed> {
        let (mut model, files) = (self.model(), self.store.moments(RUN));
        let load = |hash| files.load(hash, &self.schema).unwrap();
        let mut moments: Moments = self.run.checkpoint().moments.iter().copied().map(load).collect();
        self.updates.finish(&mut model, &mut moments);
        let about = About { round: RoundId(self.run.rounds_done().0 + 1), task: &self.task };
        let mut kept = Vec::new();
        for moment in &moments {
            kept.push(files.save(&about, &self.schema, moment).unwrap());
            step(steps)?;
        }
        let model = self.store.models().save(&about, &self.schema, &model).unwrap();
        Ok(Checkpoint { model, moments: kept.try_into().unwrap() })
    }

    /// Works until the run is over, or until `steps` are used up.
    fn work(&mut self, steps: &mut u32, epochs: &mut Vec<EpochId>) -> Result<ModelHash, Killed> {
        loop {
            for output in std::mem::take(&mut self.todo) {
                match output {
                    Output::Announce(announce) => {
                        step(steps)?;
                        epochs.push(announce.epoch);
                        self.updates.reset();
                        let given = self.given();
                        for node in announce.cohort {
                            step(steps)?;
                            let delta = trained(node, announce.round, &given);
                            let effort = Effort { weight: u64::from(node.0[0]), steps: 1, staleness: 0 };
                            let head = Ok(UpdateHead { weight: effort.weight, steps: 1, loss: 0.5 });
                            let arrival = Arrival { node, epoch: announce.epoch, head };
                            let updates = &mut self.updates;
                            let fold = |_| updates.fold(node, &delta, effort);
                            self.todo.extend(self.run.on_update(arrival, self.now, fold));
                        }
                    }
                    Output::Aggregate { .. } => {
                        step(steps)?;
                        let made = self.aggregate(steps)?;
                        step(steps)?;
                        self.todo.extend(self.run.on_input(Input::Aggregated(made), self.now));
                    }
                    Output::Commit { record, epochs_end } => {
                        step(steps)?;
                        self.store.state().commit(&record, epochs_end).unwrap();
                        step(steps)?;
                        if let RoundOutcome::Committed(made) = record.outcome
                            && !made.moments.is_empty()
                        {
                            self.store.moments(RUN).retain(&made.moments).unwrap();
                            step(steps)?;
                        }
                        self.todo.extend(self.run.on_input(Input::Committed, self.now));
                    }
                    Output::Publish { model, .. } => {
                        step(steps)?;
                        assert!(
                            self.store.models().load(model, &self.schema).is_ok(),
                            "published, so durable"
                        );
                    }
                    Output::RunFinished { model } => return Ok(model),
                    Output::PhaseBegan { .. } | Output::Folded(_) => (),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

fn step(steps: &mut u32) -> Result<(), Killed> {
    *steps = steps.checked_sub(1).ok_or(Killed)?;
    Ok(())
}

fn uninterrupted(strategy: Strategy) -> (ModelHash, u32) {
    let dir = tempfile::tempdir().unwrap();
    let mut left = 1000;
    let Ok(model) = Process::start(dir.path(), strategy).work(&mut left, &mut Vec::new()) else {
        panic!("a thousand steps are enough")
    };
    (model, 1000 - left)
}

#[test]
fn killed_before_any_step_it_ends_in_the_same_model_and_counts_no_round_twice() {
    let models = [Strategy::FEDAVG, FEDADAM, SCAFFOLD].map(|strategy| {
        let (expected, steps) = uninterrupted(strategy);
        assert!(steps > 20);
        (0..steps).for_each(|kill_at| kill_once(strategy, kill_at, expected));
        expected
    });
    assert!(models[0] != models[1] && models[0] != models[2]);
}

fn kill_once(strategy: Strategy, kill_at: u32, expected: ModelHash) {
    let dir = tempfile::tempdir().unwrap();
    let mut epochs = Vec::new();
    assert!(Process::start(dir.path(), strategy).work(&mut { kill_at }, &mut epochs).is_err());
    let mut process = Process::start(dir.path(), strategy);
    let Ok(model) = process.work(&mut 1000, &mut epochs) else { panic!("a thousand steps are enough") };
    assert_eq!(model, expected, "killed before step {kill_at}");
    assert!(epochs.is_sorted_by(|earlier, later| earlier < later), "no epoch is announced twice");
    let state = process.store.state();
    let rounds: Vec<u32> = state.rounds(RUN).unwrap().iter().map(|record| record.round.0).collect();
    assert_eq!(rounds, [1, 2, 3]);
    assert_eq!(state.runs().unwrap()[0].status, RunStatus::Finished);
    let moments = dir.path().join("moments").join(RUN.to_string());
    let kept = std::fs::read_dir(moments).map_or(0, Iterator::count);
    assert_eq!(kept, strategy.remembers(), "of earlier rounds nothing is kept");
}

#[test]
fn killed_again_and_again_it_still_ends_in_the_same_model() {
    // Nine steps are one round of federated averaging with a step to spare: each life moves the run on by one round.
    for (strategy, steps) in [(Strategy::FEDAVG, 9), (FEDADAM, 12)] {
        let (expected, _) = uninterrupted(strategy);
        let dir = tempfile::tempdir().unwrap();
        let mut epochs = Vec::new();
        let lives = (0..20).map(|_| Process::start(dir.path(), strategy).work(&mut { steps }, &mut epochs));
        assert_eq!(lives.flatten().next(), Some(expected));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("models")).unwrap();
    std::fs::copy(from.join("state.redb"), to.join("state.redb")).unwrap();
    for file in std::fs::read_dir(from.join("models")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join("models").join(file.file_name())).unwrap();
    }
}

/// Copies of the folder at every moment of one round that can be told apart: with a part of the new
/// model's file, with all of it, and with the commit.
#[test]
fn a_copy_of_the_folder_at_any_moment_opens_to_the_round_before_or_after() {
    let dir = tempfile::tempdir().unwrap();
    let (expected, _) = uninterrupted(Strategy::FEDAVG);
    // Killed with the first round's model stored and its record not.
    assert!(Process::start(dir.path(), Strategy::FEDAVG).work(&mut 6, &mut Vec::new()).is_err());
    let models: Vec<_> = std::fs::read_dir(dir.path().join("models")).unwrap().flatten().collect();
    assert_eq!(models.len(), 2, "the first model, and one that no record names");
    let store = open(dir.path());
    let first = store.state().runs().unwrap()[0].checkpoint.model;
    drop(store);
    let whole =
        models.iter().map(std::fs::DirEntry::path).find(|path| !path.ends_with(format!("{first}.sealed")));
    let whole = std::fs::read(whole.unwrap()).unwrap();

    for length in (0..=whole.len()).step_by(50) {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path());
        std::fs::write(copied.path().join("models/.unfinished-0"), &whole[..length]).unwrap();
        let mut process = Process::start(copied.path(), Strategy::FEDAVG);
        assert_eq!(process.run.rounds_done(), RoundId(0));
        assert!(process.work(&mut 1000, &mut Vec::new()).is_ok_and(|model| model == expected));
        assert!(!copied.path().join("models/.unfinished-0").exists());
    }
}

#[test]
fn a_model_that_vanished_is_named_when_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), Strategy::FEDAVG);
    let path = process.store.models().path(process.run.model());
    std::fs::remove_file(&path).unwrap();
    let error = process.store.models().load(process.run.model(), &process.schema).unwrap_err();
    assert!(matches!(error, StoreError::ModelMissing(missing) if missing == path));
}

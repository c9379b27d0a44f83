//! A run with virtual nodes: the coordinator's own rounds, in a time of their own.
//!
//! [`Federation::next_step`] says what is to be done. Whoever asks trains the nodes of a [`Wave`], in any order and on any
//! number of threads, and hands in each update as a node would send it. A round asks as many nodes as would report in
//! time, in an order that is drawn anew in each round: those beyond its goal would be too late, and are not trained.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use anyhow::Result;
use common::id::{EpochId, ModelHash, NodeId, RoundId, RunId};
use common::message::model::Plan;
use common::model::ParameterVector;
use common::units::Timestamp;
use coordinator::archive;
use coordinator::config::RunConfig;
use coordinator::round::{
    Announce, Arrival, Close, EPOCHS_AHEAD, Input, Output, ReservedEpochs, RoundRecord, Run, RunFailure,
    RunPosition,
};
use coordinator::store::{About, models};
use coordinator::strategy::{Aggregator, Effort, Moments};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// A run, and where it stands.
#[derive(Debug)]
pub struct Federation {
    run: Run,
    plan: Plan,
    close: Close,
    updates: Aggregator,
    model: Arc<ParameterVector>,
    moments: Moments,
    /// What every node is given of the control variates, where nodes keep them.
    server: Option<Control>,
    /// Those of the nodes, by their place, unless they are zero; they take as much memory as models.
    own: BTreeMap<usize, Control>,
    /// Those that the round's updates made.
    made: BTreeMap<usize, Control>,
    /// The nodes by their place.
    ids: Vec<NodeId>,
    places: BTreeMap<NodeId, usize>,
    /// How likely a selected node cannot take part.
    fail_rate: f64,
    now: Timestamp,
    /// The selected nodes that are not trained yet, in the order in which they would report, and what each was asked.
    waiting: VecDeque<(usize, Asked)>,
    steps: VecDeque<Step>,
}

/// What is to be done, or what came about.
#[derive(Debug)]
pub enum Step {
    /// Train these nodes.
    Train(Wave),
    /// A round is done.
    Committed(Box<RoundRecord>),
    /// An attempt at a round ended without a model; it is tried again.
    Aborted(Box<RoundRecord>),
    /// All rounds are done, with this model. There is no further step.
    Finished(ModelHash),
    /// A round could not be done. There is no further step.
    Failed(RunFailure),
}

/// A control variate.
type Control = Arc<Vec<f32>>;

/// What a node is to train from.
#[derive(Clone, Debug)]
struct Asked {
    round: RoundId,
    epoch: EpochId,
    model: Arc<ParameterVector>,
}

/// Nodes to be trained.
#[derive(Clone, Debug)]
pub struct Wave {
    /// In this round.
    pub round: RoundId,
    epoch: EpochId,
    /// From this model.
    pub model: Arc<ParameterVector>,
    /// Their places.
    pub nodes: Vec<usize>,
    /// The server's control variate and theirs, where nodes keep them.
    controls: Option<(Control, BTreeMap<usize, Control>)>,
}

impl Wave {
    /// The server's control variate and that of one of the nodes, where nodes keep them.
    pub fn controls(&self, node: usize) -> Option<(&[f32], &[f32])> {
        let (server, own) = self.controls.as_ref()?;
        Some((server, own.get(&node)?))
    }
}

impl Federation {
    /// A run over these nodes, each of which cannot take part in a round with a probability of `fail_rate`.
    /// `candidates` are as many as the run would select from, those that are never there too.
    ///
    /// # Errors
    ///
    /// When the configuration is of no run.
    pub fn new(config: &RunConfig, ids: Vec<NodeId>, candidates: usize, fail_rate: f64) -> Result<Self> {
        let (plan, rounds, strategy) = archive::plans(config)?;
        let (rounds, strategy) = (rounds.among(candidates as u32), strategy.among(candidates as u32));
        let model = plan.task.initial(plan.seed)?;
        let about = About { round: RoundId(0), task: &plan.task };
        let first = models::hash(&about, model.schema(), model.values());
        let next = EpochId(1);
        let position = RunPosition {
            run: RunId::default(),
            rounds_done: RoundId(0),
            checkpoint: first.into(),
            epochs: ReservedEpochs { next, end: EpochId(next.0 + EPOCHS_AHEAD) },
        };
        let now = Timestamp(0);
        let (run, outputs) = Run::begin(rounds, position, ids.iter().copied().collect(), now);
        let mut federation = Self {
            run,
            close: config.cohort.close,
            updates: Aggregator::new(strategy, model.values().len()),
            model: Arc::new(model),
            moments: Moments::new(),
            server: None,
            own: BTreeMap::new(),
            made: BTreeMap::new(),
            places: ids.iter().copied().zip(0..).collect(),
            ids,
            plan,
            fail_rate,
            now,
            waiting: VecDeque::new(),
            steps: VecDeque::new(),
        };
        federation.obey(outputs);
        Ok(federation)
    }

    /// What every node is told.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The newest model.
    pub fn model(&self) -> &Arc<ParameterVector> {
        &self.model
    }

    /// Rounds done.
    pub fn rounds_done(&self) -> RoundId {
        self.run.rounds_done()
    }

    /// The next step. A wave must be trained and handed in before it is asked for another step.
    ///
    /// # Panics
    ///
    /// After the last step.
    pub fn next_step(&mut self) -> Step {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return step;
            }
            if let Some(wave) = self.wave() {
                return Step::Train(wave);
            }
            // Nobody is left to wait for: the round's own time passes.
            self.now = self.run.next_deadline().expect("the last step was not taken yet").max(self.now);
            let outputs = self.run.on_input(Input::Tick, self.now);
            self.obey(outputs);
        }
    }

    /// The nodes that the round still needs.
    fn wave(&mut self) -> Option<Wave> {
        let cohort = self.run.progress()?.cohort?;
        let reported = cohort.reported() as usize;
        let needed = match self.close {
            Close::AtGoal => (self.run.updates_wanted().1 as usize).saturating_sub(reported),
            Close::AtDeadline => self.waiting.len(),
        };
        let Asked { round, epoch, model } = self.waiting.front()?.1.clone();
        let alike = self.waiting.iter().take_while(|(_, asked)| asked.epoch == epoch).count();
        let nodes: Vec<usize> = self.waiting.drain(..needed.min(alike)).map(|(node, _)| node).collect();
        if nodes.is_empty() {
            return None;
        }
        let controls = self.server.as_ref().map(|server| {
            let zero = Arc::new(vec![0.0; server.len()]);
            let own = |node: &usize| Arc::clone(self.own.get(node).unwrap_or(&zero));
            (Arc::clone(server), nodes.iter().map(|node| (*node, own(node))).collect())
        });
        Some(Wave { round, epoch, model, nodes, controls })
    }

    /// Takes the update of a node of this wave: the plaintext that a node seals, and the control variate that it keeps
    /// should a model be made of this.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    pub fn on_update(&mut self, wave: &Wave, place: usize, plain: &[u8], control: Option<Vec<f32>>) {
        let node = self.ids[place];
        let (arrival, values, effort) = Arrival::read(node, wave.epoch, plain);
        let updates = &mut self.updates;
        let fold = |staleness| updates.fold(node, values, Effort { staleness, ..effort });
        let outputs = self.run.on_update(arrival, self.now, fold);
        if outputs.contains(&Output::Folded(node)) {
            self.made.extend(control.map(|control| (place, Arc::new(control))));
        }
        self.obey(outputs);
    }

    /// A node of this wave cannot take part.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    pub fn on_declined(&mut self, wave: &Wave, node: usize) {
        let declined = Input::Declined { node: self.ids[node], epoch: wave.epoch };
        let outputs = self.run.on_input(declined, self.now);
        self.obey(outputs);
    }

    fn obey(&mut self, outputs: Vec<Output>) {
        let mut outputs = VecDeque::from(outputs);
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Announce(announce) => outputs.extend(self.announce(&announce)),
                Output::Aggregate { .. } => outputs.extend(self.aggregate()),
                Output::Commit { record, .. } => {
                    self.own.append(&mut self.made);
                    self.steps.push_back(Step::Committed(record));
                    outputs.extend(self.run.on_input(Input::Committed, self.now));
                }
                Output::RoundAborted(record) => {
                    self.waiting.clear();
                    self.steps.push_back(Step::Aborted(record));
                }
                Output::RunFinished { model } => self.steps.push_back(Step::Finished(model)),
                Output::RunFailed(failure) => self.steps.push_back(Step::Failed(failure)),
                Output::Halted(halt) => unreachable!("there is no disk that could fail: {halt}"),
                Output::PhaseBegan { .. }
                | Output::Folded(_)
                | Output::Rejected(_)
                | Output::Publish { .. } => (),
            }
        }
    }

    /// Draws who of the cohort cannot take part, and the order of the others.
    fn announce(&mut self, announce: &Announce) -> Vec<Output> {
        self.updates.reset();
        self.made.clear();
        let zero = || vec![0.0; self.model.values().len()];
        let server = || Arc::new(self.moments.first().cloned().unwrap_or_else(zero));
        self.server = self.plan.control.then(server);
        let mut draw = blake3::Hasher::new_derive_key("starling 2026 order of virtual nodes");
        draw.update(&self.plan.seed.to_le_bytes());
        draw.update(&announce.epoch.0.to_le_bytes());
        let mut random = ChaCha20Rng::from_seed(*draw.finalize().as_bytes());
        let mut cohort = announce.cohort.clone();
        cohort.shuffle(&mut random);
        let mut outputs = Vec::new();
        self.waiting.retain(|(_, asked)| asked.epoch >= announce.taken_from);
        let Announce { round, epoch, .. } = *announce;
        let asked = Asked { round, epoch, model: Arc::clone(&self.model) };
        for node in cohort {
            if random.random_bool(self.fail_rate) {
                let declined = Input::Declined { node, epoch: announce.epoch };
                outputs.extend(self.run.on_input(declined, self.now));
            } else {
                self.waiting.push_back((self.places[&node], asked.clone()));
            }
        }
        outputs
    }

    /// Makes the next model of the updates.
    fn aggregate(&mut self) -> Vec<Output> {
        let model = Arc::make_mut(&mut self.model);
        self.updates.finish(model.values_mut(), &mut self.moments);
        let about = About { round: RoundId(self.run.rounds_done().0 + 1), task: &self.plan.task };
        let hash = models::hash(&about, model.schema(), model.values());
        self.run.on_input(Input::Aggregated(hash.into()), self.now)
    }
}

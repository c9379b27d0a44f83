//! One coordinator engine and its nodes in one process. Time is a number, the network a queue that a seed
//! delays, loses and repeats, the disk a map in memory. Nothing here sleeps and nothing is mocked: the
//! bytes are the ones that DDS would carry.

mod scene;

pub use scene::{Network, Scene};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::crypto::Label;
use common::id::{BlobId, EpochId, ModelHash, NodeId, RunId};
use common::message::Signed;
use common::message::event::{Event, Fact};
use common::model::ParameterVector;
use common::units::{Millis, Timestamp};
use coordinator::engine::{End, Engine, Output as Said, Values};
use coordinator::round::{Checkpoint, RoundOutcome, RoundRecord};
use node::participant::{Assignment, Note, Output as Done, Participant, Trained};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use scene::{Keys, addressed};

/// A machine wakes a process this much later than it asked for, in microseconds.
const LATE: u64 = 1_500;

/// A datagram or a call that will arrive.
#[derive(Debug)]
enum Arrival {
    ToNode(usize, NodeDatagram),
    ToCoordinator(CoordinatorDatagram),
    Trained(usize, Trained),
}

#[derive(Clone, Debug)]
enum NodeDatagram {
    Hello(Vec<u8>),
    Announcement(Vec<u8>),
    Chunk(BlobId, u32, Vec<u8>),
    Receipt(BlobId, Vec<u8>),
}

#[derive(Clone, Debug)]
enum CoordinatorDatagram {
    Presence(Vec<u8>),
    Receipt(BlobId, NodeId, Vec<u8>),
    Update(BlobId, u32, Vec<u8>),
}

/// The fleet.
pub struct World {
    /// Virtual time.
    pub now: Timestamp,
    /// The coordinator.
    pub engine: Engine,
    /// The nodes; one that is down hears and says nothing.
    pub nodes: Vec<Participant>,
    /// Which nodes are down.
    pub down: BTreeSet<usize>,
    /// Nodes whose trainers take a first step and no second one.
    pub hanging: BTreeSet<usize>,
    /// What each node adds to every parameter in a round.
    pub steps: Vec<f32>,
    /// Records that were committed.
    pub committed: Vec<RoundRecord>,
    /// Records of rounds without a model.
    pub aborted: Vec<RoundRecord>,
    /// How the run ended.
    pub end: Option<End>,
    /// Everything told to operators.
    pub notes: Vec<String>,
    /// The models that nodes were given to keep.
    pub kept: BTreeMap<usize, Vec<f32>>,
    /// Until then, whoever carries chunks of models and pieces of updates alters a byte of each.
    pub altered_until: Timestamp,
    /// Every byte that crossed the network, for looking into.
    pub wire: Vec<Vec<u8>>,
    /// What watchers were told.
    pub events: Vec<Fact>,
    /// When each node's trainer took its last step.
    stepped: Vec<Timestamp>,
    /// Until when which nodes are stopped.
    paused: BTreeMap<usize, Timestamp>,
    marks: Vec<BTreeMap<RunId, EpochId>>,
    keys: Keys,
    scene: Scene,
    random: ChaCha20Rng,
    arrivals: BTreeMap<(Timestamp, u64), Arrival>,
    sent: u64,
    disk: BTreeMap<ModelHash, Vec<f32>>,
}

impl World {
    /// A fleet whose hellos are still to come, and a run that waits for it.
    pub fn new(scene: Scene) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(scene.seed);
        let now = Timestamp::from_millis(1_700_000_000_000);
        let keys = Keys::draw(&scene, &mut random);
        let engine = keys.engine(now, &mut random);
        let marks = vec![BTreeMap::new(); usize::from(scene.nodes)];
        let nodes: Vec<Participant> = marks
            .iter()
            .enumerate()
            .map(|(index, marks)| keys.node(index, marks, now, &mut random))
            .collect();
        let steps = (0..scene.nodes).map(|index| 0.25 * f32::from(index % 4 + 1)).collect();
        let mut world = Self {
            now,
            engine,
            stepped: vec![Timestamp::default(); nodes.len()],
            nodes,
            down: BTreeSet::new(),
            hanging: BTreeSet::new(),
            paused: BTreeMap::new(),
            steps,
            committed: Vec::new(),
            aborted: Vec::new(),
            end: None,
            notes: Vec::new(),
            kept: BTreeMap::new(),
            altered_until: now,
            wire: Vec::new(),
            events: Vec::new(),
            marks,
            keys,
            scene,
            random,
            arrivals: BTreeMap::new(),
            sent: 0,
            disk: BTreeMap::new(),
        };
        let first = vec![0.0; scene.parameters as usize];
        let model = world.keep(&first);
        let mut out = Vec::new();
        world.engine.start(scene.start(model), world.now, &mut out);
        world.obey(out);
        world
    }

    /// The node's process ends and another one begins: what it keeps is what it had marked.
    pub fn restart(&mut self, index: usize) {
        let marks = self.marks[index].clone();
        self.nodes[index] = self.keys.node(index, &marks, self.now, &mut self.random);
        self.kept.remove(&index);
    }

    /// The node's process is stopped for so long. What reaches it meanwhile waits in its socket.
    pub fn pause(&mut self, index: usize, length: Millis) {
        self.paused.insert(index, self.now + length);
    }

    /// The tether of the node's process ends, as when it is killed on the coordinator's host.
    pub fn sever(&mut self, index: usize) {
        let mut said = Vec::new();
        self.nodes[index].on_leave(self.now, &mut said);
        let mut out = Vec::new();
        for output in said {
            if let Done::Presence(bytes) = output {
                self.engine.on_severed(&bytes, self.now, &mut out);
            }
        }
        self.obey(out);
    }

    /// Goes on until the run has ended and every node that is up holds its result, or `limit` has passed.
    pub fn run(&mut self, limit: Millis) {
        let until = self.now + limit;
        while self.now < until && !self.is_done() {
            self.step();
        }
    }

    fn is_done(&self) -> bool {
        let up = (0..self.nodes.len()).filter(|index| !self.down.contains(index));
        match &self.end {
            Some(End::Finished(_)) => up.into_iter().all(|index| self.kept.contains_key(&index)),
            Some(_) => true,
            None => false,
        }
    }

    /// One arrival, or one look at the clock, whichever comes first.
    pub fn step(&mut self) {
        let wakes = (0..self.nodes.len()).filter(|index| !self.down.contains(index));
        let node_wake = wakes.map(|index| self.awake(index, self.nodes[index].next_wake())).min();
        let wake = node_wake.into_iter().fold(self.engine.next_wake(), Timestamp::min);
        let arrival = self.arrivals.first_key_value().map(|(key, _)| key.0);
        if arrival.is_some_and(|arrival| arrival <= wake) {
            if let Some(((at, _), arrival)) = self.arrivals.pop_first() {
                self.now = self.now.max(at);
                self.arrive(arrival);
            }
            return;
        }
        // A microsecond passes at least, so that a wake in the past cannot stop time.
        self.now = Timestamp(self.now.0 + 1).max(Timestamp(wake.0 + LATE));
        let mut out = Vec::new();
        self.engine.on_tick(self.now, &mut out);
        self.obey(out);
        for index in 0..self.nodes.len() {
            let stepped = self.stepped[index];
            self.node(index, |node, now, out| {
                node.on_step(stepped, now, out);
                node.on_tick(now, out);
            });
        }
    }

    /// When the node next does something that it would do at `at`.
    fn awake(&self, index: usize, at: Timestamp) -> Timestamp {
        self.paused.get(&index).map_or(at, |until| at.max(*until))
    }

    fn arrive(&mut self, arrival: Arrival) {
        let now = self.now;
        match arrival {
            Arrival::Trained(index, _) | Arrival::ToNode(index, _) if self.awake(index, now) > now => {
                self.at(self.awake(index, now), arrival);
            }
            Arrival::Trained(index, trained) => {
                self.node(index, |node, now, out| node.on_trained(&trained, now, out));
            }
            Arrival::ToNode(index, datagram) => self.node(index, |node, now, out| match &datagram {
                NodeDatagram::Hello(bytes) => {
                    node.on_coordinator(bytes, now, out);
                }
                NodeDatagram::Announcement(bytes) => node.on_announcement(bytes, now, out),
                NodeDatagram::Chunk(blob, index, bytes) => {
                    node.on_model_chunk(*blob, *index, bytes, now, out);
                }
                NodeDatagram::Receipt(blob, bytes) => node.on_receipt(*blob, bytes, now, out),
            }),
            Arrival::ToCoordinator(datagram) => {
                let mut out = Vec::new();
                match &datagram {
                    CoordinatorDatagram::Presence(bytes) => {
                        self.engine.on_presence(bytes, now, &mut out);
                    }
                    CoordinatorDatagram::Receipt(blob, node, bytes) => {
                        self.engine.on_model_receipt(*blob, *node, bytes, now, &mut out);
                    }
                    CoordinatorDatagram::Update(blob, index, bytes) => {
                        self.engine.on_update(*blob, *index, bytes, now, &mut out);
                    }
                }
                self.obey(out);
            }
        }
    }

    fn node(&mut self, index: usize, act: impl FnOnce(&mut Participant, Timestamp, &mut Vec<Done>)) {
        if self.down.contains(&index) || self.awake(index, self.now) > self.now {
            return;
        }
        let mut out = Vec::new();
        act(&mut self.nodes[index], self.now, &mut out);
        let id = self.nodes[index].node();
        for output in out {
            match output {
                Done::Presence(bytes) => self.send_coordinator(&CoordinatorDatagram::Presence(bytes), true),
                Done::Receipt { blob, bytes } => {
                    self.send_coordinator(&CoordinatorDatagram::Receipt(blob, id, bytes), false);
                }
                Done::UpdateChunk { blob, index, bytes, .. } => {
                    self.send_coordinator(&CoordinatorDatagram::Update(blob, index, bytes.to_vec()), false);
                }
                Done::Train(assignment) => self.train(index, &assignment),
                Done::Keep(assignment) => drop(self.kept.insert(index, assignment.model.values().to_vec())),
                Done::Note(Note::Ignored { topic, reason }) => {
                    self.notes.push(format!("node-{index} ignored {topic}: {reason}"));
                }
                Done::Mark { run, epoch } => drop(self.marks[index].insert(run, epoch)),
                Done::Cancel | Done::Note(_) => (),
            }
        }
    }

    /// Training takes ten milliseconds and moves every parameter by the node's step.
    fn train(&mut self, index: usize, assignment: &Assignment) {
        let mut parameters: ParameterVector = Arc::unwrap_or_clone(Arc::clone(&assignment.model));
        parameters.values_mut().iter_mut().for_each(|value| *value += self.steps[index]);
        if self.hanging.contains(&index) {
            self.stepped[index] = self.now + Millis(1);
            return;
        }
        let trained =
            Trained { epoch: assignment.epoch, parameters, samples: index as u64 + 1, steps: 1, loss: 0.5 };
        self.at(self.now + Millis(10), Arrival::Trained(index, trained));
    }

    fn obey(&mut self, said: Vec<Said>) {
        let mut said = std::collections::VecDeque::from(said);
        while let Some(output) = said.pop_front() {
            let mut out = Vec::new();
            match output {
                Said::Hello(bytes) => self.send_all(&NodeDatagram::Hello(bytes), true),
                Said::Announce { bytes, .. } => self.send_all(&NodeDatagram::Announcement(bytes), true),
                Said::ModelChunk { to, blob, index, bytes } => {
                    let datagram = NodeDatagram::Chunk(blob, index, bytes.to_vec());
                    match to {
                        None => self.send_all(&datagram, false),
                        Some(to) => self.send_node(addressed(to), &datagram, false),
                    }
                }
                Said::UpdateReceipt { to, blob, bytes, .. } => {
                    self.send_node(addressed(to), &NodeDatagram::Receipt(blob, bytes), false);
                }
                Said::Event(bytes) => {
                    let key = self.keys.coordinator.public();
                    let event = Signed::<Event>::open(&bytes, Label::Event, |_| Some(key));
                    self.events.push(event.expect("the coordinator signed it").body.fact);
                    self.wire.push(bytes);
                }
                Said::Load(Checkpoint { model, moments }) => {
                    let load = |hash| self.disk.get(hash).cloned().ok_or_else(|| "missing".to_owned());
                    let moments = moments.iter().map(load).collect::<Result<_, _>>();
                    let values =
                        load(&model).and_then(|model| moments.map(|moments| Values { model, moments }));
                    self.engine.on_loaded(values, self.now, &mut out);
                }
                Said::Store { values: Values { model, moments }, .. } => {
                    let kept: Vec<ModelHash> = moments.iter().map(|moment| self.keep(moment)).collect();
                    let moments = kept.try_into().expect("no server remembers more");
                    let made = Checkpoint { model: self.keep(&model), moments };
                    self.engine.on_stored(Ok((made, model)), self.now, &mut out);
                }
                Said::Commit { record, .. } => {
                    self.committed.push(*record);
                    self.engine.on_committed(Ok(()), self.now, &mut out);
                }
                Said::Aborted(record) => self.aborted.push(*record),
                Said::Ended { end, .. } => self.end = Some(end),
                Said::Note(note) => self.notes.push(note),
            }
            said.extend(out);
        }
    }

    /// The newest committed model.
    pub fn model(&self) -> Option<&[f32]> {
        let record = self.committed.last()?;
        match &record.outcome {
            RoundOutcome::Committed(made) => self.disk.get(&made.model).map(Vec::as_slice),
            RoundOutcome::Aborted(_) => None,
        }
    }

    fn keep(&mut self, values: &[f32]) -> ModelHash {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let hash = ModelHash(common::crypto::chunk_hash(&bytes));
        self.disk.insert(hash, values.to_vec());
        hash
    }

    fn send_all(&mut self, datagram: &NodeDatagram, reliable: bool) {
        for index in 0..self.nodes.len() {
            self.send_node(index, datagram, reliable);
        }
    }

    fn send_node(&mut self, index: usize, datagram: &NodeDatagram, reliable: bool) {
        let (NodeDatagram::Hello(bytes)
        | NodeDatagram::Announcement(bytes)
        | NodeDatagram::Chunk(_, _, bytes)
        | NodeDatagram::Receipt(_, bytes)) = datagram;
        self.wire.push(bytes.clone());
        for at in self.fate(reliable) {
            let mut datagram = datagram.clone();
            if let NodeDatagram::Chunk(_, _, bytes) = &mut datagram {
                self.alter(bytes);
            }
            self.at(at, Arrival::ToNode(index, datagram));
        }
    }

    fn send_coordinator(&mut self, datagram: &CoordinatorDatagram, reliable: bool) {
        let (CoordinatorDatagram::Presence(bytes)
        | CoordinatorDatagram::Receipt(_, _, bytes)
        | CoordinatorDatagram::Update(_, _, bytes)) = datagram;
        self.wire.push(bytes.clone());
        for at in self.fate(reliable) {
            let mut datagram = datagram.clone();
            if let CoordinatorDatagram::Update(_, _, bytes) = &mut datagram {
                self.alter(bytes);
            }
            self.at(at, Arrival::ToCoordinator(datagram));
        }
    }

    fn alter(&mut self, bytes: &mut [u8]) {
        if self.now < self.altered_until && !bytes.is_empty() {
            let at = self.random.next_u32() as usize % bytes.len();
            bytes[at] ^= 1 << (self.random.next_u32() % 8);
        }
    }

    /// When a datagram arrives: never, once or twice. DDS repairs what is sent reliably.
    fn fate(&mut self, reliable: bool) -> Vec<Timestamp> {
        let Network { loss_percent, twice_percent, delay_micros } = self.scene.network;
        let mut dice = |percent: u32| self.random.next_u32() % 100 < percent;
        let copies = match (dice(loss_percent) && !reliable, dice(twice_percent)) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        let base = self.now.0 + 50;
        (0..copies)
            .map(|_| Timestamp(base + u64::from(self.random.next_u32() % (delay_micros + 1))))
            .collect()
    }

    fn at(&mut self, at: Timestamp, arrival: Arrival) {
        self.sent += 1;
        self.arrivals.insert((at, self.sent), arrival);
    }
}

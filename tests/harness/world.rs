//! One coordinator and its nodes in one process. Time is a number, the network a queue that a seed delays, loses and
//! repeats, the disk forgets what was not synced. Nothing here sleeps and nothing is mocked: the bytes are the ones
//! that DDS would carry, and the store writes the files that it would write.

mod disk;
mod faults;
mod network;
mod operator;
mod process;
mod scene;
mod training;
mod witness;

pub use faults::{Bug, Fault};
pub use network::Network;
pub use scene::{STRATEGIES, Scene};

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::crypto::{Label, Suite};
use common::id::{EpochId, RunId};
use common::message::Signed;
use common::message::event::{Event, Fact};
use common::roster::Roster;
use common::units::{Millis, Timestamp};
use coordinator::engine::{Answer, End, Engine, Output as Said, Wish};
use coordinator::round::RoundRecord;
use node::participant::{Held, Note, Output as Done, Participant};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use disk::Disk;
use network::{Arrival, CoordinatorDatagram, Datagram, NodeDatagram, alter};
use process::Process;
use scene::{Keys, addressed};
use witness::Witness;

/// A machine wakes a process this much later than it asked for, in microseconds.
const LATE: u64 = 1_500;

/// What a run wishes is done so much later at most, in microseconds.
const GRANTED_MAX: u32 = 10_000;

/// The fleet.
pub struct World {
    /// Virtual time.
    pub now: Timestamp,
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
    /// How each run ended that did.
    pub ends: BTreeMap<RunId, End>,
    /// Everything told to operators.
    pub notes: Vec<String>,
    /// The model that each node was given last to keep, and its run.
    pub kept: BTreeMap<usize, (RunId, Vec<f32>)>,
    /// The run whose result came last.
    newest: Option<RunId>,
    /// Until then, whoever carries chunks of models and pieces of updates alters a byte of each.
    pub altered_until: Timestamp,
    /// Every byte that crossed the network, for looking into.
    pub wire: Vec<Vec<u8>>,
    /// What watchers were told.
    pub events: Vec<Fact>,
    /// The coordinator, unless it was killed.
    process: Option<Process>,
    /// How often it began.
    begun: u64,
    disk: Disk,
    witness: Witness,
    /// When each node's trainer took its last step.
    stepped: Vec<Timestamp>,
    /// Until when which nodes are stopped.
    paused: BTreeMap<usize, Timestamp>,
    /// What each node said of itself last.
    said: Vec<Vec<u8>>,
    /// How often each node's process began.
    lives: Vec<u64>,
    marks: Vec<BTreeMap<RunId, EpochId>>,
    /// The roster on each node's disk.
    rosters: Vec<Roster>,
    /// The control variates on each node's disk, by run.
    pub held: Vec<BTreeMap<RunId, Held>>,
    troubles: faults::Troubles,
    keys: Keys,
    scene: Scene,
    random: ChaCha20Rng,
    arrivals: BTreeMap<(Timestamp, u64), Arrival>,
    sent: u64,
}

impl World {
    /// A fleet whose hellos are still to come, and runs that wait for it.
    pub fn new(scene: Scene) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(scene.seed);
        let now = Timestamp::from_millis(1_700_000_000_000);
        let keys = Keys::draw(&scene, &mut random);
        let marks = vec![BTreeMap::new(); usize::from(scene.nodes)];
        let nodes: Vec<Participant> = marks
            .iter()
            .enumerate()
            .map(|(index, marks)| keys.node((index, None), (marks, &keys.roster), now, &mut random))
            .collect();
        let steps = (0..scene.nodes).map(|index| 0.25 * f32::from(index % 4 + 1)).collect();
        let mut world = Self {
            now,
            stepped: vec![Timestamp::default(); nodes.len()],
            said: vec![Vec::new(); nodes.len()],
            lives: vec![0; nodes.len()],
            nodes,
            down: BTreeSet::new(),
            hanging: BTreeSet::new(),
            paused: BTreeMap::new(),
            steps,
            committed: Vec::new(),
            aborted: Vec::new(),
            ends: BTreeMap::new(),
            notes: Vec::new(),
            kept: BTreeMap::new(),
            newest: None,
            altered_until: now,
            wire: Vec::new(),
            events: Vec::new(),
            process: None,
            begun: 0,
            disk: Disk::new(random.next_u64()),
            witness: Witness::default(),
            held: vec![BTreeMap::new(); marks.len()],
            rosters: vec![keys.roster.clone(); marks.len()],
            marks,
            troubles: faults::Troubles::default(),
            keys,
            scene,
            random,
            arrivals: BTreeMap::new(),
            sent: 0,
        };
        world.begin_coordinator();
        world
    }

    /// The coordinator.
    ///
    /// # Panics
    ///
    /// While it is down.
    pub fn engine(&self) -> &Engine {
        &self.process.as_ref().expect("the coordinator is up").engine
    }

    /// The node's process ends and another one begins: what it keeps is what it had marked.
    pub fn restart(&mut self, index: usize) {
        self.restart_as(index, None);
    }

    /// The same, and its configuration says another suite than the fleet's, if any is given.
    pub fn restart_as(&mut self, index: usize, suite: Option<Suite>) {
        let marks = self.marks[index].clone();
        self.lives[index] += 1;
        let kept = (&marks, &self.rosters[index]);
        self.nodes[index] = self.keys.node((index, suite), kept, self.now, &mut self.random);
        self.forget_kept(index);
    }

    /// The node's process is stopped for so long. What reaches it meanwhile waits in its socket.
    pub fn pause(&mut self, index: usize, length: Millis) {
        self.paused.insert(index, self.now + length);
    }

    /// The tether of the node's process ends, as when it is killed on the coordinator's host.
    pub fn sever(&mut self, index: usize) {
        let said = self.said[index].clone();
        self.sever_as(&said);
    }

    /// A tether ends of a process that had given this as its presence.
    pub fn sever_as(&mut self, presence: &[u8]) {
        self.coordinator(|engine, now, out| engine.on_severed(presence, now, out));
    }

    /// A node's process is gone, and with it what it was given to keep.
    fn forget_kept(&mut self, index: usize) {
        self.kept.remove(&index);
    }

    /// How the runs ended: well, when all did. `None` while one goes on.
    pub fn end(&self) -> Option<&End> {
        let ends: Option<Vec<&End>> = self.scene.runs().map(|run| self.ends.get(&run)).collect();
        let ends = ends?;
        ends.iter().find(|end| !matches!(end, End::Finished(_))).or(ends.last()).copied()
    }

    /// Goes on until the runs have ended and every node that is up holds their results, or `limit` has passed.
    pub fn run(&mut self, limit: Millis) {
        let until = self.now + limit;
        while self.now < until && !self.is_done() {
            self.step();
        }
    }

    fn is_done(&self) -> bool {
        match self.end() {
            Some(End::Finished(_)) => self.lacking().next().is_none(),
            Some(_) => true,
            None => false,
        }
    }

    /// Members that are up and do not keep the newest result.
    fn lacking(&self) -> impl Iterator<Item = usize> {
        let up =
            (0..self.nodes.len()).filter(|index| !self.down.contains(index) && self.keys.is_member(*index));
        up.filter(|index| self.kept.get(index).map(|(run, _)| *run) != self.newest)
    }

    /// One arrival, or one look at the clock, whichever comes first.
    pub fn step(&mut self) {
        let wakes = (0..self.nodes.len()).filter(|index| !self.down.contains(index));
        let wakes = wakes.map(|index| self.awake(index, self.nodes[index].next_wake()));
        let wake = wakes.chain(self.process.as_ref().map(|process| process.engine.next_wake())).min();
        let arrival = self.arrivals.first_key_value().map(|(key, _)| key.0);
        if arrival.is_some_and(|arrival| wake.is_none_or(|wake| arrival <= wake)) {
            if let Some(((at, _), arrival)) = self.arrivals.pop_first() {
                self.now = self.now.max(at);
                self.arrive(arrival);
            }
            return;
        }
        // A microsecond passes at least, so that a wake in the past cannot stop time.
        self.now = Timestamp(self.now.0 + 1).max(Timestamp(wake.map_or(self.now.0, |wake| wake.0) + LATE));
        self.coordinator(Engine::on_tick);
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
            Arrival::Trained(index, ..) | Arrival::Datagram(Datagram::ToNode(index, _))
                if self.awake(index, now) > now =>
            {
                self.at(self.awake(index, now), arrival);
            }
            Arrival::Trained(index, life, trained) => {
                if life == self.lives[index] {
                    self.node(index, |node, now, out| node.on_trained(&trained, now, out));
                }
            }
            Arrival::Datagram(Datagram::ToNode(index, datagram)) => {
                self.node(index, |node, now, out| match &datagram {
                    NodeDatagram::Hello(bytes) => {
                        node.on_coordinator(bytes, now, out);
                    }
                    NodeDatagram::Announcement(bytes) => node.on_announcement(bytes, now, out),
                    NodeDatagram::Roster(bytes) => node.on_roster(bytes, now, out),
                    NodeDatagram::Chunk(blob, index, bytes) => {
                        node.on_model_chunk(*blob, *index, bytes, now, out);
                    }
                    NodeDatagram::Receipt(blob, bytes) => node.on_receipt(*blob, bytes, now, out),
                });
            }
            Arrival::Datagram(Datagram::ToCoordinator(datagram)) => {
                self.coordinator(|engine, now, out| match &datagram {
                    CoordinatorDatagram::Presence(bytes) => {
                        engine.on_presence(bytes, now, out);
                    }
                    CoordinatorDatagram::Receipt(blob, node, bytes) => {
                        engine.on_model_receipt(*blob, *node, bytes, now, out);
                    }
                    CoordinatorDatagram::Update(blob, index, bytes) => {
                        engine.on_update(*blob, *index, bytes, now, out);
                    }
                });
            }
            Arrival::Granted(life, run, wish) => {
                if self.process.as_ref().is_some_and(|process| process.life == life)
                    && !self.coordinator_dies()
                {
                    let said = self.grant(run, wish);
                    self.obey(said);
                }
            }
            Arrival::Happens(event) => self.happen(event),
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
            if self.node_dies(index) {
                return;
            }
            match output {
                Done::Presence(bytes) => {
                    self.said[index].clone_from(&bytes);
                    self.send_coordinator(index, CoordinatorDatagram::Presence(bytes));
                }
                Done::Receipt { blob, bytes } => {
                    self.send_coordinator(index, CoordinatorDatagram::Receipt(blob, id, bytes));
                }
                Done::UpdateChunk { blob, index: chunk, bytes, .. } => {
                    let update = CoordinatorDatagram::Update(blob, chunk, bytes.to_vec());
                    self.send_coordinator(index, update);
                }
                Done::Train(assignment) => self.train(index, &assignment),
                Done::Keep(assignment) => {
                    self.witness.on_keep(&assignment);
                    self.kept.insert(index, (assignment.run, assignment.model.values().to_vec()));
                }
                Done::Note(Note::Ignored { topic, reason }) => {
                    self.notes.push(format!("node-{index} ignored {topic}: {reason}"));
                }
                Done::Note(Note::Elsewhere(other)) => {
                    self.notes.push(format!("node-{index}: {}", Note::Elsewhere(other)));
                }
                Done::Mark { run, epoch, .. } => drop(self.marks[index].insert(run, epoch)),
                Done::Roster { text, .. } => {
                    self.rosters[index] = Roster::read(&text).expect("the node has looked at it");
                }
                Done::Unsigned(error) => unreachable!("a key in memory signs: {error}"),
                Done::Cancel | Done::Certificate { .. } | Done::Note(_) => (),
            }
        }
        self.succeed(index);
    }

    /// Lets the coordinator act, if it is up, and carries out what it says.
    fn coordinator<T>(&mut self, act: impl FnOnce(&mut Engine, Timestamp, &mut Vec<Said>) -> T) {
        if let Some(process) = &mut self.process {
            let mut out = Vec::new();
            act(&mut process.engine, self.now, &mut out);
            self.obey(out);
        }
    }

    fn obey(&mut self, said: Vec<Said>) {
        let mut said = VecDeque::from(said);
        while let Some(output) = said.pop_front() {
            if self.coordinator_dies() {
                return;
            }
            match output {
                Said::Wish(_, Wish::Commit { record, epochs_end })
                    if self.troubles.bug == Some(Bug::PublishBeforeCommit) =>
                {
                    self.commit_late(&record, epochs_end);
                }
                Said::Wish(run, wish) => self.take(run, wish),
                other => self.obey_other(other),
            }
        }
    }

    /// A wish is granted a while later, beside everything else, and after those that its run had before.
    fn take(&mut self, run: RunId, wish: Wish) {
        let Some(process) = &mut self.process else { return };
        let begins = process.busy_until.get(&run).map_or(self.now, |until| self.now.max(*until));
        let done = Timestamp(begins.0 + 1 + u64::from(self.random.next_u32() % GRANTED_MAX));
        process.busy_until.insert(run, done);
        let granted = Arrival::Granted(process.life, run, wish);
        self.at(done, granted);
    }

    /// Does what a run wishes.
    fn grant(&mut self, run: RunId, wish: Wish) -> Vec<Said> {
        let Some(process) = &mut self.process else { return Vec::new() };
        let answer = process.served[&run].answer(&process.store, wish, &mut |_| ());
        match &answer {
            Answer::Committed(record, Ok(())) => self.committed.push((**record).clone()),
            Answer::Kept(record, _) => self.aborted.push((**record).clone()),
            _ => (),
        }
        let mut out = Vec::new();
        process.engine.on_answer(run, answer, self.now, &mut out);
        out
    }

    /// What is not for the disk.
    fn obey_other(&mut self, output: Said) {
        match output {
            Said::Hello(bytes) => self.send_all(&NodeDatagram::Hello(bytes)),
            Said::Announce { run, bytes } => {
                self.troubles.announced.insert(run, bytes.clone());
                self.send_all(&NodeDatagram::Announcement(bytes));
            }
            // It comes at once: nothing waits for it.
            Said::Certificate { node, der, .. } => {
                if let Some(index) = self.nodes.iter().position(|other| other.node() == node) {
                    self.node(index, |node, now, out| node.on_certificate(&der, now, out));
                }
            }
            Said::ModelChunk { to, blob, index, bytes } => {
                let chunk = NodeDatagram::Chunk(blob, index, bytes.to_vec());
                match to {
                    None => self.send_all(&chunk),
                    Some(to) => self.send_node(addressed(to), chunk),
                }
            }
            Said::UpdateReceipt { to, blob, bytes, .. } => {
                self.send_node(addressed(to), NodeDatagram::Receipt(blob, bytes));
            }
            Said::Event(bytes) => {
                let key = self.keys.coordinator.public();
                let event = Signed::<Event>::open(&bytes, Label::Event, |_| Some(key));
                let event = event.expect("the coordinator signed it").body;
                self.witness.on_event(&event);
                self.events.push(event.fact);
                self.wire.push(bytes);
            }
            Said::Ended { run, end } => {
                if let (End::Failed(why), Some(process)) = (&end, &self.process)
                    && let Err(error) = process.store.state().fail_run(run, why)
                {
                    self.notes.push(error.to_string());
                }
                if matches!(end, End::Halted(_)) {
                    self.expect_room();
                }
                if matches!(end, End::Finished(_)) {
                    self.newest = Some(run);
                }
                self.ends.insert(run, end);
            }
            Said::Note(note) | Said::Ignored(note) => self.notes.push(note),
            Said::Unsigned(error) => unreachable!("a key in memory signs: {error}"),
            Said::Outdated(error) => {
                self.notes.push(error.to_string());
                self.process = None;
            }
            Said::Wish(run, _) => unreachable!("a wish of {run} is granted"),
        }
    }

    /// The newest committed model.
    pub fn model(&self) -> Option<Vec<f32>> {
        let made = self.committed.last()?.made()?;
        self.process.as_ref()?.model(self.committed.last()?.run, made)
    }

    fn send_all(&mut self, datagram: &NodeDatagram) {
        for index in 0..self.nodes.len() {
            self.send_node(index, datagram.clone());
        }
    }

    fn send_node(&mut self, to: usize, datagram: NodeDatagram) {
        self.send(to, &Datagram::ToNode(to, datagram));
    }

    fn send_coordinator(&mut self, from: usize, datagram: CoordinatorDatagram) {
        self.send(from, &Datagram::ToCoordinator(datagram));
    }

    /// Sends a datagram between the coordinator and this node.
    fn send(&mut self, node: usize, datagram: &Datagram) {
        self.wire.push(datagram.bytes().to_vec());
        self.remember(datagram);
        for at in self.fate(node, datagram.is_reliable()) {
            let mut datagram = datagram.clone();
            if self.now < self.altered_until
                && let Some(bytes) = datagram.content()
            {
                alter(bytes, &mut self.random);
            }
            self.at(at, Arrival::Datagram(datagram));
        }
    }

    fn at(&mut self, at: Timestamp, arrival: Arrival) {
        self.sent += 1;
        self.arrivals.insert((at, self.sent), arrival);
    }
}

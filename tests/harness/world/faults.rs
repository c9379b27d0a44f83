//! What goes wrong in a world, and bugs that are put in on purpose.

use std::collections::{BTreeMap, VecDeque};

use common::id::{EpochId, RunId};
use common::units::{Millis, Timestamp};
use coordinator::engine::{Answer, End};
use coordinator::round::RoundRecord;

use super::World;
use super::network::{Arrival, Datagram, Network, NodeDatagram};
use super::process::Process;

/// Datagrams that a replay draws from: the newest.
const REMEMBERED_MAX: usize = 512;

/// How long a disk without room is tried again after, and a process that cannot begin.
const AGAIN: Millis = Millis(200);

/// Something that goes wrong. Nodes are counted from 0, modulo their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The coordinator's process is killed when it has done so many more things, and begins again so much later.
    KillCoordinator {
        /// Messages, reads and writes until then.
        outputs: u8,
        /// Milliseconds until it begins again.
        down_ms: u16,
    },
    /// The coordinator's machine loses power after so many more calls to its disk: what is not synced may be lost.
    CutPower {
        /// Writes, renamings and syncs until then.
        calls: u8,
        /// Milliseconds until it is back.
        down_ms: u16,
    },
    /// The coordinator's disk has no room for a while.
    FillDisk {
        /// How long.
        length_ms: u16,
    },
    /// A node's process is killed when it has done so many more things, and begins again so much later.
    KillNode {
        /// Which.
        node: u8,
        /// Messages until then.
        outputs: u8,
        /// Milliseconds until it begins again.
        down_ms: u16,
    },
    /// A node's process is stopped for a while.
    StopNode {
        /// Which.
        node: u8,
        /// How long.
        length_ms: u16,
    },
    /// A node's trainer takes no step for a while.
    HangNode {
        /// Which.
        node: u8,
        /// How long.
        length_ms: u16,
    },
    /// Some nodes are cut off for a while, in both directions.
    CutOff {
        /// A bit for each.
        nodes: u8,
        /// How long.
        length_ms: u16,
    },
    /// The network loses, repeats and delays for a while.
    Disturb {
        /// How.
        network: Network,
        /// How long.
        length_ms: u16,
    },
    /// Whoever carries models and updates alters them for a while.
    Alter {
        /// How long.
        length_ms: u16,
    },
    /// Somebody sends again what crossed the network before.
    Replay {
        /// How many datagrams ago.
        ago: u16,
        /// To this node, if it was for a node.
        node: u8,
    },
    /// A member sends updates that are no numbers for a while.
    Poison {
        /// Which.
        node: u8,
        /// How long.
        length_ms: u16,
    },
    /// The operator takes a node out for good, if enough are left.
    Revoke {
        /// Which.
        node: u8,
    },
    /// The operator gives a member its next key.
    Rotate {
        /// Which.
        node: u8,
    },
    /// The operator hands the tenant over to another key.
    HandOver,
    /// An operator pauses the runs that go on, and resumes them later.
    PauseRun {
        /// How long.
        length_ms: u16,
    },
}

/// A mistake in the product that a simulation must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A round's model is published before the round is durable.
    PublishBeforeCommit,
    /// The disk is never asked to make anything durable.
    NoSync,
    /// A coordinator that begins again uses epochs that were announced before.
    ReusedEpochs,
}

/// What is wrong, and until when.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    pub(super) bug: Option<Bug>,
    /// Things the coordinator still does before it is killed, and for how long it is then away.
    coordinator_dies: Option<(u8, u16)>,
    nodes_die: BTreeMap<usize, (u8, u16)>,
    power_off_ms: u16,
    disk_full_until: Timestamp,
    cut_off: BTreeMap<usize, Timestamp>,
    disturbed: Option<(Network, Timestamp)>,
    poisoned: BTreeMap<usize, f32>,
    remembered: VecDeque<Datagram>,
    /// The newest announcement of the coordinator's process for each run.
    pub(super) announced: BTreeMap<RunId, Vec<u8>>,
}

/// What happens at a time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Fault(Fault),
    CoordinatorBegins,
    NodeBegins(usize),
    /// The disk has room again.
    Room,
    /// A node's trainer goes on.
    Goes(usize),
    /// A node's updates are numbers again.
    Cured(usize),
    /// An operator resumes the runs.
    Resumed,
}

impl World {
    /// Puts a bug in on purpose.
    pub fn put_in(&mut self, bug: Bug) {
        self.troubles.bug = Some(bug);
        if bug == Bug::NoSync {
            self.disk.set_deaf();
        }
    }

    /// This goes wrong so many microseconds from now.
    pub fn plan(&mut self, after_micros: u64, fault: Fault) {
        self.at(Timestamp(self.now.0 + after_micros), Arrival::Happens(Event::Fault(fault)));
    }

    /// Goes on until the run has ended well, whatever happens meanwhile, and then looks at all of it.
    ///
    /// # Errors
    ///
    /// What must not be: see `witness.rs`. Or that there was no end within `limit`.
    pub fn prove(&mut self, limit: Millis) -> Result<(), String> {
        let until = self.now + limit;
        while !self.is_settled() {
            self.step();
            self.witness.on_step(self.now, self.nodes.len());
            self.witness.check()?;
            if self.now >= until {
                let lacking: Vec<usize> = self.lacking().collect();
                return Err(format!("no end after {limit}: {:?}, nodes {lacking:?} lack it", self.ends));
            }
        }
        if !matches!(self.end(), Some(End::Finished(_))) {
            return Err(format!("the run ended with {:?}", self.end()));
        }
        // What it promised must be there when power fails.
        self.kill_coordinator(0);
        self.disk.restore_power();
        let engine = self.keys.engine(self.now, &mut self.random);
        let process = Process::begin(engine, (&self.disk, 0), &self.scene, None, self.now, &mut Vec::new());
        let process = process.map_err(|error| format!("the coordinator does not begin: {error:#}"))?;
        self.scene.runs().try_for_each(|run| self.prove_run(run, &process))
    }

    /// What the disk has of a run is what its nodes trained and were given.
    fn prove_run(&self, run: RunId, process: &Process) -> Result<(), String> {
        self.witness.audit(process, run, &self.scene.config(run))?;
        let records = process.records(run).map_err(|error| error.to_string())?;
        let made = records.iter().rev().find_map(RoundRecord::made);
        let model = made.and_then(|made| process.model(run, made));
        let mut kept = self.kept.iter().filter(|(_, (of, _))| *of == run);
        let other = kept.find(|(_, (_, kept))| Some(kept) != model.as_ref());
        other.map_or(Ok(()), |(index, _)| Err(format!("node-{index} keeps another model than the run's")))
    }

    /// Whether all that was planned has happened and the run is over.
    fn is_settled(&self) -> bool {
        let happens = |arrival: &Arrival| matches!(arrival, Arrival::Happens(_));
        self.is_done() && self.process.is_some() && !self.arrivals.values().any(happens)
    }

    pub(super) fn happen(&mut self, event: Event) {
        match event {
            Event::Fault(fault) => self.go_wrong(fault),
            Event::CoordinatorBegins => self.begin_coordinator(),
            Event::NodeBegins(index) => {
                self.down.remove(&index);
                self.restart(index);
                // DDS has kept the newest announcements and the roster for who comes late.
                if self.process.is_some() {
                    self.send_node(index, NodeDatagram::Roster(self.keys.told()));
                }
                for bytes in self.troubles.announced.clone().into_values() {
                    self.send_node(index, NodeDatagram::Announcement(bytes));
                }
            }
            Event::Room => {
                if self.now >= self.troubles.disk_full_until {
                    self.disk.set_full(false);
                    if self.ends.values().any(|end| matches!(end, End::Halted(_))) {
                        self.kill_coordinator(1);
                    }
                }
            }
            Event::Goes(index) => drop(self.hanging.remove(&index)),
            Event::Cured(index) => {
                if let Some(step) = self.troubles.poisoned.remove(&index) {
                    self.steps[index] = step;
                }
            }
            Event::Resumed => self.resume_run(),
        }
    }

    fn go_wrong(&mut self, fault: Fault) {
        let index = |node: u8| usize::from(node) % self.nodes.len();
        let until = |length_ms: u16| self.now + Millis(u64::from(length_ms));
        match fault {
            Fault::KillCoordinator { outputs, down_ms } => {
                self.troubles.coordinator_dies = Some((outputs, down_ms));
            }
            Fault::CutPower { calls, down_ms } => {
                self.troubles.power_off_ms = down_ms;
                self.disk.cut_power_after(u32::from(calls) + 1);
            }
            Fault::FillDisk { length_ms } => {
                let room = until(length_ms);
                self.troubles.disk_full_until = room;
                self.disk.set_full(true);
                self.expect_room();
            }
            Fault::KillNode { node, outputs, down_ms } => {
                let index = index(node);
                self.troubles.nodes_die.insert(index, (outputs, down_ms));
            }
            Fault::StopNode { node, length_ms } => {
                self.pause(index(node), Millis(u64::from(length_ms)));
            }
            Fault::HangNode { node, length_ms } => {
                let (index, goes) = (index(node), until(length_ms));
                self.hanging.insert(index);
                self.at(goes, Arrival::Happens(Event::Goes(index)));
            }
            Fault::CutOff { nodes, length_ms } => {
                let until = until(length_ms);
                let cut = (0..self.nodes.len()).filter(|index| nodes >> (index % 8) & 1 == 1);
                self.troubles.cut_off.extend(cut.map(|index| (index, until)));
            }
            Fault::Disturb { network, length_ms } => {
                self.troubles.disturbed = Some((network, until(length_ms)));
            }
            Fault::Alter { length_ms } => self.altered_until = until(length_ms),
            Fault::Replay { ago, node } => self.replay(usize::from(ago), index(node)),
            Fault::Poison { node, length_ms } => {
                let (index, cured) = (index(node), until(length_ms));
                let step = std::mem::replace(&mut self.steps[index], f32::NAN);
                self.troubles.poisoned.entry(index).or_insert(step);
                self.at(cured, Arrival::Happens(Event::Cured(index)));
            }
            Fault::Revoke { node } => {
                let index = index(node);
                if self.keys.is_member(index) && self.keys.roster.nodes.len() > self.scene.minimum as usize {
                    self.revoke(index, "its disk was stolen");
                }
            }
            Fault::Rotate { node } => {
                let index = index(node);
                if self.keys.is_member(index) {
                    self.rotate(index);
                }
            }
            Fault::HandOver => self.hand_over(),
            Fault::PauseRun { length_ms } => {
                let (mut out, resumed) = (Vec::new(), until(length_ms));
                if let Some(process) = &mut self.process {
                    process.pause(self.now, &mut out);
                    self.at(resumed, Arrival::Happens(Event::Resumed));
                }
                self.obey(out);
            }
        }
    }

    /// The disk will have room; then an operator begins a coordinator anew whose run the disk had halted.
    pub(super) fn expect_room(&mut self) {
        let room = self.now.max(self.troubles.disk_full_until);
        self.at(room, Arrival::Happens(Event::Room));
    }

    /// An operator resumes a paused run, and tries again until that is done.
    fn resume_run(&mut self) {
        let mut out = Vec::new();
        // What a process without power still remembers is not what its disk will say.
        let process = self.process.as_mut().filter(|_| !self.disk.has_no_power());
        let resumed = process.and_then(|process| process.resume(self.now, &mut out));
        if resumed.is_some() {
            self.ends.retain(|_, end| *end != End::Paused);
        } else {
            self.at(self.now + AGAIN, Arrival::Happens(Event::Resumed));
            // A database that the disk has refused once wants to be opened again.
            if self.now >= self.troubles.disk_full_until {
                self.kill_coordinator(1);
            }
        }
        self.obey(out);
    }

    /// A coordinator begins on what the disk holds. One that cannot yet is begun again.
    pub(super) fn begin_coordinator(&mut self) {
        let engine = self.keys.engine(self.now, &mut self.random);
        let mut out = Vec::new();
        self.disk.restore_power();
        self.begun += 1;
        self.troubles.announced.clear();
        match Process::begin(
            engine,
            (&self.disk, self.begun),
            &self.scene,
            self.troubles.bug,
            self.now,
            &mut out,
        ) {
            Ok(process) => {
                self.process = Some(process);
                self.send_all(&NodeDatagram::Roster(self.keys.told()));
                self.ends.retain(|_, end| *end == End::Paused);
                self.obey(out);
            }
            Err(_) if self.now < self.troubles.disk_full_until => self.begin_later(AGAIN),
            Err(error) => self.witness.fault(format!("the coordinator does not begin: {error:#}")),
        }
    }

    fn begin_later(&mut self, wait: Millis) {
        self.at(self.now + wait, Arrival::Happens(Event::CoordinatorBegins));
    }

    /// Its process ends in the middle of whatever it does.
    pub(super) fn kill_coordinator(&mut self, down_ms: u16) {
        // The disk first: what a destructor would still write never gets there.
        drop(self.disk.hand_over());
        if self.process.take().is_some() {
            self.begin_later(Millis(u64::from(down_ms)));
        }
    }

    /// Whether the coordinator dies before it does one thing more.
    pub(super) fn coordinator_dies(&mut self) -> bool {
        if self.disk.has_no_power() {
            self.kill_coordinator(self.troubles.power_off_ms);
            return true;
        }
        match &mut self.troubles.coordinator_dies {
            Some((0, down_ms)) => {
                let down_ms = *down_ms;
                self.troubles.coordinator_dies = None;
                self.kill_coordinator(down_ms);
                true
            }
            Some((left, _)) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// Whether a node dies before it does one thing more.
    pub(super) fn node_dies(&mut self, index: usize) -> bool {
        match self.troubles.nodes_die.get_mut(&index) {
            Some((0, down_ms)) => {
                let back = self.now + Millis(u64::from(*down_ms));
                self.troubles.nodes_die.remove(&index);
                self.down.insert(index);
                self.forget_kept(index);
                self.at(back, Arrival::Happens(Event::NodeBegins(index)));
                true
            }
            Some((left, _)) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// [`Bug::PublishBeforeCommit`]: the engine is told that a round is durable, and acts on it, before it is.
    pub(super) fn commit_late(&mut self, record: &RoundRecord, epochs_end: EpochId) {
        self.committed.push(record.clone());
        let (run, answer) = (record.run, Answer::Committed(Box::new(record.clone()), Ok(())));
        self.coordinator(|engine, now, out| engine.on_answer(run, answer, now, out));
        if let Some(process) = &self.process {
            // What comes of it nobody looks at.
            let _ = process.store.state().commit(record, epochs_end);
        }
    }

    /// When a datagram to or from a node arrives.
    pub(super) fn fate(&mut self, node: usize, reliable: bool) -> Vec<Timestamp> {
        self.witness.on_datagram(self.now, self.nodes.len());
        if let Some(until) = self.troubles.cut_off.get(&node).filter(|until| **until > self.now) {
            // What is sent reliably is sent again once the way is free.
            return if reliable { vec![Timestamp(until.0 + 50)] } else { Vec::new() };
        }
        let disturbed = self.troubles.disturbed.filter(|(_, until)| *until > self.now);
        let network = disturbed.map_or(self.scene.network, |(network, _)| network);
        network.fate(reliable, self.now, &mut self.random)
    }

    /// Keeps a datagram for a replay.
    pub(super) fn remember(&mut self, datagram: &Datagram) {
        let remembered = &mut self.troubles.remembered;
        if remembered.len() == REMEMBERED_MAX {
            remembered.pop_front();
        }
        remembered.push_back(datagram.clone());
    }

    fn replay(&mut self, ago: usize, node: usize) {
        let remembered = &self.troubles.remembered;
        let chosen = remembered.iter().rev().nth(ago % remembered.len().max(1)).cloned();
        let again = chosen.map(|datagram| match datagram {
            Datagram::ToNode(_, content) => Datagram::ToNode(node, content),
            to_coordinator @ Datagram::ToCoordinator(_) => to_coordinator,
        });
        if let Some(again) = again {
            self.at(self.now, Arrival::Datagram(again));
        }
    }
}

//! One node and the coordinator's side of its runs, whose rounds are the plainest there are: announce, send the model,
//! take the update.

use std::collections::{BTreeMap, BTreeSet};

use common::blob::{Arrival, Incoming, Standing};
use common::crypto::{Identity, KeyPackage, Label, Manifest, Opener, Sealer, Suite};
use common::id::{BlobId, EpochId, RoundId, RunId, TenantId};
use common::known::{Labels, Peer};
use common::limits::OFFER_INDEX;
use common::message::announce::{Announcement, Offer, Request};
use common::message::model::{self, Plan};
use common::message::presence::{Activity, CoordinatorPresence, Heard, Mailbox, NodePresence, VERSION};
use common::message::receipt::{Receipt, Status};
use common::message::{Signed, update};
use common::roster::Roster;
use common::units::{Millis, Timestamp};
use common::wire;
use coordinator::exchange::{Dispatch, Downlink, Epoch};
use node::participant::{Assignment, Output, Participant, Setup, Trained};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const TENANT: TenantId = TenantId([1; 16]);
pub(super) const BEGAN: Timestamp = Timestamp(1_700_000_000_000_000);

/// Two chunks.
const PARAMETERS: u32 = 15_000;
const WINDOW: u32 = 8;
pub(super) const ROUNDS: u32 = 3;
const DEADLINE: Millis = Millis(60_000);

/// How long the trainer has one assignment.
pub(super) const TRAINING: Millis = Millis(40);

/// What is on its way.
pub(super) enum Datagram {
    Hello(Vec<u8>),
    Announcement(Vec<u8>),
    Chunk(BlobId, u32, Vec<u8>),
    UpdateReceipt(BlobId, Vec<u8>),
    Presence(Vec<u8>),
    ModelReceipt(BlobId, Vec<u8>),
    Update(BlobId, u32, Vec<u8>),
    /// Of this life of the node's process.
    Trained(u32, Trained),
    Killed,
}

/// An update that comes.
type Arriving = (BlobId, Incoming);

/// The coordinator's side of one run.
pub(super) struct Run {
    id: RunId,
    pub(super) done: u32,
    epochs: u64,
    /// The epoch that is open, its model, and the update that comes.
    pub(super) open: Option<(Epoch, Downlink, Option<Arriving>)>,
    /// The update that came, for an offer that is repeated.
    ended: BTreeMap<BlobId, Epoch>,
    receipts: u32,
    said: Vec<Vec<u8>>,
}

pub(super) struct World {
    pub(super) now: Timestamp,
    pub(super) random: ChaCha20Rng,
    pub(super) coordinator: Identity,
    pub(super) participant: Participant,
    pub(super) life: u32,
    pub(super) marks: BTreeMap<RunId, EpochId>,
    pub(super) presence: Option<NodePresence>,
    pub(super) package: Option<KeyPackage>,
    pub(super) runs: Vec<Run>,
    /// What the trainer has.
    pub(super) training: Option<(RunId, EpochId)>,
    /// Every training that was begun.
    pub(super) begun: BTreeSet<(u32, RunId, EpochId)>,
    /// Runs in the order of their trainings.
    pub(super) order: Vec<RunId>,
    pub(super) arrivals: BTreeMap<(Timestamp, u64), Datagram>,
    /// Reliable topics are read in the order in which they were written.
    pub(super) in_order: [Timestamp; 3],
    pub(super) sent: u64,
    pub(super) loss_percent: u32,
    pub(super) seq: u64,
}

fn node_identity() -> Identity {
    Identity::generate(&mut ChaCha20Rng::seed_from_u64(2))
}

/// What a run's training adds to each parameter.
fn step_of(run: RunId) -> f32 {
    f32::from(run.0[0]) * 0.125
}

impl World {
    pub(super) fn new(seed: u64, runs: u8, loss_percent: u32) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let coordinator = Identity::generate(&mut random);
        let runs = (1..=runs).map(|number| Run {
            id: RunId([number; 16]),
            done: 0,
            epochs: 0,
            open: None,
            ended: BTreeMap::new(),
            receipts: 0,
            said: Vec::new(),
        });
        Self {
            now: BEGAN,
            participant: participant(&coordinator, &BTreeMap::new(), BEGAN, random.next_u64()),
            coordinator,
            random,
            life: 0,
            marks: BTreeMap::new(),
            presence: None,
            package: None,
            runs: runs.collect(),
            training: None,
            begun: BTreeSet::new(),
            order: Vec::new(),
            arrivals: BTreeMap::new(),
            in_order: [BEGAN; 3],
            sent: 0,
            loss_percent,
            seq: 0,
        }
    }

    /// Until every run has its rounds.
    pub(super) fn run(&mut self) {
        let limit = BEGAN + Millis(600_000);
        while self.runs.iter().any(|run| run.done < ROUNDS) {
            assert!(self.now < limit, "{:?}", self.runs.iter().map(|run| run.done).collect::<Vec<_>>());
            self.step();
        }
    }

    pub(super) fn step(&mut self) {
        let runs = self.runs.iter().filter_map(|run| run.open.as_ref());
        let wakes = runs.flat_map(|(_, downlink, incoming)| {
            [downlink.next_wake(), incoming.as_ref().map(|(_, incoming)| incoming.next_wake())]
        });
        let wake =
            wakes.flatten().chain([self.participant.next_wake()]).min().expect("the node always wakes again");
        match self.arrivals.first_key_value().map(|(key, _)| *key) {
            Some(key) if key.0 <= wake => {
                self.now = self.now.max(key.0);
                let arrival = self.arrivals.remove(&key).expect("it is the first");
                self.arrive(arrival);
            }
            _ => {
                self.now = wake.max(Timestamp(self.now.0 + 1));
                self.node(Participant::on_tick);
                for index in 0..self.runs.len() {
                    self.tick(index);
                }
            }
        }
    }

    /// The fate of a datagram: lost, repeated, late.
    fn send(&mut self, datagram: impl Fn() -> Datagram) {
        for _ in 0..=u32::from(self.random.next_u32().is_multiple_of(10)) {
            if self.random.next_u32() % 100 >= self.loss_percent {
                let at = Timestamp(self.now.0 + 100 + u64::from(self.random.next_u32() % 10_000));
                self.at(at, datagram());
            }
        }
    }

    fn send_in_order(&mut self, topic: usize, datagram: Datagram) {
        let at = Timestamp(self.now.0 + 100 + u64::from(self.random.next_u32() % 10_000));
        self.in_order[topic] = self.in_order[topic].max(at);
        self.at(self.in_order[topic], datagram);
    }

    pub(super) fn at(&mut self, at: Timestamp, datagram: Datagram) {
        self.sent += 1;
        self.arrivals.insert((at, self.sent), datagram);
    }

    fn arrive(&mut self, datagram: Datagram) {
        match datagram {
            Datagram::Hello(bytes) => self.node(|node, now, out| _ = node.on_coordinator(&bytes, now, out)),
            Datagram::Announcement(bytes) => {
                self.node(|node, now, out| node.on_announcement(&bytes, now, out));
            }
            Datagram::Chunk(blob, index, bytes) => {
                self.node(|node, now, out| node.on_model_chunk(blob, index, &bytes, now, out));
            }
            Datagram::UpdateReceipt(blob, bytes) => {
                self.node(|node, now, out| node.on_receipt(blob, &bytes, now, out));
            }
            Datagram::Trained(life, trained) => {
                if life == self.life && self.training == Some((trained.run, trained.epoch)) {
                    self.training = None;
                    self.node(|node, now, out| node.on_trained(&trained, now, out));
                }
            }
            Datagram::Killed => self.kill(),
            Datagram::Presence(bytes) => self.on_presence(&bytes),
            Datagram::ModelReceipt(blob, bytes) => self.on_model_receipt(blob, &bytes),
            Datagram::Update(blob, index, bytes) => self.on_update(blob, index, &bytes),
        }
    }

    pub(super) fn node(&mut self, act: impl FnOnce(&mut Participant, Timestamp, &mut Vec<Output>)) {
        let mut out = Vec::new();
        act(&mut self.participant, self.now, &mut out);
        for output in out {
            match output {
                Output::Presence(bytes) => self.send_in_order(0, Datagram::Presence(bytes)),
                Output::Receipt { blob, bytes } => self.send(|| Datagram::ModelReceipt(blob, bytes.clone())),
                Output::UpdateChunk { blob, index, bytes, .. } => {
                    self.send(|| Datagram::Update(blob, index, bytes.to_vec()));
                }
                Output::Mark { run, epoch, .. } => {
                    assert!(self.marks.insert(run, epoch) < Some(epoch), "no epoch is acted on twice");
                }
                Output::Train(assignment) => self.train(&assignment),
                Output::Cancel => assert!(self.training.take().is_some(), "nothing to cancel"),
                Output::Keep(_) => panic!("nothing was to be kept"),
                Output::Unsigned(error) => panic!("{error}"),
                Output::Note(_) | Output::Roster { .. } | Output::Certificate { .. } => (),
            }
        }
    }

    fn train(&mut self, assignment: &Assignment) {
        let Assignment { run, epoch, .. } = *assignment;
        assert_eq!(self.training.replace((run, epoch)), None, "one training at a time");
        assert!(self.begun.insert((self.life, run, epoch)), "no epoch is trained twice");
        self.order.push(run);
        let mut parameters = (*assignment.model).clone();
        parameters.values_mut().iter_mut().for_each(|value| *value += step_of(run));
        let trained = Trained { run, epoch, parameters, samples: 5, steps: 1, loss: 0.5, control: None };
        self.at(self.now + TRAINING, Datagram::Trained(self.life, trained));
    }

    /// The process ends; another one begins with what the disk has.
    fn kill(&mut self) {
        self.life += 1;
        self.training = None;
        self.participant = participant(&self.coordinator, &self.marks, self.now, self.random.next_u64());
        self.node(Participant::on_tick);
    }

    fn on_presence(&mut self, bytes: &[u8]) {
        let key = node_identity();
        let told = Signed::<NodePresence>::open(bytes, Label::Presence, |_| Some(key.public()))
            .expect("the node signs what it says")
            .body;
        if self.presence.as_ref().is_some_and(|newest| told.seq <= newest.seq) {
            return;
        }
        let training = told.works.iter().filter(|work| work.activity == Activity::Training).count();
        assert!(training <= 1, "{told:?}");
        assert!(told.works.is_sorted_by(|one, next| one.run < next.run), "{told:?}");
        let is_new = self.presence.as_ref().is_none_or(|known| known.session != told.session);
        if is_new || self.package.as_ref().is_none_or(|known| told.package.expires > known.expires) {
            self.package = Some(told.package.clone());
        }
        self.seq += 1;
        let heard = vec![Heard { node: key.node_id(), session: told.session }]
            .try_into()
            .expect("one is within the limit");
        let hello = CoordinatorPresence {
            seq: self.seq,
            mailbox: Mailbox::default(),
            heard,
            suite: Suite::X25519,
            version: VERSION,
        };
        let hello = Signed::seal(&self.coordinator, Label::Hello, &hello).expect("a key in memory signs");
        self.send_in_order(1, Datagram::Hello(hello));
        let declined: Vec<(RunId, EpochId)> = told
            .works
            .iter()
            .filter(|work| work.activity == Activity::Declining)
            .map(|work| (work.run, work.epoch))
            .collect();
        self.presence = Some(told);
        for index in 0..self.runs.len() {
            let run = &self.runs[index];
            let is_lost = run
                .open
                .as_ref()
                .is_none_or(|(epoch, ..)| is_new || declined.contains(&(epoch.run, epoch.id)));
            if is_lost && run.done < ROUNDS {
                self.open(index);
            }
        }
    }

    /// The next attempt at a round.
    fn open(&mut self, index: usize) {
        let package = self.package.clone().expect("a presence has come");
        let run = &mut self.runs[index];
        run.epochs += 1;
        let (id, round, epoch) = (run.id, RoundId(run.done + 1), EpochId(run.epochs));
        let coordinator = self.coordinator.node_id();
        let (epoch, members, failed) = Epoch::open(
            Suite::X25519,
            (TENANT, id, round, epoch),
            coordinator,
            [(package.node, package)].into_iter(),
            &mut self.random,
        );
        assert!(failed.is_empty());
        let (plan, subject) = (Plan::flat(PARAMETERS, ROUNDS, 1), epoch.model_subject());
        let values = vec![f32::from(id.0[0]); PARAMETERS as usize];
        let sealer = Sealer { identity: &self.coordinator, subject, next_package: None, buffer: Vec::new() };
        let plain = model::plaintext(&plan.into(), &values, &[]);
        let sealed = sealer
            .seal_to_group(&plain, &epoch.root, &mut self.random)
            .expect("a model of two chunks is sealed");
        let members = members.try_into().expect("one is within the limit");
        let request = Request::Train(Offer { model: sealed.manifest().clone(), members });
        let (issued, deadline) = (self.now, DEADLINE);
        let announcement = Announcement {
            tenant: TENANT,
            run: id,
            round,
            epoch: epoch.id,
            taken_from: epoch.id,
            roster: 1,
            issued,
            deadline,
            request,
        };
        let bytes =
            Signed::seal(&self.coordinator, Label::Announce, &announcement).expect("a key in memory signs");
        let downlink = Downlink::new(sealed, &epoch, WINDOW, self.now);
        run.open = Some((epoch, downlink, None));
        run.said.push(bytes.clone());
        self.send_in_order(2, Datagram::Announcement(bytes));
        // Somebody replays an announcement of any run, later.
        let said = &self.runs[self.random.next_u32() as usize % self.runs.len()].said;
        if let Some(old) = said.get(self.random.next_u32() as usize % said.len().max(1)).cloned() {
            let at = self.now + Millis(u64::from(self.random.next_u32() % 200));
            self.at(at, Datagram::Announcement(old));
        }
        self.tick(index);
    }

    fn tick(&mut self, index: usize) {
        let run = &mut self.runs[index];
        let Some((epoch, downlink, incoming)) = &mut run.open else { return };
        let mut dispatched = Vec::new();
        downlink.send(self.now, &mut dispatched);
        let due = incoming.as_mut().and_then(|(blob, incoming)| Some((*blob, incoming.on_tick(self.now)?)));
        let receipt = due.map(|(blob, standing)| {
            run.receipts += 1;
            (blob, receipt(blob, run.receipts, Status::Open(standing), epoch, &self.coordinator))
        });
        for dispatch in dispatched {
            if let Dispatch::ModelChunk { blob, index, bytes, .. } = dispatch {
                self.send(|| Datagram::Chunk(blob, index, bytes.to_vec()));
            }
        }
        if let Some((blob, bytes)) = receipt {
            self.send(|| Datagram::UpdateReceipt(blob, bytes.clone()));
        }
    }

    fn on_model_receipt(&mut self, blob: BlobId, bytes: &[u8]) {
        for index in 0..self.runs.len() {
            if let Some((epoch, downlink, _)) = &mut self.runs[index].open
                && downlink.blob() == blob
            {
                let node = node_identity().node_id();
                downlink.on_receipt(epoch, node, bytes, WINDOW, self.now);
                self.tick(index);
            }
        }
    }

    fn on_update(&mut self, blob: BlobId, index: u32, bytes: &[u8]) {
        let offered = || wire::decode::<Manifest>(bytes).expect("a manifest").claimed_header().subject;
        let of = self.runs.iter().position(|run| {
            let comes = run.open.as_ref().and_then(|(.., incoming)| Some(incoming.as_ref()?.0));
            comes == Some(blob) || run.ended.contains_key(&blob)
        });
        let of = of.or_else(|| {
            let subject = (index == OFFER_INDEX).then(offered)?;
            self.runs.iter().position(|run| {
                let open = run.open.as_ref().map(|(epoch, ..)| (epoch.run, epoch.id));
                open == Some((subject.run, subject.epoch))
            })
        });
        let Some(of) = of else { return };
        let (coordinator, now, run) = (&self.coordinator, self.now, &mut self.runs[of]);
        run.receipts += 1;
        let number = run.receipts;
        let status = match (run.ended.get(&blob), &mut run.open) {
            (Some(_), _) => Some(Status::Complete),
            (None, Some((epoch, _, slot))) => take(epoch, slot, (index, bytes), now),
            (None, None) => None,
        };
        let Some(status) = status else { return };
        if status == Status::Complete && !run.ended.contains_key(&blob) {
            let (epoch, _, incoming) = run.open.take().expect("it has arrived");
            check(incoming.expect("its last piece came").1, run.id);
            run.done += 1;
            run.ended.insert(blob, epoch);
        }
        let epoch = run
            .ended
            .get(&blob)
            .or(run.open.as_ref().map(|(epoch, ..)| epoch))
            .expect("what is answered has an epoch");
        let bytes = receipt(blob, number, status, epoch, coordinator);
        let goes_on = run.open.is_none() && run.done < ROUNDS;
        self.send(|| Datagram::UpdateReceipt(blob, bytes.clone()));
        if goes_on {
            self.open(of);
        }
    }
}

/// Takes a piece of an update, the first one as its offer.
fn take(
    epoch: &Epoch,
    slot: &mut Option<Arriving>,
    (index, bytes): (u32, &[u8]),
    now: Timestamp,
) -> Option<Status> {
    if index == OFFER_INDEX {
        if slot.is_none() {
            let manifest: Manifest = wire::decode(bytes).expect("a manifest");
            let verified = manifest.verify(node_identity().public()).expect("the node signed it");
            let keys = &epoch.keys[&node_identity().node_id()];
            let opener = Opener::for_coordinator(&verified, epoch.coordinator, keys);
            let opener = opener.expect("it is sealed to this epoch");
            *slot = Some((verified.blob(), Incoming::new(opener, Vec::new(), WINDOW, now)));
        }
        return slot.as_ref().map(|(_, incoming)| Status::Open(incoming.standing(false)));
    }
    let (_, incoming) = slot.as_mut()?;
    match incoming.on_chunk(index, bytes, now).expect("it is a piece of this update") {
        Arrival::Complete => Some(Status::Complete),
        Arrival::Stored(due) => due.map(|due: Standing| Status::Open(due)),
        Arrival::Duplicate => None,
    }
}

/// What came is what this run's training changed.
fn check(incoming: Incoming, run: RunId) {
    let plain = incoming.finish().expect("its hash is the signed one");
    let (head, values) = update::decode(&plain).expect("an update");
    assert_eq!((head.weight, head.steps), (5, 1));
    let step = step_of(run).to_le_bytes();
    assert!(values.as_chunks::<4>().0.iter().all(|value| *value == step), "a delta of another run");
}

fn receipt(blob: BlobId, seq: u32, status: Status, epoch: &Epoch, coordinator: &Identity) -> Vec<u8> {
    let keys = &epoch.keys[&node_identity().node_id()];
    Receipt { blob, seq, status }.seal(coordinator.node_id(), &keys.pair)
}

/// The coordinator's is the operator's key as well: a roster of it is not what is shown here.
fn roster(coordinator: &Identity) -> Roster {
    let mut roster = Roster::new("test", *coordinator.public());
    let (name, key, labels) = ("node-1".to_owned(), *node_identity().public(), Labels::new());
    roster.admit(Peer { name, key, labels });
    roster
}

fn participant(
    coordinator: &Identity,
    marks: &BTreeMap<RunId, EpochId>,
    now: Timestamp,
    seed: u64,
) -> Participant {
    let setup = Setup {
        identity: node_identity(),
        suite: Suite::X25519,
        operator: *coordinator.public(),
        roster: Some(roster(coordinator)),
        tenant: TENANT,
        mailbox: Mailbox::default(),
        marks: marks.clone(),
        acted: BTreeMap::new(),
        certified: Timestamp::default(),
        window: WINDOW,
        random: ChaCha20Rng::seed_from_u64(seed),
    };
    Participant::new(setup, now)
}

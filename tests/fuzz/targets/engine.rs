//! A coordinator and two nodes in one process, and a network that loses, repeats and alters what they say, and adds what
//! nobody or a node that turned against the rest says. Whatever comes: the run ends.
#![no_main]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};

use common::crypto::{
    AgreementKey, EpochRoot, Identity, Kind, Label, MemberKeys, Scope, Sealer, Subject, Suite, chunk_hash,
};
use common::id::{BlobId, EpochId, ModelHash, NodeId, RoundId, RunId, TenantId};
use common::known::Labels;
use common::limits::OFFER_INDEX;
use common::message::Signed;
use common::message::announce::Announcement;
use common::message::model::Plan;
use common::message::presence::{Activity, Mailbox, NodePresence, Standing, VERSION, Work};
use common::units::{Millis, Timestamp};
use common::wire::encode;
use coordinator::config::Transfer;
use coordinator::engine::{Answer, Combined, Engine, Output as Said, Setup, Start, Values, Wish};
use coordinator::members::Members;
use coordinator::round::{Checkpoint, Close, CohortSize, Deadlines, ReservedEpochs, RoundPlan, RunPosition};
use coordinator::strategy::Strategy;
use libfuzzer_sys::fuzz_target;
use node::participant::{Output as Done, Participant, Setup as NodeSetup, Trained};
use ops::{Ops, roster};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const TENANT: TenantId = TenantId([1; 16]);
const RUN: RunId = RunId([2; 16]);
const PARAMETERS: usize = 14_000;
const ROUNDS: u32 = 2;

/// Two attempts at each round, each with all its deadlines; and a run that waits for the disk never does.
const RUN_MAX: Millis = Millis(2 * 2 * 4 * 10_000);

/// What one datagram may bring about.
const OUTPUTS_MAX: usize = 200;

fn random(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn identity(seed: u64) -> Identity {
    Identity::generate(&mut random(seed))
}

static COORDINATOR: LazyLock<Identity> = LazyLock::new(|| identity(1));
static NODES: LazyLock<[Identity; 2]> = LazyLock::new(|| [identity(2), identity(3)]);

/// To what a node that turned against the rest has its roots wrapped.
static KEYS: LazyLock<[AgreementKey; 2]> = LazyLock::new(|| {
    [0, 1].map(|which| {
        let random = &mut random(20 + which as u64);
        AgreementKey::generate(Suite::X25519, NODES[which].node_id(), Timestamp(u64::MAX), random)
    })
});

#[derive(Clone, Debug)]
enum Datagram {
    Presence(Vec<u8>),
    Receipt(BlobId, NodeId, Vec<u8>),
    Update(BlobId, u32, Vec<u8>),
    Hello(Vec<u8>),
    Announcement(Vec<u8>),
    Chunk(BlobId, u32, Vec<u8>),
    UpdateReceipt(BlobId, Vec<u8>),
}

struct World {
    now: Timestamp,
    engine: Engine,
    nodes: [Participant; 2],
    starts: u64,
    queue: VecDeque<Datagram>,
    disk: BTreeMap<ModelHash, Vec<f32>>,
    announced: Option<Announcement>,
    /// What such nodes have of the epoch that was announced last.
    members: [Option<MemberKeys>; 2],
    ended: bool,
}

fn participant(index: usize, start: u64, now: Timestamp) -> Participant {
    let setup = NodeSetup {
        identity: identity(2 + index as u64),
        suite: Suite::X25519,
        operator: *COORDINATOR.public(),
        roster: Some(roster(&COORDINATOR, NODES.iter())),
        tenant: TENANT,
        mailbox: Mailbox { chunks: [index as u8; 16], receipts: [index as u8; 16] },
        marks: BTreeMap::new(),
        acted: BTreeMap::new(),
        certified: Timestamp::default(),
        window: 4,
        random: random(100 + start),
    };
    Participant::new(setup, now)
}

/// What nodes that turned against the rest make of an announcement.
fn unwrapped(announcement: &Announcement) -> [Option<MemberKeys>; 2] {
    let Announcement { tenant, run, epoch, .. } = *announcement;
    let scope = Scope { tenant, run, epoch, sender: COORDINATOR.node_id() };
    let members = || announcement.request.offer().into_iter().flat_map(|offer| offer.members.iter());
    KEYS.each_ref().map(|key| {
        let own = members().find(|member| member.package == key.package().nonce)?;
        EpochRoot::unwrap(&own.root, key, &scope).ok().map(|(_, keys)| keys)
    })
}

impl World {
    fn new() -> Self {
        let now = Timestamp(1_700_000_000_000_000);
        let members = Members::new(roster(&COORDINATOR, NODES.iter()), Suite::X25519, now);
        let transfer = Transfer { window_chunks: 4, uploads_bytes: 100_000 };
        let (identity, suite, mailbox) = (identity(1), Suite::X25519, Mailbox::default());
        let setup = Setup { identity, suite, tenant: TENANT, mailbox, transfer, random: random(9) };
        let mut world = Self {
            now,
            engine: Engine::new(setup, members),
            nodes: [0, 1].map(|index| participant(index, index as u64, now)),
            starts: 2,
            queue: VecDeque::new(),
            disk: BTreeMap::new(),
            announced: None,
            members: [None, None],
            ended: false,
        };
        let model = world.keep(vec![0.0; PARAMETERS]);
        let deadline = Millis(10_000);
        let deadlines = Deadlines {
            selection: deadline,
            configuration: deadline,
            reporting: deadline,
            committing: deadline,
            rejoin: Millis(1_000),
        };
        let plan = Plan::flat(PARAMETERS as u32, ROUNDS, 1);
        let size =
            CohortSize { minimum: 1, goal: 2, over_selection: 1.0, close: Close::AtGoal, staleness_max: 0 };
        let rounds = RoundPlan::new(size, deadlines, ROUNDS, 2, 1).expect("a possible plan");
        let epochs = ReservedEpochs { next: EpochId(1), end: EpochId(1000) };
        let position = RunPosition { run: RUN, rounds_done: RoundId(0), checkpoint: model.into(), epochs };
        let mut out = Vec::new();
        world.engine.start(
            Start {
                plan,
                rounds,
                select: Labels::new(),
                strategy: Strategy::FEDAVG,
                position,
                folded: BTreeMap::new(),
                model: None,
            },
            now,
            &mut out,
        );
        world.obey(out);
        world.tick();
        world
    }

    fn keep(&mut self, values: Vec<f32>) -> ModelHash {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let hash = ModelHash(chunk_hash(&bytes));
        self.disk.insert(hash, values);
        hash
    }

    fn obey(&mut self, said: Vec<Said>) {
        assert!(said.len() <= OUTPUTS_MAX, "{} outputs of one datagram", said.len());
        let mut said = VecDeque::from(said);
        while let Some(output) = said.pop_front() {
            let mut out = Vec::new();
            match output {
                Said::Hello(bytes) => self.queue.push_back(Datagram::Hello(bytes)),
                Said::Announce { bytes, .. } => {
                    let signed = Signed::open(&bytes, Label::Announce, |_| Some(COORDINATOR.public()));
                    let announcement: Announcement = signed.expect("the coordinator signs").body;
                    self.members = unwrapped(&announcement);
                    self.announced = Some(announcement);
                    self.queue.push_back(Datagram::Announcement(bytes));
                }
                Said::ModelChunk { blob, index, bytes, .. } => {
                    self.queue.push_back(Datagram::Chunk(blob, index, bytes.to_vec()));
                }
                Said::UpdateReceipt { blob, bytes, .. } => {
                    self.queue.push_back(Datagram::UpdateReceipt(blob, bytes));
                }
                Said::Wish(run, wish) => {
                    let answer = self.grant(wish);
                    self.engine.on_answer(run, answer, self.now, &mut out);
                }
                Said::Ended { .. } => self.ended = true,
                Said::Unsigned(error) => panic!("{error}"),
                Said::Outdated(error) => panic!("{error}"),
                Said::Certificate { .. } | Said::Event(_) | Said::Note(_) | Said::Ignored(_) => (),
            }
            said.extend(out);
        }
    }

    fn load(&self, checkpoint: &Checkpoint) -> Result<Values, String> {
        let model = self.disk.get(&checkpoint.model).cloned().ok_or_else(|| "missing".to_owned());
        model.map(|model| Values { model, moments: Vec::new() })
    }

    fn grant(&mut self, wish: Wish) -> Answer {
        match wish {
            Wish::Load(checkpoint) => Answer::Loaded(self.load(&checkpoint)),
            Wish::Combine(combination) => Answer::Combined(self.load(&combination.from).map(|mut values| {
                combination.make(&mut values);
                assert!(values.model.iter().all(|value| value.is_finite()), "a model of numbers");
                let made = self.keep(values.model.clone()).into();
                Combined { made, model: values.model, combination }
            })),
            Wish::Commit { record, .. } => Answer::Committed(record, Ok(())),
            Wish::Keep(record) => Answer::Kept(record, Ok(())),
        }
    }

    fn tick(&mut self) {
        let mut out = Vec::new();
        self.engine.on_tick(self.now, &mut out);
        self.obey(out);
        (0..2).for_each(|index| self.node(index, Participant::on_tick));
    }

    fn node(&mut self, index: usize, act: impl FnOnce(&mut Participant, Timestamp, &mut Vec<Done>)) {
        let mut out = Vec::new();
        act(&mut self.nodes[index], self.now, &mut out);
        let id = self.nodes[index].node();
        while !out.is_empty() {
            assert!(out.len() <= OUTPUTS_MAX, "{} outputs of one datagram", out.len());
            for output in std::mem::take(&mut out) {
                match output {
                    Done::Presence(bytes) => self.queue.push_back(Datagram::Presence(bytes)),
                    Done::Receipt { blob, bytes } => {
                        self.queue.push_back(Datagram::Receipt(blob, id, bytes));
                    }
                    Done::UpdateChunk { blob, index, bytes, .. } => {
                        self.queue.push_back(Datagram::Update(blob, index, bytes.to_vec()));
                    }
                    Done::Train(assignment) => {
                        let mut parameters = Arc::unwrap_or_clone(assignment.model);
                        parameters.values_mut().iter_mut().for_each(|value| *value += 1.0);
                        let (run, epoch, samples, steps, loss) =
                            (assignment.run, assignment.epoch, 1, 1, 0.5);
                        let trained = Trained { run, epoch, parameters, samples, steps, loss, control: None };
                        self.nodes[index].on_trained(&trained, self.now, &mut out);
                    }
                    Done::Unsigned(error) => panic!("{error}"),
                    Done::Mark { .. }
                    | Done::Roster { .. }
                    | Done::Certificate { .. }
                    | Done::Cancel
                    | Done::Keep(_)
                    | Done::Note(_) => (),
                }
            }
        }
    }

    fn deliver(&mut self, datagram: &Datagram) {
        let (now, mut out) = (self.now, Vec::new());
        match datagram {
            Datagram::Presence(bytes) => drop(self.engine.on_presence(bytes, now, &mut out)),
            Datagram::Receipt(blob, node, bytes) => {
                self.engine.on_model_receipt(*blob, *node, bytes, now, &mut out);
            }
            Datagram::Update(blob, index, bytes) => {
                self.engine.on_update(*blob, *index, bytes, now, &mut out);
            }
            to_nodes => {
                for index in 0..2 {
                    self.node(index, |node, now, out| match to_nodes {
                        Datagram::Hello(bytes) => drop(node.on_coordinator(bytes, now, out)),
                        Datagram::Announcement(bytes) => node.on_announcement(bytes, now, out),
                        Datagram::Chunk(blob, index, bytes) => {
                            node.on_model_chunk(*blob, *index, bytes, now, out);
                        }
                        Datagram::UpdateReceipt(blob, bytes) => node.on_receipt(*blob, bytes, now, out),
                        _ => (),
                    });
                }
            }
        }
        self.obey(out);
    }

    /// A datagram of anybody, or of a node that turned against the rest.
    fn foreign(&mut self, what: u8, ops: &mut Ops<'_>) -> Option<Datagram> {
        let which = usize::from(ops.byte() % 2);
        let (node, blob) = (NODES[which].node_id(), BlobId([ops.byte(); 32]));
        Some(match what % 6 {
            0 => Datagram::Presence(ops.bytes().to_vec()),
            1 => Datagram::Receipt(blob, node, ops.bytes().to_vec()),
            2 => Datagram::Update(blob, [OFFER_INDEX, 0][which], ops.bytes().to_vec()),
            3 | 4 => {
                let package = KEYS[which].package().clone();
                let activity = if what < 128 { Activity::Declining } else { Activity::Hanging };
                let (epoch, progress) = (EpochId(u64::from(ops.byte())), ops.byte());
                let work = Work { run: [RUN, RunId([3; 16])][which], epoch, activity, progress };
                let presence = NodePresence {
                    session: u64::from(ops.short()),
                    seq: self.now.0 + u64::from(ops.short()),
                    answers: [0, u64::MAX][usize::from(ops.byte() % 2)],
                    roster: u64::from(progress),
                    acted: None,
                    certified: Timestamp::default(),
                    package,
                    mailbox: Mailbox::default(),
                    standing: [Standing::Ready, Standing::Draining][usize::from(progress % 2)],
                    works: vec![work; usize::from(progress % 4)].try_into().ok()?,
                    drifted: (progress % 8 < 4).then_some(work.run),
                    version: VERSION,
                };
                let body = ops.damaged(&encode(&presence));
                let content = [&node.0[..], &body].concat();
                let signature = NODES[which].sign(Label::Presence, &content).expect("a key in memory signs");
                Datagram::Presence([&content[..], &signature.0].concat())
            }
            _ => return self.update(which, ops),
        })
    }

    /// An update that a node sealed for this epoch, of any content; its pieces are queued.
    fn update(&mut self, which: usize, ops: &mut Ops<'_>) -> Option<Datagram> {
        let (announced, keys) = (self.announced.as_ref()?, self.members[which].as_ref()?);
        let kind = [Kind::Update, Kind::Model][usize::from(ops.byte() % 16 == 0)];
        let subject = Subject {
            kind,
            tenant: TENANT,
            run: RUN,
            round: announced.round,
            epoch: announced.epoch,
            seq: u64::from(ops.byte()),
            trace: [0; 16],
        };
        let mut plain = ops.bytes().to_vec();
        if ops.byte() % 4 != 0 {
            plain.resize(12 + PARAMETERS * 4, plain.last().copied().unwrap_or_default());
        }
        let sealer = Sealer { identity: &NODES[which], subject, next_package: None, buffer: Vec::new() };
        let (to, random) = (COORDINATOR.node_id(), &mut random(ops.byte().into()));
        let sealed = sealer.seal_to_coordinator(&plain[..], to, keys, random).ok()?;
        let blob = sealed.manifest().blob();
        for index in (0..sealed.chunks()).rev() {
            let chunk = sealed.chunk(index)?;
            self.queue.push_front(Datagram::Update(blob, index, chunk.to_vec()));
        }
        Some(Datagram::Update(blob, OFFER_INDEX, encode(sealed.manifest())))
    }

    fn act(&mut self, what: u8, ops: &mut Ops<'_>) {
        match what % 8 {
            0 | 1 => {
                for _ in 0..=ops.byte() % 32 {
                    let Some(datagram) = self.queue.pop_front() else { break };
                    self.deliver(&datagram);
                }
            }
            2 => drop(self.queue.pop_front()),
            3 => {
                if let Some(datagram) = self.queue.front().cloned() {
                    self.deliver(&datagram);
                }
            }
            4 => {
                let Some(mut datagram) = self.queue.pop_front() else { return };
                let (Datagram::Presence(bytes)
                | Datagram::Receipt(_, _, bytes)
                | Datagram::Update(_, _, bytes)
                | Datagram::Hello(bytes)
                | Datagram::Announcement(bytes)
                | Datagram::Chunk(_, _, bytes)
                | Datagram::UpdateReceipt(_, bytes)) = &mut datagram;
                *bytes = ops.damaged(bytes);
                self.deliver(&datagram);
            }
            5 => {
                self.now = self.now + Millis(u64::from(ops.short()));
                self.tick();
            }
            6 => {
                if let Some(datagram) = self.foreign(what / 8, ops) {
                    self.deliver(&datagram);
                }
            }
            _ => {
                let index = usize::from(what / 8 % 2);
                self.starts += 1;
                self.nodes[index] = participant(index, self.starts, self.now);
                self.tick();
            }
        }
    }

    /// The network is well again.
    fn settle(&mut self) {
        let until = self.now + RUN_MAX;
        while !self.ended && self.now <= until {
            match self.queue.pop_front() {
                Some(datagram) => self.deliver(&datagram),
                None => {
                    let wakes = self.nodes.iter().map(Participant::next_wake);
                    let wake = wakes.fold(self.engine.next_wake(), Timestamp::min);
                    self.now = Timestamp(self.now.0 + 1).max(wake);
                    self.tick();
                }
            }
        }
        assert!(self.ended, "the run ends");
    }
}

fuzz_target!(|data: &[u8]| {
    let (mut world, mut ops) = (World::new(), Ops(data));
    while let Some(what) = ops.next() {
        world.act(what, &mut ops);
    }
    world.settle();
});

//! A node in the rounds of two runs, whatever reaches it: bytes of anybody, messages that its coordinator signed and
//! that say anything, pieces of models right and damaged, receipts of any content under the right key. The highest bit of
//! what happens says for which run.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use common::crypto::{
    EpochRoot, Identity, Kind, Label, Manifest, PairKey, Scope, Sealed, Sealer, Subject, Suite,
};
use common::id::{BlobId, EpochId, RoundId, RunId, TenantId};
use common::limits::OFFER_INDEX;
use common::message::Signed;
use common::message::announce::{Announcement, Member, Offer, Request};
use common::message::model::{self, Plan};
use common::message::presence::{Activity, CoordinatorPresence, Heard, Mailbox, NodePresence, VERSION};
use common::message::receipt::{Receipt, Status};
use common::model::ParameterVector;
use common::units::{Millis, Timestamp};
use common::wire::{decode, encode};
use libfuzzer_sys::fuzz_target;
use node::participant::{Assignment, Output, Participant, Setup, Trained};
use ops::{Ops, roster};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const TENANT: TenantId = TenantId([1; 16]);
const RUNS: [RunId; 2] = [RunId([2; 16]), RunId([3; 16])];

/// Two chunks.
const PARAMETERS: u32 = 15_000;

/// Outputs of one input: a window of chunks, and some words.
const OUTPUTS_MAX: usize = 64;

fn identity(seed: u64) -> Identity {
    Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

static COORDINATOR: LazyLock<Identity> = LazyLock::new(|| identity(1));
static NODE: LazyLock<Identity> = LazyLock::new(|| identity(2));

struct World {
    now: Timestamp,
    random: ChaCha20Rng,
    participant: Participant,
    /// What the node said of itself last.
    said: Option<NodePresence>,
    epoch: u64,
    seq: u64,
    /// Of each run the model that was announced last, and the update that the node sent last.
    current: [Option<(Sealed, PairKey)>; 2],
    uploads: [BlobId; 2],
    training: Option<Assignment>,
}

impl World {
    fn new() -> Self {
        let now = Timestamp(1_700_000_000_000_000);
        let setup = Setup {
            identity: identity(2),
            suite: Suite::X25519,
            operator: *COORDINATOR.public(),
            roster: Some(roster(&COORDINATOR, [&*NODE])),
            tenant: TENANT,
            mailbox: Mailbox::default(),
            marks: BTreeMap::new(),
            acted: BTreeMap::new(),
            certified: Timestamp::default(),
            window: 8,
            random: ChaCha20Rng::seed_from_u64(4),
        };
        let (random, participant) = (ChaCha20Rng::seed_from_u64(5), Participant::new(setup, now));
        let (said, current, training) = (None, [None, None], None);
        let uploads = [BlobId([0; 32]); 2];
        Self { now, random, participant, said, epoch: 0, seq: 0, current, uploads, training }
    }

    /// An announcement of work for the node, its model sealed for it.
    fn announcement(&mut self, which: usize, train: bool) -> Option<Announcement> {
        let run = RUNS[which];
        let package = self.said.as_ref()?.package.clone();
        self.epoch += 1;
        let (epoch, round) = (EpochId(self.epoch), RoundId(1));
        let root = EpochRoot::generate(Suite::X25519, &mut self.random);
        let scope = Scope { tenant: TENANT, run, epoch, sender: COORDINATOR.node_id() };
        let (wrapped, keys) = root.wrap(&package, &scope, &mut self.random).ok()?;
        let plan = Plan::flat(PARAMETERS, 1, 1);
        let values = vec![0.5; PARAMETERS as usize];
        let subject =
            Subject { kind: Kind::Model, tenant: TENANT, run, round, epoch, seq: 1, trace: [0; 16] };
        let sealer = Sealer { identity: &COORDINATOR, subject, next_package: None, buffer: Vec::new() };
        let sealed = sealer
            .seal_to_group(&model::plaintext(&plan.into(), &values, &[]), &root, &mut self.random)
            .ok()?;
        let member = Member { node: NODE.node_id(), package: package.nonce, root: wrapped };
        let members = vec![member].try_into().ok()?;
        let offer = Offer { model: sealed.manifest().clone(), members };
        self.current[which] = Some((sealed, keys.pair));
        let request = if train { Request::Train(offer) } else { Request::Keep(offer) };
        let deadline = Millis(600_000);
        let (taken_from, roster, issued) = (epoch, 1, self.now);
        Some(Announcement {
            tenant: TENANT,
            run,
            round,
            epoch,
            taken_from,
            roster,
            issued,
            deadline,
            request,
        })
    }

    fn hello(&mut self, answers: bool) -> CoordinatorPresence {
        self.seq += 1;
        let session = self.said.as_ref().map_or(0, |said| said.session);
        let heard = if answers { vec![Heard { node: NODE.node_id(), session }] } else { Vec::new() };
        let heard = heard.try_into().expect("one is within the limit");
        CoordinatorPresence {
            seq: self.seq,
            mailbox: Mailbox::default(),
            heard,
            suite: Suite::X25519,
            version: VERSION,
        }
    }

    fn act(&mut self, what: u8, ops: &mut Ops<'_>, out: &mut Vec<Output>) {
        let now = self.now;
        let which = usize::from(what >> 7);
        let current = self.current[which].as_ref();
        let blob = current.map_or(BlobId([7; 32]), |(sealed, _)| sealed.manifest().blob());
        let upload = self.uploads[which];
        match what % 15 {
            0 => self.participant.on_announcement(ops.bytes(), now, out),
            1 => drop(self.participant.on_coordinator(ops.bytes(), now, out)),
            2 => self.participant.on_model_chunk(blob, u32::from(ops.byte()), ops.bytes(), now, out),
            3 => self.participant.on_receipt(upload, ops.bytes(), now, out),
            4 => self.now = now + Millis(u64::from(ops.short())),
            5 => {
                let signed = Signed::seal(&COORDINATOR, Label::Hello, &self.hello(what < 128));
                let signed = signed.expect("a key in memory signs");
                self.participant.on_coordinator(&signed, now, out);
            }
            6 | 7 => {
                let Some(announcement) = self.announcement(which, what % 15 == 6) else { return };
                let signed = Signed::seal(&COORDINATOR, Label::Announce, &announcement);
                let signed = signed.expect("a key in memory signs");
                self.participant.on_announcement(&signed, now, out);
            }
            8 => {
                // A coordinator that signs nonsense.
                let Some(announcement) = self.announcement(which, true) else { return };
                let body = ops.damaged(&encode(&announcement));
                let signed = signed(Label::Announce, &body);
                self.participant.on_announcement(&signed, now, out);
            }
            9 => {
                let body = encode(&self.hello(true));
                let signed = signed(Label::Hello, &ops.damaged(&body));
                self.participant.on_coordinator(&signed, now, out);
            }
            10 | 11 => {
                let Some((sealed, _)) = &self.current[which] else { return };
                let index = u32::from(ops.byte()) % (sealed.chunks() + 1);
                let chunk = sealed.chunk(index).unwrap_or_default();
                let chunk = if what % 15 == 10 { chunk.to_vec() } else { ops.damaged(&chunk) };
                self.participant.on_model_chunk(blob, index, &chunk, now, out);
            }
            12 => {
                let Some((_, pair)) = &self.current[which] else { return };
                let Ok(status) = decode::<Status>(ops.bytes()) else { return };
                self.seq += 1;
                let receipt = Receipt { blob: upload, seq: self.seq as u32, status };
                let bytes = receipt.seal(COORDINATOR.node_id(), pair);
                self.participant.on_receipt(upload, &bytes, now, out);
            }
            13 => {
                let Some(assignment) = self.training.take() else { return };
                let parameters: ParameterVector = Arc::unwrap_or_clone(assignment.model);
                let (run, epoch, samples, steps, loss) = (assignment.run, assignment.epoch, 1, 1, 0.5);
                let trained = Trained { run, epoch, parameters, samples, steps, loss, control: None };
                self.participant.on_trained(&trained, now, out);
            }
            _ => self.participant.on_step(now, now, out),
        }
        self.participant.on_tick(self.now, out);
    }

    fn heed(&mut self, out: &mut Vec<Output>) {
        assert!(out.len() <= OUTPUTS_MAX, "{} outputs of one input", out.len());
        for output in out.drain(..) {
            match output {
                Output::Presence(bytes) => {
                    let signed = Signed::open(&bytes, Label::Presence, |_| Some(NODE.public()));
                    let said: NodePresence = signed.expect("the node signs what it says").body;
                    let trains = said.works.iter().filter(|work| work.activity == Activity::Training);
                    assert!(trains.count() <= 1 && said.works.len() <= RUNS.len(), "{said:?}");
                    self.said = Some(said);
                }
                Output::UpdateChunk { blob, index, bytes, .. } => {
                    assert!(index == OFFER_INDEX || index < 3, "a piece of its update");
                    if index == OFFER_INDEX {
                        let manifest: Manifest = decode(&bytes).expect("the node's own offer");
                        let of = RUNS.iter().position(|run| *run == manifest.claimed_header().subject.run);
                        self.uploads[of.expect("one of its runs")] = blob;
                    }
                }
                Output::Train(assignment) => {
                    assert!(self.training.replace(assignment).is_none(), "one training at a time");
                }
                Output::Cancel => assert!(self.training.take().is_some(), "nothing to cancel"),
                Output::Roster { .. } | Output::Certificate { .. } => panic!("none is told"),
                Output::Unsigned(error) => panic!("{error}"),
                Output::Receipt { .. } | Output::Mark { .. } | Output::Keep(_) | Output::Note(_) => (),
            }
        }
    }
}

fn signed(label: Label, body: &[u8]) -> Vec<u8> {
    let content = [&COORDINATOR.node_id().0[..], body].concat();
    let signature = COORDINATOR.sign(label, &content).expect("a key in memory signs");
    [&content[..], &signature.0].concat()
}

fuzz_target!(|data: &[u8]| {
    let (mut world, mut out, mut ops) = (World::new(), Vec::new(), Ops(data));
    world.participant.on_tick(world.now, &mut out);
    world.heed(&mut out);
    while let Some(what) = ops.next() {
        world.act(what, &mut ops, &mut out);
        world.heed(&mut out);
        let wake = world.participant.next_wake();
        assert!(wake > world.now || world.participant.unanswered_since().is_some(), "a wake that has passed");
        assert!(wake.0 <= world.now.0 + 2_000_000, "a node that falls asleep");
    }
});

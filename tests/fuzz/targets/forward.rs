//! Telemetry from a bridge to a node, through a network that loses, repeats and alters it, and adds bytes of anybody and
//! signed nonsense; and batches of any bytes. Once the network is well, what the bridge sent is on the node's disk.
#![no_main]

use std::collections::VecDeque;
use std::sync::LazyLock;

use bytes::Bytes;
use common::crypto::{Identity, Label, Suite};
use common::id::{BlobId, NodeId, TenantId};
use common::known::{Known, Labels, Peer};
use common::limits::OFFER_INDEX;
use common::units::{Millis, Timestamp};
use forward::batch;
use forward::dispatch::{self, Dispatch};
use forward::feed::Batch;
use forward::inbox::{self, Inbox};
use ingest::spool::{Entry, EntryId, Kind, Refusal};
use libfuzzer_sys::fuzz_target;
use ops::Ops;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const TENANT: TenantId = TenantId([1; 16]);

/// Three chunks, so that some can be lost.
const BATCH_BYTES: usize = 120_000;

/// What one datagram may bring about.
const OUTPUTS_MAX: usize = 100;

/// Away nodes and refused batches are tried again after ten seconds at most.
const SETTLED: Millis = Millis(120_000);

fn random(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn identity(seed: u64) -> Identity {
    Identity::generate(&mut random(seed))
}

static BRIDGE: LazyLock<Identity> = LazyLock::new(|| identity(1));
static NODE: LazyLock<Identity> = LazyLock::new(|| identity(2));

fn known(identity: &Identity) -> Known {
    [(identity.node_id(), Peer { name: "peer".to_owned(), key: *identity.public(), labels: Labels::new() })]
        .into()
}

#[derive(Clone, Debug)]
enum Datagram {
    Intake(Vec<u8>),
    Bridge(Vec<u8>),
    Piece(BlobId, u32, Vec<u8>),
    Receipt(BlobId, Vec<u8>),
}

struct World {
    now: Timestamp,
    dispatch: Dispatch,
    inbox: Inbox,
    queue: VecDeque<Datagram>,
    /// Stored, but not told so yet.
    storing: Vec<(NodeId, BlobId)>,
    /// The last hellos: what a side signs when it signs nonsense.
    hellos: [Vec<u8>; 2],
    parts: Vec<Entry>,
    stored: bool,
    delivered: bool,
    loaded: bool,
}

impl World {
    fn new() -> Self {
        let now = Timestamp(1_700_000_000_000_000);
        let owners = vec![(TENANT, NODE.node_id())];
        let setup = dispatch::Setup {
            identity: identity(1),
            suite: Suite::X25519,
            nodes: known(&NODE),
            owners,
            receipts: [1; 16],
            random: random(3),
        };
        let dispatch = Dispatch::new(setup, now);
        let setup = inbox::Setup {
            identity: identity(2),
            suite: Suite::X25519,
            tenant: TENANT,
            bridges: known(&BRIDGE),
            chunks: [2; 16],
            window: 4,
            random: random(4),
        };
        let body = Bytes::from(vec![b'x'; BATCH_BYTES]);
        let id = EntryId::of_content(TENANT, Kind::Records, "a", &body);
        let source = "a".try_into().expect("it is short");
        let parts = vec![Entry { id, tenant: TENANT, kind: Kind::Records, received: now, source, body }];
        Self {
            now,
            dispatch,
            inbox: Inbox::new(setup, now),
            queue: VecDeque::new(),
            storing: Vec::new(),
            hellos: [const { Vec::new() }; 2],
            parts,
            stored: false,
            delivered: false,
            loaded: false,
        }
    }

    fn bridge(&mut self, act: impl FnOnce(&mut Dispatch, Timestamp, &mut Vec<dispatch::Output>)) {
        let mut out = Vec::new();
        act(&mut self.dispatch, self.now, &mut out);
        while !out.is_empty() {
            assert!(out.len() <= OUTPUTS_MAX, "{} outputs of one datagram", out.len());
            for output in std::mem::take(&mut out) {
                match output {
                    dispatch::Output::Hello(bytes) => {
                        self.hellos[0].clone_from(&bytes);
                        self.queue.push_back(Datagram::Bridge(bytes));
                    }
                    dispatch::Output::Piece(piece) => {
                        let datagram = Datagram::Piece(piece.blob, piece.index, piece.bytes.to_vec());
                        self.queue.push_back(datagram);
                    }
                    dispatch::Output::Delivered { what, .. } => {
                        assert!(self.stored, "what is delivered was stored");
                        assert_eq!(what.parts, self.parts.len());
                        self.delivered = true;
                    }
                    dispatch::Output::Wanted(tenant, node) if !self.loaded => {
                        self.loaded = true;
                        let batch = Batch { parts: self.parts.clone(), mark: None };
                        self.dispatch.load(tenant, node, batch, self.now, &mut out);
                    }
                    dispatch::Output::Unsigned(error) => panic!("{error}"),
                    dispatch::Output::Wanted(..) | dispatch::Output::Note(_) => (),
                }
            }
        }
    }

    fn node(&mut self, act: impl FnOnce(&mut Inbox, Timestamp, &mut Vec<inbox::Output>)) {
        let mut out = Vec::new();
        act(&mut self.inbox, self.now, &mut out);
        assert!(out.len() <= OUTPUTS_MAX, "{} outputs of one datagram", out.len());
        for output in out {
            match output {
                inbox::Output::Presence(bytes) => {
                    self.hellos[1].clone_from(&bytes);
                    self.queue.push_back(Datagram::Intake(bytes));
                }
                inbox::Output::Receipt { blob, bytes, .. } => {
                    self.queue.push_back(Datagram::Receipt(blob, bytes));
                }
                inbox::Output::Store { bridge, blob, parts } => {
                    assert_eq!(parts, self.parts, "what is stored is what was sent");
                    self.storing.push((bridge, blob));
                }
                inbox::Output::Unsigned(error) => panic!("{error}"),
                inbox::Output::Note(_) => (),
            }
        }
    }

    fn deliver(&mut self, datagram: &Datagram) {
        match datagram {
            Datagram::Intake(bytes) => self.bridge(|bridge, now, out| {
                bridge.on_presence(bytes, now, out);
            }),
            Datagram::Receipt(blob, bytes) => {
                self.bridge(|bridge, now, out| bridge.on_receipt(*blob, NODE.node_id(), bytes, now, out));
            }
            Datagram::Bridge(bytes) => self.node(|node, now, out| {
                node.on_hello(bytes, now, out);
            }),
            Datagram::Piece(blob, index, bytes) => {
                self.node(|node, now, out| node.on_piece(*blob, *index, bytes, now, out));
            }
        }
    }

    fn tick(&mut self) {
        self.bridge(Dispatch::on_tick);
        self.node(Inbox::on_tick);
    }

    /// The disk has everything, or has no room.
    fn store(&mut self, room: bool) {
        for (bridge, blob) in std::mem::take(&mut self.storing) {
            let stored = if room { Ok(()) } else { Err(Refusal::Full { bytes: 1, max: 1 }) };
            self.stored |= room;
            self.node(|node, now, out| node.on_stored(bridge, blob, stored, now, out));
        }
    }

    fn foreign(&mut self, what: u8, ops: &mut Ops<'_>) -> Datagram {
        let blob = BlobId([what; 32]);
        let nonsense = |hello: &[u8], by: &Identity, label: Label, ops: &mut Ops<'_>| {
            let body = ops.damaged(&hello[32.min(hello.len())..hello.len().saturating_sub(64)]);
            let content = [&by.node_id().0[..], &body].concat();
            let signature = by.sign(label, &content).expect("a key in memory signs");
            [&content[..], &signature.0].concat()
        };
        match what % 6 {
            0 => Datagram::Intake(ops.bytes().to_vec()),
            1 => Datagram::Bridge(ops.bytes().to_vec()),
            2 => Datagram::Piece(blob, [OFFER_INDEX, 0][usize::from(what / 16)], ops.bytes().to_vec()),
            3 => Datagram::Receipt(blob, ops.bytes().to_vec()),
            4 => Datagram::Bridge(nonsense(&self.hellos[0], &BRIDGE, Label::Bridge, ops)),
            _ => Datagram::Intake(nonsense(&self.hellos[1], &NODE, Label::Intake, ops)),
        }
    }

    fn act(&mut self, what: u8, ops: &mut Ops<'_>) {
        match what % 8 {
            0 | 1 => {
                for _ in 0..=ops.byte() % 16 {
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
                let (Datagram::Intake(bytes)
                | Datagram::Bridge(bytes)
                | Datagram::Piece(_, _, bytes)
                | Datagram::Receipt(_, bytes)) = &mut datagram;
                *bytes = ops.damaged(bytes);
                self.deliver(&datagram);
            }
            5 => {
                self.now = self.now + Millis(u64::from(ops.short()));
                self.tick();
            }
            6 => {
                let datagram = self.foreign(what / 8, ops);
                self.deliver(&datagram);
            }
            _ => self.store(what < 128),
        }
    }

    /// The network is well again, and there is room.
    fn settle(&mut self) {
        let until = self.now + SETTLED;
        while !self.delivered && self.now <= until {
            self.store(true);
            match self.queue.pop_front() {
                Some(datagram) => self.deliver(&datagram),
                None => {
                    let wake = self.dispatch.next_wake().min(self.inbox.next_wake());
                    self.now = Timestamp(self.now.0 + 1).max(wake);
                    self.tick();
                }
            }
        }
    }
}

fn batches(data: &[u8]) {
    if let Ok(parts) = batch::decode(data) {
        assert_eq!(batch::encode(&parts), data);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, data)) = data.split_first() else { return };
    if first == b'b' {
        return batches(data);
    }
    let (mut world, mut ops) = (World::new(), Ops(data));
    world.tick();
    let mut is_fair = true;
    while let Some(what) = ops.next() {
        // Nonsense that a side signs itself may be numbered so high that nothing true comes after it.
        is_fair &= !(what % 8 == 6 && what / 8 % 6 >= 4);
        world.act(what, &mut ops);
    }
    world.settle();
    assert!(world.delivered || !is_fair, "what the bridge has gets to the node's disk");
});

//! A node's side, as a state machine: whom it believes, what arrives, and what of it is on the disk.

use std::collections::{BTreeMap, BTreeSet};

use common::blob::{Arrival, Incoming, Standing};
use common::crypto::{
    CustodyError, Identity, Keyring, Kind, Label, Manifest, OpenError, Opener, OtherSuite, PairKey,
    Recipient, Suite,
};
use common::id::{BlobId, NodeId, TenantId};
use common::known::Known;
use common::limits::OFFER_INDEX;
use common::message::Signed;
use common::message::forward::{BridgePresence, IntakePresence};
use common::message::presence::{Address, HEARTBEAT, SILENCE, VERSION};
use common::message::receipt::{Receipt, Status};
use common::units::{Millis, Timestamp};
use common::wire;
use ingest::spool::{self, Entry};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

use crate::batch;
use crate::limits::BATCH_BYTES_MAX;

/// The first wait for an answer to a hello; doubled up to [`HEARTBEAT`].
const HELLO: Millis = Millis(50);

/// What a node does, in this order.
#[derive(Debug)]
pub enum Output {
    /// Write this hello.
    Presence(Vec<u8>),
    /// Write this receipt to a bridge.
    Receipt {
        /// Where the bridge reads.
        to: Address,
        /// Which blob.
        blob: BlobId,
        /// The sealed receipt.
        bytes: Vec<u8>,
    },
    /// Store these parts; answer with [`Inbox::on_stored`].
    Store {
        /// Which bridge sent them.
        bridge: NodeId,
        /// In which blob.
        blob: BlobId,
        /// Entries of this node's tenant.
        parts: Vec<Entry>,
    },
    /// The message that belongs here cannot be signed: stop, and do nothing that comes after it.
    Unsigned(CustodyError),
    /// Tell the operator.
    Note(Note),
}

/// Something an operator would want to know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// Both hellos have come through.
    #[error("bridge `{0}` forwards to this node")]
    Connected(String),
    /// A bridge belongs to a fleet with another suite.
    #[error("bridge `{0}` is not listened to: {1}")]
    Elsewhere(String, OtherSuite),
    /// A bridge has fallen silent.
    #[error("bridge `{0}` is not heard any more")]
    Lost(String),
    /// A message was not acted on.
    #[error("ignored {topic} message: {reason}")]
    Ignored {
        /// On which topic.
        topic: &'static str,
        /// Why.
        reason: String,
    },
    /// What came was not stored.
    #[error("telemetry from bridge `{bridge}` is not stored, and will be sent again: {reason}")]
    NotStored {
        /// From whom.
        bridge: String,
        /// Why.
        reason: String,
    },
}

/// What a node knows when it starts.
#[derive(Debug)]
pub struct Setup {
    /// Who it is.
    pub identity: Identity,
    /// The cryptography of its fleet.
    pub suite: Suite,
    /// Whose telemetry it takes.
    pub tenant: TenantId,
    /// The bridges that it believes.
    pub bridges: Known,
    /// Where it reads batches.
    pub chunks: Address,
    /// Chunks that may be on their way without a receipt.
    pub window: u32,
    /// Randomness.
    pub random: ChaCha20Rng,
}

/// What comes in from all bridges.
#[derive(Debug)]
pub struct Inbox {
    setup: Setup,
    keyring: Keyring,
    session: u64,
    links: BTreeMap<NodeId, Link>,
    /// Bridges that said that they use another suite; each is told of once.
    elsewhere: BTreeSet<NodeId>,
    /// The last blob of each bridge.
    transfers: BTreeMap<NodeId, Transfer>,
    receipts: u32,
    hello_at: Timestamp,
    hello_after: Millis,
    /// Since when no bridge has answered.
    alone_since: Option<Timestamp>,
    seq: u64,
}

/// What is known of a bridge.
#[derive(Debug)]
struct Link {
    receipts: Address,
    seq: u64,
    heard: Timestamp,
    answered: bool,
}

#[derive(Debug)]
struct Transfer {
    blob: BlobId,
    pair: PairKey,
    package: [u8; 16],
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Receiving(Box<Incoming>),
    Storing,
    Ended(Status),
}

impl Inbox {
    /// Nobody is heard yet.
    pub fn new(mut setup: Setup, now: Timestamp) -> Self {
        let keyring = Keyring::new(setup.suite, setup.identity.node_id(), now, &mut setup.random);
        let session = setup.random.next_u64();
        let (links, elsewhere, transfers) = Default::default();
        let (hello_at, hello_after, alone_since) = (now, HELLO, Some(now));
        Self {
            setup,
            keyring,
            session,
            links,
            elsewhere,
            transfers,
            receipts: 0,
            hello_at,
            hello_after,
            alone_since,
            seq: 0,
        }
    }

    /// The node reads batches elsewhere now.
    pub fn on_moved(&mut self, chunks: Address, now: Timestamp) {
        self.setup.chunks = chunks;
        (self.hello_at, self.hello_after) = (now, HELLO);
        self.alone_since = Some(now);
        self.links.values_mut().for_each(|link| link.answered = false);
    }

    /// Since when no bridge has answered; `None` while one does.
    pub fn unanswered_since(&self) -> Option<Timestamp> {
        self.alone_since
    }

    /// Takes a bridge's hello; returns where it reads, when that is believed and new.
    pub fn on_hello(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Output>) -> Option<Address> {
        if !self.claims_our_suite(bytes, out) {
            return None;
        }
        let key_of = |signer| self.setup.bridges.get(&signer).map(|peer| &peer.key);
        let Signed { signer, body } = match Signed::<BridgePresence>::open(bytes, Label::Bridge, key_of) {
            Ok(signed) => signed,
            Err(error) => {
                ignored("bridge", &error, out);
                return None;
            }
        };
        if body.version != VERSION {
            let reason = format!("it speaks version {}, this is version {VERSION}", body.version);
            ignored("bridge", &reason, out);
            return None;
        }
        let before = self.links.get(&signer);
        if before.is_some_and(|link| body.seq <= link.seq) {
            return None;
        }
        let me = self.setup.identity.node_id();
        let answered = body.heard.iter().any(|heard| heard.node == me && heard.session == self.session);
        if answered && before.is_none_or(|link| !link.answered) {
            out.push(Output::Note(Note::Connected(self.name(signer))));
        }
        self.elsewhere.remove(&signer);
        self.links.insert(signer, Link { receipts: body.receipts, seq: body.seq, heard: now, answered });
        self.count_answers(now);
        Some(body.receipts)
    }

    /// Looks at the suite that a hello claims, before its signature.
    fn claims_our_suite(&mut self, bytes: &[u8], out: &mut Vec<Output>) -> bool {
        let claimed = Signed::<BridgePresence>::claimed(bytes).ok();
        let known = |hello: &Signed<_>| self.setup.bridges.contains_key(&hello.signer);
        let Some(hello) = claimed.filter(known) else { return true };
        let Err(other) = self.setup.suite.require(hello.body.suite) else { return true };
        if self.elsewhere.insert(hello.signer) {
            out.push(Output::Note(Note::Elsewhere(self.name(hello.signer), other)));
        }
        false
    }

    /// Takes a piece of a batch: an offer or a chunk.
    pub fn on_piece(
        &mut self,
        blob: BlobId,
        index: u32,
        bytes: &[u8],
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let bridge =
            self.transfers.iter().find(|(_, transfer)| transfer.blob == blob).map(|(bridge, _)| *bridge);
        match bridge {
            Some(bridge) if index == OFFER_INDEX => self.answer(bridge, out),
            Some(bridge) => self.on_chunk(bridge, index, bytes, now, out),
            None if index == OFFER_INDEX => match self.admit(bytes, now) {
                Ok(bridge) => self.answer(bridge, out),
                Err(reason) => ignored("record_chunk", &reason, out),
            },
            None => (),
        }
    }

    /// The parts of a blob are on the disk, or the spool refused them.
    pub fn on_stored(
        &mut self,
        bridge: NodeId,
        blob: BlobId,
        stored: Result<(), spool::Refusal>,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let Some(transfer) = self.transfers.get_mut(&bridge).filter(|transfer| transfer.blob == blob) else {
            return;
        };
        let package = transfer.package;
        match stored {
            Ok(()) => {
                transfer.stage = Stage::Ended(Status::Complete);
                let before = self.keyring.package();
                self.keyring.on_used(&package);
                self.keyring.renew(now, &mut self.setup.random);
                if self.keyring.package() != before {
                    self.hello_at = now;
                }
                self.answer(bridge, out);
            }
            Err(refusal) => self.refuse(bridge, refusal.to_string(), out),
        }
    }

    /// Time has passed: hellos, and transfers that stall.
    pub fn on_tick(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        for (bridge, link) in &mut self.links {
            if link.answered && now >= link.heard + SILENCE {
                link.answered = false;
                out.push(Output::Note(Note::Lost(name(&self.setup.bridges, *bridge))));
            }
        }
        self.count_answers(now);
        self.keyring.refresh(now, &mut self.setup.random);
        if now >= self.hello_at {
            self.hello(now, out);
        }
        let due = |(bridge, transfer): (&NodeId, &mut Transfer)| match &mut transfer.stage {
            Stage::Receiving(incoming) => incoming.on_tick(now).map(|standing| (*bridge, standing)),
            Stage::Storing | Stage::Ended(_) => None,
        };
        let due: Vec<(NodeId, Standing)> = self.transfers.iter_mut().filter_map(due).collect();
        for (bridge, standing) in due {
            self.receipt(bridge, Status::Open(standing), out);
        }
    }

    /// When [`Self::on_tick`] is due next.
    pub fn next_wake(&self) -> Timestamp {
        let wake = |transfer: &Transfer| match &transfer.stage {
            Stage::Receiving(incoming) => Some(incoming.next_wake()),
            Stage::Storing | Stage::Ended(_) => None,
        };
        self.transfers.values().filter_map(wake).min().map_or(self.hello_at, |wake| wake.min(self.hello_at))
    }

    /// Cheap checks first, then the signature, then the key exchange.
    fn admit(&mut self, bytes: &[u8], now: Timestamp) -> Result<NodeId, String> {
        let manifest: Manifest = wire::decode(bytes).map_err(|error| format!("not a manifest: {error}"))?;
        let header = *manifest.claimed_header();
        let bridge = header.sender;
        let key = self.setup.bridges.get(&bridge).map(|peer| peer.key);
        let key = key.ok_or_else(|| format!("unknown sender {bridge}"))?;
        let name = self.name(bridge);
        if header.subject.kind != Kind::Records
            || header.recipient != Recipient::One(self.setup.identity.node_id())
        {
            return Err(format!("not telemetry from bridge `{name}` to this node"));
        }
        if header.subject.tenant != self.setup.tenant {
            return Err(format!("telemetry of another tenant from bridge `{name}`"));
        }
        let suite = self.setup.suite.require(header.suite);
        suite.map_err(|other| format!("bridge `{name}`: {other}"))?;
        let bytes = header.layout.plain_bytes();
        if bytes > BATCH_BYTES_MAX {
            return Err(format!("{bytes} bytes from bridge `{name}` are more than a batch may have"));
        }
        let manifest = manifest.verify(&key).map_err(|error| format!("bridge `{name}`: {error}"))?;
        // It does not say to which of our keys it is sealed; there are three at most.
        let mut opened = Err(OpenError::WrongKey);
        for key in self.keyring.keys() {
            opened = Opener::for_one(&manifest, key).map(|opened| (opened, key.package().nonce));
            if opened.is_ok() {
                break;
            }
        }
        let ((opener, pair), package) = opened.map_err(|error| format!("bridge `{name}`: {error}"))?;
        let incoming = Incoming::new(opener, Vec::new(), self.setup.window, now);
        let stage = Stage::Receiving(Box::new(incoming));
        self.transfers.insert(bridge, Transfer { blob: manifest.blob(), pair, package, stage });
        Ok(bridge)
    }

    fn on_chunk(&mut self, bridge: NodeId, index: u32, sealed: &[u8], now: Timestamp, out: &mut Vec<Output>) {
        let Some(transfer) = self.transfers.get_mut(&bridge) else { return };
        let Stage::Receiving(incoming) = &mut transfer.stage else {
            return self.answer(bridge, out);
        };
        match incoming.on_chunk(index, sealed, now) {
            Ok(Arrival::Stored(Some(standing))) => self.receipt(bridge, Status::Open(standing), out),
            // A chunk that does not open is asked for again; anyone may have written it.
            Ok(Arrival::Stored(None) | Arrival::Duplicate) | Err(_) => (),
            Ok(Arrival::Complete) => self.arrived(bridge, out),
        }
    }

    fn arrived(&mut self, bridge: NodeId, out: &mut Vec<Output>) {
        let Some(transfer) = self.transfers.get_mut(&bridge) else { return };
        let Stage::Receiving(incoming) = std::mem::replace(&mut transfer.stage, Stage::Storing) else {
            return;
        };
        let blob = transfer.blob;
        let parts = incoming.finish().map_err(|error| error.to_string()).and_then(|plain| self.parts(&plain));
        match parts {
            Ok(parts) => out.push(Output::Store { bridge, blob, parts }),
            Err(reason) => self.refuse(bridge, reason, out),
        }
    }

    fn parts(&self, plain: &[u8]) -> Result<Vec<Entry>, String> {
        let parts = batch::decode(plain).map_err(|error| error.to_string())?;
        let foreign = |part: &&Entry| part.tenant != self.setup.tenant || part.kind != spool::Kind::Records;
        match parts.iter().find(foreign) {
            Some(part) => Err(format!("it holds {} of tenant {:?}", part.kind.name(), part.tenant)),
            None => Ok(parts),
        }
    }

    fn refuse(&mut self, bridge: NodeId, reason: String, out: &mut Vec<Output>) {
        out.push(Output::Note(Note::NotStored { bridge: self.name(bridge), reason }));
        if let Some(transfer) = self.transfers.get_mut(&bridge) {
            transfer.stage = Stage::Ended(Status::Refused);
        }
        self.answer(bridge, out);
    }

    /// Tells a bridge how its blob stands.
    fn answer(&mut self, bridge: NodeId, out: &mut Vec<Output>) {
        let status = match self.transfers.get(&bridge).map(|transfer| &transfer.stage) {
            Some(Stage::Receiving(incoming)) => Status::Open(incoming.standing(false)),
            Some(Stage::Storing) => Status::Queued,
            Some(Stage::Ended(status)) => status.clone(),
            None => return,
        };
        self.receipt(bridge, status, out);
    }

    fn receipt(&mut self, bridge: NodeId, status: Status, out: &mut Vec<Output>) {
        let Some(transfer) = self.transfers.get(&bridge) else { return };
        let Some(link) = self.links.get(&bridge) else { return };
        self.receipts += 1;
        let receipt = Receipt { blob: transfer.blob, seq: self.receipts, status };
        let bytes = receipt.seal(self.setup.identity.node_id(), &transfer.pair);
        out.push(Output::Receipt { to: link.receipts, blob: transfer.blob, bytes });
    }

    fn hello(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.seq = now.0.max(self.seq + 1);
        let presence = IntakePresence {
            session: self.session,
            seq: self.seq,
            package: self.keyring.package(),
            chunks: self.setup.chunks,
            version: VERSION,
        };
        let signed = Signed::seal(&self.setup.identity, Label::Intake, &presence);
        out.push(signed.map_or_else(Output::Unsigned, Output::Presence));
        let after = if self.alone_since.is_some() { self.hello_after } else { HEARTBEAT };
        self.hello_after = Millis(after.0 * 2).min(HEARTBEAT);
        self.hello_at = now + after;
    }

    fn count_answers(&mut self, now: Timestamp) {
        let answered = self.links.values().any(|link| link.answered);
        self.alone_since = if answered { None } else { self.alone_since.or(Some(now)) };
    }

    fn name(&self, bridge: NodeId) -> String {
        name(&self.setup.bridges, bridge)
    }
}

fn name(bridges: &Known, bridge: NodeId) -> String {
    bridges.get(&bridge).map_or_else(|| bridge.to_string(), |peer| peer.name.clone())
}

fn ignored(topic: &'static str, reason: &impl ToString, out: &mut Vec<Output>) {
    out.push(Output::Note(Note::Ignored { topic, reason: reason.to_string() }));
}

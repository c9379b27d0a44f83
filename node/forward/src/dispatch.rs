//! A bridge's side, as a state machine: who is there, and what is on its way to whom.

use std::collections::{BTreeMap, BTreeSet};

use common::crypto::{CustodyError, Identity, Label, OtherSuite, SealError, Suite};
use common::id::{BlobId, NodeId, TenantId};
use common::known::Known;
use common::message::forward::{BridgePresence, IntakePresence};
use common::message::presence::{Address, HEARTBEAT, Heard, SILENCE, VERSION};
use common::message::{Signed, SignedError};
use common::units::{Millis, Timestamp};
use common::wire::List;
use rand_chacha::ChaCha20Rng;

use crate::feed::Batch;
use crate::outbox::{Delivered, Outbox, Peer, Piece, Sealing};

/// New nodes are answered at most this often, so that many starting at once share one hello.
const ANSWER: Millis = Millis(5);

/// A bridge that hears none of its nodes for this long may be deaf.
const DEAF: Millis = Millis(10_000);

/// What a bridge does, in this order.
#[derive(Debug)]
pub enum Output {
    /// Write this hello.
    Hello(Vec<u8>),
    /// Write this piece of a batch.
    Piece(Piece),
    /// A node has a batch on its disk: its cursor moves.
    Delivered {
        /// Whose telemetry.
        tenant: TenantId,
        /// Which node.
        node: NodeId,
        /// What it has.
        what: Delivered,
    },
    /// This node has nothing on its way: answer with [`Dispatch::load`] when there is something.
    Wanted(TenantId, NodeId),
    /// The message that belongs here cannot be signed: stop, and do nothing that comes after it.
    Unsigned(CustodyError),
    /// Tell the operator.
    Note(Note),
}

/// Something an operator would want to know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// A node is there.
    #[error("node `{0}` is there")]
    There(String),
    /// A node belongs to a fleet with another suite.
    #[error("node `{0}` is not listened to: {1}")]
    Elsewhere(String, OtherSuite),
    /// A node has fallen silent; what is meant for it waits in the spool.
    #[error("node `{0}` is not heard any more: what is meant for it waits in the spool")]
    Away(String),
    /// A message was not acted on.
    #[error("ignored intake message: {0}")]
    Ignored(String),
    /// A batch could not be sealed.
    #[error("node `{0}`: {1}")]
    Unsealed(String, String),
}

/// What a bridge knows when it starts.
#[derive(Debug)]
pub struct Setup {
    /// Who it is.
    pub identity: Identity,
    /// The cryptography of its fleet.
    pub suite: Suite,
    /// The nodes that it may forward to.
    pub nodes: Known,
    /// Who gets something.
    pub owners: Vec<(TenantId, NodeId)>,
    /// Where it reads receipts.
    pub receipts: Address,
    /// Randomness.
    pub random: ChaCha20Rng,
}

/// All nodes of a bridge.
#[derive(Debug)]
pub struct Dispatch {
    identity: Identity,
    suite: Suite,
    nodes: Known,
    /// Nodes that said that they use another suite; each is told of once.
    elsewhere: BTreeSet<NodeId>,
    outboxes: BTreeMap<(TenantId, NodeId), Outbox>,
    /// Whoever was heard once; those that fell silent as well, so that nothing they said before counts again.
    peers: BTreeMap<NodeId, Heed>,
    receipts: Address,
    random: ChaCha20Rng,
    hello_at: Timestamp,
    hello_last: Timestamp,
    heard_any: Timestamp,
}

/// What is known of a node.
#[derive(Debug)]
struct Heed {
    peer: Peer,
    /// The number of its newest hello.
    seq: u64,
    is_there: bool,
}

impl Dispatch {
    /// Nobody is there yet.
    pub fn new(setup: Setup, now: Timestamp) -> Self {
        let Setup { identity, suite, nodes, owners, receipts, random } = setup;
        let outbox = |(tenant, node)| ((tenant, node), Outbox::new(tenant, node));
        Self {
            identity,
            suite,
            nodes,
            elsewhere: BTreeSet::new(),
            outboxes: owners.into_iter().map(outbox).collect(),
            peers: BTreeMap::new(),
            receipts,
            random,
            hello_at: now,
            hello_last: Timestamp::default(),
            heard_any: now,
        }
    }

    /// The bridge reads receipts elsewhere now.
    pub fn on_moved(&mut self, receipts: Address, now: Timestamp) {
        self.receipts = receipts;
        self.hello_at = now;
        self.heard_any = now;
    }

    /// Whether no node was heard for so long that the bridge should join the domain anew.
    pub fn is_deaf(&self, now: Timestamp) -> bool {
        now >= self.heard_any + DEAF
    }

    /// Takes a node's hello; returns where it reads, when that is believed and new.
    pub fn on_presence(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Output>) -> Option<Address> {
        if !self.claims_our_suite(bytes, out) {
            return None;
        }
        let presence = match self.believe(bytes) {
            Ok(presence) => presence,
            Err(error) => {
                out.push(Output::Note(Note::Ignored(error.to_string())));
                return None;
            }
        };
        let Signed { signer, body: IntakePresence { session, seq, package, chunks, version } } = presence;
        let faults = [
            (version != VERSION, format!("speaks version {version}, this is version {VERSION}")),
            (package.node != signer, "offers a key package of another node".to_owned()),
        ];
        if let Some((_, reason)) = faults.into_iter().find(|(is_so, _)| *is_so) {
            out.push(Output::Note(Note::Ignored(format!("node {signer:?} {reason}"))));
            return None;
        }
        // Only those who own something are listened to.
        if !self.outboxes.keys().any(|(_, node)| *node == signer) {
            return None;
        }
        let before = self.peers.get(&signer);
        if before.is_some_and(|heed| seq <= heed.seq) {
            return None;
        }
        self.heard_any = now;
        self.elsewhere.remove(&signer);
        let new = before.is_none_or(|heed| heed.peer.session != session);
        if before.is_none_or(|heed| !heed.is_there) {
            out.push(Output::Note(Note::There(name(&self.nodes, signer))));
        }
        if new {
            self.hello_at = self.hello_at.min((self.hello_last + ANSWER).max(now));
        }
        let peer = Peer { session, package, chunks, heard: now };
        self.peers.insert(signer, Heed { peer, seq, is_there: true });
        self.advance(now, out);
        Some(chunks)
    }

    /// Looks at the suite that a hello claims, before its signature.
    fn claims_our_suite(&mut self, bytes: &[u8], out: &mut Vec<Output>) -> bool {
        let claimed = Signed::<IntakePresence>::claimed(bytes).ok();
        let known = |hello: &Signed<_>| self.nodes.contains_key(&hello.signer);
        let Some(Signed { signer, body }) = claimed.filter(known) else { return true };
        let Err(other) = self.suite.require(body.package.suite()) else { return true };
        if self.elsewhere.insert(signer) {
            out.push(Output::Note(Note::Elsewhere(name(&self.nodes, signer), other)));
        }
        false
    }

    /// Takes a node's receipt.
    pub fn on_receipt(
        &mut self,
        blob: BlobId,
        node: NodeId,
        bytes: &[u8],
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let of = |((_, to), outbox): &(&(TenantId, NodeId), &mut Outbox)| {
            *to == node && outbox.blob() == Some(blob)
        };
        let Some((&(tenant, node), outbox)) = self.outboxes.iter_mut().find(of) else { return };
        if let Some(what) = outbox.on_receipt(bytes, now) {
            out.push(Output::Delivered { tenant, node, what });
        }
        self.advance(now, out);
    }

    /// Takes what is to be sent to a node next.
    pub fn load(
        &mut self,
        tenant: TenantId,
        node: NodeId,
        batch: Batch,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        if let Some(outbox) = self.outboxes.get_mut(&(tenant, node)) {
            outbox.load(batch);
        }
        self.advance(now, out);
    }

    /// Time has passed, or the spool has grown.
    pub fn on_tick(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        for (node, heed) in &mut self.peers {
            if heed.is_there && now >= heed.peer.heard + SILENCE {
                heed.is_there = false;
                out.push(Output::Note(Note::Away(name(&self.nodes, *node))));
            }
        }
        if now >= self.hello_at {
            self.hello(now, out);
        }
        for (&(tenant, node), outbox) in &self.outboxes {
            if outbox.is_empty() {
                out.push(Output::Wanted(tenant, node));
            }
        }
        self.advance(now, out);
    }

    /// When [`Self::on_tick`] is due next.
    pub fn next_wake(&self) -> Timestamp {
        let there = |((_, node), outbox): (&(TenantId, NodeId), &Outbox)| {
            self.peers.get(node).filter(|heed| heed.is_there).and_then(|_| outbox.next_wake())
        };
        self.outboxes.iter().filter_map(there).min().map_or(self.hello_at, |wake| wake.min(self.hello_at))
    }

    fn advance(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let mut pieces = Vec::new();
        for ((_, node), outbox) in &mut self.outboxes {
            let Some(Heed { peer, .. }) = self.peers.get(node).filter(|heed| heed.is_there) else { continue };
            let mut sealing = Sealing { identity: &self.identity, random: &mut self.random };
            match outbox.send(peer, &mut sealing, now, &mut pieces) {
                Ok(()) => (),
                Err(SealError::Unsigned(error)) => return out.push(Output::Unsigned(error)),
                Err(error) => {
                    out.push(Output::Note(Note::Unsealed(name(&self.nodes, *node), error.to_string())));
                }
            }
        }
        out.extend(pieces.into_iter().map(Output::Piece));
    }

    fn hello(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let heard: Vec<Heard> =
            self.peers.iter().map(|(node, heed)| Heard { node: *node, session: heed.peer.session }).collect();
        let heard = List::try_from(heard).expect("as many nodes as a list of known keys has");
        let (receipts, suite, version) = (self.receipts, self.suite, VERSION);
        let presence = BridgePresence { seq: now.0, receipts, heard, suite, version };
        let signed = Signed::seal(&self.identity, Label::Bridge, &presence);
        out.push(signed.map_or_else(Output::Unsigned, Output::Hello));
        self.hello_last = now;
        self.hello_at = now + HEARTBEAT;
    }

    fn believe(&self, bytes: &[u8]) -> Result<Signed<IntakePresence>, SignedError> {
        Signed::open(bytes, Label::Intake, |signer| self.nodes.get(&signer).map(|peer| &peer.key))
    }
}

fn name(nodes: &Known, node: NodeId) -> String {
    nodes.get(&node).map_or_else(|| node.to_string(), |peer| peer.name.clone())
}

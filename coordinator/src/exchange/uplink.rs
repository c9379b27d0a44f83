//! Updates on their way in: offered, granted one or a few at a time, opened chunk by chunk.

use std::collections::{BTreeMap, VecDeque};

use common::blob::{Arrival, Incoming};
use common::crypto::{
    KeyPackage, Kind, Manifest, OpenError, Opener, PublicIdentity, ReplayError, ReplayGuard,
};
use common::id::{BlobId, EpochId, NodeId, RunId};
use common::limits::OFFER_INDEX;
use common::message::receipt::{Receipt, Status};
use common::units::{Millis, Timestamp};
use common::wire;

use super::{Dispatch, Epoch};

/// An upload of which no chunk came for this long does not keep the next one waiting.
const SLOW: Millis = Millis(20);

/// All uploads of one epoch.
#[derive(Debug)]
pub struct Uplink {
    /// Bytes that each update must have: the head and one value a parameter.
    update_bytes: u64,
    window: u32,
    /// Bytes still to come of all granted uploads together; one upload is always granted.
    budget: u64,
    queue: VecDeque<(BlobId, NodeId, Opener)>,
    active: BTreeMap<BlobId, (NodeId, Incoming)>,
    /// How ended what is over, in case its sender missed the receipt.
    ended: BTreeMap<BlobId, (NodeId, Status)>,
    /// One update a node, and none twice.
    guard: ReplayGuard,
    /// The blob that each node offered.
    offered: BTreeMap<NodeId, BlobId>,
    /// Receipts are numbered over the whole epoch.
    receipts: u32,
    /// Buffers to be used again.
    buffers: Vec<Vec<u8>>,
}

/// An update that arrived whole and as signed. Answer with [`Uplink::conclude`].
#[derive(Debug)]
pub struct Arrived {
    /// Whose.
    pub node: NodeId,
    /// Its blob.
    pub blob: BlobId,
    /// The plaintext; give the buffer back.
    pub plain: Vec<u8>,
}

/// What a piece did.
#[derive(Debug)]
pub enum Step {
    /// Nothing that the round needs to know.
    Quiet,
    /// A node offered its update: it has the model, and this is the key it wants next.
    Offered(NodeId, Option<KeyPackage>),
    /// An update is here.
    Arrived(Arrived),
}

/// Why a node's offer or upload was not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inadmissible {
    /// The bytes are not a manifest.
    #[error("not a manifest: {0}")]
    Malformed(#[from] wire::WireError),
    /// Its sender is not in this epoch's cohort.
    #[error("not selected")]
    NotSelected,
    /// It is not an update of this tenant, run, round and epoch.
    #[error("of another run, round or epoch")]
    Elsewhere,
    /// It has not the size of an update of this model.
    #[error("{found} bytes, but an update of this model has {expected}")]
    WrongSize {
        /// Bytes offered.
        found: u64,
        /// Bytes wanted.
        expected: u64,
    },
    /// A second update of the same node in one epoch.
    #[error("a second update in one round: {0}")]
    Duplicate(#[from] ReplayError),
    /// Signature, recipient or key are wrong, or what arrived is not what was signed.
    #[error(transparent)]
    Sealed(#[from] OpenError),
}

/// The run that an update is offered to, and the epoch in which it was asked for, as its sender says.
///
/// # Errors
///
/// [`Inadmissible::Malformed`].
pub fn claimed(offer: &[u8]) -> Result<(RunId, EpochId), Inadmissible> {
    let manifest: Manifest = wire::decode(offer)?;
    let subject = &manifest.claimed_header().subject;
    Ok((subject.run, subject.epoch))
}

impl Uplink {
    /// No uploads yet. `buffers` are old ones to be used again.
    pub fn new(epoch: EpochId, update_bytes: u64, window: u32, budget: u64, buffers: Vec<Vec<u8>>) -> Self {
        let (queue, active, ended, offered) = Default::default();
        let guard = ReplayGuard::new(epoch);
        Self { update_bytes, window, budget, queue, active, ended, guard, offered, receipts: 0, buffers }
    }

    /// Other runs take part of what may be on its way, or no longer do.
    pub fn limit(&mut self, window: u32, budget: u64) {
        // Asked with each piece: for the most part nothing has changed.
        if (self.window, self.budget) != (window, budget) {
            (self.window, self.budget) = (window, budget);
            self.share_window();
        }
    }

    /// Whether an upload was offered under this name.
    pub fn knows(&self, blob: BlobId) -> bool {
        self.active.contains_key(&blob)
            || self.ended.contains_key(&blob)
            || self.queue.iter().any(|(queued, ..)| *queued == blob)
    }

    /// Whether an upload goes on, or waits for its turn.
    pub fn is_busy(&self) -> bool {
        !self.active.is_empty() || !self.queue.is_empty()
    }

    /// Takes a piece of an update: an offer or a chunk.
    ///
    /// # Errors
    ///
    /// Who sent it (as far as that is certain) and why it is not admitted.
    pub fn on_piece<'k>(
        &mut self,
        epoch: &Epoch,
        key_of: impl FnOnce(NodeId) -> Option<&'k PublicIdentity>,
        (blob, index, bytes): (BlobId, u32, &[u8]),
        now: Timestamp,
        out: &mut Vec<Dispatch>,
    ) -> Result<Step, (Option<NodeId>, Inadmissible)> {
        if let Some((node, status)) = self.ended.get(&blob).cloned() {
            self.receipt(epoch, node, blob, status, out);
            return Ok(Step::Quiet);
        }
        if index != OFFER_INDEX {
            return self.on_chunk(epoch, blob, index, bytes, now, out);
        }
        if let Some((node, incoming)) = self.active.get(&blob) {
            let (node, status) = (*node, Status::Open(incoming.standing(false)));
            self.receipt(epoch, node, blob, status, out);
            return Ok(Step::Quiet);
        }
        if let Some((_, node, _)) = self.queue.iter().find(|(queued, ..)| *queued == blob) {
            self.receipt(epoch, *node, blob, Status::Queued, out);
            return Ok(Step::Quiet);
        }
        let opener = match self.admit(epoch, key_of, bytes, now) {
            Ok(opener) => opener,
            Err((sender, fault)) => {
                if let Some(node) = sender {
                    self.end(epoch, node, blob, Status::Refused, out);
                }
                return Err((sender, fault));
            }
        };
        let (node, blob) = (opener.manifest().header.sender, opener.manifest().blob());
        let next = opener.manifest().next_package.clone();
        self.offered.insert(node, blob);
        self.queue.push_back((blob, node, opener));
        self.receipt(epoch, node, blob, Status::Queued, out);
        self.grant(epoch, now, out);
        Ok(Step::Offered(node, next))
    }

    /// Cheap checks first, then the signature.
    fn admit<'k>(
        &mut self,
        epoch: &Epoch,
        key_of: impl FnOnce(NodeId) -> Option<&'k PublicIdentity>,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Opener, (Option<NodeId>, Inadmissible)> {
        let manifest: Manifest = wire::decode(bytes).map_err(|error| (None, error.into()))?;
        let header = *manifest.claimed_header();
        let claimed = header.sender;
        let unsure = |fault| (None, fault);
        let key = key_of(claimed).zip(epoch.keys.get(&claimed));
        let (key, keys) = key.ok_or(unsure(Inadmissible::NotSelected))?;
        let subject = (header.subject.kind, header.subject.tenant, header.subject.run, header.subject.round);
        let expected = (Kind::Update, epoch.tenant, epoch.run, epoch.round);
        if subject != expected || header.subject.epoch != epoch.id {
            return Err(unsure(Inadmissible::Elsewhere));
        }
        let suite = epoch.root.suite().require(header.suite);
        suite.map_err(|other| unsure(OpenError::from(other).into()))?;
        let verified = manifest.verify(key).map_err(|error| unsure(error.into()))?;
        let sure = |fault| (Some(claimed), fault);
        self.guard
            .accept(claimed, header.subject.epoch, header.subject.seq, now)
            .map_err(|error| sure(error.into()))?;
        let found = header.layout.plain_bytes() as u64;
        if found != self.update_bytes {
            return Err(sure(Inadmissible::WrongSize { found, expected: self.update_bytes }));
        }
        Opener::for_coordinator(&verified, epoch.coordinator, keys).map_err(|error| sure(error.into()))
    }

    fn on_chunk(
        &mut self,
        epoch: &Epoch,
        blob: BlobId,
        index: u32,
        sealed: &[u8],
        now: Timestamp,
        out: &mut Vec<Dispatch>,
    ) -> Result<Step, (Option<NodeId>, Inadmissible)> {
        let Some((node, incoming)) = self.active.get_mut(&blob) else { return Ok(Step::Quiet) };
        let node = *node;
        match incoming.on_chunk(index, sealed, now) {
            Ok(Arrival::Stored(Some(standing))) => {
                self.receipt(epoch, node, blob, Status::Open(standing), out);
                self.grant(epoch, now, out);
                Ok(Step::Quiet)
            }
            // A chunk that does not open is asked for again; anyone may have written it.
            Ok(Arrival::Stored(None) | Arrival::Duplicate) | Err(_) => Ok(Step::Quiet),
            Ok(Arrival::Complete) => {
                let Some((_, incoming)) = self.active.remove(&blob) else { return Ok(Step::Quiet) };
                match incoming.finish() {
                    Ok(plain) => Ok(Step::Arrived(Arrived { node, blob, plain })),
                    Err(error) => {
                        self.end(epoch, node, blob, Status::Refused, out);
                        self.grant(epoch, now, out);
                        Err((Some(node), error.into()))
                    }
                }
            }
        }
    }

    /// An arrived update was taken into the round, or not; its sender is told and may forget it.
    /// Only then the next upload is opened, into the same buffer.
    pub fn conclude(
        &mut self,
        epoch: &Epoch,
        arrived: Arrived,
        taken: bool,
        now: Timestamp,
        out: &mut Vec<Dispatch>,
    ) {
        let Arrived { node, blob, plain } = arrived;
        let status = if taken { Status::Complete } else { Status::Refused };
        self.buffers.push(plain);
        self.end(epoch, node, blob, status, out);
        self.grant(epoch, now, out);
    }

    /// A node is not waited for any more.
    pub fn remove(&mut self, epoch: &Epoch, node: NodeId, now: Timestamp, out: &mut Vec<Dispatch>) {
        self.queue.retain(|(_, queued, _)| *queued != node);
        self.active.retain(|_, (active, _)| *active != node);
        self.grant(epoch, now, out);
    }

    /// Receipts that are due without a chunk. What became slow no longer keeps the next from its turn.
    pub fn on_tick(&mut self, epoch: &Epoch, now: Timestamp, out: &mut Vec<Dispatch>) {
        let due = |(blob, (node, incoming)): (&BlobId, &mut (NodeId, Incoming))| {
            incoming.on_tick(now).map(|standing| (*blob, *node, standing))
        };
        let due: Vec<_> = self.active.iter_mut().filter_map(due).collect();
        if !due.is_empty() {
            self.grant(epoch, now, out);
        }
        for (blob, node, standing) in due {
            self.receipt(epoch, node, blob, Status::Open(standing), out);
        }
    }

    /// When [`Self::on_tick`] is due next.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.active.values().map(|(_, incoming)| incoming.next_wake()).min()
    }

    /// How a node's upload stands: bytes here and in all; `None` while it has not begun.
    pub fn progress(&self, node: NodeId) -> Option<(u64, u64)> {
        let blob = self.offered.get(&node)?;
        match self.ended.get(blob) {
            Some(_) => Some((self.update_bytes, self.update_bytes)),
            None => Some(
                self.active.get(blob).map_or((0, self.update_bytes), |(_, incoming)| incoming.progress()),
            ),
        }
    }

    /// Ends all uploads and gives the buffers back.
    pub fn into_buffers(self) -> Vec<Vec<u8>> {
        self.buffers
    }

    /// Opens as many queued uploads as the budget allows, in the order of their offers.
    fn grant(&mut self, epoch: &Epoch, now: Timestamp, out: &mut Vec<Dispatch>) {
        while !self.queue.is_empty() && self.has_room(now) {
            let Some((blob, node, opener)) = self.queue.pop_front() else { return };
            let incoming = Incoming::new(opener, self.buffers.pop().unwrap_or_default(), self.window, now);
            self.active.insert(blob, (node, incoming));
            self.share_window();
            let Some((_, incoming)) = self.active.get(&blob) else { return };
            let status = Status::Open(incoming.standing(false));
            self.receipt(epoch, node, blob, status, out);
        }
        self.share_window();
    }

    /// Whether one more upload may begin. Those that move may together have the budget still to come, those
    /// that are slow as much again: they keep nobody from its turn, but they take memory.
    fn has_room(&self, now: Timestamp) -> bool {
        let left = |incoming: &Incoming| incoming.progress().1 - incoming.progress().0;
        let is_slow = |incoming: &&Incoming| now >= incoming.last_arrival() + SLOW;
        let (slow, quick): (Vec<_>, Vec<_>) =
            self.active.values().map(|(_, incoming)| incoming).partition(is_slow);
        let fits = |uploads: &[&Incoming]| {
            let coming: u64 = uploads.iter().map(|incoming| left(incoming)).sum();
            uploads.is_empty() || coming + self.update_bytes <= self.budget
        };
        fits(&quick) && (slow.len() <= 1 || fits(&slow[1..]))
    }

    /// The receive buffer is shared: all uploads together have one window on its way.
    fn share_window(&mut self) {
        let share = (self.window / self.active.len().max(1) as u32).max(1);
        self.active.values_mut().for_each(|(_, incoming)| incoming.limit_window(share));
    }

    fn end(&mut self, epoch: &Epoch, node: NodeId, blob: BlobId, status: Status, out: &mut Vec<Dispatch>) {
        self.ended.insert(blob, (node, status.clone()));
        self.receipt(epoch, node, blob, status, out);
    }

    fn receipt(
        &mut self,
        epoch: &Epoch,
        node: NodeId,
        blob: BlobId,
        status: Status,
        out: &mut Vec<Dispatch>,
    ) {
        if let Some(keys) = epoch.keys.get(&node) {
            self.receipts += 1;
            let receipt = Receipt { blob, seq: self.receipts, status };
            let bytes = receipt.seal(epoch.coordinator, &keys.pair);
            out.push(Dispatch::Receipt { blob, node, bytes });
        }
    }
}

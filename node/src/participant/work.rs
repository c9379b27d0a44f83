//! What a node does for one run: fetch a model, wait for its turn, train, send what that changed.

use std::sync::Arc;

use common::blob::{Arrival, Incoming, Standing};
use common::crypto::MemberKeys;
use common::id::{BlobId, EpochId, NodeId, RoundId, RunId};
use common::message::presence::{self, Activity, HANG, PREPARATION};
use common::message::receipt::{Receipt, Status};
use common::model::ParameterVector;
use common::units::Timestamp;
use common::upload::Upload;

use super::{Assignment, Output};

/// What was asked for a run, and how far that is.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) asked: Asked,
    pub(super) stage: Stage,
}

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) run: RunId,
    pub(super) round: RoundId,
    pub(super) epoch: EpochId,
    /// When that was announced, by the coordinator's clock.
    pub(super) issued: Timestamp,
    /// When the node stops waiting, by its own clock.
    pub(super) deadline: Timestamp,
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Stage {
    Fetching(Fetching),
    /// The model is here; another run trains. The number says whose turn is next.
    Waiting(Channel, Assignment, u64),
    Training(Channel, Training),
    Uploading(Channel, Upload),
    /// The model is kept: its sender may have missed the receipt.
    Kept(Channel),
    /// The node does not take part.
    Declining,
}

/// What a node needs to talk with the coordinator about its work.
#[derive(Debug)]
pub(super) struct Channel {
    /// Authenticate receipts both ways, and seal the update.
    pub(super) keys: MemberKeys,
    /// Who opens that.
    pub(super) coordinator: NodeId,
    /// The model's blob.
    pub(super) model: BlobId,
    /// Receipts written so far.
    pub(super) receipts: u32,
}

/// A model on its way in.
#[derive(Debug)]
pub(super) struct Fetching {
    pub(super) channel: Channel,
    pub(super) incoming: Incoming,
    /// Whether an update is wanted, or only that the model is kept.
    pub(super) train: bool,
}

/// The training that goes on.
#[derive(Debug)]
pub(super) struct Training {
    /// What it began with.
    pub(super) base: Arc<ParameterVector>,
    began: Timestamp,
    /// When the trainer took its last step, or has to have taken the first.
    stepped: Timestamp,
    /// Whether it was told that no step is taken any more.
    hangs: bool,
    /// In percent.
    pub(super) progress: u8,
}

/// What a chunk of the model did.
pub(super) enum Fetched {
    /// More are missing.
    Waiting(Option<Output>),
    /// All are here.
    Complete,
}

impl Work {
    /// What presence says of it; nothing once there is nothing more to do.
    pub(super) fn told(&self) -> Option<presence::Work> {
        let (activity, progress) = match &self.stage {
            Stage::Fetching(_) => (Activity::Fetching, 0),
            Stage::Waiting(..) => (Activity::Waiting, 0),
            Stage::Training(_, Training { hangs: true, progress, .. }) => (Activity::Hanging, *progress),
            Stage::Training(_, training) => (Activity::Training, training.progress),
            Stage::Uploading(..) => (Activity::Uploading, 0),
            Stage::Declining => (Activity::Declining, 0),
            Stage::Kept(_) => return None,
        };
        let Asked { run, epoch, .. } = self.asked;
        Some(presence::Work { run, epoch, activity, progress })
    }

    /// Whether an update or a model is still to come of it.
    pub(super) fn goes_on(&self) -> bool {
        !matches!(self.stage, Stage::Kept(_) | Stage::Declining)
    }

    /// Whether an update has not been sealed yet.
    pub(super) fn owes_update(&self) -> bool {
        matches!(self.stage, Stage::Fetching(_) | Stage::Waiting(..) | Stage::Training(..))
    }

    /// When something is due without anything coming in.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let own = match &self.stage {
            Stage::Fetching(fetching) => Some(fetching.incoming.next_wake()),
            Stage::Training(_, training) => training.hangs_at(),
            Stage::Uploading(_, upload) => upload.next_wake(),
            Stage::Waiting(..) | Stage::Declining => None,
            Stage::Kept(_) => return None,
        };
        Some(own.map_or(self.asked.deadline, |own| own.min(self.asked.deadline)))
    }

    pub(super) fn is_overdue(&self, now: Timestamp) -> bool {
        now >= self.asked.deadline && !matches!(self.stage, Stage::Kept(_))
    }
}

impl Stage {
    /// What was agreed with the coordinator, if that came about.
    pub(super) fn channel(&mut self) -> Option<&mut Channel> {
        match self {
            Self::Fetching(Fetching { channel, .. })
            | Self::Waiting(channel, ..)
            | Self::Training(channel, _)
            | Self::Uploading(channel, _)
            | Self::Kept(channel) => Some(channel),
            Self::Declining => None,
        }
    }
}

impl Channel {
    /// A receipt for the model, numbered and sealed.
    pub(super) fn receipt(&mut self, node: NodeId, status: Status) -> Output {
        self.receipts += 1;
        let receipt = Receipt { blob: self.model, seq: self.receipts, status };
        Output::Receipt { blob: self.model, bytes: receipt.seal(node, &self.keys.pair) }
    }
}

impl Fetching {
    /// Takes one chunk. One that does not open is ignored: the right one is asked for again.
    pub(super) fn on_chunk(&mut self, node: NodeId, index: u32, sealed: &[u8], now: Timestamp) -> Fetched {
        match self.incoming.on_chunk(index, sealed, now) {
            Ok(Arrival::Complete) => Fetched::Complete,
            Ok(Arrival::Stored(due)) => Fetched::Waiting(due.map(|due| self.receipt(node, due))),
            Ok(Arrival::Duplicate) | Err(_) => Fetched::Waiting(None),
        }
    }

    /// A receipt of what is here, when one is due without a chunk.
    pub(super) fn on_tick(&mut self, node: NodeId, now: Timestamp) -> Option<Output> {
        let due = self.incoming.on_tick(now)?;
        Some(self.receipt(node, due))
    }

    fn receipt(&mut self, node: NodeId, standing: Standing) -> Output {
        self.channel.receipt(node, Status::Open(standing))
    }
}

impl Training {
    /// It begins now: telemetry is read and prepared before the first step.
    pub(super) fn begin(base: Arc<ParameterVector>, now: Timestamp) -> Self {
        Self { base, began: now, stepped: (now + PREPARATION) - HANG, hangs: false, progress: 0 }
    }

    /// The trainer took its last step then. True when it begins or ceases to hang by that.
    pub(super) fn on_step(&mut self, at: Timestamp, now: Timestamp) -> bool {
        if at > self.began {
            self.stepped = at;
        }
        let hangs = now >= self.stepped + HANG;
        std::mem::replace(&mut self.hangs, hangs) != hangs
    }

    fn hangs_at(&self) -> Option<Timestamp> {
        (!self.hangs).then_some(self.stepped + HANG)
    }
}

//! What the engine wants done, and what it is told of it.

use bytes::Bytes;
use common::crypto::CustodyError;
use common::id::{BlobId, EpochId, NodeId, RoundId, RunId};
use common::message::presence::Address;
use common::units::Timestamp;

use super::End;
use super::reached::Outdated;
use crate::round::{Checkpoint, RoundRecord};
use crate::strategy::{Aggregator, Moments};

/// What the driver does, in this order.
#[derive(Debug)]
pub enum Output {
    /// Write the coordinator's hello.
    Hello(Vec<u8>),
    /// Write the state of a run.
    Announce {
        /// Which run.
        run: RunId,
        /// The signed announcement.
        bytes: Vec<u8>,
    },
    /// Write a fact.
    Event(Vec<u8>),
    /// Write a node's certificate, and remember until when it is good.
    Certificate {
        /// Whose.
        node: NodeId,
        /// When it ends.
        until: Timestamp,
        /// X.509, as DER.
        der: Vec<u8>,
    },
    /// Write a chunk of a model, to one node's reader or to all.
    ModelChunk {
        /// Where; everywhere when none.
        to: Option<Address>,
        /// Which blob.
        blob: BlobId,
        /// Which chunk.
        index: u32,
        /// The sealed bytes.
        bytes: Bytes,
    },
    /// Write a receipt for an update, to its node alone: others have no use for it, and each node has many in a
    /// round.
    UpdateReceipt {
        /// Where.
        to: Address,
        /// Which blob.
        blob: BlobId,
        /// Whose.
        node: NodeId,
        /// The sealed receipt.
        bytes: Vec<u8>,
    },
    /// Do this for a run, after what it wanted before; answer with [`Engine::on_answer`](super::Engine::on_answer).
    Wish(RunId, Wish),
    /// A run is over.
    Ended {
        /// Which.
        run: RunId,
        /// How.
        end: End,
    },
    /// The message that belongs here cannot be signed: stop, and do nothing that comes after it.
    Unsigned(CustodyError),
    /// The disk is an older one than this coordinator had before: stop likewise.
    Outdated(Box<Outdated>),
    /// Tell the operator.
    Note(String),
    /// Tell the operator, but not often: something that anybody may send was not acted on.
    Ignored(String),
}

/// What takes long: the work of the disk, and of combining updates. Whatever else goes on does not wait for it.
#[derive(Debug)]
pub enum Wish {
    /// Read these files.
    Load(Checkpoint),
    /// Read what the round started from, combine, and write what comes out.
    Combine(Box<Combination>),
    /// Make a round durable.
    Commit {
        /// Its record.
        record: Box<RoundRecord>,
        /// Epochs before this one are reserved with it.
        epochs_end: EpochId,
    },
    /// Keep the record of a round that ended without a model.
    Keep(Box<RoundRecord>),
}

/// What came of a [`Wish`], in the same order.
#[derive(Debug)]
pub enum Answer {
    /// Files were read.
    Loaded(Result<Values, String>),
    /// Updates were combined, and files were written.
    Combined(Result<Combined, String>),
    /// A round was made durable.
    Committed(Box<RoundRecord>, Result<(), String>),
    /// The record of a round without a model was kept.
    Kept(Box<RoundRecord>, Result<(), String>),
}

/// The updates of a round, and what they move.
#[derive(Debug)]
pub struct Combination {
    /// The round that makes the model.
    pub round: RoundId,
    /// What it started from.
    pub from: Checkpoint,
    pub(super) updates: Aggregator,
}

impl Combination {
    /// Moves what the round started from by its updates.
    pub fn make(&self, values: &mut Values) {
        self.updates.finish(&mut values.model, &mut values.moments);
    }
}

/// What a round made.
#[derive(Debug)]
pub struct Combined {
    /// Its files.
    pub made: Checkpoint,
    /// The model: it is sent next.
    pub model: Vec<f32>,
    /// What it was made of: its memory serves the next round.
    pub combination: Box<Combination>,
}

/// What the files of a [`Checkpoint`] hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// The model's parameters.
    pub model: Vec<f32>,
    /// What the server remembers.
    pub moments: Moments,
}

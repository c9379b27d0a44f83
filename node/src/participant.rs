//! The node's side of a round, as a state machine: bytes, time and randomness in, [`Output`]s out.
//!
//! For each run: Fetching > Waiting > Training > Uploading. A newer announcement of a run replaces whatever went on
//! for that run, and nothing else; a deadline of the node's own ends what the coordinator forgot. Many runs fetch and
//! upload at once, and one trains.

mod announced;
pub mod control;
mod state;
mod work;

pub use control::{ControlChange, Held, ServerControl};
pub use state::{Participant, Setup};

use std::sync::Arc;

use bytes::Bytes;
use common::crypto::{Certificate, CustodyError, Manifest, OtherSuite, PublicIdentity};
use common::id::{BlobId, EpochId, RoundId, RunId};
use common::message::model::Plan;
use common::message::presence::Address;
use common::model::ParameterVector;
use common::roster::Authority;
use common::units::Timestamp;

/// What the driver does, in this order.
#[derive(Debug)]
pub enum Output {
    /// Write this presence.
    Presence(Vec<u8>),
    /// Write this receipt for a model blob.
    Receipt {
        /// Which blob.
        blob: BlobId,
        /// The sealed receipt.
        bytes: Vec<u8>,
    },
    /// Write a piece of an update to the coordinator's reader.
    UpdateChunk {
        /// Where the coordinator reads updates.
        to: Address,
        /// Which blob.
        blob: BlobId,
        /// Which piece; [`common::limits::OFFER_INDEX`] for the manifest.
        index: u32,
        /// The piece.
        bytes: Bytes,
    },
    /// Make this mark durable before anything after it: announcements up to it are never acted on again.
    Mark {
        /// Which run.
        run: RunId,
        /// Its newest epoch.
        epoch: EpochId,
        /// What the coordinator signed of that.
        model: Box<Manifest>,
    },
    /// Make this roster durable before anything after it: an older one never counts again.
    Roster {
        /// As it was signed.
        text: String,
        /// Who signed it.
        operator: PublicIdentity,
    },
    /// Keep this certificate, with those above it.
    Certificate {
        /// The node's.
        certificate: Box<Certificate>,
        /// The coordinator's and the operator's.
        authority: Box<Authority>,
    },
    /// Start training; answer with [`Participant::on_trained`]. The next one comes when that was answered or
    /// cancelled.
    Train(Assignment),
    /// Stop what the last [`Output::Train`] started: its result is not wanted any more.
    Cancel,
    /// Keep this model for scoring.
    Keep(Assignment),
    /// The message that belongs here cannot be signed: stop, and do nothing that comes after it.
    Unsigned(CustodyError),
    /// Tell the operator.
    Note(Note),
}

/// A model and what to do with it.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Which run.
    pub run: RunId,
    /// Which round; for a model to keep, the number of rounds that made it.
    pub round: RoundId,
    /// Which epoch.
    pub epoch: EpochId,
    /// How to train.
    pub plan: Arc<Plan>,
    /// The model.
    pub model: Arc<ParameterVector>,
    /// What holds the node's steps to those of all, when the plan has control variates.
    pub control: Option<Arc<ServerControl>>,
}

/// What training made of an assignment.
#[derive(Debug)]
pub struct Trained {
    /// The run of its assignment.
    pub run: RunId,
    /// The epoch of its assignment.
    pub epoch: EpochId,
    /// The new parameters.
    pub parameters: ParameterVector,
    /// Samples trained on.
    pub samples: u64,
    /// Steps that the optimiser took.
    pub steps: u32,
    /// Mean loss of the last pass.
    pub loss: f32,
    /// What became of the node's control variate, when the plan has them. It is durable already.
    pub control: Option<ControlChange>,
}

/// Something an operator would want to know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// Both hellos have come through.
    #[error("connected to coordinator {0:?}")]
    Connected(common::id::NodeId),
    /// The operator made this node a member.
    #[error("this node is a member, by version {version} of the roster")]
    Member {
        /// Since which version, or an earlier one that did not come here.
        version: u64,
    },
    /// The operator wrote another key of this node into the roster.
    #[error("this node ends its rounds: by version {version} of the roster it has another key")]
    Former {
        /// Since which version.
        version: u64,
    },
    /// The coordinator issued a certificate to this node.
    #[error("this node has a certificate until {until}")]
    Certified {
        /// When it ends.
        until: Timestamp,
    },
    /// It was not heard before that ended, or its coordinator was not.
    #[error(
        "the certificate of this node ended {until}; unless another one comes, `coordinator node renew` lets it in again"
    )]
    Expired {
        /// When it ended.
        until: Timestamp,
    },
    /// This node is in no round.
    #[error("this node is in no round: {0}")]
    NoMember(String),
    /// The coordinator belongs to a fleet with another suite.
    #[error("the coordinator is not listened to: {0}")]
    Elsewhere(OtherSuite),
    /// The coordinator has fallen silent.
    #[error("the coordinator is not heard any more; looking for it")]
    Lost,
    /// A message was not acted on.
    #[error("ignored {topic} message: {reason}")]
    Ignored {
        /// On which topic.
        topic: &'static str,
        /// Why.
        reason: String,
    },
    /// An update has arrived whole.
    #[error("the coordinator has the update of round {round} of run {run}")]
    Delivered {
        /// Of which run.
        run: RunId,
        /// Of which round.
        round: RoundId,
    },
    /// The coordinator does not want the update.
    #[error("the coordinator refused the update of round {round} of run {run}; the event stream says why")]
    Refused {
        /// Of which run.
        run: RunId,
        /// Of which round.
        round: RoundId,
    },
    /// Nothing more came before the deadline.
    #[error("round {round} of run {run} did not go on before its deadline")]
    Overdue {
        /// Of which run.
        run: RunId,
        /// Which round.
        round: RoundId,
    },
    /// The node does not take part.
    #[error("cannot take part in round {round} of run {run}: {reason}")]
    Declined {
        /// Of which run.
        run: RunId,
        /// In which round.
        round: RoundId,
        /// Why, for this node's operator only.
        reason: String,
    },
}

//! The signed hello, in both directions, and what a node is doing.
//!
//! DDS discovery says that two readers and writers were matched; only a hello that comes back says
//! that the pair is up. Both sides repeat theirs until it is answered, then once a [`HEARTBEAT`].

use crate::crypto::KeyPackage;
use crate::id::{EpochId, NodeId};
use crate::limits::COHORT_MAX;
use crate::units::Millis;
use crate::wire::List;

/// Presence is told at least this often.
pub const HEARTBEAT: Millis = Millis(1000);

/// A node that is not heard for this long is away.
pub const SILENCE: Millis = Millis(2500);

/// A trainer that takes no step for this long hangs.
pub const HANG: Millis = Millis(2500);

/// The first step comes later: before it, telemetry is read and prepared.
pub const PREPARATION: Millis = Millis(60_000);

/// A DDS reader's address, to which a peer can write directly (an RTPS GUID).
pub type Address = [u8; 16];

/// Where a process reads what is meant for it alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// Its reader of chunks: of models at a node, of updates at the coordinator.
    pub chunks: Address,
    /// Its reader of receipts.
    pub receipts: Address,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePresence {
    /// Drawn anew by each process; a hello is answered by echoing it.
    pub session: u64,
    /// When it was written, by the node's clock in microseconds: an old presence never replaces a new one.
    pub seq: u64,
    /// The `seq` of the newest hello that it heard, 0 when none: what was said before the coordinator's process began
    /// may name keys that were used since.
    pub answers: u64,
    /// Under which key the next epoch's root can be wrapped for it.
    pub package: KeyPackage,
    /// Where it reads receipts and repairs.
    pub mailbox: Mailbox,
    /// What it is doing.
    pub activity: Activity,
    /// In which epoch; 0 when none.
    pub epoch: EpochId,
    /// How far, in percent of the activity.
    pub progress: u8,
    /// Its protocol version.
    pub version: u16,
}

/// What a node is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activity {
    /// Waiting for an announcement.
    #[default]
    Idle,
    /// Receiving a model.
    Fetching,
    /// Training.
    Training,
    /// Sending an update.
    Uploading,
    /// It cannot take part in this epoch; its own log says why.
    Declining,
    /// Training, but without a step for [`HANG`].
    Hanging,
    /// The process ends.
    Leaving,
}

/// What the coordinator says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorPresence {
    /// When it was written, by the coordinator's clock in microseconds: an old one never replaces a new one.
    pub seq: u64,
    /// Where it reads updates and receipts.
    pub mailbox: Mailbox,
    /// The sessions of the nodes it hears.
    pub heard: List<Heard, COHORT_MAX>,
    /// Its protocol version.
    pub version: u16,
}

/// A node's hello has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Who said hello.
    pub node: NodeId,
    /// In which session.
    pub session: u64,
}

/// The protocol version of this code. Others are refused, never guessed at.
pub const VERSION: u16 = 1;

crate::wire_fields!(NodePresence {
    session,
    seq,
    answers,
    package,
    mailbox,
    activity,
    epoch,
    progress,
    version
});
crate::wire_fields!(CoordinatorPresence { seq, mailbox, heard, version });
crate::wire_fields!(Mailbox { chunks, receipts });
crate::wire_fields!(Heard { node, session });
crate::wire_tags!(Activity { Idle = 1, Fetching = 2, Training = 3, Uploading = 4, Declining = 5, Hanging = 6, Leaving = 7 });

//! The signed hello, in both directions, and what a node is doing.
//!
//! DDS discovery says that two readers and writers were matched; only a hello that comes back says
//! that the pair is up. Both sides repeat theirs until it is answered, then once a [`HEARTBEAT`].

use crate::crypto::{KeyPackage, Manifest, Suite};
use crate::id::{EpochId, NodeId, RunId};
use crate::limits::{COHORT_MAX, WORKS_MAX};
use crate::units::{Millis, Timestamp};
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
    /// The version of the roster that it holds, 0 when none.
    pub roster: u64,
    /// The newest model of a coordinator that it acted on: what that signed, so that nobody can make it up. It shows a
    /// coordinator whose folder was put back from a copy that it was further before.
    pub acted: Option<Manifest>,
    /// Until when the certificate is good that it holds from this coordinator, 0 when none: one that ends soon is
    /// followed by another.
    pub certified: Timestamp,
    /// Under which key the next epoch's root can be wrapped for it.
    pub package: KeyPackage,
    /// Where it reads receipts and repairs.
    pub mailbox: Mailbox,
    /// Whether it takes part in what is announced next.
    pub standing: Standing,
    /// What it is doing: one entry for each run that it works on, in the order of runs; none when it is idle.
    pub works: List<Work, WORKS_MAX>,
    /// The run that made the model it scores by, if its telemetry drifted from that: a new run would calibrate anew. Of the
    /// telemetry it tells nothing else.
    pub drifted: Option<RunId>,
    /// Its protocol version.
    pub version: u16,
}

/// Whether a node takes part in what is announced next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It does.
    #[default]
    Ready,
    /// It brings what it works on to an end, and takes nothing new.
    Draining,
    /// The process ends.
    Leaving,
}

/// What a node does for one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Which run.
    pub run: RunId,
    /// In which epoch.
    pub epoch: EpochId,
    /// What it does.
    pub activity: Activity,
    /// How far, in percent of the activity.
    pub progress: u8,
}

/// What a node does for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activity {
    /// Receiving the model.
    Fetching,
    /// It has the model, and another run trains first.
    Waiting,
    /// Training.
    Training,
    /// Sending an update.
    Uploading,
    /// It cannot take part in this epoch; its own log says why.
    Declining,
    /// Training, but without a step for [`HANG`].
    Hanging,
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
    /// The fleet's cryptography.
    pub suite: Suite,
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
    roster,
    acted,
    certified,
    package,
    mailbox,
    standing,
    works,
    drifted,
    version
});
crate::wire_fields!(CoordinatorPresence { seq, mailbox, heard, suite, version });
crate::wire_fields!(Mailbox { chunks, receipts });
crate::wire_fields!(Heard { node, session });
crate::wire_fields!(Work { run, epoch, activity, progress });
crate::wire_tags!(Standing { Ready = 1, Draining = 2, Leaving = 3 });
crate::wire_tags!(Activity { Fetching = 1, Waiting = 2, Training = 3, Uploading = 4, Declining = 5, Hanging = 6 });

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::crypto::{AgreementKey, EpochRoot, Identity, Kind, Label, Sealer, Subject};
    use crate::id::{RoundId, TenantId};
    use crate::message::Signed;
    use crate::units::Timestamp;

    #[test]
    fn a_presence_with_as_many_works_as_there_can_be_is_within_four_kibibytes() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let identity = Identity::generate(&mut rng);
        let key = AgreementKey::generate(Suite::XWing, identity.node_id(), Timestamp(3), &mut rng);
        let (tenant, run, round, epoch) = (TenantId([3; 16]), RunId([4; 16]), RoundId(5), EpochId(6));
        let subject = Subject { kind: Kind::Model, tenant, run, round, epoch, seq: 1, trace: [0; 16] };
        let sealer = Sealer { identity: &identity, subject, next_package: None, buffer: Vec::new() };
        let root = EpochRoot::generate(Suite::XWing, &mut rng);
        let model = sealer.seal_to_group(&b"model"[..], &root, &mut rng).unwrap();
        let work = Work { run: RunId([4; 16]), epoch: EpochId(5), activity: Activity::Waiting, progress: 6 };
        let presence = NodePresence {
            session: 7,
            seq: 8,
            answers: 9,
            roster: 10,
            acted: Some(model.manifest().clone()),
            certified: Timestamp(11),
            package: key.package().clone(),
            mailbox: Mailbox::default(),
            standing: Standing::Ready,
            works: vec![work; WORKS_MAX].try_into().unwrap(),
            drifted: Some(RunId([4; 16])),
            version: VERSION,
        };
        let bytes = Signed::seal(&identity, Label::Presence, &presence).unwrap();
        assert!(bytes.len() <= 4096, "{} bytes", bytes.len());
    }
}

//! What the coordinator asks of its nodes now. A late joiner needs nothing else.

use crate::crypto::{Manifest, WrappedRoot};
use crate::id::{EpochId, NodeId, RoundId, RunId, TenantId};
use crate::limits::COHORT_MAX;
use crate::units::{Millis, Timestamp};
use crate::wire::List;

/// The state of a run, signed by the coordinator; the next one replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Whose run.
    pub tenant: TenantId,
    /// Which run.
    pub run: RunId,
    /// Which round; the number of rounds done when the run is over.
    pub round: RoundId,
    /// The key epoch: no two announcements that ask for work share one.
    pub epoch: EpochId,
    /// Updates of this epoch and later ones are taken: a node that is not asked now and trains for one goes on.
    pub taken_from: EpochId,
    /// The version of the roster from which the coordinator asks.
    pub roster: u64,
    /// When the coordinator wrote this, by its clock.
    pub issued: Timestamp,
    /// How long after `issued` the coordinator waits; a node counts from when it read this.
    pub deadline: Millis,
    /// What is asked.
    pub request: Request,
}

/// What is asked of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Train on this model and send an update.
    Train(Offer),
    /// Keep this model: it is the run's result so far, or its end.
    Keep(Offer),
    /// Nothing: the run is over.
    Rest,
}

/// A sealed model and the keys to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The sealed model blob.
    pub model: Manifest,
    /// The epoch's root, wrapped for each member.
    pub members: List<Member, COHORT_MAX>,
}

/// One node that may take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub node: NodeId,
    /// Which of its key packages the root is wrapped to.
    pub package: [u8; 16],
    /// The wrapped root.
    pub root: WrappedRoot,
}

crate::wire_fields!(Announcement {
    tenant,
    run,
    round,
    epoch,
    taken_from,
    roster,
    issued,
    deadline,
    request
});
crate::wire_fields!(Offer { model, members });
crate::wire_fields!(Member { node, package, root });

impl Request {
    /// The model offered, if one is.
    pub fn offer(&self) -> Option<&Offer> {
        match self {
            Self::Train(offer) | Self::Keep(offer) => Some(offer),
            Self::Rest => None,
        }
    }
}

impl crate::wire::Wire for Request {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Train(_) => 1,
            Self::Keep(_) => 2,
            Self::Rest => 3,
        });
        if let Some(offer) = self.offer() {
            offer.put(out);
        }
    }

    fn take(input: &mut crate::wire::Input<'_>) -> Result<Self, crate::wire::WireError> {
        match u8::take(input)? {
            1 => Offer::take(input).map(Self::Train),
            2 => Offer::take(input).map(Self::Keep),
            3 => Ok(Self::Rest),
            tag => Err(input.error(crate::wire::Fault::Unknown(u64::from(tag)))),
        }
    }
}

//! Signed facts about a run, for any number of watchers.

use crate::id::{ModelHash, NodeId, RoundId, RunId};
use crate::limits::COHORT_MAX;
use crate::units::Timestamp;
use crate::wire::{Fault, Input, List, Text, Wire, WireError};

/// A fact and when it came about. Reasons never carry telemetry: events are readable by everyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which run.
    pub run: RunId,
    /// Which round.
    pub round: RoundId,
    /// When, by the coordinator's clock.
    pub at: Timestamp,
    /// What.
    pub fact: Fact,
}

crate::wire_fields!(Event { run, round, at, fact });

/// Bytes in a reason.
pub type Reason = Text<256>;

/// What came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A round began with this cohort.
    RoundOpened {
        /// Who was selected.
        cohort: List<NodeId, COHORT_MAX>,
    },
    /// A node's update was refused.
    UpdateRejected {
        /// Whose.
        node: NodeId,
        /// Why.
        reason: Reason,
    },
    /// A round was committed.
    RoundClosed {
        /// The model it made.
        model: ModelHash,
        /// How many updates are in it.
        updates: u32,
    },
    /// A round ended without a model and may be tried again.
    RoundAborted {
        /// Why.
        reason: Reason,
    },
    /// A node is not counted on: it fell silent, ended, or hangs.
    NodeAway {
        /// Which.
        node: NodeId,
        /// Why.
        reason: Reason,
    },
    /// A node that was away, or is new, takes part from now on.
    NodeBack {
        /// Which.
        node: NodeId,
    },
    /// A node that is not let in says that it is there. Of no run: its id is zero.
    NodeRefused {
        /// Which.
        node: NodeId,
        /// Why: it was revoked, or is no member.
        reason: Reason,
    },
    /// The run reached its end.
    RunFinished,
    /// The run ended early.
    RunFailed {
        /// Why.
        reason: Reason,
    },
}

/// The first bytes of a text that is too long for a reason.
pub fn reason(text: &str) -> Reason {
    let end = text.floor_char_boundary(256);
    Text::try_from(&text[..end]).unwrap_or_else(|_| unreachable!("cut to the limit above"))
}

impl Wire for Fact {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::RoundOpened { cohort } => {
                out.push(1);
                cohort.put(out);
            }
            Self::UpdateRejected { node, reason } => {
                out.push(2);
                node.put(out);
                reason.put(out);
            }
            Self::RoundClosed { model, updates } => {
                out.push(3);
                model.put(out);
                updates.put(out);
            }
            Self::RoundAborted { reason } => {
                out.push(4);
                reason.put(out);
            }
            Self::RunFinished => out.push(5),
            Self::RunFailed { reason } => {
                out.push(6);
                reason.put(out);
            }
            Self::NodeAway { node, reason } => {
                out.push(7);
                node.put(out);
                reason.put(out);
            }
            Self::NodeBack { node } => {
                out.push(8);
                node.put(out);
            }
            Self::NodeRefused { node, reason } => {
                out.push(9);
                node.put(out);
                reason.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(match u8::take(input)? {
            1 => Self::RoundOpened { cohort: Wire::take(input)? },
            2 => Self::UpdateRejected { node: Wire::take(input)?, reason: Wire::take(input)? },
            3 => Self::RoundClosed { model: Wire::take(input)?, updates: Wire::take(input)? },
            4 => Self::RoundAborted { reason: Wire::take(input)? },
            5 => Self::RunFinished,
            6 => Self::RunFailed { reason: Wire::take(input)? },
            7 => Self::NodeAway { node: Wire::take(input)?, reason: Wire::take(input)? },
            8 => Self::NodeBack { node: Wire::take(input)? },
            9 => Self::NodeRefused { node: Wire::take(input)?, reason: Wire::take(input)? },
            tag => return Err(input.error(Fault::Unknown(u64::from(tag)))),
        })
    }
}

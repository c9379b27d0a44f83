//! What is kept of a round: who took part, how each fared, when, and what came out.
//!
//! Canonical bytes (see [`common::wire`]): the same round gives the same record on every machine.

use std::fmt;

use common::id::{EpochId, ModelHash, NodeId, RoundId, RunId};
use common::limits::{COHORT_MAX, NAME_BYTES_MAX};
use common::message::event::{Reason, reason};
use common::units::Timestamp;
use common::wire::{Fault as WireFault, Input, List, Text, Wire, WireError};

use super::{Checkpoint, Fault};

/// One attempt at a round, from its first phase to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundRecord {
    /// Of which run.
    pub run: RunId,
    /// Which round, from 1.
    pub round: RoundId,
    /// Its key epoch.
    pub epoch: EpochId,
    /// Which attempt at the round, from 1.
    pub attempt: u32,
    /// The model it started from.
    pub model: ModelHash,
    /// Nodes that the run selected from, whether they were there or not.
    pub candidates: u32,
    /// Each phase it was in, and when that began.
    pub phases: List<PhaseBegan, 8>,
    /// When this record was made: just before it is committed, or when the round aborted.
    pub closed: Timestamp,
    /// The selected nodes, in the order of their ids.
    pub members: List<MemberRecord, COHORT_MAX>,
    /// What came out.
    pub outcome: RoundOutcome,
    /// The version of the coordinator that made it.
    pub code: CodeVersion,
}

/// A version of this code.
pub type CodeVersion = Text<NAME_BYTES_MAX>;

/// The version of this code: the package's, and the commit where the build was told one (`STARLING_COMMIT`).
pub fn code_version() -> CodeVersion {
    let package = env!("CARGO_PKG_VERSION");
    let with_commit = option_env!("STARLING_COMMIT").map(|commit| format!("{package} ({commit})"));
    let version = with_commit.and_then(|text| CodeVersion::try_from(text.as_str()).ok());
    version.unwrap_or_else(|| package.try_into().expect("the version of a package is short"))
}

/// What came out of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoundOutcome {
    /// A model, and what the server remembers.
    Committed(Checkpoint),
    /// Nothing, and why.
    Aborted(Reason),
}

/// When a phase began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseBegan {
    /// Which phase.
    pub phase: PhaseName,
    /// When.
    pub at: Timestamp,
}

/// The phases of a round, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhaseName {
    /// Waiting for enough nodes.
    Selection,
    /// The cohort fetches the model.
    Configuration,
    /// The cohort trains and sends updates.
    Reporting,
    /// The strategy makes the new model.
    Aggregation,
    /// The new model and the record become durable.
    Committing,
}

/// A selected node and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberRecord {
    /// Which node.
    pub node: NodeId,
    /// What became of it.
    pub outcome: MemberOutcome,
}

/// What became of a selected node.
#[derive(Clone, Debug, PartialEq)]
pub enum MemberOutcome {
    /// Its update is in the model.
    Reported(Report),
    /// Its update was refused.
    Rejected(Reason),
    /// It said that it cannot take part.
    Declined,
    /// It left and did not come back in time.
    Gone,
    /// It had the model, but its update did not come in time.
    Straggler,
    /// It never had the model, though it was there.
    Silent,
    /// It still trains: its update is for a later round.
    Training,
}

/// What a node trains from: the model that was announced for this round, under this epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// The epoch.
    pub epoch: EpochId,
    /// The round.
    pub round: RoundId,
}

/// An update that is in the sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Samples it stands for.
    pub weight: u64,
    /// Steps that the node's optimiser took.
    pub steps: u32,
    /// Its mean training loss.
    pub loss: f32,
    /// Euclidean norm of its delta.
    pub delta_norm: f32,
    /// What it was trained from.
    pub base: Base,
    /// When it was folded.
    pub at: Timestamp,
}

impl RoundRecord {
    /// The updates in the model, with their senders.
    pub fn reports(&self) -> impl Iterator<Item = (NodeId, &Report)> {
        self.members.iter().filter_map(|member| match &member.outcome {
            MemberOutcome::Reported(report) => Some((member.node, report)),
            _ => None,
        })
    }

    /// The nodes whose updates are in the model, and the epoch in which each was asked for its.
    pub fn asked_in(&self) -> impl Iterator<Item = (NodeId, EpochId)> {
        self.reports().map(|(node, report)| (node, report.base.epoch))
    }

    /// The nodes that are not in the model, and why.
    pub fn missing(&self) -> impl Iterator<Item = (NodeId, &MemberOutcome)> {
        let missing = |member: &&MemberRecord| !matches!(member.outcome, MemberOutcome::Reported(_));
        self.members.iter().filter(missing).map(|member| (member.node, &member.outcome))
    }

    /// What the round left behind, if it was committed.
    pub fn made(&self) -> Option<&Checkpoint> {
        match &self.outcome {
            RoundOutcome::Committed(made) => Some(made),
            RoundOutcome::Aborted(_) => None,
        }
    }

    /// Samples behind the model.
    pub fn weight_total(&self) -> u64 {
        self.reports().map(|(_, report)| report.weight).sum()
    }

    /// Mean training loss, weighted by samples; NaN when nobody reported.
    pub fn loss(&self) -> f64 {
        self.mean(|report| report.loss)
    }

    /// Mean Euclidean norm of the deltas, weighted by samples; NaN when nobody reported.
    pub fn update_norm(&self) -> f64 {
        self.mean(|report| report.delta_norm)
    }

    fn mean(&self, of: impl Fn(&Report) -> f32) -> f64 {
        let sum: f64 = self.reports().map(|(_, report)| f64::from(of(report)) * report.weight as f64).sum();
        sum / self.weight_total() as f64
    }

    /// Each phase and the microseconds it took; the last one until the record was made.
    pub fn phase_micros(&self) -> impl Iterator<Item = (PhaseName, u64)> {
        let ends = self.phases.iter().skip(1).map(|next| next.at).chain([self.closed]);
        self.phases.iter().zip(ends).map(|(began, end)| (began.phase, end.micros_since(began.at)))
    }
}

impl PhaseName {
    /// All of them, in the order in which a round goes through them.
    pub const ALL: [Self; 5] =
        [Self::Selection, Self::Configuration, Self::Reporting, Self::Aggregation, Self::Committing];
}

impl Base {
    /// How many rounds before this one its model was the newest.
    pub fn staleness(&self, round: RoundId) -> u32 {
        round.0.saturating_sub(self.round.0)
    }
}

impl MemberOutcome {
    pub(super) fn rejected(fault: &Fault) -> Self {
        Self::Rejected(reason(&fault.to_string()))
    }
}

impl fmt::Display for MemberOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reported(report) => write!(f, "reported, {} samples", report.weight),
            Self::Rejected(reason) => write!(f, "rejected: {reason}"),
            Self::Declined => f.write_str("declined"),
            Self::Gone => f.write_str("gone"),
            Self::Straggler => f.write_str("too late"),
            Self::Silent => f.write_str("never had the model"),
            Self::Training => f.write_str("still trains"),
        }
    }
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Selection => "selection",
            Self::Configuration => "configuration",
            Self::Reporting => "reporting",
            Self::Aggregation => "aggregation",
            Self::Committing => "committing",
        })
    }
}

common::wire_fields!(RoundRecord {
    run,
    round,
    epoch,
    attempt,
    model,
    candidates,
    phases,
    closed,
    members,
    outcome,
    code
});
common::wire_fields!(PhaseBegan { phase, at });
common::wire_fields!(MemberRecord { node, outcome });
common::wire_fields!(Report { weight, steps, loss, delta_norm, base, at });
common::wire_fields!(Base { epoch, round });
common::wire_tags!(PhaseName {
    Selection = 1,
    Configuration = 2,
    Reporting = 3,
    Aggregation = 4,
    Committing = 5
});

impl Wire for RoundOutcome {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Committed(made) => {
                out.push(1);
                made.put(out);
            }
            Self::Aborted(reason) => {
                out.push(2);
                reason.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        match u8::take(input)? {
            1 => Wire::take(input).map(Self::Committed),
            2 => Wire::take(input).map(Self::Aborted),
            tag => Err(input.error(WireFault::Unknown(u64::from(tag)))),
        }
    }
}

impl Wire for MemberOutcome {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Reported(report) => {
                out.push(1);
                report.put(out);
            }
            Self::Rejected(reason) => {
                out.push(2);
                reason.put(out);
            }
            Self::Declined => out.push(3),
            Self::Gone => out.push(4),
            Self::Straggler => out.push(5),
            Self::Silent => out.push(6),
            Self::Training => out.push(7),
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(match u8::take(input)? {
            1 => Self::Reported(Wire::take(input)?),
            2 => Self::Rejected(Wire::take(input)?),
            3 => Self::Declined,
            4 => Self::Gone,
            5 => Self::Straggler,
            6 => Self::Silent,
            7 => Self::Training,
            tag => return Err(input.error(WireFault::Unknown(u64::from(tag)))),
        })
    }
}

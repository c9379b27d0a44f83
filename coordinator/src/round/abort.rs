//! Why a round ended without a model: always because nodes were missing, always with numbers.

use common::units::Millis;

use super::PhaseName;

/// The reason, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Abort {
    /// Too few nodes were there when selection had to end.
    #[error("{present} nodes were there within {waited}; at least {minimum} are needed")]
    TooFewNodes {
        /// Nodes there.
        present: u32,
        /// Nodes needed.
        minimum: u32,
        /// How long the round waited for more.
        waited: Millis,
    },
    /// Too few of the cohort had the model when configuration had to end.
    #[error(
        "{received} of {cohort} selected nodes had the model within {waited}; at least {minimum} are needed"
    )]
    TooFewModels {
        /// Nodes that have it.
        received: u32,
        /// Nodes needed.
        minimum: u32,
        /// Nodes selected.
        cohort: u32,
        /// How long the round waited for more.
        waited: Millis,
    },
    /// Too few updates were in when reporting had to end.
    #[error("{reported} of {cohort} selected nodes reported within {waited}; at least {minimum} are needed")]
    TooFewUpdates {
        /// Updates folded.
        reported: u32,
        /// Updates needed.
        minimum: u32,
        /// Nodes selected.
        cohort: u32,
        /// How long the round waited for more.
        waited: Millis,
    },
    /// So many nodes are lost that the minimum cannot be met any more, however long the round waits.
    #[error(
        "in {phase}: of {cohort} selected nodes {rejected} were refused, {declined} declined and {gone} are gone; \
         {reported} reported and {open} may still, but at least {minimum} are needed"
    )]
    OutOfReach {
        /// In which phase.
        phase: PhaseName,
        /// Updates folded.
        reported: u32,
        /// Nodes that may still report.
        open: u32,
        /// Nodes whose update was refused.
        rejected: u32,
        /// Nodes that said they cannot.
        declined: u32,
        /// Nodes not heard any more.
        gone: u32,
        /// Updates needed.
        minimum: u32,
        /// Nodes selected.
        cohort: u32,
    },
}

//! The signed hellos between bridges, which forward telemetry, and the nodes that own it.

use super::presence::{Address, Heard};
use crate::crypto::{KeyPackage, Suite};
use crate::limits::COHORT_MAX;
use crate::wire::List;

/// What a node tells the bridges from which it takes telemetry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntakePresence {
    /// Drawn anew by each process; a hello is answered by echoing it.
    pub session: u64,
    /// When it was written, by the node's clock in microseconds: an old one never replaces a new one.
    pub seq: u64,
    /// To which key the next batch is sealed.
    pub package: KeyPackage,
    /// Where it reads batches.
    pub chunks: Address,
    /// Its protocol version.
    pub version: u16,
}

/// What a bridge tells the nodes to which it forwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgePresence {
    /// When it was written, by the bridge's clock in microseconds: an old one never replaces a new one.
    pub seq: u64,
    /// Where it reads receipts.
    pub receipts: Address,
    /// The sessions of the nodes it hears.
    pub heard: List<Heard, COHORT_MAX>,
    /// To which cryptography it seals.
    pub suite: Suite,
    /// Its protocol version.
    pub version: u16,
}

crate::wire_fields!(IntakePresence { session, seq, package, chunks, version });
crate::wire_fields!(BridgePresence { seq, receipts, heard, suite, version });

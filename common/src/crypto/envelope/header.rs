//! What a sealed value is about. All of it is bound into the encryption and signed.

use super::super::layout::ChunkLayout;
use super::super::suite::Suite;
use crate::id::{EpochId, NodeId, RoundId, RunId, TenantId};
use crate::wire::{Fault, Input, Wire, WireError};
use crate::{wire_fields, wire_tags};

const MAGIC: [u8; 4] = *b"STRL";
const VERSION: u8 = 1;

/// What the plaintext is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A model, from the coordinator to the group.
    Model,
    /// A node's update, to the coordinator.
    Update,
    /// Telemetry, from a bridge to the node that owns it.
    Records,
}

wire_tags!(Kind { Model = 1, Update = 2, Records = 3 });

/// Who can open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// Every member of the epoch.
    Group,
    /// The holder of one key package.
    One(NodeId),
    /// The coordinator that wrapped the epoch's root for the sender.
    Coordinator(NodeId),
}

/// What the sealer says about the value; the rest of the [`Header`] follows from keys and plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What the plaintext is.
    pub kind: Kind,
    /// The tenant.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// The round.
    pub round: RoundId,
    /// The epoch whose keys seal it.
    pub epoch: EpochId,
    /// Counts what this sender sealed in this epoch, from 1.
    pub seq: u64,
    /// Trace id (W3C Trace Context), to follow a value through all processes.
    pub trace: [u8; 16],
}

wire_fields!(Subject { kind, tenant, run, round, epoch, seq, trace });

/// The public part of a sealed value. Starts with a magic number and a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cryptography in use.
    pub suite: Suite,
    /// What the value is about.
    pub subject: Subject,
    /// Who sealed and signed it.
    pub sender: NodeId,
    /// Who can open it.
    pub recipient: Recipient,
    /// Plaintext length, and the cut into chunks that follows from it.
    pub layout: ChunkLayout,
}

impl Wire for Recipient {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Group => out.push(0),
            Self::One(node) => {
                out.push(1);
                node.put(out);
            }
            Self::Coordinator(node) => {
                out.push(2);
                node.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        match u8::take(input)? {
            0 => Ok(Self::Group),
            1 => Wire::take(input).map(Self::One),
            2 => Wire::take(input).map(Self::Coordinator),
            tag => Err(input.error(Fault::Unknown(u64::from(tag)))),
        }
    }
}

impl Wire for Header {
    fn put(&self, out: &mut Vec<u8>) {
        MAGIC.put(out);
        VERSION.put(out);
        self.suite.put(out);
        self.subject.put(out);
        self.sender.put(out);
        self.recipient.put(out);
        self.layout.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        if <[u8; 4]>::take(input)? != MAGIC {
            return Err(input.error(Fault::Invalid("not the header of a sealed value")));
        }
        match u8::take(input)? {
            VERSION => {}
            version => return Err(input.error(Fault::Unknown(u64::from(version)))),
        }
        Ok(Self {
            suite: Wire::take(input)?,
            subject: Wire::take(input)?,
            sender: Wire::take(input)?,
            recipient: Wire::take(input)?,
            layout: Wire::take(input)?,
        })
    }
}

//! The only acknowledgement that counts: what of a blob has arrived, and how much more may come.

use crate::blob::Standing;
use crate::crypto::PairKey;
use crate::id::{BlobId, NodeId};
use crate::wire::{self, Input, Wire, WireError};

/// What a blob's receiver tells its sender. Travels under the pair key of the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which blob.
    pub blob: BlobId,
    /// Counted up by the receiver, so that an older receipt does not undo a newer one.
    pub seq: u32,
    /// How it stands.
    pub status: Status,
}

/// How a transfer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The offer is known; its turn will come.
    Queued,
    /// Send on.
    Open(Standing),
    /// All is here, and its hash is the signed one.
    Complete,
    /// It is not wanted; the reason is in the event stream.
    Refused,
}

crate::wire_fields!(Receipt { blob, seq, status });

impl Receipt {
    /// Encodes it under the pair key. `sender` is who writes the receipt.
    pub fn seal(&self, sender: NodeId, key: &PairKey) -> Vec<u8> {
        let mut bytes = wire::encode(self);
        bytes.extend_from_slice(&key.tag(sender, &bytes));
        bytes
    }

    /// The receipt that `sender` wrote; `None` when it did not.
    pub fn open(bytes: &[u8], sender: NodeId, key: &PairKey) -> Option<Self> {
        let (body, tag) = bytes.split_last_chunk::<16>()?;
        key.verify(sender, body, tag).then(|| wire::decode(body).ok())?
    }

    /// The blob that these bytes speak of, not yet believed: it says which pair key to try.
    pub fn claimed_blob(bytes: &[u8]) -> Option<BlobId> {
        BlobId::take(&mut Input::new(bytes)).ok()
    }
}

impl Wire for Status {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Queued => out.push(1),
            Self::Open(standing) => {
                out.push(2);
                standing.put(out);
            }
            Self::Complete => out.push(3),
            Self::Refused => out.push(4),
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        match u8::take(input)? {
            1 => Ok(Self::Queued),
            2 => Wire::take(input).map(Self::Open),
            3 => Ok(Self::Complete),
            4 => Ok(Self::Refused),
            tag => Err(input.error(wire::Fault::Unknown(u64::from(tag)))),
        }
    }
}

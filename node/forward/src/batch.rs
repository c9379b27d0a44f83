//! What is sealed to a node at once: parts of entries, each as its node's spool will hold it.

use common::limits::CHUNK_PLAIN_BYTES;
use common::wire::{self, Fault, Input, Wire, WireError};
use ingest::spool::Entry;

use crate::limits::{BATCH_BYTES_MAX, BATCH_PARTS_MAX};

/// Encodes the parts of a batch.
pub fn encode(parts: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(CHUNK_PLAIN_BYTES);
    (parts.len() as u32).put(&mut out);
    for part in parts {
        let at = out.len();
        0_u32.put(&mut out);
        part.put(&mut out);
        let bytes = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&bytes.to_le_bytes());
    }
    out
}

/// Decodes a batch.
///
/// # Errors
///
/// [`WireError`] says where the bytes are wrong.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, WireError> {
    let mut input = Input::new(bytes);
    if bytes.len() > BATCH_BYTES_MAX {
        return Err(input.error(Fault::TooLong { max: BATCH_BYTES_MAX }));
    }
    let count = u32::take(&mut input)? as usize;
    if count > BATCH_PARTS_MAX {
        return Err(input.error(Fault::TooLong { max: BATCH_PARTS_MAX }));
    }
    let mut parts = Vec::new();
    for _ in 0..count {
        let bytes = u32::take(&mut input)? as usize;
        let at = input.offset();
        let part = wire::decode(input.slice(bytes)?);
        parts.push(part.map_err(|error| WireError { offset: at + error.offset, ..error })?);
    }
    match input.rest() {
        [] => Ok(parts),
        _ => Err(input.error(Fault::Trailing)),
    }
}

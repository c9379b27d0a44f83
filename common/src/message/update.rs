//! The plaintext of an update blob: what training changed, and how much it weighs.

use crate::model::put_values;
use crate::wire::{Input, Wire, WireError};

/// What goes before the values.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateHead {
    /// Samples trained on: the weight of the update in the average.
    pub weight: u64,
    /// Mean training loss of the last epoch (squared error of scaled metrics).
    pub loss: f32,
}

crate::wire_fields!(UpdateHead { weight, loss });

/// The bytes of a head and the delta to the round's model.
pub fn encode(head: &UpdateHead, delta: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(delta.len() * 4 + 16);
    head.put(&mut bytes);
    put_values(delta, &mut bytes);
    bytes
}

/// The head, and the delta as little-endian `f32` bytes that are folded where they lie.
///
/// # Errors
///
/// [`WireError`] when the head is cut short.
pub fn decode(bytes: &[u8]) -> Result<(UpdateHead, &[u8]), WireError> {
    let mut input = Input::new(bytes);
    Ok((UpdateHead::take(&mut input)?, input.rest()))
}

//! The plaintext of an update blob: what training changed, and how much it weighs.

use super::headed::{headed, take_head};
use crate::crypto::Plain;
use crate::model::write_values;
use crate::wire::{Input, WireError};

/// What goes before the values.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateHead {
    /// Samples trained on: the weight of the update in the average.
    pub weight: u64,
    /// Steps that the optimiser took.
    pub steps: u32,
    /// Mean training loss of the last epoch (squared error of scaled metrics).
    pub loss: f32,
}

crate::wire_fields!(UpdateHead { weight, steps, loss });

/// A head and the delta `trained - base`, value by value.
///
/// # Panics
///
/// When the models are not of one length.
pub fn plaintext<'v>(head: &UpdateHead, trained: &'v [f32], base: &'v [f32]) -> impl Plain + use<'v> {
    assert_eq!(trained.len(), base.len(), "a delta is taken between models of one schema");
    headed(head, trained.len(), |range, out| {
        let values = trained[range.clone()].iter().zip(&base[range]);
        write_values(values.map(|(trained, base)| trained - base), out);
    })
}

/// Bytes of an update of so many parameters.
pub fn plain_bytes(parameters: usize) -> u64 {
    headed(&UpdateHead { weight: 0, steps: 0, loss: 0.0 }, parameters, |_, _| ()).bytes() as u64
}

/// The head, and the delta as little-endian `f32` bytes that are folded where they lie.
///
/// # Errors
///
/// [`WireError`] when the head is cut short.
pub fn decode(bytes: &[u8]) -> Result<(UpdateHead, &[u8]), WireError> {
    let mut input = Input::new(bytes);
    Ok((take_head(&mut input)?, input.rest()))
}

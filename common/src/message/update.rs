//! The plaintext of an update blob: what training changed, and how much it weighs; behind it what became of the node's
//! control variate, where nodes keep one.

use super::headed::{headed, one_after_the_other, take_head};
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

/// What a vector was and what it became.
#[derive(Clone, Copy, Debug)]
pub struct Change<'v> {
    /// Before training.
    pub from: &'v [f32],
    /// After it.
    pub to: &'v [f32],
}

/// A head and the delta of the model, value by value, and that of the node's control variate if it has one.
///
/// # Panics
///
/// When the vectors are not of one length.
pub fn plaintext<'v>(
    head: &UpdateHead,
    model: Change<'v>,
    control: Option<Change<'v>>,
) -> impl Plain + use<'v> {
    let (length, control_length) = (model.to.len(), control.map_or(0, |control| control.to.len()));
    let changes = [model, control.unwrap_or(model)];
    for Change { from, to } in changes {
        assert_eq!(
            (from.len(), to.len()),
            (length, length),
            "a delta is taken between vectors of one schema"
        );
    }
    headed(head, length + control_length, move |range, out| {
        one_after_the_other(range, length, out, |which, range, out| {
            let Change { from, to } = changes[which];
            let values = to[range.clone()].iter().zip(&from[range]);
            write_values(values.map(|(to, from)| to - from), out);
        });
    })
}

/// Bytes of an update of so many values ([`Plan::values`](super::model::Plan::values)).
pub fn plain_bytes(values: usize) -> u64 {
    headed(&UpdateHead { weight: 0, steps: 0, loss: 0.0 }, values, |_, _| ()).bytes() as u64
}

/// The head, and the deltas as little-endian `f32` bytes that are folded where they lie.
///
/// # Errors
///
/// [`WireError`] when the head is cut short.
pub fn decode(bytes: &[u8]) -> Result<(UpdateHead, &[u8]), WireError> {
    let mut input = Input::new(bytes);
    Ok((take_head(&mut input)?, input.rest()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_change_of_a_control_variate_follows_that_of_the_model() {
        let head = UpdateHead { weight: 3, steps: 7, loss: 0.5 };
        let model = Change { from: &[1.0, 2.0, 3.0], to: &[1.5, 2.0, 2.0] };
        let control = Change { from: &[0.0, 4.0, 8.0], to: &[1.0, 3.0, 8.5] };
        for (control, expected) in
            [(None, vec![0.5, 0.0, -1.0]), (Some(control), vec![0.5, 0.0, -1.0, 1.0, -1.0, 0.5])]
        {
            let plain = plaintext(&head, model, control);
            let mut bytes = vec![0; plain.bytes()];
            (0..).zip(bytes.chunks_mut(8)).for_each(|(piece, out)| plain.write(piece * 8, out));
            assert_eq!(bytes.len() as u64, plain_bytes(expected.len()));
            let (read, values) = decode(&bytes).unwrap();
            let values: Vec<f32> =
                values.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
            assert_eq!((read, values), (head.clone(), expected));
        }
    }
}

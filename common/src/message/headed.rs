//! The shape that the plaintexts of models and updates share: a head, then values.

use std::ops::Range;

use crate::crypto::Plain;
use crate::wire::{Fault, Input, Wire, WireError, encode};

/// Values begin at a multiple of this: then no value is cut by the end of a record.
const ALIGN: usize = 4;

/// A head, zeros up to a multiple of four bytes, and values that are written when they are asked for.
pub(super) struct Headed<F> {
    head: Vec<u8>,
    values: usize,
    write: F,
}

/// `write` writes the values of a range into four bytes each.
pub(super) fn headed<F>(head: &impl Wire, values: usize, write: F) -> Headed<F>
where
    F: Fn(Range<usize>, &mut [u8]),
{
    let mut head = encode(head);
    head.resize(head.len().next_multiple_of(ALIGN), 0);
    Headed { head, values, write }
}

impl<F: Fn(Range<usize>, &mut [u8])> Plain for Headed<F> {
    fn bytes(&self) -> usize {
        self.head.len() + self.values * 4
    }

    fn write(&self, offset: usize, out: &mut [u8]) {
        let head = self.head.get(offset..).unwrap_or_default();
        let (first, rest) = out.split_at_mut(head.len().min(out.len()));
        first.copy_from_slice(&head[..first.len()]);
        let value = (offset + first.len()).saturating_sub(self.head.len()) / 4;
        (self.write)(value..value + rest.len() / 4, rest);
    }
}

/// Writes a range of two vectors of one length, one behind the other: `write` gets which of them, and the range of it.
pub(super) fn one_after_the_other(
    range: Range<usize>,
    length: usize,
    out: &mut [u8],
    write: impl Fn(usize, Range<usize>, &mut [u8]),
) {
    let first = range.start.min(length)..range.end.min(length);
    let second = range.start.max(length) - length..range.end.max(length) - length;
    let (out_first, out_second) = out.split_at_mut(first.len() * 4);
    write(0, first, out_first);
    write(1, second, out_second);
}

/// Reads a head and leaves the values.
pub(super) fn take_head<T: Wire>(input: &mut Input<'_>) -> Result<T, WireError> {
    let head = T::take(input)?;
    let padding = input.slice(input.offset().next_multiple_of(ALIGN) - input.offset())?;
    if padding.iter().all(|byte| *byte == 0) {
        Ok(head)
    } else {
        Err(input.error(Fault::Invalid("padding that is not zero")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Text;

    proptest! {
        #[test]
        fn every_cut_at_four_bytes_writes_the_same_plaintext(head in "[a-z]{0,30}", values in 0_usize..40, cut in 1_usize..9) {
            let head = Text::<30>::try_from(head.as_str()).unwrap();
            let plain = headed(&head, values, |range, out| {
                let bytes: Vec<u8> = range.flat_map(|index| (index as u32).to_le_bytes()).collect();
                out.copy_from_slice(&bytes);
            });
            let mut whole = vec![0; plain.bytes()];
            for (index, piece) in whole.chunks_mut(cut * 4).enumerate() {
                plain.write(index * cut * 4, piece);
            }
            let mut input = Input::new(&whole);
            prop_assert_eq!(take_head::<Text<30>>(&mut input), Ok(head));
            let read: Vec<u32> = input.rest().as_chunks().0.iter().map(|value| u32::from_le_bytes(*value)).collect();
            prop_assert_eq!(read, (0..values as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn padding_that_says_something_is_refused() {
        let error = take_head::<Text<9>>(&mut Input::new(&[1, 0, 0, 0, b'a', 0, 1, 0])).unwrap_err();
        assert_eq!(error.fault, Fault::Invalid("padding that is not zero"));
    }
}

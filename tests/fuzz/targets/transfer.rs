//! One blob to a few readers that say anything: what is sent is bounded by what they said, and ends.
//!
//! Whoever writes these receipts holds a pair key: a node that turned against its coordinator, or the other way round.
#![no_main]

use common::blob::{Gaps, Outgoing, Send, Standing};
use common::id::NodeId;
use common::units::{Millis, Timestamp};
use common::wire::decode;
use libfuzzer_sys::fuzz_target;
use ops::Ops;

/// A reader that is one, or one that is none.
fn reader(ops: &mut Ops<'_>) -> NodeId {
    NodeId([ops.byte() % 5; 32])
}

/// Any gaps that decode, at places that are near each other or far.
fn gaps(ops: &mut Ops<'_>) -> Gaps {
    let scale = [1, 1, 1000, 1 << 24][usize::from(ops.byte() % 4)];
    let mut numbers = vec![u32::from(ops.byte()).saturating_mul(scale), 0];
    for _ in 0..ops.byte() % 65 {
        let (start, length) = (u32::from(ops.byte()).saturating_mul(scale), u32::from(ops.byte()));
        numbers.extend([start, start.saturating_add(length.saturating_mul(scale))]);
        numbers[1] += 1;
    }
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    decode(&bytes).unwrap_or_else(|_| Gaps::none_before(numbers[0]))
}

fuzz_target!(|data: &[u8]| {
    let mut ops = Ops(data);
    let chunks = u32::from(ops.short()) % 4096 + 1;
    let (readers, window) = (ops.byte() % 4 + 1, u32::from(ops.byte()));
    let mut now = Timestamp(1_000_000);
    let mut outgoing = Outgoing::new(chunks, (0..readers).map(|reader| NodeId([reader; 32])), window, now);
    while let Some(what) = ops.next() {
        // What one input may bring: every chunk once, a probe a reader, and the repairs that a receipt asks for.
        let mut left = chunks as usize + usize::from(readers);
        match what % 6 {
            0 | 1 => {
                let window = [u32::from(ops.byte()), u32::MAX][usize::from(ops.byte() % 8 == 0)];
                let (reader, gaps) = (reader(&mut ops), gaps(&mut ops));
                outgoing.on_receipt(reader, &Standing { window, stalled: what % 2 == 0, gaps }, now);
                left += chunks as usize * usize::from(readers);
            }
            2 => now = now + Millis(u64::from(ops.short())),
            3 => outgoing.on_complete(reader(&mut ops)),
            4 => outgoing.remove(reader(&mut ops)),
            _ => now = outgoing.next_wake().map_or(now, |wake| wake.max(now)),
        }
        while let Some(send) = outgoing.next(now) {
            let (Send::ToAll(index) | Send::To(_, index)) = send;
            assert!(index < chunks, "only chunks that there are");
            left = left.checked_sub(1).expect("it comes to an end");
        }
    }
});

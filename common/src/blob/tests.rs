//! Transfers over a line of some rate, length and loss, in virtual time.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::Standing;
use super::outgoing::{Outgoing, Send};
use super::reception::Reception;
use crate::id::NodeId;
use crate::units::{Millis, Timestamp};

const CHUNK_BITS: u64 = 49_300 * 8;
const WINDOW: u32 = 32;
const READER: NodeId = NodeId([1; 32]);

/// What chunks go through, one after the other, and receipts beside them.
#[derive(Clone, Copy)]
struct Line {
    bits_per_second: u64,
    /// One way.
    delay_micros: u64,
    lost_permille: u32,
}

enum Event {
    Chunk(u32),
    /// `None` when all is there.
    Receipt(Option<Standing>),
}

/// How long all transfers took, and how many chunks were sent.
#[derive(Debug)]
struct Taken {
    millis: u64,
    sent: u64,
}

/// So many transfers at once over one line.
fn carry(line: Line, transfers: usize, chunks: u32, seed: u64) -> Taken {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let mut lost = |permille: u32| random.random_range(0..1000) < permille;
    let start = Timestamp(1_000_000);
    let pair = |_| (Outgoing::new(chunks, [READER], WINDOW, start), Reception::new(chunks, WINDOW, start));
    let mut pairs: Vec<_> = (0..transfers).map(pair).collect();
    let (mut now, mut free, mut sent, mut count) = (start, start, 0_u64, 0_u64);
    let mut events: BTreeMap<(Timestamp, u64), (usize, Event)> = BTreeMap::new();
    let later = |from: Timestamp, micros: u64| Timestamp(from.0 + micros);
    while !pairs.iter().all(|(outgoing, _)| outgoing.is_complete()) {
        let mut answers = Vec::new();
        while let Some(event) = events.first_entry().filter(|event| event.key().0 <= now) {
            let (of, event) = event.remove();
            let (outgoing, reception) = &mut pairs[of];
            match event {
                Event::Chunk(index) if reception.have().contains(index) => reception.on_duplicate(now),
                Event::Chunk(index) => {
                    let due = reception.on_chunk(index, now);
                    answers.extend(due.map(|due| (of, Some(due))));
                }
                Event::Receipt(Some(standing)) => outgoing.on_receipt(READER, &standing, now),
                Event::Receipt(None) => outgoing.on_complete(READER),
            }
        }
        for (of, (outgoing, reception)) in pairs.iter_mut().enumerate() {
            if reception.have().is_complete() && !outgoing.is_complete() {
                answers.push((of, None));
            }
            answers.extend(reception.on_tick(now).map(|due| (of, Some(due))));
            while let Some(send) = outgoing.next(now) {
                let Send::To(_, index) = send else { panic!("an only reader is sent to alone") };
                (sent, count) = (sent + 1, count + 1);
                free = later(free.max(now), CHUNK_BITS * 1_000_000 / line.bits_per_second);
                if !lost(line.lost_permille) {
                    events.insert((later(free, line.delay_micros), count), (of, Event::Chunk(index)));
                }
            }
        }
        for (of, answer) in answers {
            count += 1;
            if !lost(line.lost_permille / 20) {
                events.insert((later(now, line.delay_micros), count), (of, Event::Receipt(answer)));
            }
        }
        let wakes =
            pairs.iter().filter(|(outgoing, _)| !outgoing.is_complete()).flat_map(|(outgoing, reception)| {
                let tick = Some(reception.next_wake()).filter(|_| !reception.have().is_complete());
                outgoing.next_wake().into_iter().chain(tick)
            });
        let next = wakes.chain(events.keys().next().map(|(at, _)| *at)).min();
        now = next.unwrap_or(now).max(later(now, 100));
        assert!(now < start + Millis(600_000), "the transfer does not end");
    }
    Taken { millis: now.since(start).0, sent }
}

/// From a rack to a slow line to another town.
const LINES: [(u64, u64); 4] =
    [(1_000_000_000, 100), (100_000_000, 1_000), (20_000_000, 20_000), (8_000_000, 20_000)];

fn line((bits_per_second, delay_micros): (u64, u64), lost_permille: u32) -> Line {
    Line { bits_per_second, delay_micros, lost_permille }
}

#[test]
fn a_line_that_loses_nothing_is_full_with_fresh_chunks() {
    for (bits_per_second, delay_micros) in LINES {
        for chunks in [21, 85, 400] {
            let taken = carry(line((bits_per_second, delay_micros), 0), 1, chunks, 0);
            let least = CHUNK_BITS * u64::from(chunks) * 1000 / bits_per_second + 2 * delay_micros / 1000;
            // Until the first pause is known it is asked a few times where chunks are.
            assert!(taken.sent <= u64::from(chunks) + 8, "{bits_per_second} {chunks} {taken:?}");
            assert!(taken.millis <= least * 5 / 4 + 10, "{bits_per_second} {chunks} {least} {taken:?}");
        }
    }
}

#[test]
fn transfers_that_share_a_slow_line_leave_it_to_each_other() {
    for (bits_per_second, delay_micros) in &LINES[..3] {
        let taken = carry(line((*bits_per_second, *delay_micros), 0), 3, 21, 0);
        // The last to have its turn waits longest for its first chunk.
        assert!(taken.sent <= 3 * 21 * 2, "{bits_per_second} {taken:?}");
    }
}

#[test]
fn what_is_lost_is_sent_again_and_hardly_anything_else() {
    for way in LINES {
        for (lost_permille, chunks) in [(10, 400), (290, 400), (830, 85)] {
            let taken = carry(line(way, lost_permille), 1, chunks, 1);
            // 5 standard deviations over the mean of the negative binomial distribution, and as many as ask.
            let (kept, chunks) = (1.0 - f64::from(lost_permille) / 1000.0, f64::from(chunks));
            let most = chunks / kept + 5.0 * (chunks * (1.0 - kept)).sqrt() / kept;
            assert!(taken.sent as f64 <= most + 8.0, "{} {lost_permille} {most} {taken:?}", way.0);
        }
    }
}

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

/// A blob on its way, and those who receive it.
struct Transfer {
    outgoing: Outgoing,
    readers: BTreeMap<NodeId, Reception>,
}

/// So many transfers at once over one line, each to so many readers; each of them loses chunks for itself.
fn carry(line: Line, transfers: usize, readers: u8, chunks: u32, seed: u64) -> Taken {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let mut lost = |permille: u32| random.random_range(0..1000) < permille;
    let start = Timestamp(1_000_000);
    let nodes: Vec<NodeId> = (1..=readers).map(|number| NodeId([number; 32])).collect();
    let transfer = |_| Transfer {
        outgoing: Outgoing::new(chunks, nodes.iter().copied(), WINDOW, start),
        readers: nodes.iter().map(|node| (*node, Reception::new(chunks, WINDOW, start))).collect(),
    };
    let mut all: Vec<Transfer> = (0..transfers).map(transfer).collect();
    let (mut now, mut free, mut sent, mut count) = (start, start, 0_u64, 0_u64);
    let mut events: BTreeMap<(Timestamp, u64), (usize, NodeId, Event)> = BTreeMap::new();
    let later = |from: Timestamp, micros: u64| Timestamp(from.0 + micros);
    while !all.iter().all(|transfer| transfer.outgoing.is_complete()) {
        let mut answers = Vec::new();
        while let Some(event) = events.first_entry().filter(|event| event.key().0 <= now) {
            let (of, node, event) = event.remove();
            let Transfer { outgoing, readers } = &mut all[of];
            let reception = readers.get_mut(&node).unwrap();
            match event {
                Event::Chunk(_) if reception.have().is_complete() => answers.push((of, node, None)),
                Event::Chunk(index) if reception.have().contains(index) => reception.on_duplicate(now),
                Event::Chunk(index) => {
                    let due = reception.on_chunk(index, now);
                    answers.extend(due.map(|due| (of, node, Some(due))));
                    if reception.have().is_complete() {
                        answers.push((of, node, None));
                    }
                }
                Event::Receipt(Some(standing)) => outgoing.on_receipt(node, &standing, now),
                Event::Receipt(None) => outgoing.on_complete(node),
            }
        }
        for (of, Transfer { outgoing, readers }) in all.iter_mut().enumerate() {
            for (node, reception) in readers.iter_mut() {
                answers.extend(reception.on_tick(now).map(|due| (of, *node, Some(due))));
            }
            while let Some(send) = outgoing.next(now) {
                let (only, index) = match send {
                    Send::ToAll(index) => (None, index),
                    Send::To(node, index) => (Some(node), index),
                };
                sent += 1;
                free = later(free.max(now), CHUNK_BITS * 1_000_000 / line.bits_per_second);
                for node in nodes.iter().filter(|node| only.is_none_or(|only| only == **node)) {
                    count += 1;
                    if !lost(line.lost_permille) {
                        let arrives = (later(free, line.delay_micros), count);
                        events.insert(arrives, (of, *node, Event::Chunk(index)));
                    }
                }
            }
        }
        for (of, node, answer) in answers {
            count += 1;
            if !lost(line.lost_permille / 20) {
                events.insert((later(now, line.delay_micros), count), (of, node, Event::Receipt(answer)));
            }
        }
        let open = all.iter().filter(|transfer| !transfer.outgoing.is_complete());
        let wakes = open.flat_map(|Transfer { outgoing, readers }| {
            let behind = readers.values().filter(|reception| !reception.have().is_complete());
            outgoing.next_wake().into_iter().chain(behind.map(Reception::next_wake))
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
            let taken = carry(line((bits_per_second, delay_micros), 0), 1, 1, chunks, 0);
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
        let taken = carry(line((*bits_per_second, *delay_micros), 0), 3, 1, 21, 0);
        // The last to have its turn waits longest for its first chunk.
        assert!(taken.sent <= 3 * 21 * 2, "{bits_per_second} {taken:?}");
    }
}

#[test]
fn what_is_lost_is_sent_again_and_hardly_anything_else() {
    for way in LINES {
        for (lost_permille, chunks) in [(10, 400), (290, 400), (830, 85)] {
            let taken = carry(line(way, lost_permille), 1, 1, chunks, 1);
            // 5 standard deviations over the mean of the negative binomial distribution, and as many as ask.
            let (kept, chunks) = (1.0 - f64::from(lost_permille) / 1000.0, f64::from(chunks));
            let most = chunks / kept + 5.0 * (chunks * (1.0 - kept)).sqrt() / kept;
            assert!(taken.sent as f64 <= most + 8.0, "{} {lost_permille} {most} {taken:?}", way.0);
        }
    }
}

#[test]
fn what_some_of_many_readers_lost_is_not_sent_for_each_of_them() {
    // All of eight readers have a chunk after 2.7 copies to all, in the mean.
    for way in &LINES[..2] {
        let taken = carry(line(*way, 290), 1, 8, 85, 1);
        assert!(taken.sent <= 85 * 5, "{} {taken:?}", way.0);
    }
}

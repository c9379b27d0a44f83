//! A seeded world of loss between one sender and its readers: every transfer ends.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::blob::{Have, REPEAT, STALL};
use crate::units::Millis;
use crate::wire::{decode, encode};

fn standing(have: &Have, window: u32) -> Standing {
    Standing { window, stalled: false, gaps: have.gaps() }
}

fn before(front: u32, window: u32) -> Standing {
    Standing { window, stalled: false, gaps: Gaps::none_before(front) }
}

fn micros(after: u64) -> Timestamp {
    Timestamp(after)
}

fn node(number: u8) -> NodeId {
    NodeId([number; 32])
}

fn drain(outgoing: &mut Outgoing, now: Timestamp) -> Vec<Send> {
    std::iter::from_fn(|| outgoing.next(now)).collect()
}

#[test]
fn an_upload_sends_nothing_before_its_grant_and_a_window_after_it() {
    let mut outgoing = Outgoing::new(10, [node(1)], 0, micros(0));
    assert_eq!(drain(&mut outgoing, micros(0)), []);
    outgoing.on_receipt(node(1), &before(0, 3), micros(1));
    assert_eq!(drain(&mut outgoing, micros(1)), [0, 1, 2].map(|index| Send::To(node(1), index)));
}

#[test]
fn a_model_goes_once_to_all_and_a_gap_to_the_one_that_has_it() {
    let mut outgoing = Outgoing::new(3, [node(1), node(2)], 8, micros(0));
    assert_eq!(drain(&mut outgoing, micros(0)), [0, 1, 2].map(Send::ToAll));
    let mut have = Have::nothing_of(3);
    have.insert(0);
    have.insert(2);
    outgoing.on_receipt(node(1), &before(3, 8), micros(290));
    // Chunk 2 was sent after chunk 1 and is there: chunk 1 is lost, and nobody waits for a clock.
    outgoing.on_receipt(node(2), &standing(&have, 8), micros(300));
    assert_eq!(drain(&mut outgoing, micros(300)), [Send::To(node(2), 1)]);
    outgoing.on_receipt(node(2), &standing(&have, 8), micros(400));
    assert_eq!(drain(&mut outgoing, micros(400)), [], "a repair on its way is not repeated");
    let stalled = Standing { stalled: true, ..standing(&have, 8) };
    outgoing.on_receipt(node(2), &stalled, micros(500));
    assert_eq!(drain(&mut outgoing, micros(500)), [Send::To(node(2), 1)], "unless the reader waits for it");
    outgoing.on_receipt(node(2), &stalled, micros(600));
    assert_eq!(drain(&mut outgoing, micros(600)), [], "an answer takes a while");
    let overdue = micros(500) + REPEAT;
    outgoing.on_receipt(node(2), &stalled, overdue);
    assert_eq!(drain(&mut outgoing, overdue), [Send::To(node(2), 1); 2], "the next try is bolder");
}

#[test]
fn a_repair_is_lost_when_a_later_repair_has_arrived() {
    let mut outgoing = Outgoing::new(4, [node(1), node(2)], 8, micros(0));
    drain(&mut outgoing, micros(0));
    let mut have = Have::nothing_of(4);
    have.insert(3);
    outgoing.on_receipt(node(1), &before(4, 8), micros(290));
    outgoing.on_receipt(node(2), &standing(&have, 8), micros(300));
    assert_eq!(drain(&mut outgoing, micros(300)), [0, 1, 2].map(|index| Send::To(node(2), index)));
    have.insert(2);
    outgoing.on_receipt(node(2), &standing(&have, 8), micros(700));
    assert_eq!(drain(&mut outgoing, micros(700)), [0, 1].map(|index| Send::To(node(2), index)));
}

#[test]
fn a_tail_that_is_lost_is_sent_again_when_its_last_chunk_has_arrived() {
    let mut outgoing = Outgoing::new(5, [node(1)], 8, micros(0));
    drain(&mut outgoing, micros(0));
    let mut have = Have::nothing_of(5);
    have.insert(0);
    outgoing.on_receipt(node(1), &Standing { stalled: true, ..standing(&have, 8) }, micros(9_000));
    assert_eq!(drain(&mut outgoing, micros(9_000)), [Send::To(node(1), 4)]);
    have.insert(4);
    outgoing.on_receipt(node(1), &standing(&have, 8), micros(9_300));
    assert_eq!(drain(&mut outgoing, micros(9_300)), [1, 2, 3].map(|index| Send::To(node(1), index)));
}

#[test]
fn a_tail_that_was_late_is_not_sent_again() {
    let mut outgoing = Outgoing::new(5, [node(1)], 8, micros(0));
    drain(&mut outgoing, micros(0));
    let mut have = Have::nothing_of(5);
    outgoing.on_receipt(node(1), &Standing { stalled: true, ..standing(&have, 8) }, micros(20_000));
    assert_eq!(drain(&mut outgoing, micros(20_000)), [Send::To(node(1), 4)]);
    for index in 0..4 {
        have.insert(index);
        let now = micros(40_000 + u64::from(index) * 20_000);
        outgoing.on_receipt(node(1), &standing(&have, 8), now);
        assert_eq!(drain(&mut outgoing, now), []);
    }
}

#[test]
fn what_all_readers_lost_goes_to_all_once() {
    let mut outgoing = Outgoing::new(3, [node(1), node(2), node(3)], 8, micros(0));
    drain(&mut outgoing, micros(0));
    let mut have = Have::nothing_of(3);
    have.insert(2);
    outgoing.on_receipt(node(1), &standing(&have, 8), micros(300));
    assert_eq!(
        drain(&mut outgoing, micros(300)),
        [],
        "the others have not said yet whether they lost it too"
    );
    have.insert(0);
    outgoing.on_receipt(node(2), &standing(&have, 8), micros(305));
    outgoing.on_receipt(node(3), &standing(&have, 8), micros(310));
    let sent = drain(&mut outgoing, micros(320));
    assert_eq!(sent.iter().filter(|send| **send == Send::ToAll(1)).count(), 1);
    assert_eq!(sent.iter().filter(|send| **send == Send::To(node(1), 0)).count(), 1);
    assert_eq!(sent.len(), 2);
}

#[test]
fn a_silent_reader_holds_the_others_back_only_for_the_lag() {
    let mut outgoing = Outgoing::new(4, [node(1), node(2)], 2, micros(0));
    assert_eq!(drain(&mut outgoing, micros(0)).len(), 2);
    outgoing.on_receipt(node(1), &before(2, 2), micros(1));
    assert_eq!(drain(&mut outgoing, micros(1)), []);
    let later = outgoing.next_wake().unwrap();
    assert_eq!(outgoing.next(later), Some(Send::ToAll(2)));
}

#[test]
fn a_receipt_for_more_than_was_sent_is_believed_no_further() {
    let mut outgoing = Outgoing::new(9, [node(1)], 2, micros(0));
    drain(&mut outgoing, micros(0));
    outgoing.on_receipt(node(1), &before(u32::MAX, 2), micros(1));
    assert_eq!(drain(&mut outgoing, micros(1)), [2, 3].map(|index| Send::To(node(1), index)));
}

#[test]
fn a_gap_of_four_billion_chunks_costs_no_more_than_those_that_were_sent() {
    // Walked through to its end a thousand times, it would take an hour.
    let gaps: Gaps =
        decode(&encode(&(u32::MAX, 1_u32)).into_iter().chain(encode(&(1, u32::MAX))).collect::<Vec<_>>())
            .unwrap();
    let mut outgoing = Outgoing::new(3, [node(1)], 8, Timestamp(0));
    assert_eq!(drain(&mut outgoing, Timestamp(0)).len(), 3);
    for count in 1..1000 {
        let now = Timestamp(0) + Millis(count * 2000);
        outgoing.on_receipt(node(1), &Standing { window: 8, stalled: true, gaps: gaps.clone() }, now);
        let tries = drain(&mut outgoing, now);
        assert!((1..=8).contains(&tries.len()) && tries.iter().all(|send| *send != Send::To(node(1), 0)));
    }
}

/// Sends `chunks` to `readers`, which tell what they have each millisecond, through a network that loses `loss_percent`; returns the milliseconds it took.
fn transfer(seed: u64, chunks: u32, readers: u8, loss_percent: u32) -> u64 {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let mut lost = move || random.random_range(0..100) < loss_percent;
    let mut now = Timestamp(0);
    let mut outgoing = Outgoing::new(chunks, (1..=readers).map(node), 8, now);
    let mut have: BTreeMap<NodeId, (Have, Timestamp)> =
        (1..=readers).map(|number| (node(number), (Have::nothing_of(chunks), now))).collect();
    for _ in 0..100_000 {
        for send in drain(&mut outgoing, now) {
            let (only, index) = match send {
                Send::ToAll(index) => (None, index),
                Send::To(reader, index) => (Some(reader), index),
            };
            for (_, (have, arrival)) in
                have.iter_mut().filter(|(reader, _)| only.is_none_or(|only| only == **reader))
            {
                if !lost() && have.insert(index) {
                    *arrival = now;
                }
            }
        }
        if outgoing.is_complete() {
            return now.millis();
        }
        now = now + Millis(1);
        for (reader, (have, arrival)) in &have {
            match (have.is_complete(), lost()) {
                (_, true) => (),
                (true, false) => outgoing.on_complete(*reader),
                (false, false) => {
                    let stalled = now >= *arrival + STALL;
                    outgoing.on_receipt(*reader, &Standing { stalled, ..standing(have, 8) }, now);
                }
            }
        }
    }
    panic!("seed {seed}: the transfer did not end");
}

proptest! {
    #[test]
    fn every_transfer_ends_whatever_is_lost(seed: u64, chunks in 1_u32..200, readers in 1_u8..5, loss in 0_u32..60) {
        transfer(seed, chunks, readers, loss);
    }
}

//! A seeded world of loss between one sender and its readers: every transfer ends.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::blob::{Have, STALL};
use crate::units::Millis;
use crate::wire::{decode, encode};

fn node(number: u8) -> NodeId {
    NodeId([number; 32])
}

fn drain(outgoing: &mut Outgoing, now: Timestamp) -> Vec<Send> {
    std::iter::from_fn(|| outgoing.next(now)).collect()
}

#[test]
fn an_upload_sends_nothing_before_its_grant_and_a_window_after_it() {
    let mut outgoing = Outgoing::new(10, [node(1)], 0, Timestamp(0));
    assert_eq!(drain(&mut outgoing, Timestamp(0)), []);
    outgoing.on_receipt(node(1), &Gaps::default(), false, 3, Timestamp(1));
    assert_eq!(drain(&mut outgoing, Timestamp(1)), [0, 1, 2].map(|index| Send::To(node(1), index)));
}

#[test]
fn a_model_goes_once_to_all_and_a_gap_to_the_one_that_has_it() {
    let mut outgoing = Outgoing::new(3, [node(1), node(2)], 8, Timestamp(0));
    assert_eq!(drain(&mut outgoing, Timestamp(0)), [0, 1, 2].map(Send::ToAll));
    let mut have = Have::nothing_of(3);
    have.insert(0);
    have.insert(2);
    outgoing.on_receipt(node(2), &have.gaps(), false, 8, Timestamp(1));
    assert_eq!(drain(&mut outgoing, Timestamp(1)), [Send::To(node(2), 1)]);
    outgoing.on_receipt(node(2), &have.gaps(), false, 8, Timestamp(2));
    assert_eq!(drain(&mut outgoing, Timestamp(2)), [], "a repair on its way is not repeated at once");
}

#[test]
fn a_silent_reader_holds_the_others_back_only_for_the_lag() {
    let mut outgoing = Outgoing::new(4, [node(1), node(2)], 2, Timestamp(0));
    assert_eq!(drain(&mut outgoing, Timestamp(0)).len(), 2);
    let have = Gaps::none_before(2);
    outgoing.on_receipt(node(1), &have, false, 2, Timestamp(1));
    assert_eq!(drain(&mut outgoing, Timestamp(1)), []);
    let later = outgoing.next_wake().unwrap();
    assert_eq!(outgoing.next(later), Some(Send::ToAll(2)));
}

#[test]
fn a_gap_of_four_billion_chunks_costs_no_more_than_those_that_were_sent() {
    // Walked through to its end a thousand times, it would take an hour.
    let gaps: Gaps =
        decode(&encode(&(u32::MAX, 1_u32)).into_iter().chain(encode(&(1, u32::MAX))).collect::<Vec<_>>())
            .unwrap();
    let mut outgoing = Outgoing::new(3, [node(1), node(2)], 8, Timestamp(0));
    assert_eq!(drain(&mut outgoing, Timestamp(0)).len(), 3);
    for count in 1..1000 {
        let now = Timestamp(0) + Millis(count * 10);
        outgoing.on_receipt(node(1), &gaps, false, 8, now);
        assert_eq!(outgoing.next(now), Some(Send::To(node(1), 1)));
        assert_eq!(outgoing.next(now), Some(Send::To(node(1), 2)));
    }
}

/// Sends `chunks` to `readers` through a network that loses `loss_percent`; returns the milliseconds it took.
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
                (false, false) => outgoing.on_receipt(*reader, &have.gaps(), now >= *arrival + STALL, 8, now),
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

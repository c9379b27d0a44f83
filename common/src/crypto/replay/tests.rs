use super::*;
use crate::wire::{decode, encode};

const A: NodeId = NodeId([1; 32]);
const B: NodeId = NodeId([2; 32]);
const NOW: Timestamp = Timestamp(100);

fn guard() -> ReplayGuard {
    ReplayGuard::new(EpochId(5))
}

#[test]
fn a_message_is_taken_once_and_never_after_a_later_one() {
    let mut guard = guard();
    assert_eq!(guard.accept(A, EpochId(5), 2, NOW), Ok(Mark { sender: A, epoch: EpochId(5), seq: 2 }));
    for seq in [0, 1, 2] {
        let replayed = Err(ReplayError::Replayed { sender: A, seq, mark: 2 });
        assert_eq!(guard.accept(A, EpochId(5), seq, NOW), replayed);
    }
    assert!(guard.accept(A, EpochId(5), 3, NOW).is_ok());
    assert!(guard.accept(B, EpochId(5), 1, NOW).is_ok());
}

#[test]
fn number_zero_is_never_taken() {
    assert!(guard().accept(A, EpochId(5), 0, NOW).is_err());
}

#[test]
fn the_epoch_before_is_taken_until_its_deadline_and_keeps_its_marks() {
    let mut guard = guard();
    guard.accept(A, EpochId(5), 7, NOW).unwrap();
    guard.advance(EpochId(6), Timestamp(200)).unwrap();
    assert!(guard.accept(A, EpochId(6), 1, NOW).is_ok());
    let replayed = Err(ReplayError::Replayed { sender: A, seq: 7, mark: 7 });
    assert_eq!(guard.accept(A, EpochId(5), 7, NOW), replayed);
    assert!(guard.accept(A, EpochId(5), 8, Timestamp(199)).is_ok());
    let late = Err(ReplayError::TooLate { epoch: EpochId(5) });
    assert_eq!(guard.accept(A, EpochId(5), 9, Timestamp(200)), late);
}

#[test]
fn epochs_before_the_last_or_not_yet_begun_are_refused() {
    let mut guard = guard();
    guard.advance(EpochId(8), Timestamp(200)).unwrap();
    guard.advance(EpochId(9), Timestamp(200)).unwrap();
    for epoch in [EpochId(0), EpochId(5), EpochId(7), EpochId(10)] {
        let wrong = Err(ReplayError::WrongEpoch { epoch, current: EpochId(9) });
        assert_eq!(guard.accept(A, epoch, 1, NOW), wrong);
    }
    assert!(guard.accept(A, EpochId(8), 1, NOW).is_ok());
}

#[test]
fn epochs_only_go_forward() {
    let mut guard = guard();
    let before = guard.clone();
    for epoch in [EpochId(5), EpochId(4)] {
        assert!(guard.advance(epoch, NOW).is_err());
    }
    assert_eq!(guard, before);
}

#[test]
fn a_restarted_guard_refuses_what_was_taken_before() {
    let mut guard = guard();
    guard.accept(A, EpochId(5), 7, NOW).unwrap();
    guard.advance(EpochId(6), Timestamp(200)).unwrap();
    let stored = encode(&guard);
    let mark = guard.accept(B, EpochId(6), 4, NOW).unwrap();
    let mut restarted: ReplayGuard = decode(&stored).unwrap();
    restarted.restore(mark);
    restarted.restore(Mark { seq: 1, ..mark });
    restarted.restore(Mark { epoch: EpochId(1), ..mark });
    assert_eq!(restarted, guard);
}

#[test]
fn senders_of_one_epoch_are_bounded() {
    let mut guard = guard();
    let sender = |index: usize| {
        let mut id = NodeId([0; 32]);
        id.0[..8].copy_from_slice(&index.to_le_bytes());
        id
    };
    for index in 0..SENDERS_MAX {
        guard.accept(sender(index), EpochId(5), 1, NOW).unwrap();
    }
    let full = Err(ReplayError::TooManySenders { epoch: EpochId(5) });
    assert_eq!(guard.accept(sender(SENDERS_MAX), EpochId(5), 1, NOW), full);
    assert!(guard.accept(sender(0), EpochId(5), 2, NOW).is_ok());
    assert_eq!(decode(&encode(&guard)), Ok(guard));
}

#[test]
fn stored_marks_out_of_order_are_refused() {
    let window = |senders: [NodeId; 2], seq: u64| {
        let mut bytes = encode(&EpochId(5));
        2u32.put(&mut bytes);
        for sender in senders {
            sender.put(&mut bytes);
            seq.put(&mut bytes);
        }
        decode::<Window>(&bytes)
    };
    assert!(window([A, B], 1).is_ok());
    assert!(window([B, A], 1).is_err());
    assert!(window([A, A], 1).is_err());
    assert!(window([A, B], 0).is_err());
}

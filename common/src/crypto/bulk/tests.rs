use std::ops::Range;

use super::*;
use crate::limits::CHUNK_SEALED_BYTES;

fn key(plain_bytes: usize) -> BulkKey {
    let layout = ChunkLayout::of(plain_bytes as u64).unwrap();
    BulkKey::derive(&InputKey([7; 32]), &[8; 24], b"context", layout).0
}

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
}

fn seal(key: &BulkKey, plain: &[u8]) -> Vec<Vec<u8>> {
    let chunk = |index| {
        let range = |r: Option<Range<usize>>| r.unwrap();
        let mut sealed = vec![0; range(key.layout().sealed_range(index)).len()];
        key.seal_chunk(index, plain, &mut sealed);
        sealed
    };
    (0..key.layout().chunks()).map(chunk).collect()
}

#[test]
fn every_length_opens_again_in_any_order() {
    for bytes in [0, 1, 16383, 16384, 16385, 49151, 49152, 49153, 98304, 1 << 20] {
        let (key, plain) = (key(bytes), text(bytes));
        let mut opened = vec![0; bytes];
        for (index, sealed) in seal(&key, &plain).iter().enumerate().rev() {
            let range = key.layout().plain_range(index as u32).unwrap();
            key.open_chunk(index as u32, sealed, &mut opened[range]).unwrap();
        }
        assert_eq!(opened, plain, "{bytes} bytes");
    }
}

#[test]
fn a_chunk_opens_at_its_own_index_only() {
    let key = key(3 * CHUNK_PLAIN_BYTES);
    let sealed = seal(&key, &text(3 * CHUNK_PLAIN_BYTES));
    let mut out = vec![1; CHUNK_PLAIN_BYTES];
    assert_eq!(key.open_chunk(1, &sealed[0], &mut out), Err(OpenError::Corrupt { chunk: 1 }));
    assert!(out.iter().all(|byte| *byte == 0));
    let none = Err(OpenError::NoSuchChunk { chunk: 4, chunks: 4 });
    assert_eq!(key.open_chunk(4, &sealed[0], &mut out), none);
}

#[test]
fn a_chunk_of_another_length_is_refused_before_any_decryption() {
    let key = key(CHUNK_PLAIN_BYTES);
    let sealed = seal(&key, &text(CHUNK_PLAIN_BYTES));
    let mut out = vec![0; CHUNK_PLAIN_BYTES];
    for found in [0, 15, 16, CHUNK_SEALED_BYTES - 16, CHUNK_SEALED_BYTES - 1] {
        let error = key.open_chunk(0, &sealed[0][..found], &mut out).unwrap_err();
        assert_eq!(error, OpenError::WrongLength { chunk: 0, expected: CHUNK_SEALED_BYTES, found });
    }
    let longer = [sealed[1].as_slice(), &[0]].concat();
    assert!(matches!(key.open_chunk(1, &longer, &mut []), Err(OpenError::WrongLength { found: 17, .. })));
}

#[test]
fn a_message_cut_at_a_record_cannot_pass_for_a_shorter_one() {
    let long = seal(&key(2 * RECORD_PLAIN_BYTES), &text(2 * RECORD_PLAIN_BYTES));
    let cut = &long[0][..RECORD_SEALED_BYTES + RECORD_TAG_BYTES];
    let error = key(RECORD_PLAIN_BYTES).open_chunk(0, cut, &mut [0; RECORD_PLAIN_BYTES]).unwrap_err();
    assert_eq!(error, OpenError::Corrupt { chunk: 0 });
}

#[test]
fn the_commitment_binds_key_salt_and_context() {
    let layout = ChunkLayout::of(0).unwrap();
    let open = |key, salt, context: &[u8], commitment: &Commitment| {
        BulkKey::for_opening(&InputKey([key; 32]), &[salt; 24], context, layout, commitment).map(drop)
    };
    let (_, commitment) = BulkKey::derive(&InputKey([1; 32]), &[2; 24], b"c", layout);
    assert_eq!(open(1, 2, b"c", &commitment), Ok(()));
    for (key, salt, context) in [(3, 2, b"c"), (1, 3, b"c"), (1, 2, b"d")] {
        assert_eq!(open(key, salt, context, &commitment), Err(OpenError::WrongKey));
    }
    assert_eq!(open(1, 2, b"c", &[0; 32]), Err(OpenError::WrongKey));
}

#[test]
fn debug_output_shows_no_key() {
    assert_eq!(format!("{:?} {:?}", InputKey([7; 32]), key(5)), "InputKey(..) BulkKey(5 bytes)");
}

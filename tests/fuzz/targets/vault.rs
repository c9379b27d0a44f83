//! A sealed file of which a part was replaced, as a disk or a thief may do it: it opens to what was sealed, or is refused.
//! The first byte says how much was sealed, two say where the rest of the input is put, and one how much is cut off behind.
#![no_main]

use std::sync::LazyLock;

use common::crypto::bulk::InputKey;
use common::crypto::{TenantKey, ValueKey};
use common::id::TenantId;
use common::limits::CHUNK_PLAIN_BYTES;
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const NAME: &str = "models";

/// Lengths around those of a record and of a chunk.
const LENGTHS: [usize; 6] = [0, 1, 16_384, CHUNK_PLAIN_BYTES - 1, CHUNK_PLAIN_BYTES, CHUNK_PLAIN_BYTES + 1];

static KEY: LazyLock<TenantKey> = LazyLock::new(|| TenantKey::new(TenantId::of_name("a"), InputKey([7; 32])));

static FILES: LazyLock<Vec<(Vec<u8>, Vec<u8>)>> = LazyLock::new(|| {
    let random = &mut ChaCha20Rng::seed_from_u64(1);
    let seal = |bytes: &usize| {
        let plain: Vec<u8> = (0..*bytes).map(|index| index as u8).collect();
        let sealed = KEY.seal_bytes(NAME, &plain, random).expect("it is small");
        (plain, sealed)
    };
    LENGTHS.iter().map(seal).collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((&[which, high, low, cut], bytes)) = data.split_first_chunk() else { return };
    let (plain, sealed) = &FILES[usize::from(which) % LENGTHS.len()];
    let mut altered = sealed.clone();
    altered.truncate(sealed.len() - usize::from(cut).min(sealed.len()));
    let at = usize::from(u16::from_be_bytes([high, low])).min(altered.len());
    let end = altered.len().min(at + bytes.len());
    altered.splice(at..end, bytes.iter().copied());
    match KEY.open_bytes(NAME, &altered) {
        Ok(opened) => assert!(altered == *sealed && opened == *plain, "what opens is what was sealed"),
        Err(_) => assert!(altered != *sealed, "what was sealed opens"),
    }
    assert!(KEY.open_bytes("moments", &altered).is_err(), "it is of another place");
    assert!(ValueKey::open(&KEY, NAME, bytes).is_err(), "nobody wrapped it");
});

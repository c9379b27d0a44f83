use std::io::{Read, Write};

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::limits::{CHUNK_PLAIN_BYTES, CHUNK_SEALED_BYTES};

const NAME: &str = "models/a.safetensors";

fn random() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn key_of(tenant: &str, byte: u8) -> TenantKey {
    TenantKey::new(TenantId::of_name(tenant), InputKey([byte; 32]))
}

fn key() -> TenantKey {
    key_of("a", 7)
}

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index * 31 % 251) as u8).collect()
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    key().seal_bytes(NAME, plain, &mut random()).unwrap()
}

/// Why a file does not open.
fn fault(key: &TenantKey, name: &str, sealed: &[u8]) -> VaultError {
    VaultError::of(&key.open_bytes(name, sealed).unwrap_err()).unwrap().clone()
}

#[test]
fn files_of_every_length_open_again_and_show_nothing() {
    for bytes in [0, 1, 16384, CHUNK_PLAIN_BYTES - 1, CHUNK_PLAIN_BYTES, CHUNK_PLAIN_BYTES + 1, 200_000] {
        let sealed = sealed(&text(bytes));
        assert_eq!(key().open_bytes(NAME, &sealed).unwrap(), text(bytes));
        assert!(!sealed.windows(8).any(|window| window == &text(16)[4..12]));
    }
}

#[test]
fn a_file_with_any_byte_changed_is_refused_with_what_is_wrong() {
    let plain = b"header and values".repeat(3);
    let whole = sealed(&plain);
    let name_at = HEAD_BYTES - 1;
    let chunk_at = whole.len() - plain.len() - 16;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        let found = fault(&key(), NAME, &changed);
        match at {
            0..8 => assert_eq!(found, VaultError::NotSealed, "byte {at}"),
            _ if at < name_at => assert_eq!(found, VaultError::OtherTenant, "byte {at}"),
            // Another length of the name, or another name.
            _ if at < name_at + 1 + NAME.len() => {
                assert!(matches!(found, VaultError::Swapped { .. }), "byte {at}: {found}");
            }
            _ if at < chunk_at => assert_eq!(found, VaultError::WrongKey, "byte {at}"),
            _ => assert_eq!(found, VaultError::Altered { chunk: 0, chunks: 1 }, "byte {at}"),
        }
    }
}

#[test]
fn a_file_of_any_other_length_is_refused() {
    let whole = sealed(b"header and values");
    for end in 0..whole.len() {
        let found = fault(&key(), NAME, &whole[..end]);
        assert!(matches!(found, VaultError::WrongLength { .. }), "cut at {end}: {found}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(
        fault(&key(), NAME, &longer).to_string(),
        format!(
            "it has {} bytes and not {}: it is cut short or something was appended",
            longer.len(),
            whole.len()
        )
    );
}

#[test]
fn a_file_of_another_place_tenant_or_key_is_named_as_that() {
    let whole = sealed(b"values");
    let moved = VaultError::Swapped { found: NAME.to_owned() };
    for other in ["models/b.safetensors", "models/a", "models/a.safetensors.more", ""] {
        assert_eq!(fault(&key(), other, &whole), moved);
    }
    assert_eq!(fault(&key_of("b", 7), NAME, &whole), VaultError::OtherTenant);
    assert_eq!(fault(&key_of("a", 8), NAME, &whole), VaultError::WrongKey);
    assert_eq!(fault(&key(), NAME, &b"{\"__metadata__\":{}}".repeat(9)), VaultError::NotSealed);
}

#[test]
fn chunks_do_not_change_places() {
    let whole = sealed(&text(3 * CHUNK_PLAIN_BYTES));
    let first = whole.len() - 3 * CHUNK_SEALED_BYTES - 16;
    let mut exchanged = whole.clone();
    let (one, other) = exchanged[first..].split_at_mut(CHUNK_SEALED_BYTES);
    one.swap_with_slice(&mut other[..CHUNK_SEALED_BYTES]);
    assert_eq!(fault(&key(), NAME, &exchanged), VaultError::Altered { chunk: 0, chunks: 4 });
    // The same chunk of the same file, written another time.
    let again =
        key().seal_bytes(NAME, &text(3 * CHUNK_PLAIN_BYTES), &mut ChaCha20Rng::seed_from_u64(2)).unwrap();
    let mut mixed = whole;
    let third = first + 2 * CHUNK_SEALED_BYTES..first + 3 * CHUNK_SEALED_BYTES;
    mixed[third.clone()].copy_from_slice(&again[third]);
    assert_eq!(fault(&key(), NAME, &mixed), VaultError::Altered { chunk: 2, chunks: 4 });
}

#[test]
fn a_value_opens_in_its_own_place_and_database_only() {
    let (values, wrapped) = ValueKey::generate(&key(), "state.redb", &mut random());
    let sealed = values.seal_value(b"runs/1", b"entry", &mut random());
    let reopened = ValueKey::open(&key(), "state.redb", &wrapped).unwrap();
    assert_eq!(reopened.open_value(b"runs/1", &sealed).unwrap(), b"entry");
    assert_eq!(values.open_value(b"runs/2", &sealed), Err(VaultError::WrongKey));
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(values.open_value(b"runs/1", &changed).is_err(), "byte {at}");
        assert!(values.open_value(b"runs/1", &sealed[..at]).is_err(), "cut at {at}");
    }
    let other = VaultError::Swapped { found: "state.redb".to_owned() };
    assert_eq!(ValueKey::open(&key(), "other.redb", &wrapped).unwrap_err(), other);
    assert_eq!(ValueKey::open(&key_of("a", 8), "state.redb", &wrapped).unwrap_err(), VaultError::WrongKey);
    for at in 0..wrapped.len() {
        assert!(ValueKey::open(&key(), "state.redb", &wrapped[..at]).is_err(), "cut at {at}");
    }
}

proptest! {
    #[test]
    fn however_it_is_written_and_read_it_is_the_same(
        bytes in 0_usize..200_000,
        written in 1_usize..60_000,
        read in 1_usize..60_000,
    ) {
        let plain = text(bytes);
        let mut sealing = key().seal_file(NAME, bytes as u64, Vec::new(), &mut random()).unwrap();
        for piece in plain.chunks(written) {
            sealing.write_all(piece).unwrap();
        }
        let sealed = sealing.finish().unwrap();
        let mut opening = key().open_file(NAME, sealed.len() as u64, &sealed[..]).unwrap();
        let (mut out, mut piece) = (Vec::new(), vec![0; read]);
        loop {
            match opening.read(&mut piece).unwrap() {
                0 => break,
                given => out.extend_from_slice(&piece[..given]),
            }
        }
        prop_assert_eq!(out, plain);
    }

    #[test]
    fn no_bytes_make_the_opening_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), keep in 0_usize..300) {
        let whole = sealed(b"values");
        let mixed = [&whole[..keep.min(whole.len())], &bytes].concat();
        let opened = key().open_bytes(NAME, &mixed);
        prop_assert!(opened.is_err() || mixed == whole);
    }
}

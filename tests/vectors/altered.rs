//! Whatever happens to a message on its way, it is refused, and nothing panics.

use common::crypto::{
    AgreementKey, EpochRoot, Header, KeyPackage, Kind, Manifest, OpenError, Opener, PublicIdentity,
    ReplayGuard, Scope, Sealed, Subject, WrappedRoot,
};
use common::id::{EpochId, RoundId, RunId, TenantId};
use common::wire::{decode, encode};
use rand::RngExt;
use rand_core::Rng;

use crate::{World, subject};

const PLAIN_BYTES: usize = 200_000;

fn opener(world: &World, sealed: &Sealed) -> Opener {
    let verified = sealed.manifest().verify(world.coordinator.public()).unwrap();
    Opener::for_group(&verified, &world.epoch_root).unwrap()
}

#[test]
fn a_manifest_with_any_byte_changed_is_refused() {
    let mut world = World::new(2);
    let sealed = [world.model(subject(Kind::Model), b"m"), world.update(subject(Kind::Update), b"u")];
    for (sealed, sender) in sealed.iter().zip([&world.coordinator, &world.node]) {
        let bytes = encode(sealed.manifest());
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= world.rng.random_range(1..=255u8);
            let verified = decode::<Manifest>(&altered).map(|manifest| manifest.verify(sender.public()));
            assert!(!matches!(verified, Ok(Ok(_))), "byte {index}");
        }
    }
}

#[test]
fn a_manifest_cut_or_extended_is_refused() {
    let bytes = encode(World::new(3).update(subject(Kind::Update), b"u").manifest());
    for length in 0..bytes.len() {
        assert!(decode::<Manifest>(&bytes[..length]).is_err());
    }
    assert!(decode::<Manifest>(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn a_chunk_with_any_byte_changed_is_refused() {
    let mut world = World::new(4);
    let sealed = world.model(subject(Kind::Model), &vec![6; PLAIN_BYTES]);
    let mut opener = opener(&world, &sealed);
    let mut plain = vec![0; PLAIN_BYTES];
    for _ in 0..500 {
        let chunk = world.rng.random_range(0..sealed.chunks());
        let mut altered = sealed.chunk(chunk).unwrap().to_vec();
        let index = world.rng.random_range(0..altered.len());
        altered[index] ^= world.rng.random_range(1..=255u8);
        assert_eq!(opener.open_chunk(chunk, &altered, &mut plain), Err(OpenError::Corrupt { chunk }));
    }
    assert!(plain.iter().all(|byte| *byte == 0), "nothing of a refused chunk is left");
}

#[test]
fn a_chunk_cut_extended_or_moved_is_refused() {
    let mut world = World::new(5);
    let sealed = world.model(subject(Kind::Model), &vec![6; PLAIN_BYTES]);
    let mut opener = opener(&world, &sealed);
    let mut plain = vec![0; PLAIN_BYTES];
    for chunk in 0..sealed.chunks() {
        let bytes = sealed.chunk(chunk).unwrap();
        for _ in 0..50 {
            let length = world.rng.random_range(0..bytes.len());
            let error = opener.open_chunk(chunk, &bytes[..length], &mut plain).unwrap_err();
            assert!(matches!(error, OpenError::WrongLength { .. }));
        }
        assert!(opener.open_chunk(chunk, &[&bytes[..], &[0]].concat(), &mut plain).is_err());
        for other in (0..sealed.chunks() + 2).chain([u32::MAX]).filter(|other| *other != chunk) {
            assert!(opener.open_chunk(other, &bytes, &mut plain).is_err());
        }
    }
}

#[test]
fn a_chunk_of_another_run_round_epoch_or_sender_is_refused() {
    let mut world = World::new(6);
    let plain = vec![6; PLAIN_BYTES];
    let ours = subject(Kind::Model);
    let sealed = world.model(ours, &plain);
    let mut opener = opener(&world, &sealed);
    let mut others: Vec<Sealed> = [
        Subject { tenant: TenantId([9; 16]), ..ours },
        Subject { run: RunId([9; 16]), ..ours },
        Subject { round: RoundId(9), ..ours },
        Subject { epoch: EpochId(9), ..ours },
        Subject { kind: Kind::Update, ..ours },
        ours,
    ]
    .map(|other| world.model(other, &plain))
    .into();
    std::mem::swap(&mut world.coordinator, &mut world.node);
    others.push(world.model(ours, &plain));
    let mut out = vec![0; PLAIN_BYTES];
    for other in &others {
        for chunk in 0..other.chunks() {
            let bytes = other.chunk(chunk).unwrap();
            assert_eq!(opener.open_chunk(chunk, &bytes, &mut out), Err(OpenError::Corrupt { chunk }));
        }
    }
    for chunk in 0..sealed.chunks() {
        opener.open_chunk(chunk, &sealed.chunk(chunk).unwrap(), &mut out).unwrap();
    }
    assert_eq!((opener.finish(), out == plain), (Ok(()), true));
}

#[test]
fn a_manifest_does_not_open_with_the_keys_of_another_epoch() {
    let mut world = World::new(7);
    let model =
        world.model(subject(Kind::Model), b"m").manifest().verify(world.coordinator.public()).unwrap();
    let update = world.update(subject(Kind::Update), b"u").manifest().verify(world.node.public()).unwrap();
    let next = World::new(8);
    assert_eq!(Opener::for_group(&model, &next.epoch_root).unwrap_err(), OpenError::WrongKey);
    let error = Opener::for_one(&update, &next.coordinator_key).unwrap_err();
    assert_eq!(error, OpenError::WrongRecipient);
    let later = AgreementKey::generate(
        world.coordinator.node_id(),
        world.coordinator_key.package().expires,
        &mut world.rng,
    );
    assert_eq!(Opener::for_one(&update, &later).unwrap_err(), OpenError::WrongKey);
}

#[test]
fn a_wrapped_root_with_any_byte_changed_is_refused() {
    let mut world = World::new(9);
    let scope = Scope {
        tenant: TenantId([1; 16]),
        run: RunId([2; 16]),
        epoch: EpochId(4),
        sender: world.coordinator.node_id(),
    };
    let (wrapped, _) = world.epoch_root.wrap(world.node_key.package(), &scope, &mut world.rng).unwrap();
    let bytes = encode(&wrapped);
    for index in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[index] ^= world.rng.random_range(1..=255u8);
        let altered: WrappedRoot = decode(&altered).unwrap();
        // The top bit of an X25519 public key is ignored (RFC 7748, section 5), but HPKE hashes all of it.
        assert!(EpochRoot::unwrap(&altered, &world.node_key, &scope).is_err(), "byte {index}");
    }
}

#[test]
fn garbage_is_refused_without_a_panic() {
    let mut world = World::new(10);
    let start = encode(world.update(subject(Kind::Update), b"u").manifest());
    for round in 0..20_000 {
        let mut bytes = vec![0; world.rng.random_range(0..600)];
        world.rng.fill_bytes(&mut bytes);
        if round % 2 == 0 {
            // Garbage that begins well gets further.
            let kept = world.rng.random_range(0..start.len().min(bytes.len() + 1));
            bytes[..kept].copy_from_slice(&start[..kept]);
        }
        let _ = decode::<Header>(&bytes);
        let _ = decode::<KeyPackage>(&bytes);
        let _ = decode::<ReplayGuard>(&bytes);
        let _ = decode::<PublicIdentity>(&bytes);
        if let Ok(manifest) = decode::<Manifest>(&bytes) {
            assert!(manifest.verify(world.node.public()).is_err());
        }
    }
}

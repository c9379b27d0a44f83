//! Whatever happens to a message on its way, it is refused for the right reason, and nothing panics.

mod participant;
mod receipts;
mod signed;
mod uplink;

use common::crypto::{
    AgreementKey, EpochRoot, Header, KeyPackage, Kind, Manifest, OpenError, Opener, PublicIdentity,
    ReplayGuard, Scope, Sealed, Subject, Suite, WrappedRoot,
};
use common::id::{EpochId, RoundId, RunId, TenantId};
use common::units::Timestamp;
use common::wire::{Fault, decode, encode};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use crate::{KINDS, SUITES, World, subject};

const PLAIN_BYTES: usize = 200_000;

/// Why an altered manifest is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// It is no manifest any more.
    Malformed,
    /// It names another sender.
    Sender,
    /// The signature is of something else.
    Signature,
}

use Reason::{Malformed, Sender, Signature};

/// The fields of a manifest in their order: name, bytes, and why it is refused when one of them is changed.
fn fields(suite: Suite, kind: Kind) -> Vec<(&'static str, usize, &'static [Reason])> {
    let (public, encapsulated) = match suite {
        Suite::X25519 => (32, 32),
        Suite::XWing => (1216, 1120),
    };
    let (to_one, by_key, packaged) = (kind != Kind::Model, kind == Kind::Records, kind == Kind::Update);
    let only = |there: bool, bytes: usize| if there { bytes } else { 0 };
    vec![
        ("magic", 4, &[Malformed]),
        ("version", 1, &[Malformed]),
        // Without a key in the manifest nothing else tells of the suite.
        ("suite", 1, if kind == Kind::Model { &[Malformed, Signature] } else { &[Malformed] }),
        ("kind", 1, &[Malformed, Signature]),
        ("tenant", 16, &[Signature]),
        ("run", 16, &[Signature]),
        ("round", 4, &[Signature]),
        ("epoch", 8, &[Signature]),
        ("seq", 8, &[Signature]),
        ("trace", 16, &[Signature]),
        ("sender", 32, &[Sender]),
        ("recipient", 1, &[Malformed]),
        ("recipient's id", only(to_one, 32), &[Signature]),
        // As many bytes in as many chunks is a length too; others contradict the count.
        ("plaintext bytes", 8, &[Malformed, Signature]),
        ("chunks", 4, &[Malformed]),
        ("salt", 24, &[Signature]),
        ("commitment", 32, &[Signature]),
        ("whether there is an encapsulated key", 1, &[Malformed]),
        ("suite of the encapsulated key", only(by_key, 1), &[Malformed]),
        ("encapsulated key", only(by_key, encapsulated), &[Signature]),
        ("root", 32, &[Signature]),
        ("whether there is a package", 1, &[Malformed]),
        ("node of the package", only(packaged, 32), &[Sender]),
        ("suite of the package", only(packaged, 1), &[Malformed]),
        ("key of the package", only(packaged, public), &[Signature]),
        ("nonce and expiry of the package", only(packaged, 24), &[Signature]),
        ("signature", 64, &[Signature]),
    ]
}

/// Why these bytes are refused.
fn refused(bytes: &[u8], sender: &PublicIdentity) -> Option<Reason> {
    match decode::<Manifest>(bytes).map(|manifest| manifest.verify(sender)) {
        Err(_) => Some(Malformed),
        Ok(Err(OpenError::WrongSender { .. })) => Some(Sender),
        Ok(Err(OpenError::BadSignature)) => Some(Signature),
        Ok(Err(other)) => panic!("{other}"),
        Ok(Ok(_)) => None,
    }
}

#[test]
fn every_field_of_a_manifest_of_each_kind_is_refused_when_it_is_changed() {
    for suite in SUITES {
        let mut world = World::of(suite, 2);
        for kind in KINDS {
            let bytes = encode(world.sealed(subject(kind), b"m").manifest());
            let sender = *world.sender(kind).public();
            let mut at = 0;
            for (field, length, reasons) in fields(suite, kind) {
                for index in at..at + length {
                    for change in changes(&mut world.rng, length) {
                        let mut altered = bytes.clone();
                        altered[index] ^= change;
                        let reason = refused(&altered, &sender);
                        assert!(
                            reason.is_some_and(|reason| reasons.contains(&reason)),
                            "{suite}, {kind:?}, {field}, byte {index} ^ {change}: {reason:?}"
                        );
                    }
                }
                at += length;
            }
            assert_eq!(at, bytes.len(), "{suite}, {kind:?}: every field is in the table");
        }
    }
}

/// What a byte is changed by. A field of one byte has few values, and each is tried.
fn changes(rng: &mut ChaCha20Rng, length: usize) -> Vec<u8> {
    if length == 1 { (1..=255).collect() } else { vec![rng.random_range(1..=255u8)] }
}

#[test]
fn a_manifest_cut_or_extended_is_refused() {
    for (suite, kind) in SUITES.into_iter().flat_map(|suite| KINDS.map(|kind| (suite, kind))) {
        let bytes = encode(World::of(suite, 3).sealed(subject(kind), b"u").manifest());
        let fault = |bytes: &[u8]| decode::<Manifest>(bytes).unwrap_err().fault;
        for length in 0..bytes.len() {
            assert_eq!(fault(&bytes[..length]), Fault::Short, "{suite}, {kind:?}, {length} bytes");
        }
        assert_eq!(fault(&[&bytes[..], &[0]].concat()), Fault::Trailing);
    }
}

#[test]
fn every_chunk_of_each_kind_is_refused_when_a_byte_is_changed() {
    let mut world = World::new(4);
    for kind in KINDS {
        let sealed = world.sealed(subject(kind), &vec![6; PLAIN_BYTES]);
        let mut opener = world.opener(kind, &sealed);
        let mut plain = vec![0; PLAIN_BYTES];
        for chunk in 0..sealed.chunks() {
            let bytes = sealed.chunk(chunk).unwrap();
            let ends = [0, bytes.len() - 1];
            let within: Vec<usize> = (0..60).map(|_| world.rng.random_range(0..bytes.len())).collect();
            for index in ends.into_iter().chain(within) {
                let mut altered = bytes.to_vec();
                altered[index] ^= world.rng.random_range(1..=255u8);
                let opened = opener.open_chunk(chunk, &altered, &mut plain);
                assert_eq!(opened, Err(OpenError::Corrupt { chunk }), "{kind:?}, byte {index}");
            }
        }
        assert!(plain.iter().all(|byte| *byte == 0), "nothing of a refused chunk is left");
    }
}

#[test]
fn a_chunk_cut_extended_moved_or_repeated_is_refused() {
    let mut world = World::new(5);
    for kind in KINDS {
        let sealed = world.sealed(subject(kind), &vec![6; PLAIN_BYTES]);
        let mut opener = world.opener(kind, &sealed);
        let mut plain = vec![0; PLAIN_BYTES];
        let (chunks, last) = (sealed.chunks(), sealed.chunks() - 1);
        for chunk in 0..chunks {
            let bytes = sealed.chunk(chunk).unwrap();
            let lengths = (0..50).map(|_| world.rng.random_range(0..bytes.len()));
            let others = lengths.map(|length| bytes[..length].to_vec());
            for other in others.chain([[&bytes[..], &[0]].concat()]) {
                let (expected, found) = (bytes.len(), other.len());
                let error = opener.open_chunk(chunk, &other, &mut plain).unwrap_err();
                assert_eq!(error, OpenError::WrongLength { chunk, expected, found });
            }
            for place in (0..chunks).filter(|place| *place != chunk) {
                let error = opener.open_chunk(place, &bytes, &mut plain).unwrap_err();
                match error {
                    // Only the last chunk is shorter than others.
                    OpenError::WrongLength { .. } => assert!(place == last || chunk == last),
                    error => assert_eq!(error, OpenError::Corrupt { chunk: place }),
                }
            }
            for nowhere in [chunks, chunks + 1, u32::MAX] {
                let error = opener.open_chunk(nowhere, &bytes, &mut plain).unwrap_err();
                assert_eq!(error, OpenError::NoSuchChunk { chunk: nowhere, chunks });
            }
        }
        for chunk in 0..last {
            let bytes = sealed.chunk(chunk).unwrap();
            opener.open_chunk(chunk, &bytes, &mut plain).unwrap();
            assert_eq!(opener.open_chunk(chunk, &bytes, &mut plain), Err(OpenError::Repeated { chunk }));
        }
        assert_eq!(opener.finish(), Err(OpenError::Incomplete { missing: 1 }), "{kind:?}");
    }
}

#[test]
fn a_chunk_of_another_message_tenant_run_round_epoch_or_sender_is_refused() {
    let mut world = World::new(6);
    let plain = vec![6; PLAIN_BYTES];
    for kind in KINDS {
        let ours = subject(kind);
        let sealed = world.sealed(ours, &plain);
        let mut opener = world.opener(kind, &sealed);
        let others = [
            ours,
            Subject { tenant: TenantId([9; 16]), ..ours },
            Subject { run: RunId([9; 16]), ..ours },
            Subject { round: RoundId(9), ..ours },
            Subject { epoch: EpochId(9), ..ours },
            Subject { seq: 9, ..ours },
            Subject { trace: [9; 16], ..ours },
        ];
        let mut others: Vec<Sealed> = others.map(|other| world.sealed(other, &plain)).into();
        for other in KINDS.into_iter().filter(|other| *other != kind) {
            others.push(world.sealed(Subject { kind: other, ..ours }, &plain));
        }
        std::mem::swap(&mut world.coordinator, &mut world.node);
        others.push(world.sealed(ours, &plain));
        std::mem::swap(&mut world.coordinator, &mut world.node);
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
        assert_eq!((opener.finish(), out == plain), (Ok(()), true), "{kind:?}");
    }
}

#[test]
fn a_manifest_does_not_open_with_the_keys_of_another_epoch() {
    let mut world = World::new(7);
    let model = world.sealed(subject(Kind::Model), b"m").manifest().verify(world.coordinator.public());
    let update = world.sealed(subject(Kind::Update), b"u").manifest().verify(world.node.public());
    let (model, update) = (model.unwrap(), update.unwrap());
    let next = World::new(8);
    assert_eq!(Opener::for_group(&model, &next.epoch_root).unwrap_err(), OpenError::WrongKey);
    let (ours, theirs) = (world.coordinator.node_id(), next.coordinator.node_id());
    let error =
        |coordinator| Opener::for_coordinator(&update, coordinator, &next.coordinator_keys).unwrap_err();
    assert_eq!((error(theirs), error(ours)), (OpenError::WrongRecipient, OpenError::WrongKey));
    let key = AgreementKey::generate(Suite::X25519, ours, Timestamp(9), &mut world.rng);
    assert_eq!(Opener::for_one(&update, &key).unwrap_err(), OpenError::WrongRecipient);
}

#[test]
fn a_wrapped_root_with_any_byte_changed_is_refused() {
    for suite in SUITES {
        let mut world = World::of(suite, 9);
        let Subject { tenant, run, epoch, .. } = subject(Kind::Model);
        let scope = Scope { tenant, run, epoch, sender: world.coordinator.node_id() };
        let (wrapped, _) = world.epoch_root.wrap(world.node_key.package(), &scope, &mut world.rng).unwrap();
        let bytes = encode(&wrapped);
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= world.rng.random_range(1..=255u8);
            let Ok(altered) = decode::<WrappedRoot>(&altered) else {
                assert_eq!(index, 0, "it says how long the rest is");
                continue;
            };
            // The top bit of an X25519 public key is ignored (RFC 7748, section 5), but HPKE hashes all of it. ML-KEM
            // gives another secret for each ciphertext, and none is refused by itself.
            let error = EpochRoot::unwrap(&altered, &world.node_key, &scope).unwrap_err();
            assert_eq!(error, OpenError::WrongKey, "{suite}, byte {index}");
        }
    }
}

#[test]
fn garbage_is_refused_without_a_panic() {
    let mut world = World::new(10);
    let start = encode(world.sealed(subject(Kind::Update), b"u").manifest());
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

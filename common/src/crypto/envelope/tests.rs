use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::crypto::suite::OtherSuite;
use crate::id::{EpochId, RoundId, RunId, TenantId};
use crate::units::Timestamp;
use crate::wire::{Fault, decode};

const SUITE: Suite = Suite::X25519;

/// A coordinator, a node, and the keys of one epoch, all from one seed.
struct World {
    rng: ChaCha20Rng,
    coordinator: Identity,
    node: Identity,
    coordinator_key: AgreementKey,
    epoch_root: EpochRoot,
}

fn world() -> World {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let (coordinator, node) = (Identity::generate(&mut rng), Identity::generate(&mut rng));
    let coordinator_key = AgreementKey::generate(SUITE, coordinator.node_id(), Timestamp(9), &mut rng);
    let epoch_root = EpochRoot::generate(SUITE, &mut rng);
    World { rng, coordinator, node, coordinator_key, epoch_root }
}

fn subject(kind: Kind) -> Subject {
    Subject {
        kind,
        tenant: TenantId([1; 16]),
        run: RunId([2; 16]),
        round: RoundId(3),
        epoch: EpochId(4),
        seq: 1,
        trace: [5; 16],
    }
}

impl World {
    fn model(&mut self, plain: &[u8]) -> Sealed {
        sealer(&self.coordinator, Kind::Model).seal_to_group(plain, &self.epoch_root, &mut self.rng).unwrap()
    }

    fn update(&mut self, plain: &[u8]) -> Sealed {
        let package = self.coordinator_key.package();
        sealer(&self.node, Kind::Update).seal_to_one(plain, package, &mut self.rng).unwrap().0
    }
}

fn sealer(identity: &Identity, kind: Kind) -> Sealer<'_> {
    Sealer { identity, subject: subject(kind), next_package: None, buffer: vec![0xaa; 100_000] }
}

fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 31 % 251) as u8).collect()
}

fn open_all(mut opener: Opener, sealed: &Sealed) -> Result<Vec<u8>, OpenError> {
    let mut plain = vec![0; opener.plain_bytes()];
    for index in (0..sealed.chunks()).rev() {
        opener.open_chunk(index, &sealed.chunk(index).unwrap(), &mut plain)?;
    }
    opener.finish().map(|()| plain)
}

#[test]
fn every_length_opens_again_for_the_group_and_for_one() {
    let mut world = world();
    for bytes in [0, 1, 16383, 16384, 16385, 49151, 49152, 49153, 98304, 1 << 20] {
        let plain = text(bytes);
        let model = world.model(&plain);
        let verified = model.manifest().verify(world.coordinator.public()).unwrap();
        let opener = Opener::for_group(&verified, &world.epoch_root).unwrap();
        assert_eq!(open_all(opener, &model).as_ref(), Ok(&plain));
        let update = world.update(&plain);
        let verified = update.manifest().verify(world.node.public()).unwrap();
        let (opener, _) = Opener::for_one(&verified, &world.coordinator_key).unwrap();
        assert_eq!(open_all(opener, &update), Ok(plain));
    }
}

/// What a coordinator and a node share of an epoch, at both ends.
fn member_keys(world: &mut World) -> [MemberKeys; 2] {
    let key = AgreementKey::generate(SUITE, world.node.node_id(), Timestamp(9), &mut world.rng);
    let scope = scope(&subject(Kind::Model), world.coordinator.node_id());
    let (wrapped, ours) = world.epoch_root.wrap(key.package(), &scope, &mut world.rng).unwrap();
    [ours, EpochRoot::unwrap(&wrapped, &key, &scope).unwrap().1]
}

#[test]
fn what_a_member_answers_opens_for_its_coordinator_with_the_keys_of_that_exchange_alone() {
    let mut world = world();
    let [ours, theirs] = member_keys(&mut world);
    let coordinator = world.coordinator.node_id();
    for bytes in [0, 1, 16384, 49153, 1 << 18] {
        let plain = text(bytes);
        let sealer = sealer(&world.node, Kind::Update);
        let update = sealer.seal_to_coordinator(&plain[..], coordinator, &theirs, &mut world.rng).unwrap();
        let verified = update.manifest().verify(world.node.public()).unwrap();
        let opener = Opener::for_coordinator(&verified, coordinator, &ours).unwrap();
        assert_eq!(open_all(opener, &update), Ok(plain));
        let error = |opener: Result<Opener, OpenError>| opener.unwrap_err();
        let [others, _] = member_keys(&mut world);
        assert_eq!(error(Opener::for_coordinator(&verified, coordinator, &others)), OpenError::WrongKey);
        let node = world.node.node_id();
        assert_eq!(error(Opener::for_coordinator(&verified, node, &ours)), OpenError::WrongRecipient);
        assert_eq!(error(Opener::for_group(&verified, &world.epoch_root)), OpenError::WrongRecipient);
        let key = &world.coordinator_key;
        assert_eq!(
            error(Opener::for_one(&verified, key).map(|(opener, _)| opener)),
            OpenError::WrongRecipient
        );
    }
}

#[test]
fn a_manifest_is_read_back_and_its_id_ignores_the_signature() {
    let mut world = world();
    let manifest = world.update(b"x").manifest().clone();
    let mut bytes = encode(&manifest);
    assert_eq!(decode(&bytes).as_ref(), Ok(&manifest));
    *bytes.last_mut().unwrap() ^= 1;
    let altered: Manifest = decode(&bytes).unwrap();
    assert_eq!(altered.blob(), manifest.blob());
    assert_eq!(altered.verify(world.node.public()), Err(OpenError::BadSignature));
    assert_ne!(world.update(b"x").manifest().blob(), manifest.blob());
}

#[test]
fn a_manifest_names_its_signer_and_nobody_else() {
    let mut world = world();
    let manifest = world.model(b"x").manifest().clone();
    let (signer, named) = (world.node.node_id(), world.coordinator.node_id());
    let wrong = Err(OpenError::WrongSender { signer, named });
    assert_eq!(manifest.verify(world.node.public()), wrong);
    let foreign = Some(world.coordinator_key.package().clone());
    let update = Sealer { next_package: foreign, ..sealer(&world.node, Kind::Update) };
    let sealed = update.seal_to_group(&b"x"[..], &world.epoch_root, &mut world.rng).unwrap();
    assert_eq!(sealed.manifest().verify(world.node.public()), wrong);
}

#[test]
fn other_keys_and_recipients_are_told_apart() {
    let mut world = world();
    let model = world.model(b"x").manifest().verify(world.coordinator.public()).unwrap();
    let update = world.update(b"x").manifest().verify(world.node.public()).unwrap();
    let other_root = EpochRoot::generate(SUITE, &mut world.rng);
    let own = AgreementKey::generate(SUITE, world.node.node_id(), Timestamp(9), &mut world.rng);
    let next = AgreementKey::generate(SUITE, world.coordinator.node_id(), Timestamp(9), &mut world.rng);
    let error = |opener: Result<Opener, OpenError>| opener.unwrap_err();
    assert_eq!(error(Opener::for_group(&model, &other_root)), OpenError::WrongKey);
    assert_eq!(error(Opener::for_group(&update, &world.epoch_root)), OpenError::WrongRecipient);
    assert_eq!(
        error(Opener::for_one(&model, &world.coordinator_key).map(|(opener, _)| opener)),
        OpenError::WrongRecipient
    );
    assert_eq!(error(Opener::for_one(&update, &own).map(|(opener, _)| opener)), OpenError::WrongRecipient);
    assert_eq!(error(Opener::for_one(&update, &next).map(|(opener, _)| opener)), OpenError::WrongKey);
}

#[test]
fn a_value_does_not_open_under_another_header_even_when_its_sender_signs_that() {
    let mut world = world();
    let plain = text(20_000);
    for (kind, to_one) in [(Kind::Model, false), (Kind::Update, true), (Kind::Records, true)] {
        let base = subject(kind);
        let sealer = sealer(&world.node, kind);
        let sealed = if to_one {
            sealer.seal_to_one(&plain[..], world.coordinator_key.package(), &mut world.rng).unwrap().0
        } else {
            sealer.seal_to_group(&plain[..], &world.epoch_root, &mut world.rng).unwrap()
        };
        let verified = sealed.manifest().verify(world.node.public()).unwrap();
        let another = if kind == Kind::Model { Kind::Update } else { Kind::Model };
        let others = [
            Subject { kind: another, ..base },
            Subject { tenant: TenantId([9; 16]), ..base },
            Subject { run: RunId([9; 16]), ..base },
            Subject { round: RoundId(9), ..base },
            Subject { epoch: EpochId(9), ..base },
            Subject { seq: 9, ..base },
            Subject { trace: [9; 16], ..base },
        ];
        let mut headers: Vec<Header> =
            others.into_iter().map(|subject| Header { subject, ..verified.header }).collect();
        headers.push(Header { layout: ChunkLayout::of(20_001).unwrap(), ..verified.header });
        // Somebody else signs for it as his own.
        headers.push(Header { sender: world.coordinator.node_id(), ..verified.header });
        for header in headers {
            let signer =
                [&world.node, &world.coordinator].into_iter().find(|id| id.node_id() == header.sender);
            let signer = signer.unwrap();
            let resigned = Manifest::sign(Statement { header, ..(*verified).clone() }, signer).unwrap();
            let resigned = resigned.verify(signer.public()).unwrap();
            let opened = if to_one {
                Opener::for_one(&resigned, &world.coordinator_key).map(|(opener, _)| opener)
            } else {
                Opener::for_group(&resigned, &world.epoch_root)
            };
            assert_eq!(opened.unwrap_err(), OpenError::WrongKey, "{header:?}");
        }
    }
}

#[test]
fn chunks_of_another_value_or_place_are_refused() {
    let mut world = world();
    let (one, two) = (world.model(&text(200_000)), world.model(&text(200_000)));
    let verified = one.manifest().verify(world.coordinator.public()).unwrap();
    let mut opener = Opener::for_group(&verified, &world.epoch_root).unwrap();
    let mut plain = vec![0; 200_000];
    let mut open = |index, chunk: Option<Bytes>| opener.open_chunk(index, &chunk.unwrap(), &mut plain);
    assert_eq!(open(0, two.chunk(0)), Err(OpenError::Corrupt { chunk: 0 }));
    assert_eq!(open(1, one.chunk(0)), Err(OpenError::Corrupt { chunk: 1 }));
    assert!(matches!(open(0, one.chunk(4)), Err(OpenError::WrongLength { chunk: 0, .. })));
    assert_eq!(open(5, one.chunk(0)), Err(OpenError::NoSuchChunk { chunk: 5, chunks: 5 }));
    assert_eq!(open(0, one.chunk(0)), Ok(()));
    assert_eq!(open(0, one.chunk(0)), Err(OpenError::Repeated { chunk: 0 }));
    assert_eq!(opener.finish(), Err(OpenError::Incomplete { missing: 4 }));
}

#[test]
fn a_chunk_made_by_another_member_of_the_group_fails_at_the_root() {
    let mut world = world();
    let sealed = world.model(&text(60_000));
    let verified = sealed.manifest().verify(world.coordinator.public()).unwrap();
    // What a member can do: derive the same bulk key, and seal a chunk of its own.
    let context = encode(&verified.header);
    let layout = verified.header.layout;
    let (key, _) = BulkKey::derive(&world.epoch_root.model_key(), &verified.salt, &context, layout);
    let mut forged = sealed.chunk(1).unwrap().to_vec();
    key.seal_chunk(1, &vec![0; 60_000][..], &mut forged);
    let mut opener = Opener::for_group(&verified, &world.epoch_root).unwrap();
    let mut plain = vec![0; 60_000];
    opener.open_chunk(0, &sealed.chunk(0).unwrap(), &mut plain).unwrap();
    opener.open_chunk(1, &forged, &mut plain).unwrap();
    assert_eq!(opener.finish(), Err(OpenError::RootMismatch));
}

#[test]
fn an_encapsulated_key_goes_with_one_recipient_only() {
    let mut world = world();
    let model = world.model(b"x").manifest().verify(world.coordinator.public()).unwrap();
    let statement = Statement { enc: Some(Encapsulated::X25519([1; 32])), ..(*model).clone() };
    let manifest = Manifest::sign(statement, &world.coordinator).unwrap();
    assert!(decode::<Manifest>(&encode(&manifest)).is_err());
}

#[test]
fn what_is_sealed_holds_nothing_of_the_plaintext() {
    let mut world = world();
    let sealed = world.model(&text(60_000));
    let needle = &text(60_000)[..8];
    assert!(sealed.into_buffer().windows(8).all(|window| window != needle));
}

#[test]
fn a_value_of_another_suite_is_refused_before_any_key_of_it_is_used() {
    let mut world = world();
    let (theirs, ours) = (Suite::X25519, Suite::XWing);
    let wrong = OpenError::WrongSuite(OtherSuite { theirs, ours });
    let model = world.model(b"x").manifest().verify(world.coordinator.public()).unwrap();
    let update = world.update(b"x").manifest().verify(world.node.public()).unwrap();
    let root = EpochRoot::generate(ours, &mut world.rng);
    let key = AgreementKey::generate(ours, world.coordinator.node_id(), Timestamp(9), &mut world.rng);
    assert_eq!(Opener::for_group(&model, &root).unwrap_err(), wrong);
    assert_eq!(Opener::for_one(&update, &key).unwrap_err(), wrong);
    // Neither do keys of two suites go into one statement.
    for statement in [
        Statement { next_package: Some(key.package().clone()), ..(*update).clone() },
        Statement { enc: Some(Encapsulated::XWing(Box::new([1; 1120]))), ..(*update).clone() },
        Statement { header: Header { suite: ours, ..update.header }, ..(*update).clone() },
    ] {
        let fault =
            decode::<Manifest>(&encode(&Manifest::sign(statement, &world.node).unwrap())).unwrap_err().fault;
        assert_eq!(fault, Fault::Invalid("a key of another suite than the header's"));
    }
}

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::super::error::{OpenError, SealError};
use super::*;
use crate::id::{EpochId, NodeId, RunId, TenantId};
use crate::units::Timestamp;
use crate::wire::{decode, encode};

const NODE: NodeId = NodeId([2; 32]);

/// The points of small order, and encodings of them that are not reduced (RFC 7748, section 6.1).
const LOW_ORDER: [&str; 5] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn scope() -> Scope {
    Scope { tenant: TenantId([1; 16]), run: RunId([2; 16]), epoch: EpochId(3), sender: NodeId([1; 32]) }
}

fn agreement_key(seed: u64) -> AgreementKey {
    AgreementKey::generate(NODE, Timestamp(9), &mut rng(seed))
}

#[test]
fn a_wrapped_root_opens_for_its_node_and_gives_both_the_same_keys() {
    let root = EpochRoot::generate(&mut rng(1));
    let key = agreement_key(2);
    let (wrapped, ours) = root.wrap(key.package(), &scope(), &mut rng(3)).unwrap();
    let (opened, theirs) = EpochRoot::unwrap(&wrapped, &key, &scope()).unwrap();
    assert_eq!(opened.model_key().0, root.model_key().0);
    let tag = ours.tag(NODE, b"receipt");
    assert!(theirs.verify(NODE, b"receipt", &tag));
    assert_eq!(decode(&encode(&wrapped)), Ok(wrapped));
    assert_eq!(decode(&encode(key.package())), Ok(*key.package()));
}

#[test]
fn a_wrapped_root_opens_under_no_other_key_or_scope() {
    let root = EpochRoot::generate(&mut rng(1));
    let key = agreement_key(2);
    let (wrapped, _) = root.wrap(key.package(), &scope(), &mut rng(3)).unwrap();
    let refused = |wrapped: &WrappedRoot, key: &AgreementKey, scope: &Scope| {
        EpochRoot::unwrap(wrapped, key, scope).unwrap_err() == OpenError::WrongKey
    };
    assert!(refused(&wrapped, &agreement_key(4), &scope()));
    assert!(refused(&wrapped, &key, &Scope { tenant: TenantId([9; 16]), ..scope() }));
    assert!(refused(&wrapped, &key, &Scope { run: RunId([9; 16]), ..scope() }));
    assert!(refused(&wrapped, &key, &Scope { epoch: EpochId(4), ..scope() }));
    assert!(refused(&wrapped, &key, &Scope { sender: NODE, ..scope() }));
    for index in 0..48 {
        let mut altered = wrapped;
        altered.ct[index] ^= 1;
        assert!(refused(&altered, &key, &scope()));
    }
}

#[test]
fn every_wrap_and_every_epoch_has_keys_of_its_own() {
    let key = agreement_key(2);
    let root = EpochRoot::generate(&mut rng(1));
    let (one, pair_one) = root.wrap(key.package(), &scope(), &mut rng(3)).unwrap();
    let (two, pair_two) = root.wrap(key.package(), &scope(), &mut rng(4)).unwrap();
    assert_ne!((one.enc, one.ct), (two.enc, two.ct));
    assert!(!pair_two.verify(NODE, b"m", &pair_one.tag(NODE, b"m")));
    assert_ne!(root.model_key().0, EpochRoot::generate(&mut rng(5)).model_key().0);
}

#[test]
fn public_keys_that_agree_on_no_secret_are_refused_both_ways() {
    let key = agreement_key(2);
    let root = EpochRoot::generate(&mut rng(1));
    let (wrapped, _) = root.wrap(key.package(), &scope(), &mut rng(3)).unwrap();
    for point in LOW_ORDER {
        let mut public = [0; 32];
        hex::decode_to_slice(point, &mut public).unwrap();
        let package = KeyPackage { public, ..*key.package() };
        let error = root.wrap(&package, &scope(), &mut rng(3)).unwrap_err();
        assert_eq!(error, SealError::BadPackage { node: NODE });
        let error = EpochRoot::unwrap(&WrappedRoot { enc: public, ..wrapped }, &key, &scope()).unwrap_err();
        assert_eq!(error, OpenError::BadExchange);
    }
}

#[test]
fn a_receipt_tag_holds_for_its_message_and_direction_only() {
    let root = EpochRoot::generate(&mut rng(1));
    let (_, pair) = root.wrap(agreement_key(2).package(), &scope(), &mut rng(3)).unwrap();
    let tag = pair.tag(NODE, b"receipt");
    assert!(!pair.verify(scope().sender, b"receipt", &tag));
    assert!(!pair.verify(NODE, b"receipu", &tag));
    for index in 0..tag.len() {
        let mut altered = tag;
        altered[index] ^= 1;
        assert!(!pair.verify(NODE, b"receipt", &altered));
    }
}

#[test]
fn a_package_is_usable_until_it_expires() {
    let package = *agreement_key(2).package();
    assert!(package.is_usable_at(Timestamp(8)));
    assert!(!package.is_usable_at(Timestamp(9)));
}

#[test]
fn debug_output_shows_no_secret() {
    let root = EpochRoot::generate(&mut rng(1));
    let key = agreement_key(2);
    let (_, pair) = root.wrap(key.package(), &scope(), &mut rng(3)).unwrap();
    assert_eq!(format!("{root:?} {pair:?}"), "EpochRoot(..) PairKey(..)");
    assert_eq!(format!("{key:?}"), format!("AgreementKey({:?})", key.package()));
}

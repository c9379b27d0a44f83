use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::super::error::{OpenError, SealError};
use super::super::suite::{Encapsulated, KemPublic, OtherSuite, Suite};
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

const SUITES: [Suite; 2] = [Suite::X25519, Suite::XWing];

fn agreement_key(suite: Suite, seed: u64) -> AgreementKey {
    AgreementKey::generate(suite, NODE, Timestamp(9), &mut rng(seed))
}

fn root(suite: Suite, seed: u64) -> EpochRoot {
    EpochRoot::generate(suite, &mut rng(seed))
}

#[test]
fn a_wrapped_root_opens_for_its_node_and_gives_both_the_same_keys() {
    for suite in SUITES {
        let (root, key) = (root(suite, 1), agreement_key(suite, 2));
        let (wrapped, ours) = root.wrap(key.package(), &scope(), &mut rng(3)).unwrap();
        let (opened, theirs) = EpochRoot::unwrap(&wrapped, &key, &scope()).unwrap();
        assert_eq!(opened.model_key().0, root.model_key().0);
        assert_eq!([opened.suite(), key.package().suite(), wrapped.enc.suite()], [suite; 3]);
        let tag = ours.pair.tag(NODE, b"receipt");
        assert!(theirs.pair.verify(NODE, b"receipt", &tag));
        assert_eq!(decode(&encode(key.package())).as_ref(), Ok(key.package()));
        assert_eq!(decode(&encode(&wrapped)), Ok(wrapped));
    }
}

#[test]
fn a_wrapped_root_opens_under_no_other_key_or_scope() {
    for suite in SUITES {
        let (root, key) = (root(suite, 1), agreement_key(suite, 2));
        let (wrapped, _) = root.wrap(key.package(), &scope(), &mut rng(3)).unwrap();
        let refused = |wrapped: &WrappedRoot, key: &AgreementKey, scope: &Scope| {
            EpochRoot::unwrap(wrapped, key, scope).unwrap_err() == OpenError::WrongKey
        };
        assert!(refused(&wrapped, &agreement_key(suite, 4), &scope()));
        assert!(refused(&wrapped, &key, &Scope { tenant: TenantId([9; 16]), ..scope() }));
        assert!(refused(&wrapped, &key, &Scope { run: RunId([9; 16]), ..scope() }));
        assert!(refused(&wrapped, &key, &Scope { epoch: EpochId(4), ..scope() }));
        assert!(refused(&wrapped, &key, &Scope { sender: NODE, ..scope() }));
        for index in 0..48 {
            let mut altered = wrapped.clone();
            altered.ct[index] ^= 1;
            assert!(refused(&altered, &key, &scope()));
        }
    }
}

#[test]
fn a_root_is_wrapped_and_unwrapped_in_its_own_suite_only() {
    let (theirs, ours) = (Suite::XWing, Suite::X25519);
    let other = OtherSuite { theirs, ours };
    let (root_of, key_of) = (SUITES.map(|suite| root(suite, 1)), SUITES.map(|suite| agreement_key(suite, 2)));
    let error = root_of[0].wrap(key_of[1].package(), &scope(), &mut rng(3)).unwrap_err();
    assert_eq!(error, SealError::WrongSuite(other));
    let (wrapped, _) = root_of[1].wrap(key_of[1].package(), &scope(), &mut rng(3)).unwrap();
    let error = EpochRoot::unwrap(&wrapped, &key_of[0], &scope()).unwrap_err();
    assert_eq!(error, OpenError::WrongSuite(other));
}

#[test]
fn every_wrap_and_every_epoch_has_keys_of_its_own() {
    for suite in SUITES {
        let (root_one, key) = (root(suite, 1), agreement_key(suite, 2));
        let (one, pair_one) = root_one.wrap(key.package(), &scope(), &mut rng(3)).unwrap();
        let (two, pair_two) = root_one.wrap(key.package(), &scope(), &mut rng(4)).unwrap();
        assert!(one.enc != two.enc && one.ct != two.ct);
        assert!(!pair_two.pair.verify(NODE, b"m", &pair_one.pair.tag(NODE, b"m")));
        assert_ne!(root_one.model_key().0, root(suite, 5).model_key().0);
    }
}

#[test]
fn public_keys_that_agree_on_no_secret_are_refused_both_ways() {
    let (root, key) = (root(Suite::X25519, 1), agreement_key(Suite::X25519, 2));
    let (wrapped, _) = root.wrap(key.package(), &scope(), &mut rng(3)).unwrap();
    for point in LOW_ORDER {
        let mut public = [0; 32];
        hex::decode_to_slice(point, &mut public).unwrap();
        let package = KeyPackage { public: KemPublic::X25519(public), ..key.package().clone() };
        let error = root.wrap(&package, &scope(), &mut rng(3)).unwrap_err();
        assert_eq!(error, SealError::BadPackage { node: NODE });
        let altered = WrappedRoot { enc: Encapsulated::X25519(public), ..wrapped };
        let error = EpochRoot::unwrap(&altered, &key, &scope()).unwrap_err();
        assert_eq!(error, OpenError::BadExchange);
    }
}

#[test]
fn a_receipt_tag_holds_for_its_message_and_direction_only() {
    let key = agreement_key(Suite::X25519, 2);
    let (_, pair) = root(Suite::X25519, 1).wrap(key.package(), &scope(), &mut rng(3)).unwrap();
    let pair = pair.pair;
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
    let package = agreement_key(Suite::X25519, 2).package().clone();
    assert!(package.is_usable_at(Timestamp(8)));
    assert!(!package.is_usable_at(Timestamp(9)));
}

#[test]
fn debug_output_shows_no_secret() {
    let (root, key) = (root(Suite::X25519, 1), agreement_key(Suite::X25519, 2));
    let (_, pair) = root.wrap(key.package(), &scope(), &mut rng(3)).unwrap();
    assert_eq!(format!("{root:?} {pair:?}"), "EpochRoot(..) MemberKeys(..)");
    assert_eq!(format!("{key:?}"), format!("AgreementKey({:?})", key.package()));
}

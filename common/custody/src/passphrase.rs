//! A key file encrypted under a passphrase.
//!
//! ```text
//! line 1  starling identity 1: argon2id 64 MiB, 3 passes, 4 lanes; chacha20-poly1305
//! line 2  hex of: salt (24) | commitment (32) | frame 0 (the PEM text, and a tag of 16)
//!
//! input key = Argon2id(passphrase, salt), 32 bytes: the second recommended option of RFC 9106, section 4
//! frame key = that of `frames` under label, salt and line 1: so the whole header is authenticated
//! ```

use argon2::{Algorithm, Argon2, Params, Version};
use common::crypto::bulk::{Commitment, InputKey, Salt};
use common::crypto::{FrameKey, Label};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

const HEADER: &str = "starling identity 1: argon2id 64 MiB, 3 passes, 4 lanes; chacha20-poly1305";

/// 64 MiB, in KiB.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;

/// Why a file does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Locked {
    /// It is no such file.
    #[error("is no key file under a passphrase, or one of another version")]
    Malformed,
    /// The passphrase does not fit.
    #[error("the passphrase is wrong, or the file was altered")]
    Wrong,
}

/// The text of the file.
pub(crate) fn encrypt(pem: &str, passphrase: &str, random: &mut impl CryptoRng) -> String {
    let mut salt: Salt = [0; 24];
    random.fill_bytes(&mut salt);
    let input = stretch(passphrase, &salt);
    let (key, commitment) = FrameKey::derive(&input, Label::Passphrase, &salt, HEADER.as_bytes());
    // Room for the tag: nothing of the key is left behind by a buffer that grew.
    let mut frame = Vec::with_capacity(pem.len() + 16);
    frame.extend_from_slice(pem.as_bytes());
    key.seal(0, &mut frame, 0);
    format!("{HEADER}\n{}\n", hex::encode([&salt[..], &commitment, &frame].concat()))
}

/// The PEM text in a file.
pub(crate) fn decrypt(text: &str, passphrase: &str) -> Result<Zeroizing<String>, Locked> {
    let body =
        text.strip_prefix(HEADER).and_then(|rest| hex::decode(rest.trim()).ok()).ok_or(Locked::Malformed)?;
    let (salt, rest) = body.split_first_chunk::<{ size_of::<Salt>() }>().ok_or(Locked::Malformed)?;
    let (commitment, frame) =
        rest.split_first_chunk::<{ size_of::<Commitment>() }>().ok_or(Locked::Malformed)?;
    let input = stretch(passphrase, salt);
    let key = FrameKey::for_reading(&input, Label::Passphrase, salt, HEADER.as_bytes(), commitment);
    let mut frame = Zeroizing::new(frame.to_vec());
    let pem = key.ok_or(Locked::Wrong)?.open(0, &mut frame).map_err(|_| Locked::Wrong)?;
    std::str::from_utf8(pem).map(|pem| Zeroizing::new(pem.to_owned())).map_err(|_| Locked::Malformed)
}

fn stretch(passphrase: &str, salt: &Salt) -> InputKey {
    let mut key = InputKey([0; 32]);
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(key.0.len()))
        .expect("the parameters are those of RFC 9106");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut key.0)
        .expect("salt and output have lengths that Argon2 takes");
    key
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_file_opens_under_its_passphrase_alone_and_shows_nothing_of_the_key() {
        let text = encrypt("-----BEGIN KEY-----", "correct horse", &mut ChaCha20Rng::seed_from_u64(1));
        assert_eq!(*decrypt(&text, "correct horse").unwrap(), "-----BEGIN KEY-----");
        assert_eq!(decrypt(&text, "correct horsf"), Err(Locked::Wrong));
        assert!(text.starts_with(HEADER) && !text.contains("BEGIN") && !text.contains(&hex::encode("BEGIN")));
    }

    #[test]
    fn a_file_that_was_changed_anywhere_does_not_open() {
        let text = encrypt("key", "p", &mut ChaCha20Rng::seed_from_u64(1));
        let body = HEADER.len() + 1;
        // Salt, commitment, text and tag; each costs 64 MiB of Argon2.
        for at in [0, 2 * 24, 2 * 56, text.len() - 2 - body] {
            let mut changed = text.clone().into_bytes();
            changed[body + at] = if changed[body + at] == b'0' { b'1' } else { b'0' };
            assert_eq!(decrypt(&String::from_utf8(changed).unwrap(), "p"), Err(Locked::Wrong), "{at}");
        }
        for other in [
            text.replace("64 MiB", "8 MiB"),
            text[..body + 60].to_owned(),
            text[..body + 61].to_owned(),
            String::new(),
        ] {
            assert_eq!(decrypt(&other, "p"), Err(Locked::Malformed), "{other}");
        }
    }
}

//! Which cryptography a fleet uses, and keys that are as long as it has them.
//!
//! A fleet has one suite, which its operator writes down on both sides. Nothing is negotiated, so nothing can be talked
//! down: what is of another suite is refused before any of its keys is used.

use std::fmt;

use serde::Deserialize;

use crate::limits::{COHORT_MAX, X_WING_COHORT_MAX};
use crate::wire::{Input, Wire, WireError};
use crate::wire_tags;

/// The cryptography in use: the KEM below HPKE. The rest is common to all: ECDSA P-256 with SHA-256; HPKE with
/// HKDF-SHA256 and ChaCha20-Poly1305; C2SP chunked-encryption with HKDF-SHA256 and ChaCha20-Poly1305; BLAKE3 over the
/// sealed chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Suite {
    /// DHKEM(X25519, HKDF-SHA256).
    #[default]
    #[serde(rename = "x25519")]
    X25519,
    /// X-Wing: X25519 and ML-KEM-768 together (draft-connolly-cfrg-xwing-kem). Who writes traffic down today and has a
    /// quantum computer one day opens nothing of it.
    #[serde(rename = "x-wing")]
    XWing,
}

wire_tags!(Suite { X25519 = 1, XWing = 2 });

/// Two sides of one fleet use different suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its suite is \"{theirs}\" and here it is \"{ours}\": a fleet has one, so write `suite = \"{ours}\"` there or `suite = \"{theirs}\"` here, in coordinator.toml or node.toml"
)]
pub struct OtherSuite {
    /// That of the other side.
    pub theirs: Suite,
    /// That of this side.
    pub ours: Suite,
}

impl Suite {
    /// Whether the other side's suite is this one.
    ///
    /// # Errors
    ///
    /// [`OtherSuite`] names both, and the line to change.
    pub fn require(self, theirs: Self) -> Result<(), OtherSuite> {
        if theirs == self { Ok(()) } else { Err(OtherSuite { theirs, ours: self }) }
    }

    /// The most nodes whose wrapped roots one announcement holds.
    pub const fn cohort_max(self) -> usize {
        match self {
            Self::X25519 => COHORT_MAX,
            Self::XWing => X_WING_COHORT_MAX,
        }
    }
}

/// As it is written in a configuration.
impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X25519 => "x25519",
            Self::XWing => "x-wing",
        })
    }
}

/// What a KEM gives to others, as long as its suite has it. On the wire the suite's tag comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KemBytes<const X25519: usize, const X_WING: usize> {
    /// Of [`Suite::X25519`].
    X25519([u8; X25519]),
    /// Of [`Suite::XWing`].
    XWing(Box<[u8; X_WING]>),
}

/// A public key: of X25519 (RFC 7748), or of ML-KEM-768 and behind it of X25519.
pub type KemPublic = KemBytes<32, 1216>;

/// An encapsulated key: an X25519 public key, or a ciphertext of ML-KEM-768 and such a key behind it.
pub type Encapsulated = KemBytes<32, 1120>;

impl<const X25519: usize, const X_WING: usize> KemBytes<X25519, X_WING> {
    /// Of which suite it is.
    pub fn suite(&self) -> Suite {
        match self {
            Self::X25519(_) => Suite::X25519,
            Self::XWing(_) => Suite::XWing,
        }
    }
}

impl<const X25519: usize, const X_WING: usize> Wire for KemBytes<X25519, X_WING> {
    fn put(&self, out: &mut Vec<u8>) {
        self.suite().put(out);
        match self {
            Self::X25519(bytes) => bytes.put(out),
            Self::XWing(bytes) => bytes.put(out),
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(match Suite::take(input)? {
            Suite::X25519 => Self::X25519(Wire::take(input)?),
            Suite::XWing => Self::XWing(Box::new(Wire::take(input)?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Fault, decode, encode};

    #[test]
    fn a_key_is_as_long_as_its_suite_has_it_and_one_of_an_unknown_suite_is_refused() {
        let keys = [KemPublic::X25519([7; 32]), KemPublic::XWing(Box::new([7; 1216]))];
        for (key, length) in keys.into_iter().zip([33, 1217]) {
            let mut bytes = encode(&key);
            assert_eq!((bytes.len(), decode(&bytes)), (length, Ok(key)));
            bytes[0] ^= 3;
            let fault = decode::<KemPublic>(&bytes).unwrap_err().fault;
            assert!(matches!(fault, Fault::Short | Fault::Trailing), "{fault}");
            bytes[0] = 3;
            assert_eq!(decode::<KemPublic>(&bytes).unwrap_err().fault, Fault::Unknown(3));
        }
    }

    #[test]
    fn a_suite_is_called_as_in_a_configuration_and_another_is_refused_with_both_names() {
        let error = Suite::X25519.require(Suite::XWing).unwrap_err().to_string();
        let expected = "its suite is \"x-wing\" and here it is \"x25519\": a fleet has one, so write \
                        `suite = \"x25519\"` there or `suite = \"x-wing\"` here, in coordinator.toml or node.toml";
        assert_eq!(error, expected);
        for suite in [Suite::X25519, Suite::XWing] {
            assert_eq!(suite.require(suite), Ok(()));
        }
    }
}

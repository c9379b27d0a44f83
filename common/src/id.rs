//! Who and what a message is about. Fixed-size, ordered, printed as hex.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        /// The first eight hex digits: enough to tell ids apart in a log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(&self.0[..4]))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $len];
                match hex::decode_to_slice(text, &mut bytes) {
                    Ok(()) => Ok(Self(bytes)),
                    Err(_) => Err(ParseIdError { kind: stringify!($name), digits: $len * 2 }),
                }
            }
        }
    };
}

bytes_id!(
    /// A node or the coordinator: SHA-256 of its compressed P-256 public key (SEC 1, section 2.3.3).
    NodeId, 32
);
bytes_id!(
    /// One training run, drawn at random when the run is started.
    RunId, 16
);
bytes_id!(
    /// A tenant: the first 16 bytes of the SHA-256 of its name.
    TenantId, 16
);
bytes_id!(
    /// A sealed value on its way: BLAKE3 of the encoded manifest without its signature.
    BlobId, 32
);
bytes_id!(
    /// A model: BLAKE3 of its safetensors file. Also its name in the store.
    ModelHash, 32
);

bytes_id!(
    /// A token by which a node joins: the first 8 bytes of a SHA-256 over its secret. Not secret itself.
    TokenId, 8
);

/// A round within a run, counted from 1. Round 0 is the run before its first round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoundId(pub u32);

/// A key epoch of a run. Every attempt at a round has its own, and no number is used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochId(pub u64);

impl TenantId {
    /// The id of the tenant with this name.
    pub fn of_name(name: &str) -> Self {
        let digest = Sha256::digest(name.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }
}

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not an id of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {kind} is written as {digits} hex digits")]
pub struct ParseIdError {
    kind: &'static str,
    digits: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_from_what_it_prints() {
        let id = RunId([7; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("07".parse::<RunId>().unwrap_err().to_string(), "a RunId is written as 32 hex digits");
    }

    #[test]
    fn tenants_of_different_names_differ() {
        assert_ne!(TenantId::of_name("a"), TenantId::of_name("b"));
    }
}

//! The keys of one epoch, and how they reach their holders: HPKE (RFC 9180) in base mode.
//!
//! ```text
//! down   the coordinator draws an EpochRoot and wraps it for each member's KeyPackage
//!          EpochRoot > HKDF-Expand "starling v1 model" > input key of every value for the group
//!          HPKE exporter "starling v1 receipt" > PairKey of coordinator and member
//!          HPKE exporter "starling v1 reply" > input key of the member's update
//! aside  a bridge opens an HPKE context to a node's KeyPackage for each batch of records
//!          HPKE exporter "starling v1 update" > input key of that batch
//! ```
//!
//! Base mode authenticates nobody: packages and wrapped roots travel inside signed messages. Agreement
//! keys and epoch roots live in memory for one epoch and are erased when dropped, so a thief of
//! one epoch's keys reads neither the round before nor the round after.

mod agreement;
mod epoch;
mod pair;

pub use agreement::{AgreementKey, KeyPackage, Scope};
pub use epoch::{EpochRoot, WrappedRoot};
pub use pair::{MemberKeys, PairKey, ReceiptTag};

pub(super) use agreement::{receive, send};

/// The KEM of [`Suite::X25519`](super::Suite). Public, with the other three, for the vector tests.
pub type X25519 = hpke::kem::X25519HkdfSha256;

/// The KEM of [`Suite::XWing`](super::Suite).
pub type XWing = hpke::kem::XWing;

/// The KDF of every suite: HKDF-SHA256.
pub type Kdf = hpke::kdf::HkdfSha256;

/// The AEAD of every suite.
pub type Aead = hpke::aead::ChaCha20Poly1305;

#[cfg(test)]
mod tests;

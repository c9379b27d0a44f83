//! Identity, keys and sealing. Everything that leaves a process is signed, and every model and update
//! is encrypted; there is no other mode.
//!
//! | room | what it holds |
//! |---|---|
//! | [`custody`] | where a long-term key lives: it signs, seals and unseals there |
//! | [`identity`] | ECDSA P-256 signatures, each for one purpose of the [`label`] table |
//! | [`certificate`] | X.509 certificates of these keys, for other programs |
//! | [`succession`] | a long-term key that takes the place of another |
//! | [`keyschedule`] | one epoch's keys, brought to their holders by HPKE |
//! | [`suite`] | which cryptography a fleet uses |
//! | [`keyring`] | the keys to which others may have sealed |
//! | [`envelope`] | a value sealed to the group or to one: manifest and chunks; opened in any order |
//! | [`plain`], [`bulk`], [`layout`], [`mod@root`] | what is sealed; the chunked encryption, its cut, its root hash |
//! | [`frames`] | a log at rest, sealed frame by frame |
//! | [`vault`] | files and values at rest, under a key of their tenant |
//! | [`preshared`] | one question and its answer between two who share a secret |
//! | [`replay`] | each message takes effect once |
//!
//! Decisions worth knowing:
//! - *Salt and commitment travel in the manifest*, not before the ciphertext as in the C2SP framing, so
//!   that a chunk is nothing but records and its place in the plaintext follows from its index.
//! - *A chunk is three whole records* of 16 KiB, the most that fits a datagram: it is authenticated and
//!   decrypted on arrival, and lost or doubled chunks cost nothing but themselves.
//! - *The context of the encryption is the encoded header itself*: under another run, round, epoch, sender
//!   or recipient the commitment does not match.
//! - *The root hash is BLAKE3 over the BLAKE3 hashes of the sealed chunks*. SHA-256 without the processor's
//!   SHA instructions is slower than the encryption.
//! - *A package and a scope are bound into every HPKE exchange*, so a wrapped key moved to another node,
//!   run or epoch does not open.
//! - *The id of a message is its salt*, which is unique; a signature never is an id, since ECDSA signatures
//!   can be altered into other valid ones.
//! - *Members of a group share its key*, so a member can make chunks that open. They fail at the root hash,
//!   after the last chunk, and what was opened is then thrown away.
//!
//! Randomness is an argument everywhere. Secrets have no readable `Debug` and are erased when dropped.
//! The `RustCrypto` and `hpke` crates below have had no full audit.

pub mod bulk;
pub mod certificate;
pub mod custody;
pub mod envelope;
pub mod frames;
pub mod identity;
pub mod keyring;
pub mod keyschedule;
pub mod label;
pub mod layout;
pub mod plain;
pub mod preshared;
pub mod replay;
pub mod root;
pub mod succession;
pub mod suite;
pub mod vault;

mod error;

pub use certificate::{Certificate, CertificateError, Holder, IssueError, Rank};
pub use custody::{Custody, CustodyError, SecretKey};
pub use envelope::VerifiedManifest;
pub use envelope::{Header, Kind, Manifest, Opener, Recipient, Sealed, Sealer, Statement, Subject};
pub use error::{OpenError, SealError};
pub use frames::{CorruptFrame, FrameKey};
pub use identity::{BadSignature, Identity, IdentityError, PublicIdentity, Signature};
pub use keyring::Keyring;
pub use keyschedule::{
    AgreementKey, EpochRoot, KeyPackage, MemberKeys, PairKey, ReceiptTag, Scope, WrappedRoot,
};
pub use label::Label;
pub use layout::{ChunkLayout, TooLarge};
pub use plain::Plain;
pub use preshared::{AnswerKey, PresharedKey, PresharedSeed};
pub use replay::{Mark, ReplayError, ReplayGuard};
pub use root::{ChunkHash, Root, chunk_hash, root};
pub use succession::{NoSuccession, Succession};
pub use suite::{Encapsulated, KemPublic, OtherSuite, Suite};
pub use vault::{TenantKey, ValueKey, VaultError};

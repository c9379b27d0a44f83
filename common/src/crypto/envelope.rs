//! Sealing a value, to the group, to its coordinator or to one key, and opening it again chunk by chunk.
//!
//! The encoded header is the context of the bulk encryption, so a chunk opens under the very header it
//! was sealed with or not at all. The AEAD alone does not tell who sealed: every member of the group
//! holds the group's key. The signature in the manifest does, over the root hash of all chunks.

mod header;
mod manifest;

use bytes::Bytes;
use hpke::HpkeError;
use rand_core::CryptoRng;

use super::bulk::{BulkKey, InputKey, Salt};
use super::error::{OpenError, SealError};
use super::identity::Identity;
use super::keyschedule::{AgreementKey, EpochRoot, KeyPackage, MemberKeys, PairKey, Scope, receive, send};
use super::label::Label;
use super::layout::ChunkLayout;
use super::plain::Plain;
use super::root::{ChunkHash, chunk_hash, root};
use super::suite::{Encapsulated, Suite};
use crate::id::NodeId;
use crate::wire::encode;

pub use header::{Header, Kind, Recipient, Subject};
pub use manifest::{Manifest, Statement, VerifiedManifest};

/// A sealed value, ready to be sent.
#[derive(Debug)]
pub struct Sealed {
    manifest: Manifest,
    layout: ChunkLayout,
    bytes: Bytes,
}

/// What the ways of sealing have in common.
pub struct Sealer<'a> {
    /// Who signs.
    pub identity: &'a Identity,
    /// What the value is about.
    pub subject: Subject,
    /// The package to which the sender wants the next value sealed.
    pub next_package: Option<KeyPackage>,
    /// An old buffer to be used again for the sealed bytes; its contents do not matter.
    pub buffer: Vec<u8>,
}

impl Sealer<'_> {
    /// Seals `plain` once for all members of an epoch.
    ///
    /// # Errors
    ///
    /// [`SealError::TooLarge`] over `BLOB_BYTES_MAX`, [`SealError::Unsigned`] when it cannot be signed.
    pub fn seal_to_group(
        self,
        plain: &(impl Plain + ?Sized),
        epoch_root: &EpochRoot,
        rng: &mut impl CryptoRng,
    ) -> Result<Sealed, SealError> {
        self.seal(plain, epoch_root.suite(), Recipient::Group, None, &epoch_root.model_key(), rng)
    }

    /// Seals `plain` to the coordinator of this id, which wrapped the sender the root of its epoch.
    ///
    /// # Errors
    ///
    /// As [`Self::seal_to_group`].
    pub fn seal_to_coordinator(
        self,
        plain: &(impl Plain + ?Sized),
        coordinator: NodeId,
        keys: &MemberKeys,
        rng: &mut impl CryptoRng,
    ) -> Result<Sealed, SealError> {
        self.seal(plain, keys.suite(), Recipient::Coordinator(coordinator), None, keys.reply_key(), rng)
    }

    /// Seals `plain` for the holder of one key package; its receipts come under the pair key.
    ///
    /// Whether the package has expired is for the caller to ask: [`KeyPackage::is_usable_at`].
    ///
    /// # Errors
    ///
    /// [`SealError::TooLarge`] over `BLOB_BYTES_MAX`, [`SealError::BadPackage`] when the package's
    /// public key agrees on no secret, [`SealError::Unsigned`] when it cannot be signed.
    pub fn seal_to_one(
        self,
        plain: &(impl Plain + ?Sized),
        package: &KeyPackage,
        rng: &mut impl CryptoRng,
    ) -> Result<(Sealed, PairKey), SealError> {
        let scope = scope(&self.subject, self.identity.node_id());
        let (enc, context) = send(Label::Update, &scope, package, rng)?;
        let key = update_key(|label, key| context.export(label, key));
        let pair = PairKey::export(|label, key| context.export(label, key));
        let (suite, recipient) = (package.suite(), Recipient::One(package.node));
        let sealed = self.seal(plain, suite, recipient, Some(enc), &key, rng)?;
        Ok((sealed, pair))
    }

    fn seal(
        self,
        plain: &(impl Plain + ?Sized),
        suite: Suite,
        recipient: Recipient,
        enc: Option<Encapsulated>,
        input_key: &InputKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Sealed, SealError> {
        let Self { identity, subject, next_package, buffer: mut bytes } = self;
        let layout = ChunkLayout::of(plain.bytes() as u64)?;
        let header = Header { suite, subject, sender: identity.node_id(), recipient, layout };
        let mut salt: Salt = [0; 24];
        rng.fill_bytes(&mut salt);
        let (key, commitment) = BulkKey::derive(input_key, &salt, &encode(&header), layout);
        bytes.reserve_exact(layout.sealed_bytes().saturating_sub(bytes.len()));
        bytes.truncate(layout.sealed_bytes());
        let mut hashes: Vec<ChunkHash> = Vec::with_capacity(layout.chunks() as usize);
        for index in 0..layout.chunks() {
            let range = layout.sealed_range(index).expect("the layout has as many chunks");
            // A new buffer grows as it is filled, while its last bytes are still in the processor's cache.
            bytes.resize(bytes.len().max(range.end), 0);
            key.seal_chunk(index, plain, &mut bytes[range.clone()]);
            hashes.push(chunk_hash(&bytes[range]));
        }
        let statement = Statement { header, salt, commitment, enc, root: root(&hashes), next_package };
        Ok(Sealed { manifest: Manifest::sign(statement, identity)?, layout, bytes: bytes.into() })
    }
}

impl Sealed {
    /// What tells the receivers about it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How many chunks, at least one.
    pub fn chunks(&self) -> u32 {
        self.layout.chunks()
    }

    /// The sealed bytes of one chunk, shared; `None` past the last.
    pub fn chunk(&self, index: u32) -> Option<Bytes> {
        self.layout.sealed_range(index).map(|range| self.bytes.slice(range))
    }

    /// The buffer, to be used again; an empty one while chunks of it are still about.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes.try_into_mut().map(Vec::from).unwrap_or_default()
    }
}

/// Opens the chunks of one value as they come. Holds the key and 32 bytes a chunk.
#[derive(Debug)]
pub struct Opener {
    manifest: VerifiedManifest,
    key: BulkKey,
    hashes: Vec<Option<ChunkHash>>,
    missing: u32,
}

impl Opener {
    /// For a value sealed to the group.
    ///
    /// # Errors
    ///
    /// [`OpenError::WrongRecipient`] when it is sealed to one, [`OpenError::WrongSuite`] when it is of another suite
    /// than the epoch, [`OpenError::WrongKey`] when it was not sealed with this root under this header.
    pub fn for_group(manifest: &VerifiedManifest, epoch_root: &EpochRoot) -> Result<Self, OpenError> {
        epoch_root.suite().require(manifest.header.suite)?;
        match manifest.header.recipient {
            Recipient::Group => Self::new(manifest, &epoch_root.model_key()),
            Recipient::One(_) | Recipient::Coordinator(_) => Err(OpenError::WrongRecipient),
        }
    }

    /// For what a member sealed to us, its coordinator.
    ///
    /// # Errors
    ///
    /// [`OpenError::WrongRecipient`] when it is sealed to another, [`OpenError::WrongSuite`] when it is of another suite
    /// than the epoch, [`OpenError::WrongKey`] when it was not sealed with these keys under this header.
    pub fn for_coordinator(
        manifest: &VerifiedManifest,
        coordinator: NodeId,
        keys: &MemberKeys,
    ) -> Result<Self, OpenError> {
        keys.suite().require(manifest.header.suite)?;
        if manifest.header.recipient == Recipient::Coordinator(coordinator) {
            Self::new(manifest, keys.reply_key())
        } else {
            Err(OpenError::WrongRecipient)
        }
    }

    /// For a value sealed to us alone; with the key for its receipts.
    ///
    /// # Errors
    ///
    /// [`OpenError::WrongRecipient`] when it is sealed to another, [`OpenError::WrongSuite`] when it is of another suite
    /// than the key, [`OpenError::BadExchange`] when the encapsulated key agrees on no secret, [`OpenError::WrongKey`] when it was not sealed to this key
    /// under this header.
    pub fn for_one(manifest: &VerifiedManifest, key: &AgreementKey) -> Result<(Self, PairKey), OpenError> {
        let header = &manifest.header;
        key.package().suite().require(header.suite)?;
        match (header.recipient, &manifest.enc) {
            (Recipient::One(node), Some(enc)) if node == key.package().node => {
                let context = receive(Label::Update, &scope(&header.subject, header.sender), key, enc)?;
                let opener = Self::new(manifest, &update_key(|label, key| context.export(label, key)))?;
                Ok((opener, PairKey::export(|label, key| context.export(label, key))))
            }
            _ => Err(OpenError::WrongRecipient),
        }
    }

    fn new(manifest: &VerifiedManifest, input_key: &InputKey) -> Result<Self, OpenError> {
        let Statement { header, salt, commitment, .. } = &**manifest;
        let key = BulkKey::for_opening(input_key, salt, &encode(header), header.layout, commitment)?;
        let missing = header.layout.chunks();
        Ok(Self { manifest: manifest.clone(), key, hashes: vec![None; missing as usize], missing })
    }

    /// What is being opened.
    pub fn manifest(&self) -> &VerifiedManifest {
        &self.manifest
    }

    /// How many chunks, at least one.
    pub fn chunks(&self) -> u32 {
        self.key.layout().chunks()
    }

    /// Length of the plaintext in bytes.
    pub fn plain_bytes(&self) -> usize {
        self.key.layout().plain_bytes()
    }

    /// Opens one chunk into its place in `plain`, the plaintext of the whole value. What it writes is
    /// not to be used before [`Self::finish`] has found that all chunks are the sender's.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoSuchChunk`], [`OpenError::Repeated`], [`OpenError::WrongLength`] or
    /// [`OpenError::Corrupt`]; every other chunk stays as it was.
    ///
    /// # Panics
    ///
    /// When `plain` has not [`Self::plain_bytes`] bytes.
    pub fn open_chunk(&mut self, index: u32, sealed: &[u8], plain: &mut [u8]) -> Result<(), OpenError> {
        assert_eq!(plain.len(), self.plain_bytes(), "the plaintext of the whole value");
        let chunks = self.chunks();
        let range = self.key.layout().plain_range(index);
        let place = range.ok_or(OpenError::NoSuchChunk { chunk: index, chunks })?;
        let slot = &mut self.hashes[index as usize];
        if slot.is_some() {
            return Err(OpenError::Repeated { chunk: index });
        }
        self.key.open_chunk(index, sealed, &mut plain[place])?;
        *slot = Some(chunk_hash(sealed));
        self.missing -= 1;
        Ok(())
    }

    /// Checks that all chunks are here and are those that the sender signed.
    ///
    /// # Errors
    ///
    /// [`OpenError::Incomplete`] or [`OpenError::RootMismatch`].
    pub fn finish(self) -> Result<(), OpenError> {
        let incomplete = OpenError::Incomplete { missing: self.missing };
        let hashes: Vec<ChunkHash> = self.hashes.into_iter().collect::<Option<_>>().ok_or(incomplete)?;
        if root(&hashes) == self.manifest.root { Ok(()) } else { Err(OpenError::RootMismatch) }
    }
}

fn scope(subject: &Subject, sender: NodeId) -> Scope {
    Scope { tenant: subject.tenant, run: subject.run, epoch: subject.epoch, sender }
}

fn update_key(exporter: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>) -> InputKey {
    let mut key = InputKey([0; 32]);
    exporter(Label::Update.as_str().as_bytes(), &mut key.0).expect("32 bytes are within the limit");
    key
}

#[cfg(test)]
mod tests;

//! The signed description of a sealed value: everything needed to open its chunks but the key.

use std::ops::Deref;

use super::super::bulk::{Commitment, Salt};
use super::super::custody::CustodyError;
use super::super::error::OpenError;
use super::super::identity::{Identity, PublicIdentity, Signature};
use super::super::keyschedule::KeyPackage;
use super::super::label::Label;
use super::super::root::Root;
use super::super::suite::Encapsulated;
use super::header::{Header, Recipient};
use crate::id::BlobId;
use crate::wire::{Fault, Input, Wire, WireError, encode};
use crate::wire_fields;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What the value is about.
    pub header: Header,
    /// Makes the bulk key of this message its own. Unique, so it also is the id of the message.
    pub salt: Salt,
    /// Binds the chunks to one key and this header.
    pub commitment: Commitment,
    /// The HPKE encapsulated key, when sealed to one key package and only then.
    pub enc: Option<Encapsulated>,
    /// The hash over all sealed chunks.
    pub root: Root,
    /// The package to which the sender wants the next value sealed.
    pub next_package: Option<KeyPackage>,
}

/// A statement and a signature that nobody has checked yet. Nothing in it may be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    statement: Statement,
    signature: Signature,
}

/// A manifest whose signature is its sender's. Reads as its [`Statement`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedManifest(Manifest);

wire_fields!(Manifest { statement, signature });

impl Wire for Statement {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { header, salt, commitment, enc, root, next_package } = self;
        header.put(out);
        salt.put(out);
        commitment.put(out);
        enc.put(out);
        root.put(out);
        next_package.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let header: Header = Wire::take(input)?;
        let (salt, commitment) = (Wire::take(input)?, Wire::take(input)?);
        let enc: Option<Encapsulated> = Wire::take(input)?;
        let root = Wire::take(input)?;
        let next_package: Option<KeyPackage> = Wire::take(input)?;
        if enc.is_some() != matches!(header.recipient, Recipient::One(_)) {
            return Err(input.error(Fault::Invalid("an encapsulated key goes with a key package")));
        }
        let keys = [enc.as_ref().map(Encapsulated::suite), next_package.as_ref().map(KeyPackage::suite)];
        if keys.into_iter().flatten().any(|suite| suite != header.suite) {
            return Err(input.error(Fault::Invalid("a key of another suite than the header's")));
        }
        Ok(Self { header, salt, commitment, enc, root, next_package })
    }
}

impl Manifest {
    /// Signs a statement of one's own.
    pub(super) fn sign(statement: Statement, identity: &Identity) -> Result<Self, CustodyError> {
        let signature = identity.sign(Label::Manifest, &encode(&statement))?;
        Ok(Self { statement, signature })
    }

    /// Whom the sealer claims to be: tells which key to verify with, and nothing more.
    pub fn claimed_header(&self) -> &Header {
        &self.statement.header
    }

    /// The id of the sealed value: BLAKE3 of the statement. The signature is no part of it, because
    /// anybody can make a second valid signature from one.
    pub fn blob(&self) -> BlobId {
        BlobId(*blake3::hash(&encode(&self.statement)).as_bytes())
    }

    /// Checks that `sender` signed the statement and is the one it names.
    ///
    /// # Errors
    ///
    /// [`OpenError::WrongSender`] or [`OpenError::BadSignature`].
    pub fn verify(&self, sender: &PublicIdentity) -> Result<VerifiedManifest, OpenError> {
        let signer = sender.node_id();
        let packaged = self.statement.next_package.as_ref().map(|package| package.node);
        for named in [Some(self.statement.header.sender), packaged].into_iter().flatten() {
            if named != signer {
                return Err(OpenError::WrongSender { signer, named });
            }
        }
        sender.verify(Label::Manifest, &encode(&self.statement), &self.signature)?;
        Ok(VerifiedManifest(self.clone()))
    }
}

impl VerifiedManifest {
    /// The manifest, to be sent on or stored.
    pub fn manifest(&self) -> &Manifest {
        &self.0
    }

    /// The id of the sealed value.
    pub fn blob(&self) -> BlobId {
        self.0.blob()
    }
}

impl Deref for VerifiedManifest {
    type Target = Statement;

    fn deref(&self) -> &Statement {
        &self.0.statement
    }
}

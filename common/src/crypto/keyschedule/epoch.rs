//! The secret that all members of an epoch share, wrapped for each of them.

use std::fmt;

use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::super::bulk::InputKey;
use super::super::error::{OpenError, SealError};
use super::super::label::Label;
use super::super::suite::{Encapsulated, Suite};
use super::agreement::{AgreementKey, KeyPackage, Scope, receive, send};
use super::pair::MemberKeys;
use crate::wire_fields;

/// 32 random bytes that the members of one epoch share. Erased when dropped; never stored.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EpochRoot {
    secret: [u8; 32],
    /// Of every package that it is wrapped to, and of what is sealed with it.
    #[zeroize(skip)]
    suite: Suite,
}

/// An [`EpochRoot`] on its way to one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedRoot {
    /// The HPKE encapsulated key.
    pub enc: Encapsulated,
    /// The sealed root: 32 bytes and a 16-byte tag.
    pub ct: [u8; 48],
}

wire_fields!(WrappedRoot { enc, ct });

impl EpochRoot {
    /// A new root.
    pub fn generate(suite: Suite, rng: &mut impl CryptoRng) -> Self {
        let mut root = Self { secret: [0; 32], suite };
        rng.fill_bytes(&mut root.secret);
        root
    }

    /// The suite of its epoch.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Wraps the root for the holder of `package`, and derives the keys shared with that node alone.
    ///
    /// # Errors
    ///
    /// [`SealError::BadPackage`] when the public key is of low order and so agrees on no secret,
    /// [`SealError::WrongSuite`] when it is of another suite.
    pub fn wrap(
        &self,
        package: &KeyPackage,
        scope: &Scope,
        rng: &mut impl CryptoRng,
    ) -> Result<(WrappedRoot, MemberKeys), SealError> {
        self.suite.require(package.suite())?;
        let (enc, mut context) = send(Label::Wrap, scope, package, rng)?;
        let sealed = context.seal(&self.secret).expect("the first message of a context is within its limit");
        let ct = sealed.try_into().expect("32 bytes and a tag are 48 bytes");
        let keys = MemberKeys::export(self.suite, |label, key| context.export(label, key));
        Ok((WrappedRoot { enc, ct }, keys))
    }

    /// The other end of [`Self::wrap`].
    ///
    /// # Errors
    ///
    /// [`OpenError::WrongSuite`] when it is of another suite than the key, [`OpenError::BadExchange`] when `enc`
    /// agrees on no secret, [`OpenError::WrongKey`] when the root was wrapped for another package or scope, or
    /// was altered.
    pub fn unwrap(
        wrapped: &WrappedRoot,
        key: &AgreementKey,
        scope: &Scope,
    ) -> Result<(Self, MemberKeys), OpenError> {
        let mut context = receive(Label::Wrap, scope, key, &wrapped.enc)?;
        let plain = Zeroizing::new(context.open(&wrapped.ct).map_err(|_| OpenError::WrongKey)?);
        let mut root = Self { secret: [0; 32], suite: key.package().suite() };
        root.secret.copy_from_slice(&plain);
        let keys = MemberKeys::export(root.suite, |label, key| context.export(label, key));
        Ok((root, keys))
    }

    /// The bulk input key of everything that is sealed to the group in this epoch.
    pub(in super::super) fn model_key(&self) -> InputKey {
        let mut key = InputKey([0; 32]);
        Hkdf::<Sha256>::from_prk(&self.secret)
            .expect("32 bytes are a pseudorandom key of HKDF-SHA256")
            .expand(Label::Model.as_str().as_bytes(), &mut key.0)
            .expect("32 bytes are far below the limit of HKDF-SHA256");
        key
    }
}

impl fmt::Debug for EpochRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochRoot(..)")
    }
}

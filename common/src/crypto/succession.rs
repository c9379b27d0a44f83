//! A long-term key that takes the place of another one, as both of them say.
//!
//! The old key signs, so that nobody else names its successor; the new key signs, so that nobody is made the successor
//! who does not hold it. Each signs the id of the tenant (16 bytes) and both public keys (33 bytes each), old and new.

use std::fmt;
use std::str::FromStr;

use super::custody::CustodyError;
use super::identity::{BadSignature, Identity, PublicIdentity, Signature};
use super::label::Label;
use crate::id::TenantId;

/// One key's place is another's from now on. As text: both public keys and both signatures, in hex, with spaces between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Succession {
    /// The key that ends.
    pub from: PublicIdentity,
    /// The key in its place.
    pub to: PublicIdentity,
    signatures: [Signature; 2],
}

/// The text is no succession.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a succession is two public keys and two signatures, of 66 and 128 hex digits")]
pub struct NoSuccession;

impl Succession {
    /// Both keys say so.
    ///
    /// # Errors
    ///
    /// [`CustodyError`] when either cannot be used.
    pub fn sign(tenant: TenantId, from: &Identity, to: &Identity) -> Result<Self, CustodyError> {
        let (was, is) = (*from.public(), *to.public());
        let message = message(tenant, &was, &is);
        let [by_old, by_new] = [from, to].map(|key| key.sign(Label::Succession, &message));
        Ok(Self { from: was, to: is, signatures: [by_old?, by_new?] })
    }

    /// Whether both keys said so, in this tenant.
    ///
    /// # Errors
    ///
    /// [`BadSignature`] when either did not.
    pub fn verify(&self, tenant: TenantId) -> Result<(), BadSignature> {
        let Self { from, to, signatures: [by_old, by_new] } = self;
        let message = message(tenant, from, to);
        from.verify(Label::Succession, &message, by_old)?;
        to.verify(Label::Succession, &message, by_new)
    }
}

fn message(tenant: TenantId, from: &PublicIdentity, to: &PublicIdentity) -> Vec<u8> {
    [&tenant.0[..], &from.to_bytes(), &to.to_bytes()].concat()
}

impl fmt::Display for Succession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, signatures } = self;
        let [by_old, by_new] = signatures.map(|Signature(signature)| hex::encode(signature));
        write!(f, "{from} {to} {by_old} {by_new}")
    }
}

impl FromStr for Succession {
    type Err = NoSuccession;

    fn from_str(text: &str) -> Result<Self, NoSuccession> {
        let words: Vec<&str> = text.splitn(5, ' ').collect();
        let [from, to, by_old, by_new] = words[..] else { return Err(NoSuccession) };
        let key = |word: &str| word.parse().map_err(|_| NoSuccession);
        let signature = |word: &str| {
            let mut signature = Signature([0; 64]);
            hex::decode_to_slice(word, &mut signature.0).map(|()| signature).map_err(|_| NoSuccession)
        };
        Ok(Self { from: key(from)?, to: key(to)?, signatures: [signature(by_old)?, signature(by_new)?] })
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const TENANT: TenantId = TenantId([7; 16]);

    fn identity(seed: u64) -> Identity {
        Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[test]
    fn both_keys_say_who_succeeds_and_the_text_of_it_is_read_back() {
        let succession = Succession::sign(TENANT, &identity(1), &identity(2)).unwrap();
        assert_eq!((succession.from, succession.to), (*identity(1).public(), *identity(2).public()));
        assert_eq!(succession.verify(TENANT), Ok(()));
        assert_eq!(succession.verify(TenantId([8; 16])), Err(BadSignature));
        let text = succession.to_string();
        assert_eq!(text.parse(), Ok(succession));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            let altered = String::from_utf8(bytes).unwrap().parse::<Succession>();
            assert!(altered.is_err() || altered.unwrap().verify(TENANT).is_err(), "at {at}");
        }
        for wrong in ["", &text[1..], &text[..text.len() - 1], &format!("{text} ")] {
            assert_eq!(wrong.parse::<Succession>(), Err(NoSuccession), "{wrong}");
        }
    }

    #[test]
    fn neither_key_names_a_successor_alone() {
        let (old, new, other) = (identity(1), identity(2), identity(3));
        let told = |from, to| Succession::sign(TENANT, from, to).unwrap();
        let signed =
            |by: &Identity| by.sign(Label::Succession, &message(TENANT, old.public(), new.public())).unwrap();
        let whole = told(&old, &new);
        let half = |signatures| Succession { signatures, ..whole };
        assert_eq!(half([signed(&old), signed(&new)]).verify(TENANT), Ok(()));
        for signatures in [[signed(&other), signed(&new)], [signed(&old), signed(&other)]] {
            assert_eq!(half(signatures).verify(TENANT), Err(BadSignature));
        }
        let turned = Succession { from: whole.to, to: whole.from, signatures: [signed(&new), signed(&old)] };
        assert_eq!(turned.verify(TENANT), Err(BadSignature));
    }
}

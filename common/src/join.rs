//! What a node that joins with a token says to the coordinator, and what it is answered: bytes alone.
//!
//! ```text
//! frame     length (u32, little-endian) | body
//! request   "STRJ" | version 1 | id of the token (8) | question, see `crypto::preshared`
//!           question  key (33) | tenant, if the node has one | time | name | labels | signature (64)
//! reply     1 | sealed answer
//!           2 | why it was turned away, in the clear and by nobody's word
//! ```
//!
//! The signature is of the key that is to be let in, over the token's id, the operator's key and all of the question:
//! nobody asks for a key that he has not. A token that is not known, or not good any more, costs the coordinator no
//! operation with a key.

mod answer;

use rand_core::CryptoRng;

use crate::crypto::{
    AnswerKey, CustodyError, Identity, Label, OpenError, PresharedSeed, PublicIdentity, Signature,
};
use crate::id::TokenId;
use crate::known::{LABELS_MAX, Labels, Peer};
use crate::limits::{JOIN_REQUEST_BYTES_MAX, NAME_BYTES_MAX};
use crate::token::Token;
use crate::units::{Millis, Timestamp};
use crate::wire::{Fault, Input, List, Text, Wire, WireError, decode};

pub use answer::{Answer, Refusal, Reply, ReplyError, Standing, TurnedAway};

/// What a request begins with.
const MAGIC: [u8; 4] = *b"STRJ";

/// Of this format.
const VERSION: u8 = 1;

/// Two clocks may differ by this much: a request is good for so long, and no longer.
pub const CLOCK_MAX: Millis = Millis(5 * 60_000);

/// A name, as it is on the wire.
pub type Name = Text<NAME_BYTES_MAX>;

/// What a node asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The tenant that its folder has already; a new one has none.
    pub tenant: Option<Name>,
    /// By the node's clock.
    pub at: Timestamp,
    /// Its name, its key, and the labels that it would like.
    pub peer: Peer,
}

/// Bytes that are no request to join.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// More than a request may have.
    #[error("{0} bytes are more than the {JOIN_REQUEST_BYTES_MAX} of a request")]
    TooLong(usize),
    /// It is something else, or of another version.
    #[error("not a request of version {VERSION}: {0}")]
    Malformed(#[from] WireError),
    /// Asked with another secret, of another operator, or altered.
    #[error(transparent)]
    Closed(#[from] OpenError),
    /// The key that is to be let in did not sign.
    #[error("its key did not sign it")]
    Unsigned,
}

/// A request that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The name cannot stand on a roster.
    #[error("`{0}` is no name: one word of 1 to {NAME_BYTES_MAX} bytes; choose another one with --name")]
    Name(String),
    /// A label cannot, or there are too many.
    #[error("`{0}` is no label: name=value, each one word, at most {LABELS_MAX} of them")]
    Label(String),
    /// The token has no key to ask with.
    #[error("the token was altered: ask its maker for another one")]
    Token,
    /// More than a request may have.
    #[error("the labels have too many bytes together; leave some out")]
    TooLong,
    /// The node's key does not sign.
    #[error(transparent)]
    Custody(#[from] CustodyError),
}

impl Request {
    /// The bytes for the coordinator; with the key for its answer.
    ///
    /// # Errors
    ///
    /// [`AskError`] when the name or a label is none, or it cannot be signed.
    pub fn seal(
        &self,
        token: &Token,
        identity: &Identity,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, AnswerKey), AskError> {
        let mut question = identity.public().to_bytes().to_vec();
        self.put(&mut question)?;
        let context = context(token.id(), &token.operator);
        let Signature(signature) = identity.sign(Label::Joiner, &[&context[..], &question].concat())?;
        question.extend_from_slice(&signature);
        let (question, key) = token.key.ask(&context, &question, rng).map_err(|_| AskError::Token)?;
        let bytes = [&MAGIC[..], &[VERSION], &token.id().0, &question].concat();
        if bytes.len() > JOIN_REQUEST_BYTES_MAX { Err(AskError::TooLong) } else { Ok((bytes, key)) }
    }

    /// The token that bytes name, if they may be a request. Costs nothing.
    ///
    /// # Errors
    ///
    /// [`RequestError`] when they are none.
    pub fn claimed(bytes: &[u8]) -> Result<TokenId, RequestError> {
        split(bytes).map(|(token, _)| token)
    }

    /// Opens a request that was made with the token of this seed, and checks who signed it.
    ///
    /// # Errors
    ///
    /// [`RequestError`] says what is wrong with it.
    pub fn open(
        bytes: &[u8],
        seed: &PresharedSeed,
        operator: &PublicIdentity,
    ) -> Result<(Self, AnswerKey), RequestError> {
        let (token, question) = split(bytes)?;
        let context = context(token, operator);
        let (question, key) = seed.open(&context, question)?;
        let mut input = Input::new(&question);
        let body = question.len().checked_sub(64).ok_or_else(|| input.error(Fault::Short))?;
        let (body, signature) = (input.slice(body)?, Signature(Wire::take(&mut input)?));
        let mut input = Input::new(body);
        let signer = PublicIdentity::take(&mut input)?;
        let signed = signer.verify(Label::Joiner, &[&context[..], body].concat(), &signature);
        signed.map_err(|_| RequestError::Unsigned)?;
        let request = Self::take(signer, &mut input)?;
        match input.rest() {
            [] => Ok((request, key)),
            _ => Err(input.error(Fault::Trailing).into()),
        }
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<(), AskError> {
        let Peer { name, labels, .. } = &self.peer;
        let word = |text: &str| one_word(text).and_then(|text| Name::try_from(text).ok());
        self.tenant.put(out);
        self.at.put(out);
        word(name).ok_or_else(|| AskError::Name(name.clone()))?.put(out);
        let label = |(name, value): (&String, &String)| {
            let label = word(name).zip(word(value)).filter(|_| !name.contains('='));
            label
                .map(|(name, value)| Labelled { name, value })
                .ok_or_else(|| AskError::Label(format!("{name}={value}")))
        };
        let labels = labels.iter().map(label).collect::<Result<Vec<_>, _>>()?;
        let last = labels.last().map(|label| label.name.to_string()).unwrap_or_default();
        List::<Labelled, LABELS_MAX>::try_from(labels).map_err(|_| AskError::Label(last))?.put(out);
        Ok(())
    }

    fn take(key: PublicIdentity, input: &mut Input<'_>) -> Result<Self, WireError> {
        let (tenant, at) = (Wire::take(input)?, Wire::take(input)?);
        let name = Name::take(input)?;
        let listed = List::<Labelled, LABELS_MAX>::take(input)?;
        let mut labels = Labels::new();
        let words = [&name].into_iter().chain(listed.iter().flat_map(|label| [&label.name, &label.value]));
        if words.into_iter().any(|word| one_word(word).is_none()) {
            return Err(input.error(Fault::Invalid("a name or a label is not one word")));
        }
        for Labelled { name, value } in listed.iter() {
            let is_next = labels.last_key_value().is_none_or(|(last, _): (&String, _)| **last < **name);
            if name.contains('=') || !is_next {
                return Err(input.error(Fault::Invalid("labels are not in order, each name once")));
            }
            labels.insert(name.to_string(), value.to_string());
        }
        Ok(Self { tenant, at, peer: Peer { name: name.to_string(), key, labels } })
    }
}

/// A label on the wire.
struct Labelled {
    name: Name,
    value: Name,
}

crate::wire_fields!(Labelled { name, value });

/// What may stand in a roster's line and on an operator's terminal as one word; a line that begins with `#` is none.
fn one_word(text: &str) -> Option<&str> {
    let fits = |char: char| !char.is_whitespace() && !char.is_control();
    (!text.is_empty() && !text.starts_with('#') && text.chars().all(fits)).then_some(text)
}

/// What a request must not be separated from.
fn context(token: TokenId, operator: &PublicIdentity) -> Vec<u8> {
    [&token.0[..], &operator.to_bytes()].concat()
}

/// The token's id, and the question.
fn split(bytes: &[u8]) -> Result<(TokenId, &[u8]), RequestError> {
    if bytes.len() > JOIN_REQUEST_BYTES_MAX {
        return Err(RequestError::TooLong(bytes.len()));
    }
    let mut input = Input::new(bytes);
    if <[u8; 4]>::take(&mut input)? != MAGIC {
        return Err(input.error(Fault::Invalid("it begins with something else")).into());
    }
    match u8::take(&mut input)? {
        VERSION => Ok((TokenId::take(&mut input)?, input.rest())),
        other => Err(input.error(Fault::Unknown(other.into())).into()),
    }
}

#[cfg(test)]
mod tests;

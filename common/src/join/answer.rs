//! What somebody who wants to join is answered.

use std::fmt;

use super::{Name, decode};
use crate::crypto::certificate::CERTIFICATE_BYTES_MAX;
use crate::crypto::{AnswerKey, OpenError, Suite};
use crate::limits::{GLOB_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::units::Timestamp;
use crate::wire::{Fault, Input, List, Text, Wire, WireError, encode};

/// An answer, for who asked alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// By the coordinator's clock.
    pub at: Timestamp,
    /// What became of the request.
    pub standing: Standing,
    /// The tenant that the coordinator works for.
    pub tenant: Name,
    /// The DDS domain in which it meets its nodes.
    pub domain: u16,
    /// The cryptography of its fleet.
    pub suite: Suite,
    /// Its roster, as the operator signed it: whoever is let in believes it only after a look at that. Empty in a refusal.
    pub roster: Text<MESSAGE_BYTES_MAX>,
    /// Its certificate, as DER, when it is admitted and needs one; else empty: `node run` is sent one.
    pub certificate: List<u8, CERTIFICATE_BYTES_MAX>,
}

crate::wire_fields!(Answer { at, standing, tenant, domain, suite, roster, certificate });

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The node is on the roster.
    Admitted,
    /// The operator is to approve it.
    Waiting,
    /// Neither.
    Refused(Refusal),
}

/// Why a node is not let in with a token that opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another key has used the token.
    Used,
    /// The node's folder is of another tenant than the coordinator.
    OtherTenant,
    /// The two clocks differ by more than [`CLOCK_MAX`](super::CLOCK_MAX).
    Clock,
    /// Another node has the name, or waits under it.
    NameTaken,
    /// The token is good for other names.
    OtherName {
        /// For these.
        pattern: Text<GLOB_BYTES_MAX>,
    },
    /// The key was taken out, and stays so.
    Revoked,
    /// As many wait as may.
    Full,
    /// Its request was not approved, and is forgotten.
    Dismissed,
    /// Its certificate ended, and the token was used before.
    Lapsed,
}

/// What comes back, in one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An answer under the key of the request.
    Sealed(Vec<u8>),
    /// No answer. Whoever is on the way can say so: it is a hint and no more.
    TurnedAway(TurnedAway),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// There is no such token.
    Unknown,
    /// It was good until lately.
    Expired,
    /// The operator took it back.
    Revoked,
    /// Too many ask.
    Busy,
    /// The bytes are no request, or not one that was made with this token.
    Unreadable,
}

crate::wire_tags!(TurnedAway { Unknown = 1, Expired = 2, Revoked = 3, Busy = 4, Unreadable = 5 });

/// Bytes that are no reply to a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// They are something else.
    #[error("what answers there is no coordinator of this version: {0}")]
    Malformed(#[from] WireError),
    /// Not sealed by who issued the token, or altered on the way.
    #[error("the answer is not of the coordinator that issued the token, or was altered on the way: {0}")]
    Closed(#[from] OpenError),
}

impl Reply {
    /// The bytes for who asked.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Sealed(sealed) => [&[1][..], sealed].concat(),
            Self::TurnedAway(why) => vec![2, encode(why)[0]],
        }
    }

    /// Reads what came.
    ///
    /// # Errors
    ///
    /// [`ReplyError::Malformed`] when it is no reply.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReplyError> {
        match bytes.split_first() {
            Some((1, sealed)) => Ok(Self::Sealed(sealed.to_vec())),
            Some((2, why)) => Ok(Self::TurnedAway(decode(why)?)),
            Some((other, _)) => Err(Input::new(bytes).error(Fault::Unknown((*other).into())).into()),
            None => Err(Input::new(bytes).error(Fault::Short).into()),
        }
    }
}

impl Answer {
    /// Opens a sealed answer.
    ///
    /// # Errors
    ///
    /// [`ReplyError`] when it is not to this request, or is none.
    pub fn open(sealed: &[u8], key: &AnswerKey) -> Result<Self, ReplyError> {
        Ok(decode(&key.open(sealed)?)?)
    }
}

/// What it means, and what to do.
impl fmt::Display for TurnedAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "it knows no such token: is it the host where the token was made?",
            Self::Expired => {
                "the token has expired; ask the operator for another one (`coordinator token create`)"
            }
            Self::Revoked => {
                "the token was taken back; ask the operator for another one (`coordinator token create`)"
            }
            Self::Busy => "too many ask at once; try again in a minute",
            Self::Unreadable => "it could not read the request: are both programs of one version?",
        })
    }
}

/// What it means, and what to do.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Used => {
                "another machine has used the token; if it was none of yours, tell the operator, and ask for another one"
            }
            Self::OtherTenant => "this folder is of another tenant; join with a new folder (--dir)",
            Self::Clock => {
                "the clocks of this machine and of the coordinator differ by more than five minutes: set them (NTP), and join again"
            }
            Self::NameTaken => "another node has this name; choose another one with --name",
            Self::OtherName { pattern } => {
                return write!(f, "the token is for nodes named {pattern:?}; choose such a name with --name");
            }
            Self::Revoked => {
                "the key of this folder was revoked, and stays so; join with a new folder (--dir)"
            }
            Self::Full => {
                "too many nodes wait for approval; the operator has to look at them first (`coordinator node list`)"
            }
            Self::Lapsed => {
                "the certificate of this node ended: ask the operator for another token, or for `coordinator node renew`"
            }
            Self::Dismissed => "the operator did not approve this node; ask for another token",
        };
        f.write_str(text)
    }
}

impl Wire for Standing {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Admitted => out.push(1),
            Self::Waiting => out.push(2),
            Self::Refused(why) => {
                out.push(3);
                why.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(match u8::take(input)? {
            1 => Self::Admitted,
            2 => Self::Waiting,
            3 => Self::Refused(Wire::take(input)?),
            tag => return Err(input.error(Fault::Unknown(u64::from(tag)))),
        })
    }
}

impl Wire for Refusal {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Used => 1,
            Self::OtherTenant => 2,
            Self::Clock => 3,
            Self::NameTaken => 4,
            Self::OtherName { .. } => 5,
            Self::Revoked => 6,
            Self::Full => 7,
            Self::Dismissed => 8,
            Self::Lapsed => 9,
        });
        if let Self::OtherName { pattern } = self {
            pattern.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(match u8::take(input)? {
            1 => Self::Used,
            2 => Self::OtherTenant,
            3 => Self::Clock,
            4 => Self::NameTaken,
            5 => Self::OtherName { pattern: Wire::take(input)? },
            6 => Self::Revoked,
            7 => Self::Full,
            8 => Self::Dismissed,
            9 => Self::Lapsed,
            tag => return Err(input.error(Fault::Unknown(u64::from(tag)))),
        })
    }
}

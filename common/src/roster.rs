//! Who belongs to a tenant: its coordinator and its nodes, as its operator signed it.
//!
//! A roster is a text that people can read and compare. What an operator changes gets the next version, and nobody takes
//! an older one than he has:
//!
//! ```text
//! starling roster
//! tenant default
//! version 3
//! coordinator 02ab…
//! operator 02aa… 03bb… 77f0… 41c9…
//! certificate MIIBkz…
//! certificate MIIBlD…
//! node web-1 03cd… rack=A
//! former web-1 02dc… rack=A
//! revoked 02ef… its disk was stolen
//! signature 5d31…
//! ```
//!
//! The last line is the operator's ECDSA P-256 signature over everything before it (`r || s`, 128 hex digits), so a
//! coordinator alone can neither add a member nor bring one back.
//!
//! Keys change while rounds go on. A line `operator` is a [`Succession`]: the first key of the operator handed over to the
//! second. Who holds the first one, or one before it, finds the way to the key that signs. A line `former` is the key that
//! a member had before the one that it has: with it, it ends the rounds that it is in, and is in no new one.

//!
//! The lines `certificate` are X.509 certificates of the operator and of the coordinator, in base64: the way from a node's
//! to the operator's, for programs that know nothing of rosters.

mod text;

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::crypto::{
    Certificate, CustodyError, Holder, Identity, IssueError, Label, PublicIdentity, Rank, Signature,
    Succession,
};
use crate::id::{NodeId, TenantId};
use crate::known::{Known, KnownError, Peer};
use crate::limits::{COHORT_MAX, MESSAGE_BYTES_MAX};
use crate::units::Timestamp;

/// Bytes of a reason for which a node was revoked.
pub const REASON_BYTES_MAX: usize = 256;

/// How often a tenant is handed over before who missed the first time cannot follow any more.
pub const SUCCESSIONS_MAX: usize = 16;

/// What the first line says.
const TITLE: &str = "starling roster";

/// The members of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// The tenant's name.
    pub tenant: String,
    /// Counted up with each change.
    pub version: u64,
    /// The key that may sign rounds.
    pub coordinator: PublicIdentity,
    /// The operator's keys, from the oldest that is still told of to the one that signs.
    pub operators: Vec<Succession>,
    /// The certificates above those of nodes; made when it is signed.
    pub authority: Option<Authority>,
    /// Who may take part in them.
    pub nodes: Known,
    /// Members by the keys that they had before, until they use the new ones.
    pub former: Known,
    /// Who was taken out, so that it is told why.
    pub revoked: BTreeMap<NodeId, Revoked>,
}

/// The certificates above those of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The operator's, by himself.
    pub operator: Certificate,
    /// The coordinator's, by the operator.
    pub coordinator: Certificate,
}

impl Authority {
    fn issue(roster: &Roster, operator: &Identity, now: Timestamp) -> Result<Self, IssueError> {
        let of = |rank, key: &PublicIdentity| {
            Holder { tenant: &roster.tenant, rank, key: *key }.certify(operator, now, None)
        };
        let (root, coordinator) = (operator.public(), &roster.coordinator);
        Ok(Self { operator: of(Rank::Operator, root)?, coordinator: of(Rank::Coordinator, coordinator)? })
    }

    /// Whether it leads from this operator to this coordinator.
    fn is_of(&self, operator: &PublicIdentity, coordinator: &PublicIdentity) -> bool {
        self.operator.key() == operator && self.coordinator.key() == coordinator
    }
}

/// A node that was taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its key.
    pub key: PublicIdentity,
    /// Why, in the operator's words.
    pub reason: String,
}

/// What a node is to a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership<'r> {
    /// It belongs to it.
    Member(&'r Peer),
    /// It does under another key from now on; under this one it ends what it began.
    Former(&'r Peer),
    /// It did, until it was taken out.
    Revoked(&'r Revoked),
    /// It never did.
    Unknown,
}

impl Membership<'_> {
    /// Why it is not let in, if it is not.
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Member(_) | Self::Former(_) => None,
            Self::Revoked(Revoked { reason, .. }) if reason.is_empty() => Some("it was revoked".to_owned()),
            Self::Revoked(Revoked { reason, .. }) => Some(format!("it was revoked: {reason}")),
            Self::Unknown => Some("it is not on the roster".to_owned()),
        }
    }
}

/// A text that is not a roster of this operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// More than a message may have.
    #[error("{0} bytes are more than the {MESSAGE_BYTES_MAX} of a roster")]
    TooLong(usize),
    /// The last line is no signature.
    #[error("the last line is not `signature` and 128 hex digits")]
    Unsigned,
    /// It was changed, or somebody else signed it.
    #[error("the signature is not the operator's over this text")]
    WrongSignature,
    /// A line that should be there is not.
    #[error("line {line}: expected `{expected}`")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// A key that does not lead to the one that signs.
    #[error("line {0}: not the successor of the operator's key before it")]
    NotSuccessor(usize),
    /// Of somebody else's members.
    #[error("it is of the tenant `{found}`, and not of `{wanted}`")]
    OtherTenant {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// A roster that was signed before one that is known.
    #[error("it has version {found}, and version {known} counts already: do the change again, from that one")]
    Old {
        /// Its version.
        found: u64,
        /// The version that counts.
        known: u64,
    },
    /// A line of a node is wrong.
    #[error(transparent)]
    Node(#[from] KnownError),
    /// A member and revoked, or revoked twice.
    #[error("line {0}: this key has a line already")]
    SameKey(usize),
    /// The certificates are of other keys than the operator's and the coordinator's.
    #[error("its certificates are not of the operator who signs it and the coordinator that it names")]
    Authority,
    /// No certificate can be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The operator's key does not sign.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// More were revoked than can be told of.
    #[error("{0} revoked nodes are more than the limit of {COHORT_MAX}; forget the oldest")]
    TooManyRevoked(usize),
}

impl Roster {
    /// Of a new tenant: nobody is there but its coordinator.
    pub fn new(tenant: &str, coordinator: PublicIdentity) -> Self {
        let (operators, authority, nodes, former, revoked) = Default::default();
        Self {
            tenant: tenant.to_owned(),
            version: 1,
            coordinator,
            operators,
            authority,
            nodes,
            former,
            revoked,
        }
    }

    /// The id of the tenant.
    pub fn tenant_id(&self) -> TenantId {
        TenantId::of_name(&self.tenant)
    }

    /// The operator's key, for who knew this one of his, now or before.
    pub fn operator(&self, known: &PublicIdentity) -> PublicIdentity {
        self.operators.last().map_or(*known, |newest| newest.to)
    }

    /// What a node is.
    pub fn membership(&self, node: NodeId) -> Membership<'_> {
        match (self.nodes.get(&node), self.former.get(&node), self.revoked.get(&node)) {
            (Some(peer), ..) => Membership::Member(peer),
            (_, Some(peer), _) => Membership::Former(peer),
            (.., Some(revoked)) => Membership::Revoked(revoked),
            _ => Membership::Unknown,
        }
    }

    /// What is known of who may send: a member, by the key that it has or had.
    pub fn peer(&self, node: NodeId) -> Option<&Peer> {
        self.nodes.get(&node).or_else(|| self.former.get(&node))
    }

    /// What people call a node: its name, or the start of its id.
    pub fn name(&self, node: NodeId) -> String {
        self.peer(node).map_or_else(|| format!("{node:?}"), |peer| peer.name.clone())
    }

    /// The member that has the place of this former key now.
    pub fn successor(&self, former: NodeId) -> Option<&Peer> {
        let name = &self.former.get(&former)?.name;
        self.nodes.values().find(|peer| peer.name == *name)
    }

    /// What comes after it, before anything is changed: the same in the next version.
    #[must_use]
    pub fn following(self) -> Self {
        Self { version: self.version + 1, ..self }
    }

    /// Lets a node in; one that is in already has another name or other labels.
    pub fn admit(&mut self, peer: Peer) {
        self.nodes.insert(peer.key.node_id(), peer);
    }

    /// Takes a node out, under each of its keys; false when it is no member.
    pub fn revoke(&mut self, node: NodeId, reason: &str) -> bool {
        let Some(name) = self.peer(node).map(|peer| peer.name.clone()) else { return false };
        let one_line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        let reason = one_line[..one_line.floor_char_boundary(REASON_BYTES_MAX)].to_owned();
        for peers in [&mut self.nodes, &mut self.former] {
            let gone = peers.extract_if(.., |_, peer| peer.name == name);
            self.revoked.extend(gone.map(|(node, Peer { key, .. })| {
                let reason = reason.clone();
                (node, Revoked { key, reason })
            }));
        }
        true
    }

    /// A member has another key from now on; false when the old one is no member's, or the new one is known already.
    pub fn succeed(&mut self, from: NodeId, to: PublicIdentity) -> bool {
        if self.membership(to.node_id()) != Membership::Unknown {
            return false;
        }
        let Some(peer) = self.nodes.remove(&from) else { return false };
        self.former.retain(|_, former| former.name != peer.name);
        self.former.insert(from, peer.clone());
        self.admit(Peer { key: to, ..peer });
        true
    }

    /// The operator hands the tenant over to another key, which signs from now on.
    ///
    /// # Errors
    ///
    /// [`CustodyError`] when either key cannot be used.
    pub fn hand_over(&mut self, from: &Identity, to: &Identity) -> Result<(), CustodyError> {
        self.operators.push(Succession::sign(self.tenant_id(), from, to)?);
        let forgotten = self.operators.len().saturating_sub(SUCCESSIONS_MAX);
        self.operators.drain(..forgotten);
        Ok(())
    }

    /// The text under the operator's signature, with new certificates if operator or coordinator are others than before.
    ///
    /// # Errors
    ///
    /// [`RosterError`] when that could not be read back: a name with a space, or more than fits.
    pub fn sign(&mut self, operator: &Identity, now: Timestamp) -> Result<String, RosterError> {
        let is_of = |authority: &Authority| authority.is_of(operator.public(), &self.coordinator);
        if !self.authority.as_ref().is_some_and(is_of) {
            self.authority = Some(Authority::issue(self, operator, now)?);
        }
        let mut text = text::write(self);
        let Signature(signature) = operator.sign(Label::Roster, text.as_bytes())?;
        let _ = writeln!(text, "signature {}", hex::encode(signature));
        Self::open(&text, operator.public())?;
        Ok(text)
    }

    /// Reads a roster that this operator signed, or one to whom he handed over.
    ///
    /// # Errors
    ///
    /// [`RosterError`] names the line; the signature is looked at before any of them.
    pub fn open(text: &str, operator: &PublicIdentity) -> Result<Self, RosterError> {
        let (unsigned, signature) = text::split(text)?;
        let signer = text::signer(unsigned, operator);
        let signed = signer.verify(Label::Roster, unsigned.as_bytes(), &signature);
        signed.map_err(|_| RosterError::WrongSignature)?;
        let roster = text::read(unsigned)?;
        let is_of = |authority: &Authority| authority.is_of(&signer, &roster.coordinator);
        match &roster.authority {
            _ if roster.operator(&signer) != signer => Err(RosterError::WrongSignature),
            Some(authority) if is_of(authority) => Ok(roster),
            _ => Err(RosterError::Authority),
        }
    }

    /// Reads the roster that is to count after this one.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]; and when it is of another tenant, or no newer.
    pub fn newer(&self, text: &str, operator: &PublicIdentity) -> Result<Self, RosterError> {
        let next = Self::open(text, operator)?;
        if next.tenant != self.tenant {
            return Err(RosterError::OtherTenant { found: next.tenant, wanted: self.tenant.clone() });
        }
        let (found, known) = (next.version, self.version);
        if found > known { Ok(next) } else { Err(RosterError::Old { found, known }) }
    }

    /// Reads a roster without a look at who signed it: for who trusts nothing that it says.
    ///
    /// # Errors
    ///
    /// [`RosterError`] names the line.
    pub fn read(text: &str) -> Result<Self, RosterError> {
        text::read(text::split(text)?.0)
    }

    /// The version that a text claims. To look whether it is news costs no signature.
    pub fn claimed_version(text: &str) -> Option<u64> {
        text.lines().nth(2)?.strip_prefix("version ")?.parse().ok()
    }
}

#[cfg(test)]
mod tests;

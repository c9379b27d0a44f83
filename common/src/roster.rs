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
//! node web-1 03cd… rack=A
//! revoked 02ef… its disk was stolen
//! signature 5d31…
//! ```
//!
//! The last line is the operator's ECDSA P-256 signature over everything before it (`r || s`, 128 hex digits), so a
//! coordinator alone can neither add a member nor bring one back.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::crypto::{CustodyError, Identity, Label, PublicIdentity, Signature};
use crate::id::{NodeId, TenantId};
use crate::known::{self, Known, KnownError, Peer};
use crate::limits::{COHORT_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX};

/// Bytes of a reason for which a node was revoked.
pub const REASON_BYTES_MAX: usize = 256;

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
    /// Who may take part in them.
    pub nodes: Known,
    /// Who was taken out, so that it is told why.
    pub revoked: BTreeMap<NodeId, Revoked>,
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
    /// It did, until it was taken out.
    Revoked(&'r Revoked),
    /// It never did.
    Unknown,
}

impl Membership<'_> {
    /// Why it is not let in, if it is not.
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Member(_) => None,
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
    /// A line of a node is wrong.
    #[error(transparent)]
    Node(#[from] KnownError),
    /// A member and revoked, or revoked twice.
    #[error("line {0}: this key has a line already")]
    SameKey(usize),
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
        let (nodes, revoked) = Default::default();
        Self { tenant: tenant.to_owned(), version: 1, coordinator, nodes, revoked }
    }

    /// The id of the tenant.
    pub fn tenant_id(&self) -> TenantId {
        TenantId::of_name(&self.tenant)
    }

    /// What a node is.
    pub fn membership(&self, node: NodeId) -> Membership<'_> {
        match (self.nodes.get(&node), self.revoked.get(&node)) {
            (Some(peer), _) => Membership::Member(peer),
            (None, Some(revoked)) => Membership::Revoked(revoked),
            (None, None) => Membership::Unknown,
        }
    }

    /// Lets a node in; one that is in already has another name or other labels.
    pub fn admit(&mut self, peer: Peer) {
        self.nodes.insert(peer.key.node_id(), peer);
    }

    /// Takes a node out; false when it is no member.
    pub fn revoke(&mut self, node: NodeId, reason: &str) -> bool {
        let Some(peer) = self.nodes.remove(&node) else { return false };
        let one_line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        let reason = one_line[..one_line.floor_char_boundary(REASON_BYTES_MAX)].to_owned();
        self.revoked.insert(node, Revoked { key: peer.key, reason });
        true
    }

    /// The text under the operator's signature.
    ///
    /// # Errors
    ///
    /// [`RosterError`] when that could not be read back: a name with a space, or more than fits.
    pub fn sign(&self, operator: &Identity) -> Result<String, RosterError> {
        let mut text = self.unsigned();
        let Signature(signature) = operator.sign(Label::Roster, text.as_bytes())?;
        let _ = writeln!(text, "signature {}", hex::encode(signature));
        Self::open(&text, operator.public())?;
        Ok(text)
    }

    /// Reads a roster that this operator signed.
    ///
    /// # Errors
    ///
    /// [`RosterError`] names the line; the signature is looked at before any of them.
    pub fn open(text: &str, operator: &PublicIdentity) -> Result<Self, RosterError> {
        let (unsigned, signature) = split(text)?;
        let signed = operator.verify(Label::Roster, unsigned.as_bytes(), &signature);
        signed.map_err(|_| RosterError::WrongSignature)?;
        Self::parse(unsigned)
    }

    /// Reads a roster without a look at who signed it: for who trusts nothing that it says.
    ///
    /// # Errors
    ///
    /// [`RosterError`] names the line.
    pub fn read(text: &str) -> Result<Self, RosterError> {
        Self::parse(split(text)?.0)
    }

    /// The version that a text claims. To look whether it is news costs no signature.
    pub fn claimed_version(text: &str) -> Option<u64> {
        text.lines().nth(2)?.strip_prefix("version ")?.parse().ok()
    }

    fn unsigned(&self) -> String {
        let Self { tenant, version, coordinator, nodes, revoked } = self;
        let mut text = format!("{TITLE}\ntenant {tenant}\nversion {version}\ncoordinator {coordinator}\n");
        let mut peers: Vec<&Peer> = nodes.values().collect();
        peers.sort_by(|one, other| one.name.cmp(&other.name));
        for Peer { name, key, labels } in peers {
            let _ = write!(text, "node {name} {key}");
            for (name, value) in labels {
                let _ = write!(text, " {name}={value}");
            }
            text.push('\n');
        }
        for Revoked { key, reason } in revoked.values() {
            text.push_str(format!("revoked {key} {reason}").trim_end());
            text.push('\n');
        }
        text
    }

    fn parse(text: &str) -> Result<Self, RosterError> {
        let mut lines = text.lines();
        let mut head = |line: usize, expected: &'static str| {
            let found = lines.next().and_then(|text| text.strip_prefix(expected));
            found.map(str::trim).ok_or(RosterError::Line { line, expected })
        };
        head(1, TITLE)?;
        let tenant = head(2, "tenant ")?.to_owned();
        let version = head(3, "version ")?.parse().ok().filter(|version| *version > 0);
        let version = version.ok_or(RosterError::Line { line: 3, expected: "version N" })?;
        let coordinator = head(4, "coordinator ")?.parse().ok();
        let coordinator = coordinator.ok_or(RosterError::Line { line: 4, expected: "coordinator KEY" })?;
        if tenant.is_empty() || tenant.len() > NAME_BYTES_MAX {
            return Err(RosterError::Line { line: 2, expected: "tenant NAME" });
        }
        let (mut nodes, mut revoked) = (String::new(), BTreeMap::new());
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            match text.split_once(' ') {
                // What is left of it has the same number among lines that are empty.
                Some(("node", peer)) => nodes.push_str(peer),
                Some(("revoked", rest)) => {
                    let (node, who) = parse_revoked(rest)
                        .ok_or(RosterError::Line { line, expected: "revoked KEY REASON" })?;
                    if revoked.insert(node, who).is_some() {
                        return Err(RosterError::SameKey(line));
                    }
                }
                _ if line <= 4 => (),
                _ => return Err(RosterError::Line { line, expected: "node NAME KEY" }),
            }
            nodes.push('\n');
        }
        let nodes = known::parse(&nodes)?;
        match revoked.len() {
            count if count > COHORT_MAX => return Err(RosterError::TooManyRevoked(count)),
            _ => (),
        }
        if let Some(node) = revoked.keys().find(|node| nodes.contains_key(node)) {
            let key = nodes[node].key.to_string();
            let line = text.lines().position(|line| line.starts_with("revoked ") && line.contains(&key));
            return Err(RosterError::SameKey(line.unwrap_or_default() + 1));
        }
        Ok(Self { tenant, version, coordinator, nodes, revoked })
    }
}

/// What was signed, and the signature.
fn split(text: &str) -> Result<(&str, Signature), RosterError> {
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(RosterError::TooLong(text.len()));
    }
    let line = text.strip_suffix('\n').ok_or(RosterError::Unsigned)?.rsplit('\n').next().unwrap_or_default();
    let digits = line.strip_prefix("signature ").ok_or(RosterError::Unsigned)?;
    let mut signature = Signature([0; 64]);
    hex::decode_to_slice(digits, &mut signature.0).map_err(|_| RosterError::Unsigned)?;
    Ok((&text[..text.len() - line.len() - 1], signature))
}

fn parse_revoked(rest: &str) -> Option<(NodeId, Revoked)> {
    let (key, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let key: PublicIdentity = key.parse().ok()?;
    let reason = Some(reason.to_owned()).filter(|reason| reason.len() <= REASON_BYTES_MAX)?;
    Some((key.node_id(), Revoked { key, reason }))
}

#[cfg(test)]
mod tests;

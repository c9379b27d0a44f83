//! The text of a roster: line by line, in an order that does not depend on how it came about.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Authority, REASON_BYTES_MAX, Revoked, Roster, RosterError, SUCCESSIONS_MAX, TITLE};
use crate::crypto::{Certificate, PublicIdentity, Signature, Succession};
use crate::id::{NodeId, TenantId};
use crate::known::{self, Peer};
use crate::limits::{COHORT_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX};

/// Title, tenant, version, coordinator: each has a line of its own.
const HEAD_LINES: usize = 4;

/// The certificates of operator and coordinator.
const AUTHORITY_LINES: usize = 2;

/// What is signed.
pub(super) fn write(roster: &Roster) -> String {
    let Roster { tenant, version, coordinator, operators, authority, nodes, former, revoked } = roster;
    let mut text = format!("{TITLE}\ntenant {tenant}\nversion {version}\ncoordinator {coordinator}\n");
    for succession in operators {
        let _ = writeln!(text, "operator {succession}");
    }
    for certificate in authority.iter().flat_map(|above| [&above.operator, &above.coordinator]) {
        let _ = writeln!(text, "certificate {}", STANDARD.encode(certificate.der()));
    }
    for (what, peers) in [("node", nodes), ("former", former)] {
        let mut peers: Vec<&Peer> = peers.values().collect();
        peers.sort_by(|one, other| one.name.cmp(&other.name));
        for Peer { name, key, labels } in peers {
            let _ = write!(text, "{what} {name} {key}");
            for (name, value) in labels {
                let _ = write!(text, " {name}={value}");
            }
            text.push('\n');
        }
    }
    for Revoked { key, reason } in revoked.values() {
        text.push_str(format!("revoked {key} {reason}").trim_end());
        text.push('\n');
    }
    text
}

/// What was signed, and the signature.
pub(super) fn split(text: &str) -> Result<(&str, Signature), RosterError> {
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(RosterError::TooLong(text.len()));
    }
    let line = text.strip_suffix('\n').ok_or(RosterError::Unsigned)?.rsplit('\n').next().unwrap_or_default();
    let digits = line.strip_prefix("signature ").ok_or(RosterError::Unsigned)?;
    let mut signature = Signature([0; 64]);
    hex::decode_to_slice(digits, &mut signature.0).map_err(|_| RosterError::Unsigned)?;
    Ok((&text[..text.len() - line.len() - 1], signature))
}

/// Who must have signed: the operator who is known, or the last one to whom he and those after him handed over.
pub(super) fn signer(text: &str, known: &PublicIdentity) -> PublicIdentity {
    let tenant = text.lines().nth(1).and_then(|line| line.strip_prefix("tenant "));
    let tenant = TenantId::of_name(tenant.unwrap_or_default().trim());
    let told = operator_lines(text).take(SUCCESSIONS_MAX).map_while(|line| line.parse::<Succession>().ok());
    let way = told.skip_while(|succession| succession.from != *known);
    let mut signer = *known;
    for succession in way {
        if succession.from != signer || succession.verify(tenant).is_err() {
            break;
        }
        signer = succession.to;
    }
    signer
}

fn operator_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().skip(HEAD_LINES).map_while(|line| line.strip_prefix("operator "))
}

/// What a text says, whoever signed it.
pub(super) fn read(text: &str) -> Result<Roster, RosterError> {
    let roster = read_head(text)?;
    let operators = read_operators(text)?;
    let members = HEAD_LINES + operators.len() + AUTHORITY_LINES;
    let authority = read_authority(text, members - AUTHORITY_LINES)?;
    let (mut nodes, mut former, mut revoked) = (String::new(), String::new(), BTreeMap::new());
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        match text.split_once(' ') {
            _ if index < members => (),
            // What is left of it has the same number among lines that are empty.
            Some(("node", peer)) => nodes.push_str(peer),
            Some(("former", peer)) => former.push_str(peer),
            Some(("revoked", rest)) => {
                let (node, who) =
                    read_revoked(rest).ok_or(RosterError::Line { line, expected: "revoked KEY REASON" })?;
                if revoked.insert(node, who).is_some() {
                    return Err(RosterError::SameKey(line));
                }
            }
            _ => return Err(RosterError::Line { line, expected: "node NAME KEY" }),
        }
        nodes.push('\n');
        former.push('\n');
    }
    if revoked.len() > COHORT_MAX {
        return Err(RosterError::TooManyRevoked(revoked.len()));
    }
    let (nodes, former) = (known::parse(&nodes)?, known::parse(&former)?);
    let roster = Roster { operators, authority: Some(authority), nodes, former, revoked, ..roster };
    match twice(&roster) {
        Some(key) => Err(RosterError::SameKey(last_line_with(text, &key))),
        None => Ok(roster),
    }
}

fn read_head(text: &str) -> Result<Roster, RosterError> {
    let mut lines = text.lines();
    let mut head = |line: usize, expected: &'static str| {
        let found = lines.next().and_then(|text| text.strip_prefix(expected));
        found.map(str::trim).ok_or(RosterError::Line { line, expected })
    };
    head(1, TITLE)?;
    let tenant = head(2, "tenant ")?;
    let version = head(3, "version ")?.parse().ok().filter(|version| *version > 0);
    let version = version.ok_or(RosterError::Line { line: 3, expected: "version N" })?;
    let coordinator = head(4, "coordinator ")?.parse().ok();
    let coordinator = coordinator.ok_or(RosterError::Line { line: 4, expected: "coordinator KEY" })?;
    if tenant.is_empty() || tenant.len() > NAME_BYTES_MAX {
        return Err(RosterError::Line { line: 2, expected: "tenant NAME" });
    }
    Ok(Roster { version, ..Roster::new(tenant, coordinator) })
}

fn read_operators(text: &str) -> Result<Vec<Succession>, RosterError> {
    let mut operators: Vec<Succession> = Vec::new();
    for (index, rest) in operator_lines(text).enumerate() {
        let line = HEAD_LINES + index + 1;
        let succession: Succession =
            rest.parse().map_err(|_| RosterError::Line { line, expected: "operator OLD NEW SIGNATURES" })?;
        let follows = operators.last().is_none_or(|before| before.to == succession.from);
        if !follows || index == SUCCESSIONS_MAX {
            return Err(RosterError::NotSuccessor(line));
        }
        operators.push(succession);
    }
    Ok(operators)
}

fn read_authority(text: &str, before: usize) -> Result<Authority, RosterError> {
    let mut lines = (before + 1..).zip(text.lines().skip(before));
    let mut certificate = || {
        let (line, text) = lines.next().unwrap_or((before + 1, ""));
        let der = text.strip_prefix("certificate ").and_then(|text| STANDARD.decode(text).ok());
        let certificate = der.and_then(|der| Certificate::parse(&der).ok());
        certificate.ok_or(RosterError::Line { line, expected: "certificate BASE64" })
    };
    Ok(Authority { operator: certificate()?, coordinator: certificate()? })
}

fn read_revoked(rest: &str) -> Option<(NodeId, Revoked)> {
    let (key, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let key: PublicIdentity = key.parse().ok()?;
    let reason = Some(reason.to_owned()).filter(|reason| reason.len() <= REASON_BYTES_MAX)?;
    Some((key.node_id(), Revoked { key, reason }))
}

/// A key that is two things at once.
fn twice(roster: &Roster) -> Option<PublicIdentity> {
    let Roster { nodes, former, revoked, .. } = roster;
    let former_too = former.iter().find(|(node, _)| nodes.contains_key(node)).map(|(_, peer)| peer.key);
    let revoked_too =
        || revoked.iter().find(|(node, _)| roster.peer(**node).is_some()).map(|(_, who)| who.key);
    former_too.or_else(revoked_too)
}

/// The number of the last line with this key.
fn last_line_with(text: &str, key: &PublicIdentity) -> usize {
    let key = key.to_string();
    text.lines()
        .zip(1..)
        .filter(|(line, _)| line.contains(&key))
        .map(|(_, number)| number)
        .last()
        .unwrap_or_default()
}

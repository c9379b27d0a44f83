//! Joining with a token: which tokens are good, who may be let in with one, and who waits for approval.
//!
//! Pure: the requests come in opened, time and the stored state are arguments, and what is to be stored comes out as a
//! list of changes. They are on the disk before [`Desk::apply`] makes them count and before anybody is answered.

mod rates;

use std::collections::BTreeMap;

use common::crypto::{PresharedSeed, PublicIdentity};
use common::glob::Glob;
use common::id::{NodeId, TokenId};
use common::join::{CLOCK_MAX, Refusal, Request, Standing, TurnedAway};
use common::known::{self, Known, Labels, Peer};
use common::limits::{APPLICANTS_MAX, TOKENS_MAX};
use common::roster::{Membership, Roster};
use common::units::{Millis, Timestamp};
use common::wire::{Fault, Input, Text, Wire, WireError};

use crate::view::TokenStatus;
pub use rates::Rates;

/// A day, in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A token that is not good any more is known for so long: who comes late is told why.
const REMEMBERED: Millis = Millis(7 * DAY_MS);

/// Who is not approved for so long is forgotten.
const PATIENCE: Millis = Millis(7 * DAY_MS);

/// Tokens that are known, good or not; of those that are not, the oldest make room.
const KNOWN_MAX: usize = 4 * TOKENS_MAX;

/// The longest that a token may be good.
pub const LIFE_MAX: Millis = Millis(30 * DAY_MS);

/// A token, as its coordinator keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// When.
    pub created: Timestamp,
    /// Not good from this time on.
    pub expires: Timestamp,
    /// The operator whom it names.
    pub operator: PublicIdentity,
    /// Labels of who joins with it; they count, whatever it says itself.
    pub labels: Labels,
    /// Names of who may join with it; without, any.
    pub names: Option<Glob>,
    /// Its seed, until nothing more is to be opened with it.
    pub seed: Option<PresharedSeed>,
    /// Who has used it.
    pub used_by: Option<NodeId>,
    /// Whether it was taken back.
    pub revoked: bool,
}

/// Who waits for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// Its name, its key and its labels, as they would stand on the roster.
    pub peer: Peer,
    /// With which token it came.
    pub token: TokenId,
    /// Since when.
    pub since: Timestamp,
}

/// What is to be stored: the new value, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Of a token.
    Token(TokenId, Option<Issued>),
    /// Of who waits.
    Applicant(NodeId, Option<Applicant>),
}

/// What somebody is let into, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'r> {
    /// The newest roster.
    pub roster: &'r Roster,
    /// Whether nobody has to approve: then labels come from the token alone.
    pub is_open: bool,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is answered.
    pub standing: Standing,
    /// What has to be stored first.
    pub changes: Vec<Change>,
}

/// What cannot be done; says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// As many tokens as may be.
    #[error("{TOKENS_MAX} tokens are open already; `coordinator token revoke` those that nobody will use")]
    TooMany,
    /// No token, or no single one.
    #[error("`{0}` names {1} tokens; `coordinator token list` shows them")]
    Which(String, usize),
    /// A key that stays out.
    #[error("the key of `{0}` was revoked, and stays so: `node init` makes another one")]
    Revoked(String),
    /// A name that is taken.
    #[error("`{0}` is the name of a node with another key: revoke that one first")]
    SameName(String),
}

/// Which tokens were issued, and who waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desk {
    issued: BTreeMap<TokenId, Issued>,
    applicants: BTreeMap<NodeId, Applicant>,
}

impl Issued {
    /// How it stands at this time.
    pub fn status(&self, now: Timestamp) -> TokenStatus {
        match self {
            Self { revoked: true, .. } => TokenStatus::Revoked,
            Self { used_by: Some(_), .. } => TokenStatus::Used,
            _ if now >= self.expires => TokenStatus::Expired,
            _ => TokenStatus::Open,
        }
    }

    fn without_seed(&self) -> Self {
        Self { seed: None, ..self.clone() }
    }
}

impl Desk {
    /// As it was stored.
    pub fn new(issued: BTreeMap<TokenId, Issued>, applicants: BTreeMap<NodeId, Applicant>) -> Self {
        Self { issued, applicants }
    }

    /// Every token that is known.
    pub fn issued(&self) -> impl Iterator<Item = (TokenId, &Issued)> {
        self.issued.iter().map(|(token, issued)| (*token, issued))
    }

    /// Who waits, by this roster.
    pub fn applicants(&self, roster: &Roster) -> impl Iterator<Item = &Applicant> {
        let waits = |node| matches!(roster.membership(node), Membership::Unknown);
        self.applicants.iter().filter(move |(node, _)| waits(**node)).map(|(_, applicant)| applicant)
    }

    /// Takes a new token in.
    ///
    /// # Errors
    ///
    /// [`JoinError::TooMany`].
    pub fn issue(&self, token: TokenId, issued: Issued, now: Timestamp) -> Result<Vec<Change>, JoinError> {
        let open = self.issued.values().filter(|known| known.status(now) == TokenStatus::Open).count();
        if open >= TOKENS_MAX {
            Err(JoinError::TooMany)
        } else {
            Ok(vec![Change::Token(token, Some(issued))])
        }
    }

    /// Takes a token back, which is named by its id or the start of that. Who joined with it is not touched.
    ///
    /// # Errors
    ///
    /// [`JoinError::Which`].
    pub fn revoke(&self, wanted: &str) -> Result<(TokenId, Issued), JoinError> {
        let found: Vec<_> =
            self.issued().filter(|(token, _)| token.to_string().starts_with(wanted)).collect();
        match found[..] {
            [(token, issued)] => Ok((token, Issued { revoked: true, ..issued.without_seed() })),
            _ => Err(JoinError::Which(wanted.to_owned(), found.len())),
        }
    }

    /// The token, if requests that name it are worth opening.
    ///
    /// # Errors
    ///
    /// Why not: for the one who asks.
    pub fn look(&self, token: TokenId, now: Timestamp) -> Result<&Issued, TurnedAway> {
        let issued = self.issued.get(&token).ok_or(TurnedAway::Unknown)?;
        match issued {
            Issued { revoked: true, .. } => Err(TurnedAway::Revoked),
            Issued { expires, seed, .. } if now >= *expires || seed.is_none() => Err(TurnedAway::Expired),
            _ => Ok(issued),
        }
    }

    /// What becomes of a request that was opened with this token. Asked again by the same key, it is answered the same:
    /// an answer that was lost locks nobody out.
    ///
    /// # Errors
    ///
    /// As [`Self::look`].
    pub fn decide(
        &self,
        token: TokenId,
        request: Request,
        setting: Setting<'_>,
        now: Timestamp,
    ) -> Result<Decision, TurnedAway> {
        let issued = self.look(token, now)?;
        let node = request.peer.key.node_id();
        let refused = |why| Ok(Decision { standing: Standing::Refused(why), changes: Vec::new() });
        if let Some(why) = self.refusal(issued, &request, setting.roster, now) {
            return refused(why);
        }
        let spent = Change::Token(token, Some(Issued { used_by: Some(node), ..issued.clone() }));
        let mut changes: Vec<Change> = issued.used_by.is_none().then_some(spent).into_iter().collect();
        if setting.roster.peer(node).is_some() {
            return Ok(Decision { standing: Standing::Admitted, changes });
        }
        if !self.applicants.contains_key(&node) {
            // It came before, and somebody took it off the list.
            if issued.used_by.is_some() {
                return refused(Refusal::Dismissed);
            }
            if self.applicants(setting.roster).count() >= APPLICANTS_MAX {
                return refused(Refusal::Full);
            }
            let asked = if setting.is_open { Labels::new() } else { request.peer.labels };
            let mut labels: Labels = asked.into_iter().chain(issued.labels.clone()).collect();
            while labels.len() > known::LABELS_MAX {
                labels.pop_last();
            }
            let peer = Peer { labels, ..request.peer };
            changes.push(Change::Applicant(node, Some(Applicant { peer, token, since: now })));
        }
        Ok(Decision { standing: Standing::Waiting, changes })
    }

    fn refusal(
        &self,
        issued: &Issued,
        request: &Request,
        roster: &Roster,
        now: Timestamp,
    ) -> Option<Refusal> {
        let Request { tenant, at, peer } = request;
        let node = peer.key.node_id();
        let has_name = |known: &Peer| known.name == peer.name && known.key != peer.key;
        let mut known = roster.nodes.values().chain(self.applicants(roster).map(|applicant| &applicant.peer));
        let fits = |names: &&Glob| names.matches(&peer.name);
        let membership = roster.membership(node);
        match membership {
            _ if issued.used_by.is_some_and(|by| by != node) => Some(Refusal::Used),
            _ if at.since(now).max(now.since(*at)) > CLOCK_MAX => Some(Refusal::Clock),
            _ if tenant.as_ref().is_some_and(|tenant| **tenant != *roster.tenant) => {
                Some(Refusal::OtherTenant)
            }
            Membership::Revoked(_) => Some(Refusal::Revoked),
            Membership::Unknown if issued.names.as_ref().is_some_and(|names| !fits(&names)) => {
                let pattern = issued.names.as_ref().map(ToString::to_string).unwrap_or_default();
                let pattern =
                    pattern.as_str().try_into().unwrap_or_else(|_| unreachable!("a pattern is as long"));
                Some(Refusal::OtherName { pattern })
            }
            Membership::Unknown if known.any(has_name) => Some(Refusal::NameTaken),
            Membership::Member(_) | Membership::Former(_) | Membership::Unknown => None,
        }
    }

    /// Takes somebody off the list of those who wait; with the same token it does not come on it again.
    pub fn dismiss(&self, node: NodeId) -> Vec<Change> {
        vec![Change::Applicant(node, None)]
    }

    /// What time and a new roster have made of no use: seeds of tokens that are not good any more, tokens after a while,
    /// and who waits no longer.
    pub fn outdated(&self, roster: &Roster, now: Timestamp) -> Vec<Change> {
        let mut ended: Vec<_> =
            self.issued().filter(|(_, issued)| now >= issued.expires || issued.revoked).collect();
        ended.sort_by_key(|(_, issued)| issued.expires);
        let over = self.issued.len().saturating_sub(KNOWN_MAX);
        let tokens = ended.into_iter().enumerate().filter_map(|(index, (token, issued))| {
            let is_forgotten = index < over || now >= issued.expires + REMEMBERED;
            let kept = (!is_forgotten).then(|| issued.without_seed());
            (kept.as_ref() != Some(issued)).then_some(Change::Token(token, kept))
        });
        let waits = |node: NodeId, applicant: &Applicant| {
            matches!(roster.membership(node), Membership::Unknown) && now < applicant.since + PATIENCE
        };
        let gone = self.applicants.iter().filter(|(node, applicant)| !waits(**node, applicant));
        tokens.chain(gone.map(|(node, _)| Change::Applicant(*node, None))).collect()
    }

    /// What was stored counts.
    pub fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Token(token, Some(issued)) => drop(self.issued.insert(token, issued)),
                Change::Token(token, None) => drop(self.issued.remove(&token)),
                Change::Applicant(node, Some(applicant)) => drop(self.applicants.insert(node, applicant)),
                Change::Applicant(node, None) => drop(self.applicants.remove(&node)),
            }
        }
    }
}

/// The next roster, with these members as well; who was a member already has another name or other labels.
///
/// # Errors
///
/// [`JoinError`] when a key stays out, or a name is another's.
pub fn admitting(roster: Roster, approved: Known) -> Result<Roster, JoinError> {
    let mut next = roster.following();
    for (node, peer) in approved {
        if let Membership::Revoked(_) = next.membership(node) {
            return Err(JoinError::Revoked(peer.name));
        }
        if next.nodes.iter().any(|(id, other)| *id != node && other.name == peer.name) {
            return Err(JoinError::SameName(peer.name));
        }
        next.admit(peer);
    }
    Ok(next)
}

/// Labels, or a line of a list of nodes: words with blanks between them.
type Line = Text<8192>;

/// A name, a key and labels as a list of nodes has them.
fn line(peer: &Peer) -> String {
    format!("{} {} {}", peer.name, peer.key, words(&peer.labels)).trim_end().to_owned()
}

fn words(labels: &Labels) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn put_line(text: &str, out: &mut Vec<u8>) {
    // 16 labels of twice 128 bytes, a name and a key.
    Line::try_from(text)
        .unwrap_or_else(|_| unreachable!("names, labels and their number are bounded"))
        .put(out);
}

impl Wire for Issued {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { created, expires, operator, labels, names, seed, used_by, revoked } = self;
        created.put(out);
        expires.put(out);
        operator.put(out);
        put_line(&words(labels), out);
        put_line(&names.as_ref().map(ToString::to_string).unwrap_or_default(), out);
        seed.put(out);
        used_by.put(out);
        revoked.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let (created, expires, operator) = (Wire::take(input)?, Wire::take(input)?, Wire::take(input)?);
        let words = Line::take(input)?;
        let labels: Option<Labels> = words.split_whitespace().map(known::label).collect();
        let labels = labels.ok_or_else(|| input.error(Fault::Invalid("not a list of labels")))?;
        let names = Some(Line::take(input)?).filter(|names| !names.is_empty());
        let names = names.map(|names| Glob::try_from(names.to_string())).transpose();
        let names = names.map_err(|_| input.error(Fault::Invalid("not a pattern of names")))?;
        let (seed, used_by, revoked) = (Wire::take(input)?, Wire::take(input)?, Wire::take(input)?);
        Ok(Self { created, expires, operator, labels, names, seed, used_by, revoked })
    }
}

impl Wire for Applicant {
    fn put(&self, out: &mut Vec<u8>) {
        put_line(&line(&self.peer), out);
        self.token.put(out);
        self.since.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let line = Line::take(input)?;
        let peer = known::parse(&line).ok().and_then(|known| known.into_values().next());
        let peer = peer.ok_or_else(|| input.error(Fault::Invalid("not a name and a key")))?;
        Ok(Self { peer, token: Wire::take(input)?, since: Wire::take(input)? })
    }
}

#[cfg(test)]
mod tests;

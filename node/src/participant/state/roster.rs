//! Who belongs to the tenant: what the operator signed counts, whoever brings it, and nothing older than that.

use std::str;

use common::crypto::PublicIdentity;
use common::id::NodeId;
use common::message::announce::{Announcement, Offer};
use common::message::presence::Mailbox;
use common::roster::{Authority, Membership, Roster};
use common::units::Timestamp;

use super::{HELLO, Participant, ignored};
use crate::participant::{Note, Output};

/// Announcements that are kept until the roster comes which they are made from, one of each run.
const AHEAD_MAX: usize = 64;

impl Participant {
    /// The coordinator that the operator appointed, once that is known.
    pub fn coordinator(&self) -> Option<&PublicIdentity> {
        self.setup.roster.as_ref().map(|roster| &roster.coordinator)
    }

    /// The coordinator, while it answers.
    pub fn answering(&self) -> Option<NodeId> {
        self.coordinator().filter(|_| self.link.answered).map(PublicIdentity::node_id)
    }

    fn authority(&self) -> Option<&Authority> {
        self.setup.roster.as_ref()?.authority.as_ref()
    }

    pub(super) fn roster_version(&self) -> u64 {
        self.setup.roster.as_ref().map_or(0, |roster| roster.version)
    }

    /// Takes a roster. One that is no news, or not of this node's operator and tenant, changes nothing.
    pub fn on_roster(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Output>) {
        let Ok(text) = str::from_utf8(bytes) else { return out.push(ignored("roster", &"not a text")) };
        // What is old is not worth a look at its signature.
        if Roster::claimed_version(text).is_some_and(|version| version <= self.roster_version()) {
            return;
        }
        let roster = match Roster::open(text, &self.setup.operator) {
            Ok(roster) if roster.tenant_id() == self.setup.tenant => roster,
            Ok(roster) => return out.push(ignored("roster", &format!("of the tenant `{}`", roster.tenant))),
            Err(error) => return out.push(ignored("roster", &error)),
        };
        self.setup.operator = roster.operator(&self.setup.operator);
        out.push(Output::Roster { text: text.to_owned(), operator: self.setup.operator });
        let was = self.setup.roster.replace(roster);
        if self.authority() != was.as_ref().and_then(|was| was.authority.as_ref()) {
            // What was issued below another one is no proof any more.
            self.setup.certified = Timestamp::default();
        }
        self.on_membership(was.as_ref(), now, out);
        if self.coordinator() != was.as_ref().map(|was| &was.coordinator) {
            self.follow_another(now, out);
        }
        for bytes in std::mem::take(&mut self.ahead).into_values() {
            self.on_announcement(&bytes, now, out);
        }
    }

    /// What this node is may be another thing than by the roster before.
    fn on_membership(&mut self, was: Option<&Roster>, now: Timestamp, out: &mut Vec<Output>) {
        let Some(roster) = &self.setup.roster else { return };
        let (node, version) = (self.node(), roster.version);
        match roster.membership(node) {
            Membership::Member(_) => {
                if was.is_none_or(|was| was.membership(node).refusal().is_some()) {
                    out.push(Output::Note(Note::Member { version }));
                }
            }
            Membership::Former(_) => {
                out.push(Output::Note(Note::Former { version }));
                self.on_drain(now, out);
            }
            none => {
                out.extend(none.refusal().map(|reason| Output::Note(Note::NoMember(reason))));
                self.leave_all(now, out);
            }
        }
    }

    /// The key that this node is to have from now on, once all is done that it began with the one that it has.
    pub fn successor(&self) -> Option<PublicIdentity> {
        let roster = self.setup.roster.as_ref().filter(|_| self.is_idle())?;
        roster.successor(self.node()).map(|peer| peer.key)
    }

    fn leave_all(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let runs: Vec<_> = self.works.keys().copied().collect();
        for run in runs {
            self.leave(run, now, out);
        }
    }

    /// Another coordinator was appointed: what the one before it asked for is not wanted any more.
    fn follow_another(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.leave_all(now, out);
        self.link.seq = 0;
        self.link.mailbox = Mailbox::default();
        (self.link.answered, self.link.elsewhere) = (false, false);
        (self.link.heard, self.link.hello_at, self.link.hello_after) = (now, now, HELLO);
    }

    /// Whether what is announced is made from a roster that this node has; if not, it is kept until that comes.
    pub(super) fn knows_roster_of(&mut self, announcement: &Announcement, bytes: &[u8]) -> bool {
        let knows = announcement.roster <= self.roster_version();
        if !knows && (self.ahead.len() < AHEAD_MAX || self.ahead.contains_key(&announcement.run)) {
            self.ahead.insert(announcement.run, bytes.to_vec());
        }
        knows
    }

    /// Whether all who take part are members. If not, the coordinator is told that this node does not: it may have asked
    /// before it heard of the roster that this node has already.
    pub(super) fn knows_all(&self, offer: &Offer) -> Result<(), String> {
        let roster = self.setup.roster.as_ref().ok_or("no roster has come yet")?;
        let stranger = offer.members.iter().find(|member| roster.peer(member.node).is_none());
        stranger
            .map_or(Ok(()), |stranger| Err(format!("{} takes part and is not on the roster", stranger.node)))
    }
}

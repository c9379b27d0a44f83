//! Which nodes of the roster are there, and what they say of themselves.

mod lease;

pub use lease::Leases;

use std::collections::{BTreeMap, BTreeSet};

use common::crypto::{
    CustodyError, Identity, KeyPackage, Label, Manifest, OtherSuite, PublicIdentity, Suite,
};
use common::id::{NodeId, RunId};
use common::known::{Labels, Peer};
use common::message::presence::{
    Activity, CoordinatorPresence, HEARTBEAT, Heard, Mailbox, NodePresence, SILENCE, Standing, VERSION, Work,
};
use common::message::{Signed, SignedError};
use common::roster::Roster;
use common::units::{Millis, Timestamp};

/// New nodes are answered at most this often, so that many starting at once share one hello.
const ANSWER: Millis = Millis(5);

/// A coordinator that looks at the time this late was held up itself: it does so at least each [`HEARTBEAT`].
const HELD_UP: Millis = Millis(HEARTBEAT.0 * 3 / 2);

/// Who is not let in is told why, and again after this long if it still tries.
const REFUSED_AGAIN: Millis = Millis(600_000);

/// Of so many at a time.
const REFUSED_MAX: usize = 256;

/// The nodes of a roster, and those of them that are there.
#[derive(Debug)]
pub struct Members {
    roster: Roster,
    suite: Suite,
    /// Nodes that said that they use another suite; each is told of once.
    elsewhere: BTreeSet<NodeId>,
    present: BTreeMap<NodeId, Member>,
    /// Those that an operator took out of selection.
    drained: BTreeSet<NodeId>,
    /// The process that each node last was, and when it last spoke: one that fell silent and is heard again
    /// is the same, and what it said before is a replay.
    sessions: BTreeMap<NodeId, (u64, u64)>,
    leases: Leases,
    /// Who was told lately that it is not let in.
    refused: BTreeMap<NodeId, Timestamp>,
    /// When this process began: what nodes said before is not news.
    began: Timestamp,
    hello_at: Timestamp,
    hello_last: Timestamp,
    /// Nobody is silent for too long before this.
    silent_at: Timestamp,
    ticked: Timestamp,
}

/// A node that is there.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its process.
    pub session: u64,
    /// The version of the roster that it holds.
    pub roster: u64,
    /// The newest model that it acted on, as it shows it.
    pub acted: Option<Manifest>,
    /// Until when the certificate is good that it shows.
    pub certified: Timestamp,
    /// Under which key the next epoch's root is wrapped for it.
    pub package: KeyPackage,
    /// Where it reads.
    pub mailbox: Mailbox,
    /// Whether it takes part in what is announced next.
    pub standing: Standing,
    /// From which run's model its telemetry drifted, as it says.
    pub drifted: Option<RunId>,
    /// What it does for each run.
    works: Vec<Work>,
    /// What it did before.
    before: Vec<Work>,
    /// From which run's model its telemetry had drifted before.
    drifted_before: Option<RunId>,
    /// When it was heard last.
    pub heard: Timestamp,
}

/// What a presence told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A process that was not heard before.
    Arrived(NodeId),
    /// One that fell silent is heard again.
    Returned(NodeId),
    /// It was there already.
    Goes(NodeId),
    /// Its trainer takes no step any more for a run: see [`Members::told_of`].
    Hangs(NodeId),
    /// Its process ends.
    Left(NodeId),
    /// Older than what is known, said before this process was heard, or nothing new.
    Stale,
}

/// A presence that is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresenceError {
    /// Not signed by a node of the roster.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// Another protocol version.
    #[error("{node:?} speaks protocol version {version}, this coordinator {VERSION}")]
    Version {
        /// Who.
        node: NodeId,
        /// Which.
        version: u16,
    },
    /// Another suite than the fleet's.
    #[error("node {name}: {other}")]
    Suite {
        /// Who.
        name: String,
        /// Which.
        other: OtherSuite,
    },
    /// The key package is somebody else's.
    #[error("{0:?} offers a key package of another node")]
    Package(NodeId),
}

impl Member {
    /// A node as its newest presence has it, after the one before of the same process.
    fn of(presence: NodePresence, before: Option<Self>, heard: Timestamp) -> Self {
        let NodePresence { session, roster, acted, certified, mailbox, standing, drifted, .. } = presence;
        let works = presence.works.into_vec().into_iter();
        let works = works.map(|work| Work { progress: work.progress.min(100), ..work }).collect();
        let (package, before, drifted_before) = match before {
            Some(before) => (newer(before.package, presence.package), before.works, before.drifted),
            None => (presence.package, Vec::new(), None),
        };
        Self {
            session,
            roster,
            acted,
            certified,
            package,
            mailbox,
            standing,
            drifted,
            works,
            before,
            drifted_before,
            heard,
        }
    }

    /// What it does, in the order of runs.
    pub fn works(&self) -> &[Work] {
        &self.works
    }

    /// From which run's model its telemetry drifted, if it says so for the first time.
    pub fn drifted_now(&self) -> Option<RunId> {
        self.drifted.filter(|run| Some(*run) != self.drifted_before)
    }

    /// What it does for this run, if anything.
    pub fn work(&self, run: RunId) -> Option<&Work> {
        self.works.iter().find(|work| work.run == run)
    }
}

impl Members {
    /// Nobody is there yet.
    pub fn new(roster: Roster, suite: Suite, now: Timestamp) -> Self {
        let (present, drained, sessions, leases, refused, elsewhere) = Default::default();
        let (hello_last, silent_at) = (Timestamp::default(), now + SILENCE);
        Self {
            roster,
            suite,
            elsewhere,
            present,
            drained,
            sessions,
            leases,
            refused,
            began: now,
            hello_at: now,
            hello_last,
            silent_at,
            ticked: now,
        }
    }

    /// The same with these certificates.
    #[must_use]
    pub fn leasing(self, leases: Leases) -> Self {
        Self { leases, ..self }
    }

    /// Their certificates.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// Until when the next certificate of a node is good, if it needs one; then it counts as issued.
    pub fn grant(&mut self, node: NodeId, now: Timestamp) -> Option<Timestamp> {
        let shown = self.present.get(&node).map(|member| member.certified).unwrap_or_default();
        self.roster.nodes.contains_key(&node).then(|| self.leases.grant(node, shown, now)).flatten()
    }

    /// Whether a node's certificate ended, by the last time that was looked at.
    pub fn has_lapsed(&self, node: NodeId) -> bool {
        self.leases.expired(node, self.ticked).is_some()
    }

    /// An operator wants that a node has another certificate, even if its last one ended.
    pub fn renew(&mut self, node: NodeId) {
        self.leases.renew(node);
        self.refused.remove(&node);
    }

    /// Who belongs to the tenant.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Another roster counts from now on. Those who are there and no members any more are not there any more; each with
    /// why.
    pub fn on_roster(&mut self, roster: Roster) -> Vec<(NodeId, String)> {
        self.roster = roster;
        self.refused.clear();
        let out = |node: &NodeId| Some((*node, self.roster.membership(*node).refusal()?));
        let gone: Vec<(NodeId, String)> = self.present.keys().filter_map(out).collect();
        for (node, _) in &gone {
            self.present.remove(node);
        }
        gone
    }

    /// Why somebody is not let in who says that he is there, when that is to be told: once in a while, and of so many
    /// only. Who is told of proves nothing, so this must cost nothing.
    pub fn refuse(&mut self, node: NodeId, now: Timestamp) -> Option<String> {
        let lapsed = || {
            let until = self.leases.expired(node, now)?;
            let name = self.name(node);
            Some(format!("its certificate ended {until}: `coordinator node renew {name}`"))
        };
        let reason = self.roster.membership(node).refusal().or_else(lapsed)?;
        self.refused.retain(|_, told| now < *told + REFUSED_AGAIN);
        if self.refused.contains_key(&node) || self.refused.len() == REFUSED_MAX {
            return None;
        }
        self.refused.insert(node, now);
        Some(reason)
    }

    /// The key by which a node of the roster signs.
    pub fn key(&self, node: NodeId) -> Option<&PublicIdentity> {
        self.peer(node).map(|peer| &peer.key)
    }

    /// What is known of a node of the roster.
    pub fn peer(&self, node: NodeId) -> Option<&Peer> {
        self.roster.peer(node)
    }

    /// Whether a node is allowed and has all of these labels.
    pub fn has(&self, node: NodeId, wanted: &Labels) -> bool {
        self.peer(node).is_some_and(|peer| peer.has(wanted))
    }

    /// The name of a node; its id when it is not allowed.
    pub fn name(&self, node: NodeId) -> String {
        self.roster.name(node)
    }

    /// All nodes of the roster, by the keys that they are to have, in the order of their ids.
    pub fn allowed(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.roster.nodes.iter().map(|(node, peer)| (*node, peer))
    }

    /// The nodes of the roster that have all of these labels.
    pub fn labelled(&self, wanted: &Labels) -> impl Iterator<Item = NodeId> {
        self.allowed().filter(|(_, peer)| peer.has(wanted)).map(|(node, _)| node)
    }

    /// A node, if it is there.
    pub fn present(&self, node: NodeId) -> Option<&Member> {
        self.present.get(&node)
    }

    /// An operator takes a node out of selection, or back in.
    pub fn drain(&mut self, node: NodeId, drained: bool) {
        if drained {
            self.drained.insert(node);
        } else {
            self.drained.remove(&node);
        }
    }

    /// Whether an operator took a node out of selection.
    pub fn is_drained(&self, node: NodeId) -> bool {
        self.drained.contains(&node)
    }

    /// Whether a node may be selected: it is there, neither it nor an operator says that it takes nothing new, and no
    /// other key is in the place of its own.
    pub fn is_candidate(&self, node: NodeId) -> bool {
        let ready = |member: &Member| member.standing == Standing::Ready;
        let stays = self.roster.nodes.contains_key(&node);
        stays && self.present(node).is_some_and(ready) && !self.is_drained(node)
    }

    /// Takes a presence.
    ///
    /// # Errors
    ///
    /// [`PresenceError`] names the node where it is known.
    pub fn on_presence(&mut self, bytes: &[u8], now: Timestamp) -> Result<Told, PresenceError> {
        if !self.claims_news(bytes, now)? {
            return Ok(Told::Stale);
        }
        let Signed { signer: node, body } =
            Signed::<NodePresence>::open(bytes, Label::Presence, |node| self.key(node))?;
        if body.version != VERSION {
            return Err(PresenceError::Version { node, version: body.version });
        }
        if body.package.node != node {
            return Err(PresenceError::Package(node));
        }
        let (session, standing) = (body.session, body.standing);
        let known = self.sessions.get(&node).copied();
        if body.answers < self.began.0 && standing != Standing::Leaving {
            self.hello_at = self.hello_at.min(self.hello_last + ANSWER);
            return Ok(Told::Stale);
        }
        self.sessions.insert(node, (session, body.seq));
        self.elsewhere.remove(&node);
        if standing == Standing::Leaving {
            self.present.remove(&node);
            return Ok(Told::Left(node));
        }
        let same = known.is_some_and(|(known, _)| known == session);
        let before = self.present.remove(&node).filter(|_| same);
        let told = match (same, &before) {
            (false, _) => Told::Arrived(node),
            (true, None) => Told::Returned(node),
            (true, Some(_)) => Told::Goes(node),
        };
        self.present.insert(node, Member::of(body, before, now));
        if told != Told::Goes(node) {
            self.hello_at = self.hello_at.min(self.hello_last + ANSWER);
        }
        Ok(told)
    }

    /// Whether a presence claims to be newer than what is known, and of our suite: a look that costs no signature. Of a
    /// node with another suite it is told once.
    fn claims_news(&mut self, bytes: &[u8], now: Timestamp) -> Result<bool, PresenceError> {
        let Signed { signer: node, body } = Signed::<NodePresence>::claimed(bytes)?;
        if self.key(node).is_none() || self.leases.expired(node, now).is_some() {
            return Err(SignedError::UnknownSender(node).into());
        }
        if self.sessions.get(&node).is_some_and(|(_, spoken)| body.seq <= *spoken) {
            return Ok(false);
        }
        match self.suite.require(body.package.suite()) {
            Err(other) if self.elsewhere.insert(node) => {
                Err(PresenceError::Suite { name: self.name(node), other })
            }
            claimed => Ok(claimed.is_ok()),
        }
    }

    /// What the newest presence, which told this of its node, told of the node's work on one run: that hangs, or
    /// does no more, while the node goes on with others.
    pub fn told_of(&self, told: Told, run: RunId) -> Told {
        let (Told::Arrived(node) | Told::Returned(node) | Told::Goes(node)) = told else { return told };
        let Some(member) = self.present.get(&node) else { return told };
        let hangs =
            |works: &[Work]| works.iter().any(|work| work.run == run && work.activity == Activity::Hanging);
        match (hangs(&member.before), hangs(&member.works), told) {
            (.., Told::Arrived(_)) | (false, false, _) => told,
            (true, true, _) => Told::Stale,
            (false, true, _) => Told::Hangs(node),
            (true, false, _) => Told::Returned(node),
        }
    }

    /// The tether of a process ended that gave this presence last: it is there no more. `None` when that is not
    /// the node's hand, or a newer process is there.
    pub fn on_severed(&mut self, bytes: &[u8]) -> Option<(NodeId, Standing)> {
        let signed = Signed::<NodePresence>::open(bytes, Label::Presence, |node| self.key(node)).ok()?;
        self.present.get(&signed.signer).filter(|member| member.session == signed.body.session)?;
        self.present.remove(&signed.signer);
        Some((signed.signer, signed.body.standing))
    }

    /// A node wants the next epoch's root wrapped to this key, unless it told of a newer one since: an update of one run
    /// may come after an epoch of another has begun. It has also just been heard.
    pub fn on_package(&mut self, node: NodeId, package: KeyPackage, now: Timestamp) {
        if let Some(member) = self.present.get_mut(&node) {
            member.package = newer(member.package.clone(), package);
            member.heard = now;
        }
    }

    /// Nodes that fell silent; they are not there any more. Time in which the coordinator itself was held
    /// up and did not listen is not their silence.
    pub fn on_tick(&mut self, now: Timestamp) -> Vec<NodeId> {
        let held_up = now.since(self.ticked);
        self.ticked = now;
        if held_up > HELD_UP {
            self.present.values_mut().for_each(|member| member.heard = now.min(member.heard + held_up));
        }
        if now < self.silent_at {
            return Vec::new();
        }
        let silent = |member: &Member| now >= member.heard + SILENCE;
        let gone: Vec<NodeId> =
            self.present.iter().filter(|(_, member)| silent(member)).map(|(node, _)| *node).collect();
        for node in &gone {
            self.present.remove(node);
        }
        let heard = self.present.values().map(|member| member.heard).min();
        self.silent_at = heard.unwrap_or(now) + SILENCE;
        gone
    }

    /// The coordinator's hello, when one is due.
    pub fn hello(
        &mut self,
        identity: &Identity,
        mailbox: Mailbox,
        now: Timestamp,
    ) -> Option<Result<Vec<u8>, CustodyError>> {
        if now < self.hello_at {
            return None;
        }
        self.hello_at = now + HEARTBEAT;
        self.hello_last = now;
        let heard: Vec<Heard> = self
            .present
            .iter()
            .map(|(node, member)| Heard { node: *node, session: member.session })
            .collect();
        let heard = heard.try_into().expect("a roster is no longer than a cohort");
        let body = CoordinatorPresence { seq: now.0, mailbox, heard, suite: self.suite, version: VERSION };
        Some(Signed::seal(identity, Label::Hello, &body))
    }

    /// When [`Self::on_tick`] or [`Self::hello`] is due next.
    pub fn next_wake(&self) -> Timestamp {
        self.hello_at.min(self.silent_at)
    }
}

/// The one that was made last. What names an older one may come later: an update that waited, while the node began to
/// work for another run. Its key may be erased by then.
fn newer(one: KeyPackage, other: KeyPackage) -> KeyPackage {
    if one.expires > other.expires { one } else { other }
}

#[cfg(test)]
mod tests;

//! What a run learns of nodes: that they are there, what they do for it, and that they are gone.

use common::id::NodeId;
use common::known::Labels;
use common::message::event::{Fact, reason};
use common::message::presence::{Activity, HANG, HEARTBEAT};
use common::units::Millis;

use super::{Active, Exchange};
use crate::engine::{Context, Output};
use crate::members::{Members, Told};
use crate::round::{Input, Slot};

/// Nodes that were asked and say nothing of it are asked again so often: a node tells of itself once a heartbeat.
const REMIND: Millis = Millis(HEARTBEAT.0 * 2);

impl Active {
    /// A node was heard: for the first time, as a new process, or again.
    pub(in crate::engine) fn on_presence(&mut self, node: NodeId, told: Told, context: &mut Context<'_>) {
        let told = context.members.told_of(told, self.id);
        match told {
            Told::Stale | Told::Left(_) => (),
            Told::Hangs(_) => self.on_hanging(node, context),
            Told::Arrived(_) | Told::Returned(_) => {
                self.tell(Fact::NodeBack { node }, context);
                self.on_node(node, told, context);
            }
            Told::Goes(_) => self.on_node(node, told, context),
        }
    }

    fn on_node(&mut self, node: NodeId, told: Told, context: &mut Context<'_>) {
        if !self.wants(node, context) {
            return;
        }
        let work = context.members.present(node).and_then(|member| member.work(self.id));
        let declined = work.filter(|work| work.activity == Activity::Declining).map(|work| work.epoch);
        let (arrived, returned) = (told == Told::Arrived(node), told == Told::Returned(node));
        let asked = self.exchange_with(node).map(|exchange| exchange.epoch.id);
        self.on_candidacy(node, context);
        let declined = declined.filter(|declined| asked == Some(*declined));
        if let Some(epoch) = declined.or(asked.filter(|_| arrived)) {
            // A new process has not the keys of the epoch in which it was asked: it takes part again in the next one.
            self.on_input(Input::Declined { node, epoch }, context);
            self.drop_node(node, context);
        }
        if asked.is_some() && told == Told::Goes(node) {
            self.remind(node, context);
        }
        // What the process before it confirmed may not have reached its disk, one that was away may have missed the
        // offer, and one that declines it has not its keys any more. Who is still fetching goes on.
        let declines = declined.is_some() && self.is_due(context);
        let has_newer = self.newer.iter().any(|select| context.members.has(node, select));
        if let Some(lacking) = &mut self.lacking
            && (arrived && !has_newer || (returned || declines) && lacking.contains(&node))
        {
            lacking.insert(node);
            self.offer(context);
        }
    }

    /// A node that says nothing of what it was asked a while ago has missed it: announcements of many runs may follow
    /// one another faster than a node that comes late is given them.
    fn remind(&mut self, node: NodeId, context: &mut Context<'_>) {
        let Some(Exchange { epoch, downlink: Some(downlink), .. }) = self.exchange_with(node) else { return };
        let work = context.members.present(node).and_then(|member| member.work(self.id));
        let knows = downlink.has_heard(node) || work.is_some_and(|work| work.epoch == epoch.id);
        if knows || !self.waits_for(node) {
            return;
        }
        let is_newest = self.announced.as_ref().is_some_and(|announced| announced.epoch == epoch.id);
        if is_newest && self.is_due(context) {
            self.announce_again(context);
        }
    }

    /// Whether what was announced last may be said again.
    fn is_due(&self, context: &Context<'_>) -> bool {
        self.announced.as_ref().is_some_and(|announced| context.now >= announced.issued + REMIND)
    }

    /// Whether something is still to come of a node that was asked, and nothing is known of it.
    fn waits_for(&self, node: NodeId) -> bool {
        let cohort = self.run.progress().and_then(|progress| progress.cohort);
        let slot = cohort.and_then(|cohort| cohort.slot(node));
        slot == Some(&Slot::Announced) || self.lacking.as_ref().is_some_and(|lacking| lacking.contains(&node))
    }

    /// A node that is there may be selected, or may not.
    pub(in crate::engine) fn on_candidacy(&mut self, node: NodeId, context: &mut Context<'_>) {
        if self.wants(node, context) && context.members.present(node).is_some() {
            let is_candidate = context.members.is_candidate(node);
            let input = if is_candidate { Input::NodeReady } else { Input::NodeDrains };
            self.on_input(input(node), context);
        }
    }

    /// Whether a node is one of those that the run selects from.
    fn wants(&self, node: NodeId, context: &Context<'_>) -> bool {
        context.members.has(node, &self.select)
    }

    /// The roster has changed: who is no member any more is not offered the result.
    pub(in crate::engine) fn on_roster(&mut self, context: &mut Context<'_>) {
        self.keep_lacking(|members, node| members.peer(node).is_some(), context);
    }

    /// A newer result is there for these nodes: they are not offered this one any more.
    pub(in crate::engine) fn on_newer(&mut self, select: &Labels, context: &mut Context<'_>) {
        self.newer.push(select.clone());
        self.keep_lacking(|members, node| !members.has(node, select), context);
    }

    /// Of those that lack the result only these are offered it from now on.
    fn keep_lacking(&mut self, is_offered: impl Fn(&Members, NodeId) -> bool, context: &mut Context<'_>) {
        let Some(lacking) = &mut self.lacking else { return };
        let before = lacking.len();
        lacking.retain(|node| is_offered(context.members, *node));
        if lacking.is_empty() && before > 0 {
            self.close_exchanges();
            self.rest(context);
        } else if lacking.len() < before {
            self.offer(context);
        }
    }

    pub(in crate::engine) fn on_gone(&mut self, node: NodeId, why: &str, context: &mut Context<'_>) {
        self.tell(Fact::NodeAway { node, reason: reason(why) }, context);
        self.drop_node(node, context);
        self.on_input(Input::NodeGone(node), context);
    }

    /// A node's process lives, but its trainer does not go on. It is back as soon as it does.
    fn on_hanging(&mut self, node: NodeId, context: &mut Context<'_>) {
        let why = format!("its trainer took no step for {HANG}");
        context.out.push(Output::Note(format!("node {} is away: {why}", context.members.name(node))));
        self.tell(Fact::NodeAway { node, reason: reason(&why) }, context);
        self.on_input(Input::NodeGone(node), context);
    }

    fn drop_node(&mut self, node: NodeId, context: &mut Context<'_>) {
        for Exchange { epoch, downlink, uplink, .. } in self.exchanges.values_mut() {
            let mut sent = Vec::new();
            if let Some(downlink) = downlink {
                downlink.remove(node);
            }
            uplink.remove(epoch, node, context.now, &mut sent);
            context.dispatch(sent);
        }
    }
}

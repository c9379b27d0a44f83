//! What the engine shows of itself.

use std::collections::BTreeMap;

use common::id::{NodeId, RunId};
use common::known::Peer;
use common::message::presence::{Activity, Standing, Work};
use common::units::Timestamp;

use super::Engine;
use super::active::Active;
use crate::members::Member;
use crate::round::{Cohort, Slot};
use crate::view::{CurrentRound, MemberView, NodeView, WorkView};

impl Engine {
    /// The round of this run that goes on, if one does.
    pub fn current_round(&self, run: RunId, now: Timestamp) -> Option<CurrentRound> {
        let active = self.runs.get(&run)?;
        let progress = active.run.progress()?;
        let slots = progress.cohort.into_iter().flat_map(Cohort::slots);
        let (minimum, goal) = active.run.updates_wanted();
        Some(CurrentRound {
            round: progress.round.0,
            phase: progress.phase.to_string(),
            deadline_ms: progress.deadline.since(now).0,
            phase_ms: now.since(progress.phase_began).0,
            round_ms: now.since(progress.began).0,
            updates: progress.cohort.map_or(0, Cohort::reported),
            minimum,
            goal,
            bytes: active.bytes,
            cohort: slots
                .map(|(node, slot)| (self.members().name(node), self.member(active, node, slot)))
                .collect(),
        })
    }

    /// All allowed nodes.
    pub fn nodes(&self) -> Vec<NodeView> {
        let view = |(node, peer): (NodeId, &Peer)| {
            let member = self.members().present(node);
            let works = member.map_or_else(Vec::new, |member| member.works().iter().map(work).collect());
            let drained = self.members().is_drained(node);
            let activity = self.activity(node, drained);
            let drifted = member.and_then(|member| member.drifted).map(|run| run.to_string());
            let certified_until = self.members().leases().until(node).map(|until| until.to_string());
            NodeView {
                drained,
                certified_until,
                works,
                drifted,
                ..NodeView::of(node, peer, member.is_some(), &activity)
            }
        };
        self.members().allowed().map(view).collect()
    }

    /// What a node does, in words: `training`, or for several runs `fetching, training, 2 waiting`. One that is
    /// drained is `draining` until no round waits for it any more.
    pub fn activity(&self, node: NodeId, drained: bool) -> String {
        let Some(member) = self.members().present(node) else {
            let lapsed = self.members().has_lapsed(node);
            return if lapsed {
                "expired"
            } else if drained {
                "away, drained"
            } else {
                "away"
            }
            .to_owned();
        };
        let is_busy = !member.works().is_empty() || self.is_awaited(node);
        match (member.standing, drained, is_busy) {
            (Standing::Leaving, ..) => "leaving".to_owned(),
            (Standing::Draining, ..) | (Standing::Ready, true, true) => "draining".to_owned(),
            (Standing::Ready, true, false) => "drained".to_owned(),
            (Standing::Ready, false, _) => works(member),
        }
    }

    /// Whether a round waits for a node's update.
    fn is_awaited(&self, node: NodeId) -> bool {
        let is_open = |active: &Active| {
            let cohort = active.run.progress().and_then(|progress| progress.cohort);
            let slot = cohort.and_then(|cohort| cohort.slot(node));
            matches!(slot, Some(Slot::Announced | Slot::HasModel))
        };
        self.runs.values().any(is_open)
    }

    fn member(&self, active: &Active, node: NodeId, slot: &Slot) -> MemberView {
        let upload = active.exchange_with(node).and_then(|exchange| exchange.uplink.progress(node));
        let member = self.members().present(node);
        let (bytes, all) = upload.unwrap_or_default();
        let percent = |part: u64, whole: u64| (part * 100).checked_div(whole).unwrap_or(0) as u8;
        let (state, progress) = match (slot, upload, member) {
            (Slot::Reported(_), ..) => ("done".to_owned(), 100),
            (Slot::Rejected(fault), ..) => (format!("rejected: {fault}"), 0),
            (Slot::Declined, ..) => ("declined".to_owned(), 0),
            (Slot::Announced | Slot::HasModel, Some((0, _)), _) => ("queued".to_owned(), 0),
            (Slot::Announced | Slot::HasModel, Some(_), _) => ("uploading".to_owned(), percent(bytes, all)),
            (Slot::Announced, None, _) => ("fetching".to_owned(), 0),
            (Slot::HasModel, None, Some(member)) => match member.work(active.id) {
                Some(work) if work.activity == Activity::Waiting => ("waiting".to_owned(), 0),
                work => ("training".to_owned(), work.map_or(0, |work| work.progress)),
            },
            (Slot::Away(_) | Slot::Gone, ..) | (Slot::HasModel, None, None) => ("away".to_owned(), 0),
        };
        let norm = if let Slot::Reported(report) = slot { Some(report.delta_norm) } else { None };
        MemberView { state, progress, bytes, loss: active.losses.get(&node).copied(), norm }
    }

    /// Bytes of models and updates in the round of this run that goes on.
    pub fn round_bytes(&self, run: RunId) -> u64 {
        self.runs.get(&run).map_or(0, |active| active.bytes)
    }
}

fn works(member: &Member) -> String {
    let mut counts = BTreeMap::<Activity, u32>::new();
    for work in member.works() {
        *counts.entry(work.activity).or_default() += 1;
    }
    let words = counts.into_iter().map(|(activity, count)| match count {
        1 => word(activity).to_owned(),
        count => format!("{count} {}", word(activity)),
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "idle".to_owned() } else { words.join(", ") }
}

fn work(work: &Work) -> WorkView {
    WorkView { run: work.run.to_string(), activity: word(work.activity).to_owned(), progress: work.progress }
}

fn word(activity: Activity) -> &'static str {
    match activity {
        Activity::Fetching => "fetching",
        Activity::Waiting => "waiting",
        Activity::Training => "training",
        Activity::Uploading => "uploading",
        Activity::Declining => "declining",
        Activity::Hanging => "hanging",
    }
}

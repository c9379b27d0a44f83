//! What the engine shows of itself.

use std::collections::BTreeMap;

use common::id::{NodeId, RunId};
use common::known::Peer;
use common::message::presence::Activity;
use common::units::Timestamp;

use super::Engine;
use super::active::{Active, Exchange};
use crate::round::Slot;
use crate::view::{CurrentRound, MemberView, NodeView};

impl Engine {
    /// The round of this run that goes on, if one does.
    pub fn current_round(&self, run: RunId, now: Timestamp) -> Option<CurrentRound> {
        let active = self.runs.get(&run)?;
        let progress = active.run.progress()?;
        let cohort = progress.cohort.map(crate::round::Cohort::slots);
        let slots = cohort.into_iter().flatten();
        let (minimum, goal) = active.run.updates_wanted();
        Some(CurrentRound {
            round: progress.round.0,
            phase: progress.phase.to_string(),
            deadline_ms: progress.deadline.since(now).0,
            phase_ms: now.since(progress.phase_began).0,
            round_ms: now.since(progress.began).0,
            updates: progress.cohort.map_or(0, |cohort| reported(cohort.slots())),
            minimum,
            goal,
            bytes: active.bytes,
            cohort: slots
                .map(|(node, slot)| (self.members().name(*node), self.member(active, *node, slot)))
                .collect(),
        })
    }

    /// All allowed nodes.
    pub fn nodes(&self) -> Vec<NodeView> {
        let view = |(node, peer): (NodeId, &Peer)| {
            let member = self.members().present(node);
            NodeView::of(
                node,
                peer,
                member.is_some(),
                member.map_or("away", |member| activity(member.activity)),
            )
        };
        self.members().allowed().map(view).collect()
    }

    fn member(&self, active: &Active, node: NodeId, slot: &Slot) -> MemberView {
        let upload = active.exchange.as_ref().and_then(|exchange: &Exchange| exchange.uplink.progress(node));
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
            (Slot::HasModel, None, Some(member)) => ("training".to_owned(), member.progress),
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

fn reported(slots: &BTreeMap<NodeId, Slot>) -> u32 {
    slots.values().filter(|slot| matches!(slot, Slot::Reported(_))).count() as u32
}

fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::Idle => "idle",
        Activity::Fetching => "fetching",
        Activity::Training => "training",
        Activity::Uploading => "uploading",
        Activity::Declining => "declining",
        Activity::Hanging => "hanging",
        Activity::Leaving => "leaving",
    }
}

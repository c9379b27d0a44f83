//! What the engine shows of itself.

use common::id::NodeId;
use common::message::presence::Activity;
use common::units::Timestamp;

use super::Engine;
use super::active::{Active, Exchange};
use crate::round::{Cohort, Slot};
use crate::view::{CurrentRound, MemberView, NodeView};

impl Engine {
    /// The round going on, if one is.
    pub fn current_round(&self, now: Timestamp) -> Option<CurrentRound> {
        let active = self.active.as_ref()?;
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
        let view = |(node, allowed): (NodeId, &common::known::Peer)| {
            let member = self.members().present(node);
            let activity = member.map_or("away", |member| activity(member.activity));
            NodeView {
                name: allowed.name.clone(),
                node: node.to_string(),
                present: member.is_some(),
                activity: activity.to_owned(),
                labels: allowed.labels.clone(),
            }
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

    /// Bytes of models and updates in the round going on.
    pub fn round_bytes(&self) -> u64 {
        self.active.as_ref().map_or(0, |active| active.bytes)
    }
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

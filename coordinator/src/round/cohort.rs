//! The selected nodes of one round, and what became of each.

use std::collections::BTreeMap;

use common::id::NodeId;
use common::message::update::UpdateHead;
use common::units::{Millis, Timestamp};
use common::wire::WireError;

use super::record::{MemberOutcome, MemberRecord, Report};
use super::{Abort, Arrival, Close, CohortSize, Fault, PhaseName};
use crate::strategy::{Folded, UpdateFault};

/// One slot per selected node, in the order of their ids: iteration is the same on replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Cohort {
    slots: BTreeMap<NodeId, Slot>,
    pub(super) minimum: u32,
    /// Updates wanted: the plan's goal, or all when fewer nodes were selected.
    pub(super) goal: u32,
    close: Close,
    rejoin: Millis,
}

/// What became of a selected node so far.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot {
    /// It was asked; nothing is known of it.
    Announced,
    /// It has the model.
    HasModel,
    /// It is not heard since then, and may come back.
    Away(Timestamp),
    /// It was away for too long to wait for. Should it come back in time, it may still report.
    Gone,
    /// It said that it cannot take part.
    Declined,
    /// Its update was refused.
    Rejected(Fault),
    /// Its update is in the sum.
    Reported(Report),
}

impl Slot {
    fn is_open(&self) -> bool {
        matches!(self, Self::Announced | Self::HasModel | Self::Away(_))
    }

    fn has_model(&self) -> bool {
        matches!(self, Self::HasModel | Self::Reported(_))
    }
}

impl Cohort {
    /// A cohort of these nodes.
    pub fn new(nodes: impl IntoIterator<Item = NodeId>, size: &CohortSize, rejoin: Millis) -> Self {
        let slots: BTreeMap<_, _> = nodes.into_iter().map(|node| (node, Slot::Announced)).collect();
        let goal = size.goal.min(slots.len() as u32);
        Self { slots, minimum: size.minimum, goal, close: size.close, rejoin }
    }

    /// Each selected node and its slot.
    pub fn slots(&self) -> &BTreeMap<NodeId, Slot> {
        &self.slots
    }

    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.slots.keys().copied().collect()
    }

    pub(super) fn size(&self) -> u32 {
        self.slots.len() as u32
    }

    fn count(&self, matches: impl Fn(&Slot) -> bool) -> u32 {
        self.slots.values().filter(|slot| matches(slot)).count() as u32
    }

    /// Nodes that may still report.
    pub(super) fn open(&self) -> u32 {
        self.count(Slot::is_open)
    }

    /// Nodes that have the model, those that reported among them.
    pub(super) fn with_model(&self) -> u32 {
        self.count(Slot::has_model)
    }

    /// Nodes whose update is in the sum.
    pub(super) fn reported(&self) -> u32 {
        self.count(|slot| matches!(slot, Slot::Reported(_)))
    }

    /// Whether no further update is waited for.
    pub(super) fn is_closed(&self) -> bool {
        self.open() == 0 || (self.close == Close::AtGoal && self.reported() >= self.goal)
    }

    /// Samples behind the updates in the sum.
    pub(super) fn weight_total(&self) -> u64 {
        let weight = |slot: &Slot| if let Slot::Reported(report) = slot { report.weight } else { 0 };
        self.slots.values().map(weight).sum()
    }

    /// Why the minimum cannot be met any more, if it cannot.
    pub(super) fn out_of_reach(&self, phase: PhaseName) -> Option<Abort> {
        let (reported, open, minimum) = (self.reported(), self.open(), self.minimum);
        (reported + open < minimum).then(|| Abort::OutOfReach {
            phase,
            reported,
            open,
            rejected: self.count(|slot| matches!(slot, Slot::Rejected(_))),
            declined: self.count(|slot| matches!(slot, Slot::Declined)),
            gone: self.count(|slot| matches!(slot, Slot::Gone)),
            minimum,
            cohort: self.size(),
        })
    }

    pub(super) fn on_ready(&mut self, node: NodeId) {
        if let Some(slot @ (Slot::Away(_) | Slot::Gone)) = self.slots.get_mut(&node) {
            *slot = Slot::Announced;
        }
    }

    pub(super) fn on_gone(&mut self, node: NodeId, now: Timestamp) {
        if let Some(slot @ (Slot::Announced | Slot::HasModel)) = self.slots.get_mut(&node) {
            *slot = Slot::Away(now);
        }
    }

    pub(super) fn on_model_received(&mut self, node: NodeId) {
        if let Some(slot @ (Slot::Announced | Slot::Away(_) | Slot::Gone)) = self.slots.get_mut(&node) {
            *slot = Slot::HasModel;
        }
    }

    pub(super) fn on_declined(&mut self, node: NodeId) {
        if let Some(slot) = self.slots.get_mut(&node).filter(|slot| slot.is_open()) {
            *slot = Slot::Declined;
        }
    }

    /// Stops counting on nodes that were away for too long.
    pub(super) fn on_time(&mut self, now: Timestamp) {
        for slot in self.slots.values_mut() {
            if matches!(slot, Slot::Away(since) if *since + self.rejoin <= now) {
                *slot = Slot::Gone;
            }
        }
    }

    /// When [`Self::on_time`] has something to do next.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let away = self.slots.values().filter_map(|slot| match slot {
            Slot::Away(since) => Some(*since + self.rejoin),
            _ => None,
        });
        away.min()
    }

    /// Takes one update. `fold` is called once, when the update is one that the round waits for.
    pub(super) fn on_update(
        &mut self,
        arrival: Arrival,
        now: Timestamp,
        fold: impl FnOnce() -> Result<Folded, UpdateFault>,
    ) -> Result<(), Fault> {
        let Arrival { node, head, .. } = arrival;
        let slot = self.slots.get_mut(&node).ok_or(Fault::NotSelected)?;
        match slot {
            Slot::Reported(_) => return Err(Fault::Duplicate),
            Slot::Declined | Slot::Rejected(_) => return Err(Fault::SlotLost),
            Slot::Announced | Slot::HasModel | Slot::Away(_) | Slot::Gone => (),
        }
        let report = report(head, now, fold);
        *slot = report.map_or_else(Slot::Rejected, Slot::Reported);
        report.map(|_| ())
    }

    /// What became of each, for the record.
    pub(super) fn members(&self) -> Vec<MemberRecord> {
        let member = |(node, slot): (&NodeId, &Slot)| {
            let outcome = match slot {
                Slot::Announced => MemberOutcome::Silent,
                Slot::HasModel => MemberOutcome::Straggler,
                Slot::Away(_) | Slot::Gone => MemberOutcome::Gone,
                Slot::Declined => MemberOutcome::Declined,
                Slot::Rejected(fault) => MemberOutcome::rejected(fault),
                Slot::Reported(report) => MemberOutcome::Reported(*report),
            };
            MemberRecord { node: *node, outcome }
        };
        self.slots.iter().map(member).collect()
    }
}

fn report(
    head: Result<UpdateHead, WireError>,
    now: Timestamp,
    fold: impl FnOnce() -> Result<Folded, UpdateFault>,
) -> Result<Report, Fault> {
    let head = head.map_err(Fault::Malformed)?;
    if !head.loss.is_finite() {
        return Err(Fault::NonFiniteLoss(head.loss));
    }
    let folded = fold().map_err(Fault::Values)?;
    let UpdateHead { weight, steps, loss } = head;
    Ok(Report { weight, steps, loss, delta_norm: folded.delta_norm, at: now })
}

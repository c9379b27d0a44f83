//! The selected nodes of one round, and what became of each.

use std::collections::BTreeMap;

use common::id::{EpochId, NodeId, RoundId};
use common::message::update::UpdateHead;
use common::units::{Millis, Timestamp};
use common::wire::WireError;

use super::record::{Base, MemberOutcome, MemberRecord, Report};
use super::{Abort, Arrival, Close, CohortSize, Fault, PhaseName};
use crate::strategy::{Folded, UpdateFault};

/// One seat per selected node, in the order of their ids: iteration is the same on replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cohort {
    seats: BTreeMap<NodeId, Seat>,
    pub(super) minimum: u32,
    /// Updates wanted: the plan's goal, or all when fewer nodes were selected.
    pub(super) goal: u32,
    close: Close,
    rejoin: Millis,
}

/// A selected node.
#[derive(Clone, Debug, PartialEq)]
struct Seat {
    base: Base,
    slot: Slot,
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
    pub fn new(
        nodes: impl IntoIterator<Item = NodeId>,
        base: Base,
        size: &CohortSize,
        rejoin: Millis,
    ) -> Self {
        let seat = |node| (node, Seat { base, slot: Slot::Announced });
        let seats: BTreeMap<_, _> = nodes.into_iter().map(seat).collect();
        let goal = size.goal.min(seats.len() as u32);
        Self { seats, minimum: size.minimum, goal, close: size.close, rejoin }
    }

    /// These nodes and those of an earlier round that still train, for this many updates.
    pub(super) fn join(mut self, carried: Self, goal: u32) -> Self {
        self.seats.extend(carried.seats.into_iter().filter(|(_, seat)| seat.slot.is_open()));
        self.goal = goal.min(self.seats.len() as u32);
        self
    }

    /// The nodes that still train when their round closes, and whose updates the `next` one takes.
    pub(super) fn carried(&self, next: RoundId, staleness_max: u32) -> Self {
        let goes_on = |seat: &Seat| seat.slot.is_open() && seat.base.staleness(next) <= staleness_max;
        let seats = self.seats.iter().filter(|(_, seat)| goes_on(seat));
        Self { seats: seats.map(|(node, seat)| (*node, seat.clone())).collect(), ..*self }
    }

    /// Each selected node and its slot.
    pub fn slots(&self) -> impl Iterator<Item = (NodeId, &Slot)> {
        self.seats.iter().map(|(node, seat)| (*node, &seat.slot))
    }

    /// The slot of a node, if it was selected.
    pub fn slot(&self, node: NodeId) -> Option<&Slot> {
        self.seats.get(&node).map(|seat| &seat.slot)
    }

    /// The nodes that were asked in this epoch.
    pub(super) fn asked(&self, epoch: EpochId) -> Vec<NodeId> {
        self.seats.iter().filter(|(_, seat)| seat.base.epoch == epoch).map(|(node, _)| *node).collect()
    }

    /// The oldest epoch of which an update may still come.
    pub(super) fn oldest(&self) -> Option<EpochId> {
        self.seats.values().filter(|seat| seat.slot.is_open()).map(|seat| seat.base.epoch).min()
    }

    /// Whether an update of this node may still come.
    pub(super) fn awaits(&self, node: NodeId) -> bool {
        self.seats.get(&node).is_some_and(|seat| seat.slot.is_open())
    }

    /// Whether an update of this epoch may still come.
    pub(super) fn awaits_of(&self, epoch: EpochId) -> bool {
        self.seats.values().any(|seat| seat.base.epoch == epoch && seat.slot.is_open())
    }

    pub(super) fn size(&self) -> u32 {
        self.seats.len() as u32
    }

    fn count(&self, matches: impl Fn(&Slot) -> bool) -> u32 {
        self.seats.values().filter(|seat| matches(&seat.slot)).count() as u32
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
    pub fn reported(&self) -> u32 {
        self.count(|slot| matches!(slot, Slot::Reported(_)))
    }

    /// Whether no further update is waited for.
    pub(super) fn is_closed(&self) -> bool {
        self.open() == 0 || (self.close == Close::AtGoal && self.reported() >= self.goal)
    }

    /// Samples behind the updates in the sum.
    pub(super) fn weight_total(&self) -> u64 {
        let weight = |seat: &Seat| if let Slot::Reported(report) = &seat.slot { report.weight } else { 0 };
        self.seats.values().map(weight).sum()
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
        self.change(node, None, |slot| matches!(slot, Slot::Away(_) | Slot::Gone), Slot::Announced);
    }

    pub(super) fn on_gone(&mut self, node: NodeId, now: Timestamp) {
        let is_there = |slot: &Slot| matches!(slot, Slot::Announced | Slot::HasModel);
        self.change(node, None, is_there, Slot::Away(now));
    }

    pub(super) fn on_model_received(&mut self, node: NodeId, epoch: EpochId) {
        let may_have = |slot: &Slot| matches!(slot, Slot::Announced | Slot::Away(_) | Slot::Gone);
        self.change(node, Some(epoch), may_have, Slot::HasModel);
    }

    pub(super) fn on_declined(&mut self, node: NodeId, epoch: EpochId) {
        self.change(node, Some(epoch), Slot::is_open, Slot::Declined);
    }

    /// What is said of one epoch changes nothing for a node that was asked in another.
    fn change(&mut self, node: NodeId, epoch: Option<EpochId>, from: impl Fn(&Slot) -> bool, to: Slot) {
        if let Some(seat) = self.seats.get_mut(&node)
            && epoch.is_none_or(|epoch| epoch == seat.base.epoch)
            && from(&seat.slot)
        {
            seat.slot = to;
        }
    }

    /// Stops counting on nodes that were away for too long.
    pub(super) fn on_time(&mut self, now: Timestamp) {
        for seat in self.seats.values_mut() {
            if matches!(seat.slot, Slot::Away(since) if since + self.rejoin <= now) {
                seat.slot = Slot::Gone;
            }
        }
    }

    /// When [`Self::on_time`] has something to do next.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let away = self.seats.values().filter_map(|seat| match seat.slot {
            Slot::Away(since) => Some(since + self.rejoin),
            _ => None,
        });
        away.min()
    }

    /// Takes one update in this round. `fold` is called once with its staleness, when the update is one that the
    /// round waits for.
    pub(super) fn on_update(
        &mut self,
        arrival: Arrival,
        at: Base,
        now: Timestamp,
        fold: impl FnOnce(u32) -> Result<Folded, UpdateFault>,
    ) -> Result<(), Fault> {
        let Arrival { node, epoch, head } = arrival;
        let missing = if epoch == at.epoch { Fault::NotSelected } else { Fault::Late(epoch) };
        let Seat { base, slot } = self.seats.get_mut(&node).ok_or(missing)?;
        if epoch != base.epoch {
            return Err(Fault::Late(epoch));
        }
        match slot {
            Slot::Reported(_) => return Err(Fault::Duplicate),
            Slot::Declined | Slot::Rejected(_) => return Err(Fault::SlotLost),
            Slot::Announced | Slot::HasModel | Slot::Away(_) | Slot::Gone => (),
        }
        let report = report(head, *base, now, || fold(base.staleness(at.round)));
        *slot = report.map_or_else(Slot::Rejected, Slot::Reported);
        report.map(|_| ())
    }

    /// What became of each, for the record; some train on for a later round.
    pub(super) fn members(&self, carried: &Self) -> Vec<MemberRecord> {
        let member = |(node, seat): (&NodeId, &Seat)| {
            let outcome = match &seat.slot {
                Slot::Announced | Slot::HasModel if carried.awaits(*node) => MemberOutcome::Training,
                Slot::Announced => MemberOutcome::Silent,
                Slot::HasModel => MemberOutcome::Straggler,
                Slot::Away(_) | Slot::Gone => MemberOutcome::Gone,
                Slot::Declined => MemberOutcome::Declined,
                Slot::Rejected(fault) => MemberOutcome::rejected(fault),
                Slot::Reported(report) => MemberOutcome::Reported(*report),
            };
            MemberRecord { node: *node, outcome }
        };
        self.seats.iter().map(member).collect()
    }
}

fn report(
    head: Result<UpdateHead, WireError>,
    base: Base,
    now: Timestamp,
    fold: impl FnOnce() -> Result<Folded, UpdateFault>,
) -> Result<Report, Fault> {
    let head = head.map_err(Fault::Malformed)?;
    if !head.loss.is_finite() {
        return Err(Fault::NonFiniteLoss(head.loss));
    }
    let folded = fold().map_err(Fault::Values)?;
    let UpdateHead { weight, steps, loss } = head;
    Ok(Report { weight, steps, loss, delta_norm: folded.delta_norm, base, at: now })
}

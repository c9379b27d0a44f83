//! Selection: wait for enough nodes, then draw the cohort.
//!
//! The first phase. Follows "Selection" in Bonawitz et al. 2019, section 2.2.

use std::collections::BTreeSet;

use common::id::{NodeId, RoundId};
use common::units::{Millis, Timestamp};

use crate::round::{Abort, Base, Cohort, CohortSize, RoundPlan};

/// Where the round goes after an input.
#[derive(Debug, PartialEq)]
pub enum Transition {
    /// Same phase; nothing more to do until the next input.
    Stay(Selection),
    /// These nodes are asked to train.
    Configure(Cohort),
    /// The deadline passed without enough nodes.
    Abort(Abort),
}

/// The pause before the second attempt at a round, doubled before each further one.
const RETRY: Millis = Millis(250);

/// The longest pause before an attempt.
const RETRY_MAX: Millis = Millis(30_000);

/// Waits for nodes.
#[derive(Debug, PartialEq)]
pub struct Selection {
    size: CohortSize,
    rejoin: Millis,
    base: Base,
    /// Who trains on from the round before.
    pub(in crate::round) carried: Cohort,
    began: Timestamp,
    /// Of the draw.
    key: [u8; 32],
    /// Not before this, while it is still to come: what ended the last attempt would end this one too.
    pub(in crate::round) pause_end: Option<Timestamp>,
    pub(in crate::round) deadline: Timestamp,
}

impl Selection {
    /// Begins the selection of one attempt, counted from 1, at a round.
    pub fn begin(plan: &RoundPlan, (base, attempt): (Base, u32), carried: Cohort, now: Timestamp) -> Self {
        let pause =
            |doublings: u32| Millis(RETRY.0 << doublings.min(7)).min(RETRY_MAX).min(plan.deadlines.selection);
        Self {
            size: plan.cohort,
            rejoin: plan.deadlines.rejoin,
            base,
            carried,
            began: now,
            key: draw_key(plan.seed, base.round),
            pause_end: attempt.checked_sub(2).map(|doublings| now + pause(doublings)),
            deadline: now + plan.deadlines.selection,
        }
    }

    /// Looks at who is there.
    pub fn settle(mut self, present: &BTreeSet<NodeId>, now: Timestamp) -> Transition {
        self.pause_end = self.pause_end.filter(|end| now < *end);
        let Self { size, carried, .. } = &self;
        let free: BTreeSet<NodeId> = present.iter().copied().filter(|node| !carried.awaits(*node)).collect();
        let (there, wanted) = (carried.open() + free.len() as u32, size.wanted());
        // While some train, the others need not wait until all are there.
        let enough = if carried.open() == 0 { wanted as u32 } else { size.minimum };
        if self.pause_end.is_some() || (there < enough && now < self.deadline) {
            return Transition::Stay(self);
        }
        if there < size.minimum {
            return Transition::Abort(Abort::TooFewNodes {
                present: there,
                minimum: size.minimum,
                waited: now.since(self.began),
            });
        }
        let drawn = draw(&self.key, &free, wanted.saturating_sub(carried.open() as usize));
        let asked = Cohort::new(drawn, self.base, size, self.rejoin);
        Transition::Configure(asked.join(self.carried, self.size.goal))
    }
}

/// One key a round: the attempts at a round draw alike, so that a coordinator that was killed and
/// started again selects the nodes that it would have selected without that.
fn draw_key(seed: u64, round: RoundId) -> [u8; 32] {
    let mut draw = blake3::Hasher::new_derive_key("starling 2026 selection of a cohort");
    draw.update(&seed.to_le_bytes());
    draw.update(&round.0.to_le_bytes());
    *draw.finalize().as_bytes()
}

/// The `wanted` nodes of the smallest keyed hash: a uniform sample without replacement that depends
/// on the set of candidates alone, and changes by at most one node when a candidate comes or goes.
fn draw(key: &[u8; 32], candidates: &BTreeSet<NodeId>, wanted: usize) -> Vec<NodeId> {
    let rank = |node: &NodeId| (*blake3::keyed_hash(key, &node.0).as_bytes(), *node);
    let mut ranked: Vec<_> = candidates.iter().map(rank).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(wanted).map(|(_, node)| node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: u8) -> BTreeSet<NodeId> {
        (0..count).map(|index| NodeId([index; 32])).collect()
    }

    fn drawn(seed: u64, round: u32, candidates: &BTreeSet<NodeId>, wanted: usize) -> BTreeSet<NodeId> {
        draw(&draw_key(seed, RoundId(round)), candidates, wanted).into_iter().collect()
    }

    #[test]
    fn the_same_seed_round_and_candidates_give_the_same_cohort() {
        let candidates = nodes(100);
        let first = drawn(1, 1, &candidates, 10);
        assert_eq!(first.len(), 10);
        assert_eq!(first, drawn(1, 1, &candidates, 10));
        assert_ne!(first, drawn(2, 1, &candidates, 10));
        assert_ne!(first, drawn(1, 2, &candidates, 10));
    }

    #[test]
    fn one_candidate_more_changes_at_most_one_member() {
        let fewer = drawn(1, 1, &nodes(99), 10);
        let more = drawn(1, 1, &nodes(100), 10);
        assert!(fewer.difference(&more).count() <= 1);
    }

    #[test]
    fn every_candidate_is_drawn_about_equally_often() {
        let candidates = nodes(20);
        let mut drawn_times = [0_u32; 20];
        for round in 1..=2000 {
            for node in drawn(7, round, &candidates, 5) {
                drawn_times[node.0[0] as usize] += 1;
            }
        }
        // 500 expected, standard deviation 19.4.
        assert!(drawn_times.iter().all(|times| (420..=580).contains(times)), "{drawn_times:?}");
    }
}

//! Rounds whose stragglers count in a later one: buffered asynchronous aggregation (FedBuff).

use super::*;

/// Four nodes train at once, two updates make a model, and an update may be so many rounds old.
fn buffered(staleness_max: u32) -> World {
    let mut plan = plan(1, 2, 2.0, 9);
    plan.cohort.staleness_max = staleness_max;
    let mut world = World::new(plan);
    (0..4).for_each(|index| world.say(Input::NodeReady(node(index))));
    world
}

/// The same after the first round, which nodes 0 and 1 closed, and its epoch.
fn after_one(staleness_max: u32) -> (World, EpochId) {
    let mut world = buffered(staleness_max);
    let first = world.epoch();
    (0..2).for_each(|index| world.update(index));
    world.commit();
    (world, first)
}

impl World {
    /// The nodes asked last, and from which epoch on updates are taken.
    fn asked(&self) -> (Vec<NodeId>, EpochId) {
        let announced = self.outputs.iter().rev().find_map(|output| match output {
            Output::Announce(announce) => Some((announce.cohort.clone(), announce.taken_from)),
            _ => None,
        });
        announced.expect("something was announced")
    }

    /// An update of the model that was announced under this epoch.
    fn update_since(&mut self, index: u8, epoch: EpochId) {
        self.update_of(index, epoch, head(10, 0.5), Ok(Folded { delta_norm: 1.0 }));
    }

    /// Makes the round that is aggregated durable; the next one begins.
    fn commit(&mut self) {
        let round = self.run.rounds_done().0 as u8 + 1;
        self.say(Input::Aggregated(model(round).into()));
        self.say(Input::Committed);
    }
}

fn staleness(record: &RoundRecord) -> Vec<(NodeId, u32)> {
    record.reports().map(|(node, report)| (node, report.base.staleness(record.round))).collect()
}

#[test]
fn who_still_trains_when_a_round_closes_counts_in_the_next_one() {
    let (mut world, first) = after_one(3);
    assert_eq!(world.asked(), (vec![node(0), node(1)], first), "the other two go on");
    world.update_since(2, first);
    world.update_since(0, world.epoch());
    world.commit();
    let records = world.records();
    assert_eq!(staleness(records[0]), [(node(0), 0), (node(1), 0)]);
    assert_eq!(staleness(records[1]), [(node(0), 0), (node(2), 1)]);
    let of = |record: &RoundRecord, index| {
        record.members.iter().find(|member| member.node == node(index)).map(|member| member.outcome.clone())
    };
    assert_eq!(of(records[0], 2), Some(MemberOutcome::Training));
    assert_eq!(of(records[1], 3), Some(MemberOutcome::Training));
    assert_eq!(world.rejections(), []);
    assert_eq!(world.asked(), (vec![node(0), node(2)], first), "node 3 still trains from the first model");
}

#[test]
fn an_update_that_is_older_than_the_plan_allows_is_late_and_its_node_is_asked_anew() {
    let (mut world, first) = after_one(1);
    let second = world.epoch();
    (0..2).for_each(|index| world.update_since(index, second));
    world.commit();
    assert_eq!(world.asked(), ((0..4).map(node).collect(), world.epoch()), "nobody trains on");
    world.update_since(2, first);
    assert_eq!(world.rejections(), [Fault::Late(first)]);
}

#[test]
fn an_update_counts_once_and_only_by_the_model_that_its_node_was_given() {
    let (mut world, first) = after_one(3);
    let second = world.epoch();
    world.update_since(0, first);
    world.update_since(2, second);
    assert_eq!(world.rejections(), [Fault::Late(first), Fault::Late(second)]);
    world.update_since(2, first);
    world.update_since(2, first);
    assert_eq!(world.rejections().last(), Some(&Fault::Duplicate));
    assert_eq!(world.folds, [0, 1, 2].map(node));
}

#[test]
fn a_node_that_trains_on_and_is_started_again_is_asked_anew() {
    let mut world = buffered(3);
    let first = world.epoch();
    (0..2).for_each(|index| world.update(index));
    world.say(Input::Declined { node: node(2), epoch: first });
    world.commit();
    assert_eq!(world.asked().0, [0, 1, 2].map(node), "node 3 still trains");
}

#[test]
fn who_trains_on_and_is_gone_is_not_waited_for() {
    let mut world = buffered(3);
    (0..2).for_each(|index| world.update(index));
    (2..4).for_each(|index| world.say(Input::NodeGone(node(index))));
    world.commit();
    assert_eq!(world.asked().0, [0, 1].map(node));
    world.wait(REJOIN);
    (0..2).for_each(|index| world.update(index));
    assert_eq!(world.run.progress().unwrap().phase, PhaseName::Aggregation);
}

#[test]
fn an_attempt_that_ends_without_a_model_takes_no_update_of_before() {
    let (mut world, first) = after_one(3);
    (0..4).for_each(|index| world.say(Input::NodeGone(node(index))));
    world.wait(REJOIN);
    (0..4).for_each(|index| world.say(Input::NodeReady(node(index))));
    world.wait(SELECTION);
    let (asked, taken_from) = world.asked();
    assert_eq!((asked.len(), taken_from), (4, world.epoch()));
    world.update_since(2, first);
    assert_eq!(world.rejections(), [Fault::Late(first)]);
}

#[test]
fn without_a_bound_for_stale_updates_rounds_are_apart_from_each_other() {
    let (mut world, first) = after_one(0);
    assert_eq!(world.asked(), ((0..4).map(node).collect(), world.epoch()));
    world.update_since(2, first);
    assert_eq!(world.rejections(), [Fault::Late(first)]);
}

//! Nodes that an operator takes out while a run goes on.

use common::id::RoundId;
use common::message::event::Fact;
use common::units::Millis;
use coordinator::engine::End;
use harness::world::{Scene, World};

use crate::{LIMIT, SCENE};

const WHY: &str = "its disk was stolen";

/// Three of four are enough.
const SPARE: Scene = Scene { minimum: 3, ..SCENE };

/// The rounds in which a node's update is.
fn rounds_of(world: &World, index: usize) -> Vec<RoundId> {
    let node = world.nodes[index].node();
    let counts = world.committed.iter().filter(|record| record.reports().any(|(id, _)| id == node));
    counts.map(|record| record.round).collect()
}

#[test]
fn a_node_that_is_revoked_between_rounds_is_in_no_later_one_and_is_not_given_the_result() {
    let mut world = World::new(SPARE);
    while world.committed.is_empty() {
        world.step();
    }
    world.revoke(2, WHY);
    world.prove(LIMIT).unwrap_or_else(|why| panic!("{why}: {:#?}", world.notes));
    assert!(matches!(world.end(), Some(End::Finished(_))));
    assert_eq!(rounds_of(&world, 2), [RoundId(1)]);
    assert_eq!(rounds_of(&world, 1).len(), 3);
    assert!(!world.kept.contains_key(&2) && world.kept.len() == 3);
    let away = |fact: &Fact| matches!(fact, Fact::NodeAway { reason, .. } if reason.ends_with(WHY));
    assert!(world.events.iter().any(away), "{:?}", world.events);
}

#[test]
fn an_update_that_is_on_its_way_when_its_node_is_revoked_is_in_no_model() {
    const CUTS: usize = 30;
    let mut world = World::new(SPARE);
    let mut steps = 0;
    while world.committed.is_empty() {
        world.step();
        steps += 1;
    }
    // Wherever in the first round that comes.
    let mut cut_short = 0;
    for cut in 0..CUTS {
        let mut world = World::new(SPARE);
        (0..steps * cut / CUTS).for_each(|_| world.step());
        let began = world.now;
        world.revoke(1, WHY);
        world.prove(LIMIT).unwrap_or_else(|why| panic!("{cut} of {CUTS}: {why}: {:#?}", world.notes));
        // Each selection looks 5 s for the fourth node; no report is waited for until its deadline, 20 s later.
        let took = world.now.since(began);
        assert!(took < Millis(30_000), "{cut} of {CUTS}: {took}");
        assert!(rounds_of(&world, 1).len() <= 1, "what had arrived before counts, and no more");
        cut_short += usize::from(rounds_of(&world, 1).is_empty());
    }
    assert!((CUTS / 2..CUTS).contains(&cut_short), "{cut_short} times before its update was in");
}

#[test]
fn who_is_not_let_in_is_told_of_once_however_often_it_says_that_it_is_there() {
    let mut world = World::new(Scene { rounds: 30, ..SPARE });
    while world.committed.is_empty() {
        world.step();
    }
    world.revoke(3, WHY);
    let until = world.now + Millis(60_000);
    while world.now < until {
        world.step();
    }
    let node = world.nodes[3].node();
    let refused = world.events.iter().filter(|fact| {
        matches!(fact, Fact::NodeRefused { node: refused, reason }
            if *refused == node && reason.ends_with(WHY))
    });
    assert_eq!(refused.count(), 1, "{:?}", world.events);
}

#[test]
fn a_coordinator_that_was_down_when_a_node_was_revoked_begins_without_it() {
    let mut world = World::new(SPARE);
    while world.committed.is_empty() {
        world.step();
    }
    world.plan(0, harness::world::Fault::KillCoordinator { outputs: 0, down_ms: 500 });
    let until = world.now + Millis(400);
    while world.now < until {
        world.step();
    }
    world.revoke(0, WHY);
    world.prove(LIMIT).unwrap_or_else(|why| panic!("{why}: {:#?}", world.notes));
    assert_eq!(rounds_of(&world, 0), [RoundId(1)]);
    let heard = world.nodes.iter().all(|node| node.coordinator().is_some());
    assert!(heard);
}

/// Steps until the first round is committed, each time with one more cut of it.
const CUTS: usize = 30;

/// How many steps the first round takes.
fn steps_of_a_round(scene: Scene) -> usize {
    let mut world = World::new(scene);
    let mut steps = 0;
    while world.committed.is_empty() {
        world.step();
        steps += 1;
    }
    steps
}

#[test]
fn a_node_that_is_given_its_next_key_ends_its_round_with_the_old_one_and_no_round_is_lost() {
    let scene = Scene { rounds: 4, ..SCENE };
    let steps = steps_of_a_round(scene);
    for cut in 0..CUTS {
        let mut world = World::new(scene);
        (0..steps * cut / CUTS).for_each(|_| world.step());
        let before = world.nodes[1].node();
        world.rotate(1);
        world.prove(LIMIT).unwrap_or_else(|why| panic!("{cut} of {CUTS}: {why}: {:#?}", world.notes));
        let after = world.nodes[1].node();
        assert!(before != after && world.aborted.is_empty(), "{cut} of {CUTS}: {:#?}", world.notes);
        // Each round has one update of it: under the one key, and from some round on under the other.
        let keys: Vec<_> = world
            .committed
            .iter()
            .map(|record| {
                let own = record.reports().map(|(id, _)| id).filter(|id| [before, after].contains(id));
                own.collect::<Vec<_>>()
            })
            .collect();
        assert!(keys.iter().all(|own| own.len() == 1) && keys.last() == Some(&vec![after]), "{keys:?}");
        assert!(keys.is_sorted_by_key(|own| own[0] == after), "{cut} of {CUTS}: {keys:?}");
        assert!(world.kept.contains_key(&1));
    }
}

#[test]
fn who_was_given_a_new_key_and_is_then_taken_out_is_so_under_both() {
    let mut world = World::new(SPARE);
    world.rotate(1);
    world.revoke(1, WHY);
    world.prove(LIMIT).unwrap_or_else(|why| panic!("{why}: {:#?}", world.notes));
    assert!(world.committed.iter().all(|record| record.reports().count() == 3));
}

#[test]
fn a_tenant_is_handed_over_while_a_run_goes_on_and_who_was_away_follows() {
    let scene = Scene { rounds: 4, ..SPARE };
    let steps = steps_of_a_round(scene);
    for cut in 0..CUTS {
        let mut world = World::new(scene);
        (0..steps * cut / CUTS).for_each(|_| world.step());
        world.down.insert(3);
        world.hand_over();
        (0..steps).for_each(|_| world.step());
        world.hand_over();
        world.down.remove(&3);
        world.revoke(0, WHY);
        world.prove(LIMIT).unwrap_or_else(|why| panic!("{cut} of {CUTS}: {why}: {:#?}", world.notes));
        // What only the third operator said has come to all.
        let away = |fact: &Fact| matches!(fact, Fact::NodeAway { reason, .. } if reason.ends_with(WHY));
        assert!(world.events.iter().any(away), "{cut} of {CUTS}: {:?}", world.events);
        assert!(rounds_of(&world, 3).contains(&RoundId(4)), "{cut} of {CUTS}");
    }
}

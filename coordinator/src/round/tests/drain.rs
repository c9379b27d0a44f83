//! Nodes that are drained: in no new round, and of use to the one that they are in.

use super::*;

#[test]
fn the_update_of_a_node_that_drains_counts_and_the_next_round_goes_on_without_it() {
    let mut world = World::reporting();
    world.say(Input::NodeDrains(node(1)));
    world.update(1);
    world.update(0);
    world.update(2);
    assert!(world.reached(|output| *output == Output::Aggregate { updates: 3, weight_total: 30 }));
    world.say(Input::Aggregated(model(1).into()));
    world.say(Input::Committed);
    assert_eq!(world.run.progress().unwrap().present, 2);
    world.say(Input::NodeReady(node(0)));
    world.say(Input::NodeDrains(node(1)));
    world.wait(SELECTION);
    let cohort: Vec<NodeId> = world.run.progress().unwrap().cohort.unwrap().slots().keys().copied().collect();
    assert_eq!(cohort, [node(0), node(2)]);
}

#[test]
fn a_node_that_is_taken_back_is_selected_again() {
    let mut world = World::small();
    world.say(Input::NodeReady(node(0)));
    world.say(Input::NodeDrains(node(1)));
    world.say(Input::NodeReady(node(2)));
    assert_eq!(world.run.progress().unwrap().phase, PhaseName::Selection);
    world.say(Input::NodeReady(node(1)));
    assert_eq!(world.run.progress().unwrap().cohort.unwrap().slots().len(), 3);
}

#[test]
fn a_node_that_drains_and_was_away_is_waited_for_again() {
    let mut world = World::reporting();
    world.say(Input::NodeGone(node(1)));
    world.say(Input::NodeDrains(node(1)));
    world.update(0);
    world.update(2);
    world.wait(REJOIN + 1);
    assert_eq!(world.run.progress().unwrap().phase, PhaseName::Reporting);
    world.update(1);
    assert!(world.reached(|output| matches!(output, Output::Aggregate { updates: 3, .. })));
}

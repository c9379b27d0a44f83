//! How long a round waits: for stragglers, and before it is tried again; and a run for its last round.

use super::*;

#[test]
fn a_round_that_waits_for_stragglers_closes_with_the_last_one_or_at_the_deadline() {
    let patient = || {
        let mut plan = plan(1, 1, 3.0, 1);
        plan.cohort.close = Close::AtDeadline;
        let mut world = World::new(plan);
        (0..3).for_each(|index| world.say(Input::NodeReady(node(index))));
        let epoch = world.epoch();
        (0..3).for_each(|index| world.say(Input::ModelReceived { node: node(index), epoch }));
        (0..2).for_each(|index| world.update(index));
        assert_eq!(world.run.progress().unwrap().phase, PhaseName::Reporting, "the goal was one");
        world
    };
    let ways: [fn(&mut World); 3] = [
        |world| world.update(2),
        |world| world.say(Input::Declined { node: node(2), epoch: world.epoch() }),
        |world| world.wait(CONFIGURATION + REPORTING),
    ];
    for (way, updates) in ways.iter().zip([3, 2, 2]) {
        let mut world = patient();
        way(&mut world);
        let aggregate = Output::Aggregate { updates, weight_total: u64::from(updates) * 10 };
        assert!(world.reached(|output| *output == aggregate), "{:?}", world.outputs.last());
    }
}

#[test]
fn each_further_attempt_waits_twice_as_long_for_what_ended_the_last_one_to_pass() {
    let mut world = World::configuring();
    for (attempt, pause) in [(2, 250), (3, 500)] {
        let epoch = world.epoch();
        (0..2).for_each(|index| world.say(Input::Declined { node: node(index), epoch }));
        assert_eq!(world.run.next_deadline(), Some(world.now + Millis(pause)));
        world.wait(pause - 1);
        assert_eq!(world.run.progress().unwrap().phase, PhaseName::Selection);
        world.wait(1);
        let progress = world.run.progress().unwrap();
        assert_eq!((progress.phase, progress.attempt), (PhaseName::Configuration, attempt));
    }
}

#[test]
fn a_run_that_is_extended_in_its_last_round_goes_on_after_it() {
    let last_round = |more: u32| {
        let mut world = World::new(plan(1, 1, 1.0, 1));
        world.say(Input::NodeReady(node(0)));
        world.say(Input::ModelReceived { node: node(0), epoch: world.epoch() });
        world.update(0);
        world.say(Input::Aggregated(model(1).into()));
        world.run.extend(more);
        world.say(Input::Committed);
        world
    };
    let finished = Output::RunFinished { model: model(1) };
    assert!(last_round(0).reached(|output| *output == finished));
    let extended = last_round(1);
    assert!(!extended.reached(|output| *output == finished));
    assert_eq!(extended.run.progress().unwrap().round, RoundId(2));
}

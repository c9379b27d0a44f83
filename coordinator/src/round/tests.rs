//! The table of transitions, each way a round can end, and rounds under random inputs.

mod drain;
mod patience;
mod random;

use std::fmt::Write;

use common::message::update::UpdateHead;
use common::units::Millis;
use common::wire::{Fault as WireFault, WireError, decode, encode};

use super::*;
use crate::strategy::{Folded, UpdateFault};

const SELECTION: u64 = 1_000;
const CONFIGURATION: u64 = 2_000;
const REPORTING: u64 = 4_000;
const COMMITTING: u64 = 8_000;
const REJOIN: u64 = 500;

fn node(index: u8) -> NodeId {
    NodeId([index; 32])
}

fn model(round: u8) -> ModelHash {
    ModelHash([round; 32])
}

fn plan(minimum: u32, goal: u32, over_selection: f64, rounds: u32) -> RoundPlan {
    let deadlines = Deadlines {
        selection: Millis(SELECTION),
        configuration: Millis(CONFIGURATION),
        reporting: Millis(REPORTING),
        committing: Millis(COMMITTING),
        rejoin: Millis(REJOIN),
    };
    let size = CohortSize { minimum, goal, over_selection, close: Close::AtGoal };
    RoundPlan::new(size, deadlines, rounds, 3, 9).unwrap()
}

/// A run, a clock that the test moves, and everything the run said.
struct World {
    run: Run,
    now: Timestamp,
    outputs: Vec<Output>,
    folds: Vec<NodeId>,
}

impl World {
    fn new(plan: RoundPlan) -> Self {
        let epochs = ReservedEpochs { next: EpochId(1), end: EpochId(1 + EPOCHS_AHEAD) };
        let position =
            RunPosition { run: RunId([1; 16]), rounds_done: RoundId(0), checkpoint: model(0).into(), epochs };
        let now = Timestamp::from_millis(100);
        let (run, outputs) = Run::begin(plan, position, BTreeSet::new(), now);
        Self { run, now, outputs, folds: Vec::new() }
    }

    /// Three nodes; two updates are needed and three wanted.
    fn small() -> Self {
        Self::new(plan(2, 3, 1.0, 2))
    }

    /// As [`Self::small`], with all three nodes selected.
    fn configuring() -> Self {
        let mut world = Self::small();
        (0..3).for_each(|index| world.say(Input::NodeReady(node(index))));
        world
    }

    fn reporting() -> Self {
        let mut world = Self::configuring();
        let epoch = world.epoch();
        (0..3).for_each(|index| world.say(Input::ModelReceived { node: node(index), epoch }));
        world
    }

    fn aggregating() -> Self {
        let mut world = Self::reporting();
        (0..3).for_each(|index| world.update(index));
        world
    }

    fn committing() -> Self {
        let mut world = Self::aggregating();
        world.say(Input::Aggregated(model(1).into()));
        world
    }

    fn epoch(&self) -> EpochId {
        self.run.progress().unwrap().epoch
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now + Millis(millis);
        self.say(Input::Tick);
    }

    fn say(&mut self, input: Input) {
        self.outputs.extend(self.run.on_input(input, self.now));
    }

    fn update(&mut self, index: u8) {
        let epoch = self.epoch();
        self.update_of(index, epoch, head(10, 0.5), Ok(Folded { delta_norm: 1.0 }));
    }

    fn update_of(
        &mut self,
        index: u8,
        epoch: EpochId,
        head: Result<UpdateHead, WireError>,
        folded: Result<Folded, UpdateFault>,
    ) {
        let arrival = Arrival { node: node(index), epoch, head };
        let folds = &mut self.folds;
        let outputs = self.run.on_update(arrival, self.now, || {
            folds.push(node(index));
            folded
        });
        self.outputs.extend(outputs);
    }

    fn bad_update(&mut self, index: u8) {
        let epoch = self.epoch();
        let fault = UpdateFault::NonFinite { index: 3, value: f32::INFINITY };
        self.update_of(index, epoch, head(10, 0.5), Err(fault));
    }

    fn rejections(&self) -> Vec<Fault> {
        let fault = |output: &Output| {
            if let Output::Rejected(rejection) = output { Some(rejection.fault) } else { None }
        };
        self.outputs.iter().filter_map(fault).collect()
    }

    fn records(&self) -> Vec<&RoundRecord> {
        let mut records: Vec<&RoundRecord> = Vec::new();
        for output in &self.outputs {
            if let Output::Commit { record, .. } | Output::RoundAborted(record) = output {
                records.push(record);
            }
        }
        records
    }

    fn reached(&self, wanted: impl Fn(&Output) -> bool) -> bool {
        self.outputs.iter().any(wanted)
    }

    /// Where it stands, for the table.
    fn place(&self) -> String {
        match (self.run.progress(), self.outputs.last()) {
            (Some(progress), _) if progress.attempt > 1 => {
                format!("abort > {} of attempt {}", progress.phase, progress.attempt)
            }
            (Some(progress), _) if progress.round.0 > 1 => format!("publish > {} of round 2", progress.phase),
            (Some(progress), _) => progress.phase.to_string(),
            (None, Some(Output::Halted(_))) => "halt".to_owned(),
            (None, last) => format!("{last:?}"),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as an arrival has it")]
fn head(weight: u64, loss: f32) -> Result<UpdateHead, WireError> {
    Ok(UpdateHead { weight, steps: 1, loss })
}

type Event = (&'static str, fn(&mut World));

const EVENTS: [Event; 13] = [
    ("a third node is ready", |world| world.say(Input::NodeReady(node(2)))),
    ("a node leaves", |world| world.say(Input::NodeGone(node(0)))),
    ("two nodes leave for good", |world| {
        world.say(Input::NodeGone(node(0)));
        world.say(Input::NodeGone(node(1)));
        world.wait(REJOIN);
    }),
    ("two have the model", |world| say_to(world, 0..2)),
    ("all have the model", |world| say_to(world, 0..3)),
    ("two decline", |world| {
        let epoch = world.epoch();
        (0..2).for_each(|index| world.say(Input::Declined { node: node(index), epoch }));
    }),
    ("two report", |world| (0..2).for_each(|index| world.update(index))),
    ("all report", |world| (0..3).for_each(|index| world.update(index))),
    ("two report wrongly", |world| {
        world.bad_update(0);
        world.bad_update(1);
    }),
    ("the phase's deadline", |world| {
        let deadline = world.run.progress().unwrap().deadline;
        world.wait(deadline.since(world.now).0);
    }),
    ("aggregated", |world| world.say(Input::Aggregated(model(1).into()))),
    ("committed", |world| world.say(Input::Committed)),
    ("store failed", |world| world.say(Input::StoreFailed("disk full".into()))),
];

fn say_to(world: &mut World, nodes: std::ops::Range<u8>) {
    let epoch = world.epoch();
    nodes.for_each(|index| world.say(Input::ModelReceived { node: node(index), epoch }));
}

/// From each phase, what each event leads to; events that change nothing are left out.
const TABLE: &str = "\
selection
    a third node is ready      > configuration
    the phase's deadline       > configuration
configuration
    two nodes leave for good   > abort > selection of attempt 2
    all have the model         > reporting
    two decline                > abort > selection of attempt 2
    all report                 > aggregation
    two report wrongly         > abort > selection of attempt 2
    the phase's deadline       > abort > selection of attempt 2
reporting
    two nodes leave for good   > abort > selection of attempt 2
    two decline                > abort > selection of attempt 2
    all report                 > aggregation
    two report wrongly         > abort > selection of attempt 2
    the phase's deadline       > abort > selection of attempt 2
aggregation
    the phase's deadline       > halt
    aggregated                 > committing
    store failed               > halt
committing
    the phase's deadline       > halt
    committed                  > publish > configuration of round 2
    store failed               > halt
";

#[test]
fn the_transitions_are_this_table() {
    let selecting = || {
        let mut world = World::small();
        (0..2).for_each(|index| world.say(Input::NodeReady(node(index))));
        world
    };
    let phases: [fn() -> World; 5] =
        [selecting, World::configuring, World::reporting, World::aggregating, World::committing];
    let mut table = String::new();
    for begin in phases {
        let from = begin().place();
        let _ = writeln!(table, "{from}");
        for (name, happen) in EVENTS {
            let mut world = begin();
            happen(&mut world);
            if world.place() != from {
                let _ = writeln!(table, "    {name:<26} > {}", world.place());
            }
        }
    }
    println!("{table}");
    assert_eq!(table, TABLE);
}

#[test]
fn a_round_goes_from_selection_to_publish_and_the_last_one_finishes_the_run() {
    let mut world = World::committing();
    let Some(Output::Announce(announce)) = world.outputs.iter().find(|o| matches!(o, Output::Announce(_)))
    else {
        panic!("nothing was announced");
    };
    assert_eq!((announce.round, announce.epoch, announce.model), (RoundId(1), EpochId(1), model(0)));
    assert_eq!(announce.cohort, [node(0), node(1), node(2)]);
    assert_eq!(announce.deadline, world.now + Millis(CONFIGURATION + REPORTING));
    assert!(world.reached(|output| *output == Output::Aggregate { updates: 3, weight_total: 30 }));
    assert!(!world.reached(|output| matches!(output, Output::Publish { .. })), "commit, then publish");

    world.say(Input::Committed);
    assert!(world.reached(|output| *output == Output::Publish { round: RoundId(1), model: model(1) }));
    assert_eq!((world.run.model(), world.run.rounds_done()), (model(1), RoundId(1)));

    (0..3).for_each(|index| world.update(index));
    world.say(Input::Aggregated(model(2).into()));
    world.say(Input::Committed);
    assert_eq!(world.outputs.last(), Some(&Output::RunFinished { model: model(2) }));
    assert!(world.run.is_over() && world.run.next_deadline().is_none());
    let rounds: Vec<_> =
        world.records().iter().map(|record| (record.round.0, record.epoch.0, record.model)).collect();
    assert_eq!(rounds, [(1, 1, model(0)), (2, 2, model(1))]);
}

#[test]
fn every_wrong_update_is_refused_by_name_and_only_its_own_fault_costs_a_slot() {
    let mut world = World::reporting();
    let now = world.epoch();
    let fine = Ok(Folded { delta_norm: 1.0 });
    world.update_of(9, now, head(1, 0.0), fine);
    world.update_of(0, EpochId(now.0 + 1), head(1, 0.0), fine);
    world.update_of(0, EpochId(now.0 - 1), head(1, 0.0), fine);
    assert!(world.folds.is_empty());
    let late = Fault::Late(EpochId(now.0 - 1));
    let wrong = Fault::WrongEpoch { announced: now, found: EpochId(now.0 + 1) };
    assert_eq!(world.rejections(), [Fault::NotSelected, wrong, late]);

    world.update(0);
    world.update(0);
    assert_eq!(world.rejections().last(), Some(&Fault::Duplicate));
    assert_eq!(world.folds, [node(0)], "folded once");

    world.update_of(1, now, head(1, f32::NAN), fine);
    assert!(matches!(world.rejections().last(), Some(Fault::NonFiniteLoss(_))));
    world.update(1);
    assert_eq!(world.rejections().last(), Some(&Fault::SlotLost));
    assert_eq!(world.folds, [node(0)]);
    assert!(!world.rejections().iter().any(|fault| *fault == Fault::NotSelected && fault.costs_the_slot()));
}

#[test]
fn an_update_that_cannot_be_read_costs_its_sender_the_slot() {
    let mut world = World::reporting();
    let error = WireError { offset: 0, fault: WireFault::Short };
    world.update_of(0, world.epoch(), Err(error), Ok(Folded { delta_norm: 1.0 }));
    assert_eq!(world.rejections(), [Fault::Malformed(error)]);
    assert!(world.folds.is_empty());
}

#[test]
fn an_update_after_the_round_closed_is_late_and_changes_nothing() {
    for mut world in [World::aggregating(), World::committing()] {
        let epoch = world.epoch();
        world.update(2);
        assert_eq!(world.rejections(), [Fault::Late(epoch)]);
        assert_eq!(world.folds.len(), 3);
    }
    let mut world = World::reporting();
    world.now = world.now + Millis(CONFIGURATION + REPORTING);
    let epoch = world.epoch();
    world.update_of(0, epoch, head(1, 0.0), Ok(Folded { delta_norm: 1.0 }));
    assert_eq!(world.rejections(), [Fault::Late(epoch)], "no tick had said that the deadline passed");
}

#[test]
fn the_deadline_with_the_minimum_closes_a_round_and_the_record_names_who_is_missing() {
    let mut world = World::reporting();
    world.update(0);
    world.update(2);
    world.wait(CONFIGURATION + REPORTING - 1);
    assert_eq!(world.run.progress().unwrap().phase, PhaseName::Reporting);
    world.wait(1);
    world.say(Input::Aggregated(model(1).into()));
    let record = world.records()[0].clone();
    assert_eq!(record.missing().collect::<Vec<_>>(), [(node(1), &MemberOutcome::Straggler)]);
    assert_eq!((record.weight_total(), record.reports().count()), (20, 2));
    assert!((record.loss() - 0.5).abs() < 1e-9);
    let phases: Vec<_> = record.phase_micros().collect();
    assert_eq!(phases[2], (PhaseName::Reporting, (CONFIGURATION + REPORTING) * 1000));
    assert_eq!(decode(&encode(&record)), Ok(record));
}

#[test]
fn a_round_that_is_short_says_how_short_and_is_tried_under_a_new_epoch_until_the_run_fails() {
    let mut world = World::small();
    world.say(Input::NodeReady(node(0)));
    for attempt in 1..=3 {
        assert_eq!(world.run.progress().unwrap().attempt, attempt);
        world.wait(SELECTION);
    }
    let text = world.outputs.last().map(|output| match output {
        Output::RunFailed(failure) => failure.to_string(),
        other => panic!("{other:?}"),
    });
    let expected =
        "round 1 failed 3 times; the last time 1 nodes were there within 1.0 s; at least 2 are needed";
    assert_eq!(text.as_deref(), Some(expected));
    let epochs: Vec<_> = world.records().iter().map(|record| record.epoch.0).collect();
    assert_eq!(epochs, [1, 2, 3]);
    assert!(world.run.is_over());
}

#[test]
fn a_node_that_left_may_come_back_in_time_and_report() {
    let mut world = World::reporting();
    world.update(0);
    world.say(Input::NodeGone(node(1)));
    world.wait(REJOIN - 1);
    world.say(Input::NodeReady(node(1)));
    world.update(1);
    world.update(2);
    assert_eq!(world.run.progress().unwrap().phase, PhaseName::Aggregation);
    assert_eq!(world.folds.len(), 3);
}

#[test]
fn a_node_that_stays_away_is_not_waited_for_when_the_others_are_enough() {
    let mut world = World::reporting();
    world.update(0);
    world.say(Input::NodeGone(node(1)));
    world.update(2);
    assert_eq!(world.run.progress().unwrap().phase, PhaseName::Reporting);
    assert_eq!(world.run.next_deadline(), Some(world.now + Millis(REJOIN)));
    world.wait(REJOIN);
    assert_eq!(world.run.progress().unwrap().phase, PhaseName::Aggregation);
}

#[test]
fn the_round_ends_at_once_when_the_minimum_is_out_of_reach() {
    let mut world = World::reporting();
    world.update(0);
    world.bad_update(1);
    let epoch = world.epoch();
    world.say(Input::Declined { node: node(2), epoch });
    let RoundOutcome::Aborted(why) = &world.records()[0].outcome else { panic!("not aborted") };
    let expected = "in reporting: of 3 selected nodes 1 were refused, 1 declined and 0 are gone; \
                    1 reported and 0 may still, but at least 2 are needed";
    assert_eq!(why.as_str(), expected);
}

#[test]
fn an_update_says_that_its_sender_has_the_model() {
    let mut world = World::configuring();
    (0..2).for_each(|index| world.update(index));
    assert_eq!(world.run.progress().unwrap().phase, PhaseName::Configuration);
    let epoch = world.epoch();
    world.say(Input::ModelReceived { node: node(2), epoch });
    assert_eq!(world.run.progress().unwrap().phase, PhaseName::Reporting);
    world.update(2);
    assert!(world.reached(|output| *output == Output::Aggregate { updates: 3, weight_total: 30 }));
}

#[test]
fn over_selection_asks_more_nodes_than_are_needed_and_closes_at_the_goal() {
    let mut world = World::new(plan(1, 2, 1.5, 1));
    (0..3).for_each(|index| world.say(Input::NodeReady(node(index))));
    world.update(0);
    world.update(2);
    world.say(Input::Aggregated(model(1).into()));
    world.say(Input::Committed);
    assert_eq!(world.records()[0].missing().collect::<Vec<_>>(), [(node(1), &MemberOutcome::Silent)]);
    assert_eq!(world.outputs.last(), Some(&Output::RunFinished { model: model(1) }));
}

#[test]
fn a_store_that_answers_late_is_still_believed() {
    let mut world = World::committing();
    world.now = world.now + Millis(COMMITTING);
    world.say(Input::Committed);
    assert_eq!(world.run.rounds_done(), RoundId(1));
}

#[test]
fn a_store_that_fails_halts_the_run_and_publishes_nothing() {
    let mut world = World::committing();
    world.say(Input::StoreFailed("disk full".into()));
    let Some(Output::Halted(halt)) = world.outputs.last() else { panic!("not halted") };
    let text = "round 1, committing: disk full; restart to go on from what the disk holds";
    assert_eq!(halt.to_string(), text);
    world.say(Input::Committed);
    assert!(!world.reached(|output| matches!(output, Output::Publish { .. })));
}

#[test]
fn a_restarted_coordinator_selects_the_cohort_that_it_had_selected() {
    let announced = |rounds_done: u32, first_epoch: u64| {
        let epochs = ReservedEpochs { next: EpochId(first_epoch), end: EpochId(first_epoch + 9) };
        let position = RunPosition {
            run: RunId([1; 16]),
            rounds_done: RoundId(rounds_done),
            checkpoint: model(0).into(),
            epochs,
        };
        let present = (0..50).map(node).collect();
        let (_, outputs) = Run::begin(plan(5, 5, 1.0, 9), position, present, Timestamp(0));
        let announce =
            outputs.into_iter().find_map(|o| if let Output::Announce(a) = o { Some(a) } else { None });
        announce.unwrap()
    };
    let (first, again) = (announced(3, 1), announced(3, 70));
    assert_eq!(first.cohort, again.cohort);
    assert!(first.epoch < again.epoch);
    assert_ne!(first.cohort, announced(4, 1).cohort);
}

//! Rounds under any sequence of inputs.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NODES: u8 = 6;

/// What may happen next.
#[derive(Clone, Debug)]
enum Happening {
    Ready(u8),
    Gone(u8),
    HasModel(u8),
    Declined(u8),
    /// From this node, for the epoch going on plus this, and good or not.
    Update(u8, i8, bool),
    Aggregated,
    Committed,
    StoreFailed,
    Wait(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (0..NODES).prop_map(Happening::Ready),
        2 => (0..NODES).prop_map(Happening::Gone),
        4 => (0..NODES).prop_map(Happening::HasModel),
        1 => (0..NODES).prop_map(Happening::Declined),
        12 => (0..NODES + 1, prop_oneof![8 => Just(0_i8), 1 => -2..=2_i8], prop::bool::weighted(0.9))
            .prop_map(|(node, offset, good)| Happening::Update(node, offset, good)),
        3 => Just(Happening::Aggregated),
        3 => Just(Happening::Committed),
        1 => prop_oneof![9 => Just(Happening::Aggregated), 1 => Just(Happening::StoreFailed)],
        3 => (0..3000_u64).prop_map(Happening::Wait),
    ]
}

fn any_plan() -> impl Strategy<Value = RoundPlan> {
    let sizes = (1..=4_u32, 0..=2_u32, 1.0..2.0_f64, 1..=3_u32, 0..=2_u32);
    sizes.prop_map(|(minimum, more, over_selection, rounds, staleness_max)| {
        let mut plan = plan(minimum, minimum + more, over_selection, rounds);
        plan.cohort.staleness_max = staleness_max;
        plan
    })
}

impl World {
    fn happens(&mut self, happening: &Happening) {
        let epoch = self.run.progress().map_or(self.run.next_epoch(), |progress| progress.epoch);
        match *happening {
            Happening::Ready(index) => self.say(Input::NodeReady(node(index))),
            Happening::Gone(index) => self.say(Input::NodeGone(node(index))),
            Happening::HasModel(index) => self.say(Input::ModelReceived { node: node(index), epoch }),
            Happening::Declined(index) => self.say(Input::Declined { node: node(index), epoch }),
            Happening::Update(index, offset, good) => {
                let epoch = EpochId(epoch.0.saturating_add_signed(i64::from(offset)));
                let folded =
                    if good { Ok(Folded { delta_norm: 1.0 }) } else { Err(UpdateFault::WrongWeight(0)) };
                self.update_of(index, epoch, head(u64::from(index) + 1, 0.5), folded);
            }
            Happening::Aggregated => {
                self.say(Input::Aggregated(model(self.run.rounds_done().0 as u8 + 1).into()));
            }
            Happening::Committed => self.say(Input::Committed),
            Happening::StoreFailed => self.say(Input::StoreFailed("disk full".into())),
            Happening::Wait(millis) => self.wait(millis),
        }
    }
}

/// What must hold of everything a run said.
fn check(outputs: &[Output], minimum: u32) -> Result<(), TestCaseError> {
    let mut announced: Option<Announce> = None;
    // Who was asked and has not reported, and in which epoch.
    let mut asked: BTreeMap<NodeId, EpochId> = BTreeMap::new();
    let mut epochs = Vec::new();
    let mut folded: BTreeMap<NodeId, u32> = BTreeMap::new();
    let (mut aborted, mut committed) = (Vec::new(), Vec::new());
    for output in outputs {
        match output {
            Output::Announce(announce) => {
                epochs.push(announce.epoch);
                folded.clear();
                asked.retain(|_, epoch| *epoch >= announce.taken_from);
                asked.extend(announce.cohort.iter().map(|node| (*node, announce.epoch)));
                announced = Some(announce.clone());
            }
            Output::Folded(node) => {
                let counted = folded.entry(*node).or_default();
                *counted += 1;
                prop_assert_eq!(*counted, 1, "an update is counted once");
                prop_assert!(asked.remove(node).is_some(), "it was asked");
            }
            Output::Aggregate { updates, weight_total } => {
                let weights: u64 = folded.keys().map(|node| u64::from(node.0[0]) + 1).sum();
                prop_assert_eq!((*updates as usize, *weight_total), (folded.len(), weights));
                prop_assert!(*updates >= minimum);
            }
            Output::Commit { record, epochs_end } => {
                let reported: Vec<_> = record.reports().map(|(node, _)| node).collect();
                prop_assert_eq!(reported, folded.keys().copied().collect::<Vec<_>>());
                let cohort: Vec<_> = record.members.iter().map(|member| member.node).collect();
                let announce = announced.as_ref().expect("it was announced");
                prop_assert!(announce.cohort.iter().all(|node| cohort.contains(node)));
                prop_assert!(announce.taken_from < announce.epoch || cohort == announce.cohort);
                prop_assert!(*epochs_end > record.epoch);
                committed.push(record.epoch);
            }
            Output::RoundAborted(record) => aborted.push(record.epoch),
            _ => (),
        }
    }
    prop_assert!(epochs.is_sorted_by(|earlier, later| earlier < later), "no epoch is used twice");
    prop_assert!(aborted.iter().all(|epoch| !committed.contains(epoch)), "an aborted round never commits");
    Ok(())
}

proptest! {
    #[test]
    fn no_sequence_of_inputs_panics_or_counts_an_update_twice(
        plan in any_plan(),
        happenings in prop::collection::vec(happening(), 0..200),
    ) {
        let minimum = plan.cohort.minimum;
        let mut world = World::new(plan);
        for happening in &happenings {
            world.happens(happening);
            if let Some(progress) = world.run.progress() {
                prop_assert!(progress.deadline > world.now, "a deadline that has passed was acted on");
            }
        }
        check(&world.outputs, minimum)?;
    }

    #[test]
    fn a_run_that_hears_nothing_more_ends_within_its_deadlines(
        plan in any_plan(),
        happenings in prop::collection::vec(happening(), 0..60),
    ) {
        let bound = Millis(plan.attempt_max().0 * u64::from(plan.attempts));
        let mut world = World::new(plan);
        for happening in &happenings {
            world.happens(happening);
        }
        let silence = world.now;
        let mut wakes = 0;
        while let Some(deadline) = world.run.next_deadline() {
            prop_assert!(deadline > world.now, "a wake-up that is due already would spin");
            world.now = deadline;
            world.say(Input::Tick);
            wakes += 1;
            prop_assert!(wakes < 100);
        }
        prop_assert!(world.now.since(silence) <= bound, "{} after {} wakes", world.now.since(silence), wakes);
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(
        plan in any_plan(),
        happenings in prop::collection::vec(happening(), 0..100),
    ) {
        let (mut one, mut two) = (World::new(plan.clone()), World::new(plan));
        for happening in &happenings {
            one.happens(happening);
            two.happens(happening);
        }
        prop_assert_eq!(one.outputs, two.outputs);
    }
}

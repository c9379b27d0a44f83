use common::id::{NodeId, RoundId};
use coordinator::config::RunConfig;
use coordinator::round::RoundOutcome;
use coordinator::store::{About, models};

use super::*;

const FLAT: &str = "name = \"a\"\nseed = 3\nrounds = 5\n\
    [cohort]\nminimum = 2\ngoal = 4\nover_selection = 1.5\n\
    [deadlines]\nselection_ms = 1000\nconfiguration_ms = 1000\nreporting_ms = 1000\ncommitting_ms = 1000\nattempts = 2\n\
    [training]\nepochs = 1\nbatch = 10\nlearning_rate = 0.1\nstride = 1\n\
    [task]\nkind = \"flat\"\nparameters = 7\n";

fn config(text: &str) -> RunConfig {
    RunConfig::parse(text).unwrap()
}

fn federation(text: &str, nodes: u8, fail_rate: f64) -> Federation {
    let ids = (0..nodes).map(|node| NodeId([node; 32])).collect();
    Federation::new(&config(text), ids, usize::from(nodes), fail_rate).unwrap()
}

/// The records of a run, and its end.
fn run(text: &str, nodes: u8, fail_rate: f64) -> (Vec<RoundRecord>, Result<()>, Federation) {
    let mut federation = federation(text, nodes, fail_rate);
    let mut records = Vec::new();
    let mut on_round = |record: &RoundRecord, _: &ParameterVector| {
        records.push(record.clone());
        Ok(ControlFlow::Continue(()))
    };
    let population = Population::with_nothing(usize::from(nodes));
    let end = Crew::new(2).run(&mut federation, &population, &|_, _| (), &mut on_round);
    (records, end, federation)
}

#[test]
fn a_round_takes_as_many_updates_as_its_goal_of_more_nodes() {
    let (records, end, federation) = run(FLAT, 9, 0.0);
    end.unwrap();
    assert_eq!(records.len(), 5);
    let reporters = |record: &RoundRecord| record.reports().map(|(node, _)| node).collect::<Vec<_>>();
    assert!(records.iter().all(|record| record.members.len() == 6 && reporters(record).len() == 4));
    assert!(records.windows(2).any(|pair| reporters(&pair[0]) != reporters(&pair[1])));
    // Each adds a quarter a round.
    assert!(federation.model().values().iter().all(|value| (value - 1.25).abs() < 1e-6));
    let RoundOutcome::Committed(made) = &records[4].outcome else { panic!("it is committed") };
    let about = About { round: RoundId(5), task: &federation.plan().task };
    assert_eq!(made.model, models::hash(&about, federation.model().schema(), federation.model().values()));
}

#[test]
fn a_round_that_waits_takes_the_updates_of_all() {
    let (records, end, _) =
        run(&FLAT.replace("over_selection = 1.5", "over_selection = 1.5\nclose = \"at_deadline\""), 9, 0.0);
    end.unwrap();
    assert!(records.iter().all(|record| record.reports().count() == 6));
}

#[test]
fn nodes_that_fail_are_made_up_for_by_others_and_the_same_ones_fail_again() {
    let (records, end, _) = run(FLAT, 9, 0.4);
    end.unwrap();
    let reported: Vec<usize> = records.iter().map(|record| record.reports().count()).collect();
    assert!(reported.iter().all(|reported| *reported <= 4) && reported.contains(&4), "{reported:?}");
    assert_eq!(records, run(FLAT, 9, 0.4).0);
}

#[test]
fn a_run_whose_nodes_all_fail_is_tried_as_often_as_it_says_and_then_fails() {
    let (records, end, federation) = run(FLAT, 9, 1.0);
    assert!(records.iter().all(|record| matches!(record.outcome, RoundOutcome::Aborted(_))));
    assert_eq!((records.len(), federation.rounds_done()), (2, RoundId(0)));
    let end = end.unwrap_err().to_string();
    assert!(end.starts_with("round 1 failed 2 times"), "{end}");
}

#[test]
fn a_run_with_fewer_nodes_than_it_wants_goes_on_with_those_it_has() {
    let (records, end, _) = run(FLAT, 3, 0.0);
    end.unwrap();
    assert!(records.iter().all(|record| record.reports().count() == 3));
}

#[test]
fn an_update_that_is_none_costs_its_node_the_slot() {
    let mut federation = federation(FLAT, 6, 0.0);
    let Step::Train(wave) = federation.next_step() else { panic!("it begins with training") };
    assert_eq!(wave.nodes.len(), 4);
    let update = |values: &[f32]| {
        let base = vec![0.0; values.len()];
        let change = Change { from: &base, to: values };
        let plain = update::plaintext(&UpdateHead { weight: 1, steps: 1, loss: 0.0 }, change, None);
        let mut bytes = vec![0; plain.bytes()];
        plain.write(0, &mut bytes);
        bytes
    };
    federation.on_update(&wave, wave.nodes[0], &update(&[f32::NAN; 7]), None);
    federation.on_update(&wave, wave.nodes[1], b"cut", None);
    federation.on_update(&wave, wave.nodes[2], &update(&[1.0; 7]), None);
    federation.on_update(&wave, wave.nodes[3], &update(&[3.0; 7]), None);
    // Two more of those selected are asked in their place.
    let Step::Train(more) = federation.next_step() else { panic!("the goal is not reached") };
    assert_eq!(more.nodes.len(), 2);
    more.nodes.iter().for_each(|node| federation.on_declined(&more, *node));
    let Step::Committed(record) = federation.next_step() else { panic!("two are enough") };
    assert_eq!(record.reports().count(), 2);
    assert!(federation.model().values().iter().all(|value| (value - 2.0).abs() < 1e-6));
}

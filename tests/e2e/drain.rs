//! Taking a machine out: by an order to the coordinator, and by a signal to the node.

use std::fs;
use std::process::Command;

use coordinator::view::{OrderedNode, RunStatus};
use harness::programs::{complaint, run};

use crate::fleet::Fleet;
use crate::operator::Operator;

#[test]
fn a_node_that_is_drained_finishes_its_round_is_left_out_of_the_next_and_comes_back() {
    let Some((operator, coordinator)) = Operator::of_two(9) else { return };
    let long = operator.start_small("long", 1_000_000, 20);
    operator.until(&long, |run| run.rounds_done >= 1);

    let tried = operator.ask(&["node", "drain", "node-2", "--dry-run", "--format", "json"]);
    let tried: OrderedNode = serde_json::from_str(&tried).expect("it is an order");
    assert!(tried.dry_run && tried.drained && !operator.node("node-2").drained, "{tried:?}");
    let id = tried.node;
    let during = operator.view(&long).rounds_done + 1;
    operator.ask(&["node", "drain", &id[..10]]);
    operator.0.until(|| operator.node("node-2").activity == "drained");
    let after = operator.view(&long).rounds_done + 1;
    assert_eq!(operator.selected(&long, during), ["node-1", "node-2"]);
    (during + 1..=after).for_each(|round| drop(operator.selected(&long, round)));
    assert_eq!(operator.selected(&long, after + 1), ["node-1"]);

    // Who is drained is so after a restart too.
    assert!(coordinator.stop());
    let _coordinator = operator.0.serve(&[]);
    operator.0.until(|| operator.node("node-2").present);
    let restarted = operator.node("node-2");
    assert!(restarted.drained && restarted.activity == "drained", "{restarted:?}");
    let drained = operator.view(&long).rounds_done + 2;
    assert_eq!(operator.selected(&long, drained), ["node-1"]);
    assert!(operator.ask(&["node", "undrain", "node-2"]).starts_with("node-2 is "));
    let back = operator.view(&long).rounds_done + 2;
    assert_eq!(operator.selected(&long, back), ["node-1", "node-2"]);

    let folder = operator.0.folder();
    let refused = run("coordinator", &["--dir", &folder, "node", "drain", "nobody"]);
    assert!(complaint(&refused).contains("no node `nobody`; `coordinator node list` shows them"));
}

#[test]
fn a_node_that_is_asked_to_end_in_a_round_brings_its_update_and_ends() {
    let Some(mut fleet) = Fleet::new(10, 1) else { return };
    let second = fleet.change_node(|text| text.replace("drain_ms = 5_000", "drain_ms = 60_000"));
    let operator = Operator(fleet);
    let _coordinator = operator.0.serve(&[]);
    operator.0.until(|| ["node-1", "node-2"].iter().all(|name| operator.node(name).present));
    let only = operator.start_small("only", 1, 3000);
    operator.0.until(|| operator.node("node-2").activity == "training");
    assert!(second.stop(), "SIGTERM ends it with 0: {}", operator.0.logs());
    operator.until(&only, |run| run.status == RunStatus::Finished);
    assert_eq!(operator.selected(&only, 1), ["node-1", "node-2"]);
    let said = fs::read_to_string(operator.0.at("node-2.log")).expect("it has a log");
    assert!(said.contains("ending with the rounds that go on"), "{said}");
    assert!(said.contains("the coordinator has the update of round 1"), "{said}");
    assert!(operator.0.said().contains("node node-2 is away: it was stopped"));
}

#[test]
fn a_second_signal_ends_a_node_at_once() {
    let Some(mut fleet) = Fleet::new(11, 1) else { return };
    let mut second = fleet.change_node(|text| text.replace("drain_ms = 5_000", "drain_ms = 60_000"));
    let operator = Operator(fleet);
    let _coordinator = operator.0.serve(&[]);
    operator.0.until(|| operator.node("node-2").present);
    operator.start_small("endless", 1, 1_000_000);
    operator.0.until(|| operator.node("node-2").activity == "training");
    let id = second.id().to_string();
    let signal = || assert!(Command::new("kill").arg(&id).status().expect("`kill` is there").success());
    let said = || fs::read_to_string(operator.0.at("node-2.log")).expect("it has a log");
    signal();
    operator.0.until(|| said().contains("ending with the rounds that go on"));
    operator.0.until(|| operator.node("node-2").activity == "draining");
    assert!(second.is_running());
    let began = edge::now();
    assert!(second.stop(), "it ends with 0: {}", said());
    assert!(edge::now().since(began).0 < 2_000, "it did not wait any longer");
}

//! Runs over several hosts, with and without loss.

use std::fs;

use common::units::Millis;
use coordinator::view::RunStatus;
use harness::programs::{edit, wait_until};
use node::folder::Folder;
use node::kept::{self, Kept};

use crate::fleet::{Fleet, Run};

/// A run of the forecaster over all four nodes.
const FORECASTER: &str = "name = \"hosts\"\nseed = 1\nrounds = 3\n\
    [cohort]\nminimum = 4\ngoal = 4\nover_selection = 1.0\n\
    [deadlines]\nselection_ms = 20000\nconfiguration_ms = 20000\nreporting_ms = 60000\n\
    committing_ms = 60000\nattempts = 3\n\
    [training]\nepochs = 1\nbatch = 64\nlearning_rate = 1e-3\nstride = 4\n\
    [task]\nkind = \"forecaster\"\nmetrics = [\"a\", \"b\"]\npast_steps = 19\nhidden = [64, 16, 64]\n";

#[test]
fn the_programs_of_five_hosts_end_a_run_and_every_node_keeps_its_model() {
    let Some(mut fleet) = Fleet::new(4, true) else { return };
    fleet.start_coordinator();
    for node in 1..=4 {
        let telemetry = fleet.at(&format!("{node}.csv"));
        let row = |row: usize| format!("{},{}\n", (row as f32 / 9.0).sin(), (row * node) as f32 % 17.0);
        let rows: String = (0..400).map(row).collect();
        fs::write(&telemetry, format!("a,b\n{rows}")).unwrap();
        let config = fleet.node_folder(node).join("node.toml");
        let source = format!("[[source]]\nkind = \"csv\"\npath = {:?}", telemetry.display().to_string());
        edit(&config, |text| text.replace("[[source]]\nkind = \"host\"", &source));
        fleet.start_node(node);
    }
    fleet.start_config(FORECASTER.to_owned());
    let run = fleet.until("the end of the run", |run| run.status != RunStatus::Running);
    assert!(run.status == RunStatus::Finished && run.rounds_done == 3, "{run:#?}\n{}", fleet.logs());
    assert!(run.history.iter().all(|round| round.updates == 4), "{run:#?}");
    let model = |node| {
        let folder = fleet.node_folder(node);
        let vault = Folder::vault(&folder, &Folder::config(&folder).unwrap()).unwrap();
        let bits = |kept: Kept| kept.federated.values().iter().map(|value| value.to_bits()).collect();
        kept::read(&folder, &vault).map(bits)
    };
    let bits = |node| -> Vec<u32> { model(node).unwrap() };
    wait_until(|| (1..=4).all(|node| model(node).is_ok()), || fleet.logs());
    wait_until(|| (2..=4).all(|node| bits(node) == bits(1)), || fleet.logs());
}

#[test]
fn a_run_ends_on_a_network_without_multicast() {
    let run = Run { rounds: 3, parameters: 250_000, minimum: 3 };
    let Some(mut fleet) = Fleet::new(3, false) else { return };
    fleet.network.carry_multicast(false).unwrap();
    fleet.network.multicast_off().unwrap();
    let peers = format!("peers = [\"{}\"]", fleet.network.address(0));
    fleet.start_coordinator();
    for node in 1..=3 {
        let config = fleet.node_folder(node).join("node.toml");
        edit(&config, |text| text.replace("peers = []", &peers));
        fleet.start_node(node);
    }
    fleet.start_run(&run);
    fleet.ends_with_its_model_everywhere(&run);
}

#[test]
fn the_programs_of_one_host_fall_silent_after_a_run_on_loopback() {
    let run = Run { rounds: 3, parameters: 1_000, minimum: 3 };
    let Some(mut fleet) = Fleet::new(3, false) else { return };
    fleet.gather(0);
    fleet.start_coordinator();
    (1..=3).for_each(|node| fleet.start_node(node));
    fleet.start_run(&run);
    fleet.ends_with_its_model_everywhere(&run);
    // Who waits for its own receipts asks everybody for theirs, ten times a second: 720 datagrams among four.
    let sent = || (edge::now(), fleet.network.kept(0).unwrap().packets);
    let mut last = sent();
    let is_quiet = || {
        let (now, packets) = sent();
        if now < last.0 + Millis(1000) {
            return false;
        }
        let a_second = (packets - last.1) * 1_000_000 / now.micros_since(last.0);
        last = (now, packets);
        a_second < 240
    };
    wait_until(is_quiet, || format!("loopback never falls silent\n{}", fleet.logs()));
}

/// A model goes to three nodes and back, three times, while so many of 1,000 packets are lost.
fn a_run_ends_though_this_is_lost(permille: u32) {
    let run = Run { rounds: 3, parameters: 250_000, minimum: 3 };
    let Some(fleet) = Fleet::running(3, false) else { return };
    fleet.network.lose(permille).unwrap();
    fleet.start_run(&run);
    fleet.ends_with_its_model_everywhere(&run);
}

#[test]
fn a_run_ends_though_one_packet_of_a_hundred_is_lost() {
    a_run_ends_though_this_is_lost(10);
}

/// Of a chunk's 34 fragments all arrive in 17 of 100 cases.
#[test]
fn a_run_ends_though_one_packet_of_twenty_is_lost() {
    a_run_ends_though_this_is_lost(50);
}

//! Runs with X-Wing, and a fleet that is not of one suite.

use std::fs;

use harness::programs::{Daemon, are_built, edit, fleet_of, run, run_config, wait_until};

use crate::{METRICS, domain, value};

#[test]
fn a_run_with_x_wing_ends_on_its_nodes_and_a_node_of_another_suite_is_told_which_line_to_change() {
    if !are_built() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let folder = |name: &str| at(name).display().to_string();
    fleet_of(&["node-1", "node-2", "node-3"], dir.path(), domain(17), &METRICS, value);
    for config in ["coordinator/coordinator.toml", "node-1/node.toml", "node-2/node.toml"] {
        edit(&at(config), |text| text.replace("suite = \"x25519\"", "suite = \"x-wing\""));
    }
    let start = |program, name: &str, command| {
        Daemon::start(program, &["--dir", &folder(name), command], &at(&format!("{name}.log")))
    };
    let mut daemons = vec![start("coordinator", "coordinator", "serve")];
    daemons.extend(["node-1", "node-2", "node-3"].map(|name| start("node", name, "run")));
    let log = |name: &str| fs::read_to_string(at(&format!("{name}.log"))).unwrap_or_default();
    let config = run_config(dir.path(), 2, &METRICS).display().to_string();
    let args = ["--dir", &folder("coordinator"), "run", "start", "--config", &config];
    wait_until(|| run("coordinator", &args).status.success(), || log("coordinator"));
    let kept = |name: &str| at(name).join("model/run.json").exists();
    wait_until(|| kept("node-1") && kept("node-2"), || log("coordinator") + &log("node-1"));
    let told = [
        ("coordinator", "node node-3: its suite is \"x25519\" and here it is \"x-wing\""),
        ("node-3", "its suite is \"x-wing\" and here it is \"x25519\""),
    ];
    for (name, what) in told {
        wait_until(|| log(name).contains(what), || log(name));
        assert!(log(name).contains("write `suite = \""), "{}", log(name));
    }
    assert!(!kept("node-3"), "{}", log("node-3"));
    for daemon in daemons.into_iter().rev() {
        assert!(daemon.stop(), "SIGTERM ends it cleanly: {}", log("coordinator"));
    }
}

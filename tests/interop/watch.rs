//! A run, watched by the example for Python.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::others::{are_here, script};
use harness::programs::{Daemon, fleet, run, run_config, wait_until};
use serde_json::{Value, json};

use crate::{CYCLONE, domain};

const METRICS: [&str; 3] = ["load", "heat", "flow"];

const ROUNDS: u32 = 3;

/// The watcher as its first lines say, told the keys of everybody.
fn watcher(dir: &Path, domain: u16) -> Command {
    let mut command = Command::new("python3");
    command.arg(script("../examples/watch/watch.py"));
    command.args(["--domain", &domain.to_string(), "--interface", "127.0.0.1"]);
    command.args(["--json", "--until-finished", "--seconds", "240"]);
    command.arg("--roster").arg(dir.join("coordinator/roster"));
    command
}

/// What the watcher said so far.
fn told(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The lines of a kind.
fn of<'t>(told: &'t [Value], kind: &str) -> Vec<&'t Value> {
    told.iter().filter(|line| line["told"] == kind).collect()
}

/// The rounds of which a fact was told, in the order in which it was.
fn rounds(told: &[Value], fact: &str) -> Vec<u64> {
    let facts = of(told, "event").into_iter().filter(|event| event["fact"] == fact);
    facts.filter_map(|event| event["round"].as_u64()).collect()
}

#[test]
fn cyclone_dds_sees_the_nodes_the_announcements_and_every_event_of_a_run() {
    if !are_here(&[CYCLONE]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let domain = domain(0);
    fleet(dir, domain, &METRICS, |row, column| ((row * (column + 3)) as f32 / 17.0).sin() * 10.0);
    let folder = |name: &str| dir.join(name).display().to_string();
    let log = |name: &str| dir.join(format!("{name}.log"));
    let start = |program: &str, name: &str, word: &str| {
        Daemon::start(program, &["--dir", &folder(name), word], &log(name))
    };
    let _coordinator = start("coordinator", "coordinator", "serve");
    let _nodes = ["node-1", "node-2"].map(|name| start("node", name, "run"));
    let seen = log("watcher");
    let mut watching = Daemon::foreign(&mut watcher(dir, domain), &seen);
    let logs = || {
        let names = ["watcher", "coordinator", "node-1", "node-2"];
        names.map(|name| fs::read_to_string(log(name)).unwrap_or_default()).join("\n")
    };
    // It greets first: what comes after this line is not lost.
    wait_until(|| !of(&told(&seen), "watching").is_empty() || !watching.is_running(), logs);
    let config = run_config(dir, ROUNDS, &METRICS).display().to_string();
    let started = run("coordinator", &["--dir", &folder("coordinator"), "run", "start", "--config", &config]);
    assert!(started.status.success(), "{}\n{}", String::from_utf8_lossy(&started.stderr), logs());
    wait_until(|| !watching.is_running(), logs);

    let told = told(&seen);
    let every_round: Vec<u64> = (1..=u64::from(ROUNDS)).collect();
    assert_eq!(rounds(&told, "round_opened"), every_round, "{}", logs());
    assert_eq!(rounds(&told, "round_closed"), every_round, "{}", logs());
    assert_eq!(rounds(&told, "run_finished"), [u64::from(ROUNDS)], "{}", logs());
    assert!(of(&told, "ignored").is_empty(), "every message is read: {}", logs());
    for node in ["node-1", "node-2"] {
        let activities = of(&told, "presence").into_iter().filter(|presence| presence["node"] == node);
        assert!(activities.clone().any(|presence| presence["works"] == json!([])), "{node}: {}", logs());
        for event in of(&told, "event").iter().filter(|event| event["fact"] == "round_opened") {
            assert!(event["cohort"].as_array().unwrap().iter().any(|member| member == node), "{event}");
        }
    }
    for closed in of(&told, "event").iter().filter(|event| event["fact"] == "round_closed") {
        assert!(closed["updates"] == 2 && closed["model"].as_str().unwrap().len() == 64, "{closed}");
    }
    // The newest announcement of a run replaces older ones, so a watcher may miss those in between.
    let announced = of(&told, "announcement");
    assert!(announced.iter().any(|told| told["request"] == "train"), "{}", logs());
    for told in announced {
        let run = told["run"].as_str().unwrap();
        assert_eq!((run.len(), told["members"].as_array().unwrap().len()), (32, 2), "{told}");
        assert!(told["deadline_ms"].as_u64().unwrap() > 0 && told["chunks"] == 1, "{told}");
    }
}

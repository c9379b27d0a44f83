//! The simulator beside a real fleet: the same seed, telemetry and nodes make the same model, bit for bit.

use std::fs;
use std::path::{Path, PathBuf};

use coordinator::view::{RunStatus, RunView};
use harness::programs::{edit, program, run};

use crate::fleet::Fleet;

/// A cohort of one that is drawn anew in each round.
const ALONE: [(&str, &str); 2] = [("minimum = 2", "minimum = 1"), ("goal = 2", "goal = 1")];

/// A server that remembers, and nodes that do; each with a name of its own.
const CHANGES: [&[(&str, &str)]; 2] = [
    &[
        ("first-run", "second-run"),
        (
            "\n[task]",
            "\n[strategy]\nserver = { kind = \"momentum\", learning_rate = 0.5, momentum = 0.9 }\n\n[task]",
        ),
    ],
    &[
        ("first-run", "third-run"),
        ("optimizer = \"adam\"", "optimizer = \"sgd\""),
        ("\n[task]", "\n[strategy]\ncombine = { kind = \"scaffold\" }\n\n[task]"),
    ],
];

/// How the run of a configuration ends on the fleet.
fn distributed(fleet: &Fleet, config: &Path, runs_before: usize) -> RunView {
    let config = config.display().to_string();
    let started = run("coordinator", &["--dir", &fleet.folder(), "run", "start", "--config", &config]);
    assert!(started.status.success(), "{}\n{}", String::from_utf8_lossy(&started.stderr), fleet.logs());
    let is_over =
        || fleet.runs().len() > runs_before && fleet.runs()[runs_before].status == RunStatus::Finished;
    fleet.until(is_over);
    fleet.runs().swap_remove(runs_before)
}

/// The hash of the model that the simulator makes of it.
fn simulated(fleet: &Fleet, config: &Path, threads: &str) -> String {
    let [config, telemetry, roster] =
        [config.to_owned(), fleet.at("telemetry"), fleet.at("coordinator/roster")]
            .map(|path| path.display().to_string());
    let options = ["--config", &config, "--telemetry", &telemetry, "--roster", &roster, "--threads", threads];
    let done = run("coordinator", &[&["simulate", "--format", "json"][..], &options].concat());
    let said = String::from_utf8(done.stdout).expect("JSON is text");
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let last: serde_json::Value =
        serde_json::from_str(said.lines().last().expect("it ends with a line")).expect("JSON");
    last["model_hash"].as_str().expect("the hash is text").to_owned()
}

#[test]
fn a_run_that_is_simulated_ends_in_the_model_of_the_real_fleet() {
    if program("coordinator-simulate").is_none() {
        println!("skipped: coordinator-simulate is not built; `cargo test` of the whole workspace builds it");
        return;
    }
    let Some(fleet) = Fleet::new(8, 3) else { return };
    fs::create_dir(fleet.at("telemetry")).expect("a folder can be made");
    for name in ["node-1", "node-2"] {
        let (from, to) = (fleet.at(name).join("train.csv"), fleet.at(&format!("telemetry/{name}.csv")));
        fs::copy(from, to).expect("telemetry can be copied");
    }
    let changed = ["second.toml", "third.toml"].into_iter().zip(CHANGES).map(|(name, changes)| {
        let config = fleet.at(name);
        fs::copy(&fleet.config, &config).expect("the configuration can be copied");
        edit(&config, |text| {
            let changes = ALONE.iter().chain(changes);
            changes.fold(text.to_owned(), |text, (before, after)| text.replacen(before, after, 1))
        });
        config
    });
    let configs: Vec<PathBuf> = [fleet.config.clone()].into_iter().chain(changed).collect();
    let _coordinator = fleet.serve(&[]);
    // Both nodes have taken part in the first run before the others draw among them.
    for (runs_before, config) in configs.iter().enumerate() {
        let run = distributed(&fleet, config, runs_before);
        let model = run.model.expect("it has a model");
        for threads in ["1", "4"] {
            assert_eq!(simulated(&fleet, config, threads), model, "{}: {}", run.name, fleet.logs());
        }
    }
}

//! The command as an engineer runs it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of this file is tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The run of McMahan et al. 2017 on MNIST, with their 2NN: a tenth of a hundred nodes a round.
const PAPER: &str = include_str!("../samples/mnist.toml");

/// A small classifier for examples that are made up.
fn small() -> String {
    let text = PAPER.replace("inputs = 784", "inputs = 6").replace("[200, 200]", "[8]");
    text.replace("rounds = 200", "rounds = 12").replace("over_selection = 1.0", "over_selection = 1.6")
}

struct Simulator {
    dir: tempfile::TempDir,
}

impl Simulator {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("run.toml"), config).unwrap();
        Self { dir }
    }

    fn run(&self, options: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coordinator-simulate"));
        command.current_dir(self.dir.path()).args(["--config", "run.toml"]).args(options).output().unwrap()
    }

    /// All that it prints for programs.
    fn lines(&self, options: &[&str]) -> Vec<Value> {
        let output = self.run(&[options, &["--format", "jsonl"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn complaint(&self, options: &[&str], code: i32) -> String {
        let output = self.run(options);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stderr).unwrap().trim().to_owned()
    }
}

#[test]
fn the_model_depends_neither_on_the_threads_nor_on_who_runs_it() {
    let simulator = Simulator::new(&small());
    for partition in ["iid", "shards", "dirichlet"] {
        let options = ["--nodes", "40", "--partition", partition, "--fail-rate", "0.1", "--threads"];
        let [one, four] = ["1", "4"].map(|threads| simulator.lines(&[&options[..], &[threads]].concat()));
        assert_eq!(one.len(), 13);
        assert_eq!(one[..12], four[..12]);
        assert_eq!(one[12]["model_hash"], four[12]["model_hash"]);
        assert!(one[11]["accuracy"].as_f64().unwrap() > one[0]["accuracy"].as_f64().unwrap());
    }
}

#[test]
fn a_run_ends_when_it_is_good_enough_and_keeps_its_model() {
    let simulator = Simulator::new(&small());
    let lines = simulator.lines(&["--nodes", "40", "--until", "0.3", "--output", "kept"]);
    let (rounds, last) = lines.split_at(lines.len() - 1);
    assert!(rounds.len() < 12 && rounds.last().unwrap()["accuracy"].as_f64().unwrap() >= 0.3, "{lines:?}");
    let file = simulator.dir.path().join(last[0]["model"].as_str().unwrap());
    assert_eq!(file.file_stem().unwrap(), last[0]["model_hash"].as_str().unwrap());
    assert!(file.exists());
    simulator.complaint(&["--nodes", "40", "--until", "1.0", "--evaluate-every", "5"], 3);
}

#[test]
fn what_cannot_be_simulated_is_refused_with_what_to_do() {
    let simulator = Simulator::new(&small());
    assert!(simulator.complaint(&[], 2).contains("--nodes"));
    assert!(
        simulator
            .complaint(&["--nodes", "3"], 1)
            .contains("3 nodes are too few: `cohort.minimum` of run.toml is 10")
    );
    let telemetry = simulator.complaint(&["--telemetry", "."], 1);
    assert!(telemetry.contains("--telemetry is for a task of kind \"forecaster\""), "{telemetry}");
    let images = simulator.complaint(&["--nodes", "40", "--images", "nowhere"], 1);
    assert!(images.contains("nowhere/train-images-idx3-ubyte: No such file"), "{images}");
}

fn mnist() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mnist");
    if !folder.is_dir() {
        println!("skipped: no {}", folder.display());
    }
    folder.is_dir().then_some(folder)
}

#[test]
fn a_few_rounds_on_handwritten_digits_learn_them() {
    let Some(folder) = mnist() else { return };
    let simulator = Simulator::new(&PAPER.replace("rounds = 200", "rounds = 4"));
    let lines = simulator.lines(&[
        "--nodes",
        "100",
        "--images",
        &folder.display().to_string(),
        "--evaluate-every",
        "4",
    ]);
    assert_eq!((lines.len(), lines[0]["samples"].as_u64()), (5, Some(6000)));
    let accuracy = lines[4]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.8, "{accuracy}");
}

//! A coordinator and two nodes; where the key of the second one lives is a test's affair.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use harness::programs::{Daemon, approve, edit, fleet_of, program, run, run_config, wait_until};

const METRICS: [&str; 2] = ["load", "heat"];

/// The node whose key is somewhere.
const KEPT: &str = "node-2";

/// Their folders, and what the second node's process finds in its environment.
pub(super) struct Fleet {
    dir: tempfile::TempDir,
    domain: u16,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Fleet {
    /// The second node is not there yet. Each test has a domain of its own.
    pub(super) fn new(test: u16, environment: &[(&'static str, PathBuf)]) -> Self {
        let domain = 6 + test * 5 + (std::process::id() % 5) as u16;
        let dir = tempfile::tempdir().unwrap();
        fleet_of(&["node-1"], dir.path(), domain, &METRICS, |row, column| {
            ((row * (column + 3)) as f32 / 17.0).sin()
        });
        Self { dir, domain, environment: environment.to_vec() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of the second node.
    pub(super) fn kept(&self, file: &str) -> PathBuf {
        self.path(KEPT).join(file)
    }

    fn command(&self, program_name: &str, name: &str) -> Command {
        let mut command = Command::new(program(program_name).unwrap());
        command.arg("--dir").arg(self.path(name)).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    /// `node init` in a folder of this name, with these options besides.
    pub(super) fn init(&self, name: &str, options: &[&str]) -> Output {
        let (key, domain) = (self.path("coordinator/operator.pub"), self.domain.to_string());
        let mut command = self.command("node", name);
        command.args(["init", "--name", name, "--domain", &domain, "--interface", "127.0.0.1", "--operator"]);
        command.arg(key).args(options).output().unwrap()
    }

    /// Makes the second node, and lets it in.
    pub(super) fn join(&self, options: &[&str]) {
        let made = self.init(KEPT, options);
        assert!(made.status.success(), "{}", told(&made));
        let source = format!(
            "[[source]]\nkind = \"csv\"\npath = {:?}",
            self.path("node-1/train.csv").display().to_string()
        );
        edit(&self.kept("node.toml"), |text| text.replace("[[source]]\nkind = \"host\"", &source));
        let list = self.path("kept.txt");
        fs::write(&list, made.stdout).unwrap();
        approve(&self.path("coordinator"), &list);
    }

    /// The second node at work.
    pub(super) fn start(&self) -> Daemon {
        Daemon::foreign(self.command("node", KEPT).arg("run"), &self.log(KEPT))
    }

    /// The second node as it does not start: its exit code, and what it says.
    pub(super) fn refusal(&self) -> (Option<i32>, String) {
        let ended = self.command("node", KEPT).arg("run").output().unwrap();
        (ended.status.code(), told(&ended))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}.log"))
    }

    /// What all of them said.
    pub(super) fn said(&self) -> String {
        ["coordinator", "node-1", KEPT]
            .map(|name| fs::read_to_string(self.log(name)).unwrap_or_default())
            .join("\n")
    }

    /// A run of two rounds, each of which needs the update of both nodes. Returns the second node, still at work.
    pub(super) fn run(&self) -> Daemon {
        let folder = self.path("coordinator").display().to_string();
        let _coordinator = Daemon::foreign(
            self.command("coordinator", "coordinator").arg("serve"),
            &self.log("coordinator"),
        );
        let _node = Daemon::foreign(self.command("node", "node-1").arg("run"), &self.log("node-1"));
        let kept = self.start();
        let config = run_config(self.dir.path(), 2, &METRICS);
        let config = config.display().to_string();
        let start = ["--dir", &folder, "run", "start", "--config", &config];
        wait_until(|| run("coordinator", &start).status.success(), || self.said());
        let watched = run("coordinator", &["--dir", &folder, "run", "watch", "--format", "jsonl"]);
        let last = String::from_utf8_lossy(&watched.stdout).lines().last().unwrap_or_default().to_owned();
        assert!(
            last.contains("\"status\":\"finished\"") && last.contains("\"rounds_done\":2"),
            "{last}\n{}",
            self.said()
        );
        wait_until(|| self.kept("model/run.json").exists(), || self.said());
        kept
    }
}

/// What a program said on stderr.
pub(super) fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

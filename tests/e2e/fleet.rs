//! A coordinator's folder and nodes that train on, while the coordinator comes and goes.

use std::fs;
use std::path::{Path, PathBuf};

use coordinator::view::RunView;
use harness::programs::{Daemon, are_built, edit, fleet_of, run, run_config, wait_until};

use crate::{METRICS, domain, value};

/// Nodes that stay, and the coordinator's folder.
pub(crate) struct Fleet {
    dir: tempfile::TempDir,
    /// A run over two nodes.
    pub(crate) config: PathBuf,
    names: Vec<String>,
    nodes: Vec<Daemon>,
}

impl Fleet {
    /// Two nodes for a test, by its number, and a run of so many rounds; `None` when the programs are not built.
    pub(crate) fn new(test: u16, rounds: u32) -> Option<Self> {
        Self::of(&["node-1", "node-2"], test, rounds)
    }

    /// The same with nodes of these names.
    pub(crate) fn of(names: &[&str], test: u16, rounds: u32) -> Option<Self> {
        if !are_built() {
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder can be made");
        fleet_of(names, dir.path(), domain(test), &METRICS, value);
        let config = run_config(dir.path(), rounds, &METRICS);
        let node = |name: &&str| {
            let folder = dir.path().join(name).display().to_string();
            Daemon::start("node", &["--dir", &folder, "run"], &dir.path().join(format!("{name}.log")))
        };
        let nodes = names.iter().map(node).collect();
        Some(Self { config, names: names.iter().map(ToString::to_string).collect(), nodes, dir })
    }

    /// What a node has said.
    pub(crate) fn heard(&self, name: &str) -> String {
        read(&self.at(&format!("{name}.log")))
    }

    /// The last node, started again after a change of its configuration: for who asks it to end.
    pub(crate) fn change_node(&mut self, change: impl FnOnce(&str) -> String) -> Daemon {
        drop(self.nodes.pop());
        let name = self.names.last().expect("a fleet has nodes");
        edit(&self.at(&format!("{name}/node.toml")), change);
        let folder = self.at(name).display().to_string();
        Daemon::start("node", &["--dir", &folder, "run"], &self.at(&format!("{name}.log")))
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn folder(&self) -> String {
        self.at("coordinator").display().to_string()
    }

    /// What the coordinator that was started last has said.
    pub(crate) fn said(&self) -> String {
        read(&self.at("coordinator.log"))
    }

    /// What all of them said, for who has to find out.
    pub(crate) fn logs(&self) -> String {
        let all = ["coordinator"].into_iter().chain(self.names.iter().map(String::as_str));
        all.map(|name| read(&self.at(&format!("{name}.log")))).collect::<Vec<_>>().join("\n")
    }

    /// A coordinator that can be asked.
    pub(crate) fn serve(&self, more: &[&str]) -> Daemon {
        let folder = self.folder();
        let args = [&["--dir", &folder, "serve"][..], more].concat();
        let daemon = Daemon::start("coordinator", &args, &self.at("coordinator.log"));
        self.until(|| self.said().contains(" serving"));
        daemon
    }

    /// All runs, the oldest first.
    pub(crate) fn runs(&self) -> Vec<RunView> {
        let listed = run("coordinator", &["--dir", &self.folder(), "run", "list", "--format", "jsonl"]);
        assert!(listed.status.success(), "{}\n{}", String::from_utf8_lossy(&listed.stderr), self.logs());
        let lines = String::from_utf8(listed.stdout).expect("JSON is text");
        lines.lines().map(|line| serde_json::from_str(line).expect("a run is a line of JSON")).collect()
    }

    /// Looks again and again until it is so.
    pub(crate) fn until(&self, so: impl FnMut() -> bool) {
        wait_until(so, || self.logs());
    }
}

fn read(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

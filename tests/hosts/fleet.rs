//! A coordinator and its nodes, each on a host of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coordinator::control::{Client, Question, Reply, Request, RunOrder};
use coordinator::view::{RunStatus, RunView, View};
use harness::network::{NEEDS, Network};
use harness::others::are_here;
use harness::programs::{Daemon, PATIENCE, approve, edit, program, run, wait_until};
use harness::relays::{Place, star};
use tempfile::TempDir;

use crate::parts::{KEPT_FILE, Part, SLOW_FILE, added, play};

/// Fleets take turns: side by side they would take the processor from each other.
static TURN: Mutex<()> = Mutex::new(());

/// How often the coordinator is asked when none answers.
const AGAIN: Duration = Duration::from_millis(10);

/// Where the hub of [`Fleet::join`] listens; each network has ports of its own.
const RELAY_PORT: u16 = 7000;

/// A coordinator on host 0, and node `n` (from 1) on host `n`.
pub(crate) struct Fleet {
    // Dropped in this order: the programs, their network, their files, the turn.
    coordinator: Option<Daemon>,
    nodes: Vec<Option<Daemon>>,
    others: Vec<Daemon>,
    pub network: Network,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
    started: u32,
    is_real: bool,
    /// The host on whose loopback all nodes are, when they are not on hosts of their own.
    gathered_at: Option<usize>,
    runtime: tokio::runtime::Runtime,
}

/// A run of a model without meaning.
pub(crate) struct Run {
    pub rounds: u32,
    pub parameters: u32,
    /// Updates without which a round fails; all nodes are its goal.
    pub minimum: usize,
}

impl Fleet {
    /// Folders and a network; nothing runs yet. `None` where the test is skipped. Real nodes are the program `node`;
    /// the others train by an addition.
    pub(crate) fn new(nodes: usize, is_real: bool) -> Option<Self> {
        if !are_here(&NEEDS) {
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        // One more, for an intruder.
        let network = Network::or_skip(nodes + 2)?;
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fleet = Self {
            coordinator: None,
            nodes: (0..nodes).map(|_| None).collect(),
            others: Vec::new(),
            network,
            folder,
            _turn: turn,
            started: 0,
            is_real,
            gathered_at: None,
            runtime,
        };
        fleet.init();
        Some(fleet)
    }

    /// The same, with all of them running.
    pub(crate) fn running(nodes: usize, is_real: bool) -> Option<Self> {
        let mut fleet = Self::new(nodes, is_real)?;
        fleet.start_coordinator();
        (1..=nodes).for_each(|node| fleet.start_node(node));
        Some(fleet)
    }

    /// All nodes on one host, and they and the coordinator on loopback; before anything is started.
    pub(crate) fn gather(&mut self, host: usize) {
        self.gathered_at = Some(host);
        let nodes = (1..=self.nodes.len()).map(|node| (node, self.node_folder(node).join("node.toml")));
        for (host, config) in nodes.chain([(0, self.at("coordinator/coordinator.toml"))]) {
            let address = self.network.address(host).to_string();
            edit(&config, |text| text.replace(&address, "127.0.0.1"));
        }
    }

    fn init(&self) {
        let coordinator = self.at("coordinator");
        let key = coordinator.join("operator.pub").display().to_string();
        let init = |program: &str, place: &Path, host: usize, more: &[&str]| {
            let (place, address) = (place.display().to_string(), self.network.address(host).to_string());
            let args = ["--dir", &place, "init", "--domain", "0", "--interface", &address];
            let made = run(program, &[&args, more].concat());
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            made.stdout
        };
        init("coordinator", &coordinator, 0, &[]);
        let nodes = 1..=self.nodes.len();
        let allowed = nodes.flat_map(|node| {
            init("node", &self.node_folder(node), node, &["--operator", &key, "--name", &name(node)])
        });
        let list = self.at("nodes");
        fs::write(&list, allowed.collect::<Vec<u8>>()).unwrap();
        approve(&coordinator, &list);
    }

    /// A file or folder of the fleet.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn node_folder(&self, node: usize) -> PathBuf {
        self.at(&name(node))
    }

    pub(crate) fn start_coordinator(&mut self) {
        let mut serve = self.network.command(0, program("coordinator").unwrap());
        serve.arg("--dir").arg(self.at("coordinator")).arg("serve");
        self.coordinator = Some(self.start("coordinator", &mut serve));
    }

    pub(crate) fn start_node(&mut self, node: usize) {
        let folder = self.node_folder(node);
        let host = self.gathered_at.unwrap_or(node);
        let mut command = if self.is_real {
            let mut command = self.network.command(host, program("node").unwrap());
            command.arg("--dir").arg(&folder).arg("run");
            command
        } else {
            let mut command = self.network.command(host, std::env::current_exe().unwrap());
            play(&mut command, Part::Node, &folder);
            command
        };
        self.nodes[node - 1] = Some(self.start(&name(node), &mut command));
    }

    /// Joins the loopback of host 0 and that of another by relays, the first of which listens.
    pub(crate) fn join(&mut self, host: usize) {
        let [hub, spoke] = ["hub", "spoke"].map(|name| Place { name, domain: 0 });
        star(self.folder.path(), &format!("{}:{RELAY_PORT}", self.network.address(0)), hub, &[spoke]);
        for (name, host) in [("hub", 0), ("spoke", host)] {
            let mut command = self.network.command(host, program("coordinator").unwrap());
            command.arg("--dir").arg(self.at(name)).arg("relay");
            let relay = self.start(name, &mut command);
            self.others.push(relay);
        }
    }

    /// Starts an intruder on the last host; its log.
    pub(crate) fn start_intruder(&mut self) -> PathBuf {
        let addresses = (0..self.network.hosts()).map(|host| format!("{}\n", self.network.address(host)));
        fs::write(self.at("addresses"), addresses.collect::<String>()).unwrap();
        let mut command = self.network.command(self.nodes.len() + 1, std::env::current_exe().unwrap());
        play(&mut command, Part::Intruder, &self.at("addresses"));
        let intruder = self.start("intruder", &mut command);
        self.others.push(intruder);
        self.at(&format!("intruder.{}.log", self.started))
    }

    /// Starts a program with a log of its own.
    fn start(&mut self, name: &str, command: &mut Command) -> Daemon {
        self.started += 1;
        command.env("RUST_LOG", "info");
        Daemon::foreign(command, &self.at(&format!("{name}.{}.log", self.started)))
    }

    /// `kill -9`.
    pub(crate) fn kill_coordinator(&mut self) {
        self.coordinator = None;
    }

    /// `kill -9`.
    pub(crate) fn kill_node(&mut self, node: usize) {
        self.nodes[node - 1] = None;
    }

    /// Ends what is neither coordinator nor node.
    pub(crate) fn end_others(&mut self) {
        self.others.clear();
    }

    /// Sends a node a signal, by its name.
    pub(crate) fn signal(&self, node: usize, signal: &str) {
        let id = self.nodes[node - 1].as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// Lets rounds take their time, or not.
    pub(crate) fn go_slowly(&self, slowly: bool) {
        let file = self.at(SLOW_FILE);
        if slowly { fs::write(file, "").unwrap() } else { fs::remove_file(file).unwrap() }
    }

    /// Starts a run.
    pub(crate) fn start_run(&self, what: &Run) {
        let nodes = self.nodes.len();
        self.start_config(format!(
            "name = \"hosts\"\nseed = 1\nrounds = {}\n\
             [cohort]\nminimum = {}\ngoal = {nodes}\nover_selection = 1.0\n\
             [deadlines]\nselection_ms = 1000\nconfiguration_ms = 20000\nreporting_ms = 20000\n\
             committing_ms = 60000\nattempts = 20\n\
             [training]\nepochs = 1\nbatch = 1\nlearning_rate = 1.0\nstride = 1\n\
             [task]\nkind = \"flat\"\nparameters = {}\n",
            what.rounds, what.minimum, what.parameters
        ));
    }

    /// Starts a run as soon as all nodes are there.
    pub(crate) fn start_config(&self, config: String) {
        let all = |view: &View| view.nodes.iter().filter(|node| node.present).count() == self.nodes.len();
        self.watch("all nodes are there", |view| all(view).then_some(()));
        let request = Request::Ask(Question::Do(RunOrder::Start { config, key: None }));
        let reply = self.runtime.block_on(async {
            let mut client = Client::ask(&self.at("coordinator"), &request).await.unwrap().unwrap();
            client.next().await.unwrap()
        });
        assert!(matches!(reply, Some(Reply::Done { .. })), "{reply:?}");
    }

    /// Watches the newest run until it is so; the run as it then stands.
    pub(crate) fn until(&self, what: &str, mut so: impl FnMut(&RunView) -> bool) -> RunView {
        self.watch(what, |view| view.run(None).ok().filter(|run| so(run)).cloned())
    }

    /// Watches the coordinator, over its restarts as well.
    fn watch<T>(&self, what: &str, mut found: impl FnMut(&View) -> Option<T>) -> T {
        let folder = self.at("coordinator");
        let mut last = String::new();
        let search = async {
            loop {
                if let Ok(Some(mut client)) = Client::ask(&folder, &Request::Watch).await {
                    while let Ok(Some(Reply::View(view))) = client.next().await {
                        if let Some(found) = found(&view) {
                            return found;
                        }
                        last = format!("{view:#?}");
                    }
                }
                // No coordinator, or one that has just gone: soon again.
                let _ = tokio::time::timeout(AGAIN, std::future::pending::<()>()).await;
            }
        };
        let patience = Duration::from_millis(PATIENCE.0);
        let watched = self.runtime.block_on(async { tokio::time::timeout(patience, search).await });
        watched.unwrap_or_else(|_| panic!("waited for: {what}\n{last}\n{}", self.logs()))
    }

    /// Waits for the end of a run, and that every node keeps its model: exactly the one that so many rounds make.
    pub(crate) fn ends_with_its_model_everywhere(&self, what: &Run) -> RunView {
        let run = self.until("the end of the run", |run| run.status != RunStatus::Running);
        assert!(
            run.status == RunStatus::Finished && run.rounds_done == what.rounds,
            "{run:#?}\n{}",
            self.logs()
        );
        let value = |index| added(index) * what.rounds as f32;
        let right: Vec<u8> =
            (0..what.parameters as usize).flat_map(|index| value(index).to_le_bytes()).collect();
        for node in 1..=self.nodes.len() {
            let kept = self.node_folder(node).join(KEPT_FILE);
            let is_right = || fs::read(&kept).is_ok_and(|bytes| bytes == right);
            wait_until(is_right, || format!("{} has not the right model\n{}", name(node), self.logs()));
        }
        println!("{}", self.logs());
        run
    }

    /// The last lines that each program said.
    pub(crate) fn logs(&self) -> String {
        let mut files: Vec<PathBuf> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        files.sort();
        let tail = |path: &PathBuf| {
            let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
            let mut lines: Vec<&str> = text.lines().rev().take(60).collect();
            lines.reverse();
            format!("---- {}\n{}\n", path.file_name().unwrap().display(), lines.join("\n"))
        };
        files.iter().map(tail).collect()
    }
}

/// The name of a node.
fn name(node: usize) -> String {
    format!("node-{node}")
}

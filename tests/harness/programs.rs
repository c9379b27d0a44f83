//! The two programs as an operator runs them: folders, processes, and their ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::units::Millis;

/// How long a thing that has to come may take: far longer than it does on a slow machine.
pub const PATIENCE: Millis = Millis(60_000);

/// Where cargo put the programs; `None` when they were not built, as in a run of this package alone.
pub fn program(name: &str) -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let path = test.parent()?.parent()?.join(name);
    path.exists().then_some(path)
}

/// Whether both programs are there; says how to build them when not.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub fn are_built() -> bool {
    let built = program("coordinator").is_some() && program("node").is_some();
    if !built {
        println!(
            "skipped: the programs are not built; `cargo build` or `cargo test` of the whole workspace builds them"
        );
    }
    built
}

/// Runs a program to its end.
///
/// # Panics
///
/// When it cannot be started: ask [`are_built`] first.
pub fn run(name: &str, args: &[&str]) -> Output {
    let path = program(name).expect("the program is built");
    Command::new(path).args(args).stdin(Stdio::null()).output().expect("the program starts")
}

/// The words of a program that ended in failure.
///
/// # Panics
///
/// When it succeeded.
pub fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "it should fail");
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// A daemon that is killed when dropped.
pub struct Daemon(Child);

impl Daemon {
    /// Starts a daemon whose log goes to a file.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(name: &str, args: &[&str], log: &Path) -> Self {
        let path = program(name).expect("the program is built");
        Self::foreign(Command::new(path).args(args), log)
    }

    /// Starts a daemon of somebody else; all that it says goes to a file.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn foreign(command: &mut Command, log: &Path) -> Self {
        let out = File::create(log).expect("the log can be written");
        let error = out.try_clone().expect("the log can be written twice");
        command.stdin(Stdio::null()).stdout(out).stderr(error);
        Self(command.spawn().expect("the program starts"))
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Asks it to end (SIGTERM) and waits; whether it ended as it should.
    ///
    /// # Panics
    ///
    /// When `kill` cannot be run.
    pub fn stop(mut self) -> bool {
        let killed = Command::new("kill").arg(self.0.id().to_string()).status().expect("`kill` is there");
        killed.success() && self.0.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks again and again until it is so.
///
/// # Panics
///
/// When it takes longer than anything should; `why` says what there was instead.
pub fn wait_until(mut so: impl FnMut() -> bool, why: impl Fn() -> String) {
    let until = edge::now() + PATIENCE;
    while !so() {
        assert!(edge::now() < until, "{}", why());
        // Between two looks others may use the processor.
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Changes a configuration.
///
/// # Panics
///
/// When it stays as it was.
pub fn edit(path: &Path, change: impl FnOnce(&str) -> String) {
    let before = fs::read_to_string(path).expect("the configuration can be read");
    let after = change(&before);
    assert_ne!(before, after, "{} is changed", path.display());
    fs::write(path, after).expect("the configuration can be written");
}

/// A coordinator and two nodes with a telemetry file each, in a folder of their own.
///
/// # Panics
///
/// When a command fails.
pub fn fleet(dir: &Path, domain: u16, metrics: &[&str], values: impl Fn(usize, usize) -> f32) {
    fleet_of(&["node-1", "node-2"], dir, domain, metrics, values);
}

/// The same with nodes of these names.
///
/// # Panics
///
/// When a command fails.
pub fn fleet_of(
    nodes: &[&str],
    dir: &Path,
    domain: u16,
    metrics: &[&str],
    values: impl Fn(usize, usize) -> f32,
) {
    let domain = domain.to_string();
    let at = |name: &str| dir.join(name).display().to_string();
    let place = ["--domain", &domain, "--interface", "127.0.0.1"];
    let made = run("coordinator", &[&["--dir", &at("coordinator"), "init"][..], &place].concat());
    assert!(made.status.success());
    let mut allowed = Vec::new();
    for name in nodes {
        let (folder, key) = (at(name), at("coordinator/operator.pub"));
        let init = ["--dir", &folder, "init", "--operator", &key, "--name", name];
        let made = run("node", &[&init[..], &place].concat());
        assert!(made.status.success());
        allowed.extend(made.stdout);
        let telemetry = dir.join(name).join("train.csv");
        let mut csv = metrics.join(",");
        for row in 0..400 {
            let cells: Vec<String> =
                (0..metrics.len()).map(|column| values(row, column).to_string()).collect();
            csv.push('\n');
            csv.push_str(&cells.join(","));
        }
        csv.push('\n');
        fs::write(&telemetry, csv).expect("the telemetry can be written");
        let config = dir.join(name).join("node.toml");
        let source = format!("[[source]]\nkind = \"csv\"\npath = {:?}", telemetry.display().to_string());
        edit(&config, |text| text.replace("[[source]]\nkind = \"host\"", &source));
    }
    let list = dir.join("nodes");
    fs::write(&list, allowed).expect("the list of nodes can be written");
    approve(&dir.join("coordinator"), &list);
}

/// Makes the nodes of this list members, each line as `node init` prints it.
///
/// # Panics
///
/// When the command fails.
pub fn approve(coordinator: &Path, list: &Path) {
    let (coordinator, list) = (coordinator.display().to_string(), list.display().to_string());
    let approved = run("coordinator", &["--dir", &coordinator, "node", "approve", "--list", &list]);
    assert!(approved.status.success(), "{}", String::from_utf8_lossy(&approved.stderr));
}

/// A run of this many rounds over both nodes.
///
/// # Panics
///
/// When the file cannot be written.
pub fn run_config(dir: &Path, rounds: u32, metrics: &[&str]) -> PathBuf {
    let path = dir.join("run.toml");
    let sample = include_str!("../../coordinator/samples/run.toml");
    let from = sample.find("metrics = [").expect("the sample names metrics");
    let to = from + sample[from..].find('\n').expect("the line ends");
    let text = format!("{}metrics = {metrics:?}{}", &sample[..from], &sample[to..]);
    let text = text.replace("rounds = 20", &format!("rounds = {rounds}")).replace("goal = 5", "goal = 2");
    fs::write(&path, text).expect("the configuration can be written");
    path
}

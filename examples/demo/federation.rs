//! Setting up a federation as its operators would: folders, keys, configurations, programs, a run.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use coordinator::control::socket_path;
use examples::free_domain;
use node::kept::RunNote;
use tokio::time::interval;

use super::args::Args;
use super::machines::{Machine, Machines};
use super::processes::{Daemon, Programs, Role, check_alive};

/// The coordinator's folder.
pub(crate) const COORDINATOR: &str = "coordinator";
/// How long a short command may take.
pub(crate) const COMMAND: Duration = Duration::from_mins(1);
/// How long programs may take to be ready, and nodes to keep a model.
const READY: Duration = Duration::from_mins(1);
/// Between two looks at something that is awaited.
const LOOK: Duration = Duration::from_millis(50);

/// The folder of a node.
pub(crate) fn node_dir(machine: &Machine) -> String {
    format!("nodes/{}", machine.name)
}

/// Makes the folders of coordinator and nodes, each with a key, and lets them know each other.
///
/// # Errors
///
/// What the commands say, or a file that cannot be written.
pub(crate) async fn prepare(programs: &Programs, machines: &Machines) -> Result<()> {
    // Two demos at a time should not meet; a coordinator would not hear the other's nodes anyway.
    let domain = free_domain().to_string();
    let dds = ["--domain", &domain, "--interface", "127.0.0.1"];
    let init = ["init"].into_iter().chain(dds);
    programs.ask(Role::Coordinator, COORDINATOR, init, COMMAND).await?;
    let home = programs.home();
    let mut allowed = String::new();
    for machine in &machines.all {
        let dir = node_dir(machine);
        let init = ["init", "--operator", "coordinator/operator.pub", "--name", &machine.name];
        let line = programs.ask(Role::Node, &dir, init.into_iter().chain(dds), COMMAND).await?;
        allowed.push_str(&line);
        let config = home.join(&dir).join("node.toml");
        choose_source(&config, machine).with_context(|| config.display().to_string())?;
    }
    let list = home.join("nodes.txt");
    fs::write(&list, allowed).with_context(|| list.display().to_string())?;
    let approve = ["node", "approve", "--list", "nodes.txt"];
    programs.ask(Role::Coordinator, COORDINATOR, approve, COMMAND).await.map(drop)
}

/// Puts the machine's history in the place of the source that the starter configuration names.
fn choose_source(config: &Path, machine: &Machine) -> Result<()> {
    let text = fs::read_to_string(config)?;
    let Some((before, _)) = text.rsplit_once("[[source]]") else { bail!("has no [[source]]") };
    let history = machine.file("train.csv.gz");
    let path = history.to_str().context("the path of its telemetry is no text")?;
    let path = serde_json::to_string(path)?;
    let interval_s = examples::fleet::INTERVAL_S;
    fs::write(
        config,
        format!("{before}[[source]]\nkind = \"csv\"\npath = {path}\ninterval_s = {interval_s}\n"),
    )?;
    Ok(())
}

/// Starts the coordinator and, once it answers, all nodes.
///
/// # Errors
///
/// When a program cannot be started or ends early.
pub(crate) async fn serve(programs: &Programs, machines: &Machines, daemons: &mut Vec<Daemon>) -> Result<()> {
    daemons.push(programs.serve(Role::Coordinator, COORDINATOR, "serve")?);
    let socket = socket_path(&programs.home().join(COORDINATOR));
    for machine in &machines.all {
        daemons.push(programs.serve(Role::Node, &node_dir(machine), "run")?);
    }
    wait_until(COORDINATOR, "answer", daemons, || UnixStream::connect(&socket).is_ok()).await
}

/// Starts the run and returns its id.
///
/// # Errors
///
/// What the coordinator refuses, or a file that cannot be written.
pub(crate) async fn start_run(programs: &Programs, args: &Args, machines: &Machines) -> Result<String> {
    let file = programs.home().join("run.toml");
    fs::write(&file, run_config(args, machines)?).with_context(|| file.display().to_string())?;
    let start = ["run", "start", "--config", "run.toml"];
    Ok(programs.ask(Role::Coordinator, COORDINATOR, start, COMMAND).await?.trim().to_owned())
}

/// All nodes in every round, so that the same seed gives the same model.
fn run_config(args: &Args, machines: &Machines) -> Result<String> {
    let (nodes, rounds, stride, seed) = (machines.all.len(), args.rounds(), args.stride(), args.seed);
    let mut text =
        String::from("# The demo's run. Every key is explained in coordinator/samples/run.toml.\n");
    write!(
        text,
        "name = \"demo\"\nseed = {seed}\nrounds = {rounds}\n\n\
         [cohort]\nminimum = {nodes}\ngoal = {nodes}\nover_selection = 1.0\n\n\
         [deadlines]\nselection_ms = 30_000\nconfiguration_ms = 30_000\nreporting_ms = 300_000\n\
         committing_ms = 30_000\nattempts = 3\n\n\
         [training]\nepochs = 1\nbatch = 64\nlearning_rate = 1e-3\nstride = {stride}\n\n\
         [task]\nkind = \"forecaster\"\nmetrics = {}\npast_steps = 19\nhidden = [64, 16, 64]\n",
        serde_json::to_string(&machines.metrics)?
    )?;
    Ok(text)
}

/// Waits until every node has kept the model of a run.
///
/// # Errors
///
/// Names the node that has not, with the end of its log.
pub(crate) async fn wait_kept(
    programs: &Programs,
    machines: &Machines,
    run: &str,
    daemons: &mut [Daemon],
) -> Result<()> {
    for machine in &machines.all {
        let note = programs.home().join(node_dir(machine)).join("model/run.json");
        let kept = || {
            let note = fs::read(&note).ok().and_then(|text| serde_json::from_slice::<RunNote>(&text).ok());
            note.is_some_and(|note| note.run == run)
        };
        wait_until(&machine.name, "keep the model", daemons, kept).await?;
    }
    Ok(())
}

/// Looks again and again, for a bounded time, while all programs are alive.
async fn wait_until(who: &str, what: &str, daemons: &mut [Daemon], done: impl Fn() -> bool) -> Result<()> {
    let mut looks = interval(LOOK);
    for _ in 0..READY.as_millis() / LOOK.as_millis() {
        looks.tick().await;
        if done() {
            return Ok(());
        }
        check_alive(daemons)?;
    }
    let blamed = daemons.iter().find(|daemon| daemon.short_name() == who).map_or(String::new(), Daemon::tail);
    bail!("{who} does not {what} after {} s; {blamed}", READY.as_secs())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn the_run_that_is_written_is_one_that_the_coordinator_reads() {
        let dir = tempfile::tempdir().unwrap();
        let machines = Machines::make(1, 2, dir.path()).unwrap();
        let args = Args::parse_from(["demo", "--seed", "7", "--rounds", "3"]);
        let config = coordinator::config::RunConfig::parse(&run_config(&args, &machines).unwrap()).unwrap();
        assert_eq!((config.seed, config.rounds, config.cohort.minimum, config.cohort.goal), (7, 3, 2, 2));
    }

    #[test]
    fn the_source_that_is_written_is_one_that_the_node_reads() {
        let dir = tempfile::tempdir().unwrap();
        let machines = Machines::make(1, 1, dir.path()).unwrap();
        let config = dir.path().join("node.toml");
        fs::write(&config, node::folder::SAMPLE_CONFIG).unwrap();
        choose_source(&config, &machines.all[0]).unwrap();
        let config = node::config::NodeConfig::parse(&fs::read_to_string(&config).unwrap()).unwrap();
        let ingest::Source::Csv(source) = &config.sources[0] else { panic!("{:?}", config.sources) };
        assert_eq!(source.path, machines.all[0].file("train.csv.gz"));
        assert_eq!(config.sources.len(), 1);
    }
}

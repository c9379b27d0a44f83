//! One cell of the table: so many nodes, so many parameters.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use coordinator::control::{Client, Question, Reply, Request, RunOrder};
use coordinator::view::{RoundView, RunStatus, RunView};
use edge::now;
use examples::free_domain;
use examples::usage::{cpu_s, loopback_bytes, rss_peak_mb};
use serde::Serialize;

use crate::processes::{Running, prepare};

/// Nothing here takes longer than this.
const DEADLINE: Duration = Duration::from_mins(5);

/// The figures of a cell; `Display` is a line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    params: u32,
    nodes: u32,
    rounds: usize,
    round_ms_median: f64,
    phase_ms: BTreeMap<String, f64>,
    cpu_s_coordinator: f64,
    /// Of one node.
    cpu_s_nodes: f64,
    rss_mb_coordinator: f64,
    rss_mb_node: f64,
    wire_bytes: u64,
    start_to_round_1_ms: f64,
}

/// The first lines of the table.
pub(crate) const HEADER: &str = "\
                    median     of it, ms                             CPU ms a round       peak RSS MB          MB on    start to
  params nodes   round ms   config report aggreg commit   coord   1 node   coord   1 node   the wire   round 1 ms";

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = |name: &str| self.phase_ms.get(name).copied().unwrap_or_default();
        write!(
            f,
            "{:>8} {:>5} {:>10.1}   {:>6.1} {:>6.1} {:>6.1} {:>6.1}   {:>5.1} {:>8.1}   {:>5.0} {:>8.0}   {:>8.2}   {:>10.0}",
            self.params,
            self.nodes,
            self.round_ms_median,
            phase("configuration"),
            phase("reporting"),
            phase("aggregation"),
            phase("committing"),
            self.cpu_s_coordinator * 1000.0,
            self.cpu_s_nodes * 1000.0,
            self.rss_mb_coordinator,
            self.rss_mb_node,
            self.wire_bytes as f64 / 1e6,
            self.start_to_round_1_ms,
        )
    }
}

/// What is counted at two points of time.
struct Counted {
    coordinator: f64,
    nodes: f64,
    wire: u64,
}

/// Runs `rounds` rounds after one to warm up.
pub(crate) fn measure(params: u32, nodes: u32, rounds: u32) -> Result<Cell> {
    let dir = tempfile::tempdir()?;
    let names = prepare(dir.path(), nodes, free_domain())?;
    let began = now();
    let coordinator = Running::coordinator(dir.path())?;
    let running: Result<Vec<Running>> = names.iter().map(|name| Running::node(dir.path(), name)).collect();
    let running = running?;
    let count = || -> Result<Counted> {
        let nodes: Result<Vec<f64>> = running.iter().map(|node| cpu_s(node.id())).collect();
        Ok(Counted {
            coordinator: cpu_s(coordinator.id())?,
            nodes: nodes?.iter().sum(),
            wire: loopback_bytes()?,
        })
    };
    let config = run_config(params, nodes, rounds + 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let watched = runtime.block_on(async {
        tokio::time::timeout(DEADLINE, follow(&dir.path().join("coordinator"), config, count)).await
    });
    let watched = watched.context("the run did not end in time").and_then(|watched| watched);
    let (run, before, after) = watched.with_context(|| log_tail(dir.path()))?;
    let history = &run.history;
    let first = history.first().context("no round was committed")?;
    let cycles: Vec<f64> =
        history.windows(2).map(|pair| pair[1].announced_ms - pair[0].announced_ms).collect();
    let measured = f64::from(rounds);
    let peak: Result<Vec<f64>> = running.iter().map(|node| rss_peak_mb(node.id())).collect();
    Ok(Cell {
        params,
        nodes,
        rounds: cycles.len(),
        round_ms_median: median(&cycles),
        phase_ms: phases(&history[1..], &cycles),
        cpu_s_coordinator: (after.coordinator - before.coordinator) / measured,
        cpu_s_nodes: (after.nodes - before.nodes) / measured / f64::from(nodes),
        rss_mb_coordinator: rss_peak_mb(coordinator.id())?,
        rss_mb_node: peak?.into_iter().fold(0.0, f64::max),
        wire_bytes: ((after.wire - before.wire) as f64 / measured) as u64,
        start_to_round_1_ms: first.announced_ms - began.0 as f64 / 1000.0,
    })
}

/// The median of each phase. What a cycle has besides is the commit: it begins when the record is made.
fn phases(history: &[RoundView], cycles: &[f64]) -> BTreeMap<String, f64> {
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (round, cycle) in history.iter().zip(cycles.iter().skip(1)) {
        let waited = round.phase_ms.get("selection").copied().unwrap_or_default();
        let before_commit: f64 = round.phase_ms.values().sum::<f64>() - waited;
        for (phase, millis) in &round.phase_ms {
            all.entry(phase.clone()).or_default().push(*millis);
        }
        if let Some(commit) = all.get_mut("committing").and_then(|commits| commits.last_mut()) {
            *commit += (cycle - before_commit).max(0.0);
        }
    }
    all.into_iter().map(|(phase, millis)| (phase, median(&millis))).collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Starts the run as soon as the coordinator answers, and counts after its first round and at its end.
async fn follow(
    dir: &Path,
    config: String,
    count: impl Fn() -> Result<Counted>,
) -> Result<(RunView, Counted, Counted)> {
    let request = Request::Ask(Question::Do(RunOrder::Start { config, key: None }));
    loop {
        match Client::ask(dir, &request).await? {
            Some(mut client) => match client.next().await? {
                Some(Reply::Done { .. }) => break,
                _ => bail!("the coordinator ended before it answered"),
            },
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    let mut before = None;
    let mut client = Client::ask(dir, &Request::Watch).await?.context("the coordinator has ended")?;
    while let Some(Reply::View(view)) = client.next().await? {
        let run = view.run(None).context("the run is not shown")?;
        if run.rounds_done >= 1 && before.is_none() {
            before = Some(count()?);
        }
        match run.status {
            RunStatus::Running | RunStatus::Paused => (),
            RunStatus::Finished => return Ok((run.clone(), before.context("no first round")?, count()?)),
            RunStatus::Failed => bail!("the run failed: {}", run.reason.as_deref().unwrap_or("unknown")),
        }
    }
    bail!("the coordinator ended before the run did")
}

fn run_config(params: u32, nodes: u32, rounds: u32) -> String {
    format!(
        r#"name = "bench"
seed = 1
rounds = {rounds}
[cohort]
minimum = {nodes}
goal = {nodes}
over_selection = 1.0
[deadlines]
selection_ms = 60000
configuration_ms = 60000
reporting_ms = 60000
committing_ms = 60000
attempts = 1
[training]
epochs = 1
batch = 1
learning_rate = 1.0
stride = 1
[task]
kind = "flat"
parameters = {params}
"#
    )
}

fn log_tail(dir: &Path) -> String {
    let log = std::fs::read_to_string(dir.join("coordinator.log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().rev().take(5).collect();
    format!("the coordinator's last words:\n{}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
}

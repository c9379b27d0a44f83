//! What the run is worth to each node: its own `evaluate` and `score` commands on its labelled telemetry.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use examples::page::strip::{Stretch, UNNAMED};
use ingest::labels::read_labels;
use node::folder::Folder;
use node::kept;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::args::Args;
use super::federation::node_dir;
use super::machines::{Machine, Machines};
use super::processes::{Programs, Role};
use super::screen::Screen;

/// Commands that work at the same time.
const AT_A_TIME: usize = 2;
/// How long one of them may take.
const LIMIT: Duration = Duration::from_mins(10);

/// The figures that `node evaluate --format json` prints.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Figures {
    pub(crate) node: String,
    pub(crate) train_records: u64,
    pub(crate) vus_pr_local: f64,
    pub(crate) vus_pr_federated: f64,
    pub(crate) vus_pr_tuned: f64,
    pub(crate) auc_pr_federated: f64,
}

/// One node judged.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) figures: Figures,
    pub(crate) newcomer: bool,
    /// Score of each test record; none where too few come before it.
    pub(crate) scores: Vec<Option<f64>>,
    /// Whether it raised an alarm.
    pub(crate) alarms: Vec<bool>,
    /// Above this, a score is an alarm.
    pub(crate) threshold: f64,
    /// What was wrong.
    pub(crate) faults: Vec<Stretch>,
}

/// A line of `node score --format jsonl`.
#[derive(Deserialize)]
struct Scored {
    score: Option<f64>,
    alarm: bool,
}

/// Judges all nodes, in the order of the machines.
///
/// # Errors
///
/// What a node's command says, or a file that cannot be read.
pub(crate) async fn judge(
    programs: &Programs,
    args: &Args,
    machines: &Machines,
    screen: &Screen,
) -> Result<Vec<Verdict>> {
    let free = Arc::new(Semaphore::new(AT_A_TIME));
    let bar = screen.work("judging", machines.all.len());
    let mut tasks = JoinSet::new();
    for (index, machine) in machines.all.iter().enumerate() {
        let (programs, machine, free) = (programs.clone(), machine.clone(), Arc::clone(&free));
        let (width, usual, newcomer) = (args.width, machines.usual_records, machines.is_newcomer(&machine));
        tasks.spawn(async move {
            let _turn = free.acquire().await?;
            Ok::<_, anyhow::Error>((index, one(&programs, &machine, width, usual, newcomer).await?))
        });
    }
    let mut verdicts = Vec::new();
    while let Some(judged) = tasks.join_next().await {
        verdicts.push(judged??);
        bar.inc(1);
    }
    bar.finish_and_clear();
    verdicts.sort_by_key(|(index, _)| *index);
    Ok(verdicts.into_iter().map(|(_, verdict)| verdict).collect())
}

async fn one(
    programs: &Programs,
    machine: &Machine,
    width: usize,
    usual: u64,
    newcomer: bool,
) -> Result<Verdict> {
    let dir = node_dir(machine);
    let (test, labels) = (machine.file("test.csv.gz"), machine.file("test_label.csv.gz"));
    let (width, usual) = (width.to_string(), usual.to_string());
    let mut evaluate: Vec<&std::ffi::OsStr> = vec!["evaluate".as_ref(), "--test".as_ref(), test.as_ref()];
    evaluate.extend(["--labels".as_ref(), labels.as_os_str(), "--width".as_ref(), width.as_ref()]);
    evaluate.extend(["--usual-records", &usual, "--format", "json"].map(std::ffi::OsStr::new));
    let figures = programs.ask(Role::Node, &dir, evaluate, LIMIT).await?;
    let figures =
        serde_json::from_str(&figures).with_context(|| format!("{dir}: no figures in `{figures}`"))?;

    let interval_s = examples::fleet::INTERVAL_S.to_string();
    let score = ["score", "--format", "jsonl", "--interval-s", &interval_s].map(std::ffi::OsStr::new);
    let lines = programs.ask(Role::Node, &dir, score.into_iter().chain([test.as_os_str()]), LIMIT).await?;
    let scored: Result<Vec<Scored>, _> = lines.lines().map(serde_json::from_str).collect();
    let scored = scored.with_context(|| format!("{dir}: no scores"))?;
    let folder = programs.home().join(&dir);
    let vault = Folder::vault(&folder, &Folder::config(&folder)?)?;
    let threshold = kept::read(&folder, &vault)?.detector.threshold().0;
    let labels = read_labels(&labels)?;
    if labels.len() != scored.len() {
        bail!("{dir}: {} labels for {} scores", labels.len(), scored.len());
    }
    Ok(Verdict {
        figures,
        newcomer,
        scores: scored.iter().map(|scored| scored.score).collect(),
        alarms: scored.iter().map(|scored| scored.alarm).collect(),
        threshold,
        faults: stretches(&labels, machine),
    })
}

/// The stretches that are labelled, with their names.
fn stretches(labels: &[bool], machine: &Machine) -> Vec<Stretch> {
    let mut start = 0;
    let mut found = Vec::new();
    for stretch in labels.chunk_by(|a, b| a == b) {
        if stretch[0] {
            let name = machine.faults.get(&start).copied().unwrap_or(UNNAMED);
            found.push(Stretch { start, end_inclusive: start + stretch.len() - 1, name });
        }
        start += stretch.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_stretches_with_the_names_that_are_known() {
        let faults = [(1, "stuck disk")].into();
        let machine = Machine { name: "a".into(), folder: "a".into(), records: 9, faults };
        let found = stretches(&[false, true, true, false, true], &machine);
        let expected = [(1, 2, "stuck disk"), (4, 4, "fault")];
        let expected = expected.map(|(start, end_inclusive, name)| Stretch { start, end_inclusive, name });
        assert_eq!(found, expected);
    }
}

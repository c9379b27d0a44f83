//! The machines of a data set: a folder each, or those of the built-in fleet.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use common::model::MetricName;
use examples::fleet::{self, INTERVAL_S, METRICS};
use examples::page::strip::UNNAMED;
use examples::{recorded, unpacked};
use ingest::record::TelemetryRecord;

/// A machine: what it has to train on, and later telemetry that is labelled.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) training: Vec<TelemetryRecord>,
    pub(crate) test: Vec<TelemetryRecord>,
    /// Whether each record of the test is part of a fault.
    pub(crate) labels: Vec<bool>,
    /// What was wrong in the test, in order of time.
    pub(crate) faults: Vec<Fault>,
}

/// Rows of a test in which something was wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) rows: Range<usize>,
    /// What it was, where that is known.
    pub(crate) name: &'static str,
    /// The metrics that it disturbed, by their places; empty where nobody knows.
    pub(crate) causes: BTreeSet<usize>,
}

/// Machines with the same metrics.
#[derive(Clone, Debug)]
pub(crate) struct Dataset {
    pub(crate) name: String,
    pub(crate) metrics: Arc<[MetricName]>,
    pub(crate) machines: Vec<Machine>,
}

impl Dataset {
    /// A fleet out of a seed, without its newcomer.
    ///
    /// # Errors
    ///
    /// Never for the metrics that the fleet has.
    pub(crate) fn made(seed: u64, count: usize) -> Result<Self> {
        let metrics: Arc<[MetricName]> =
            METRICS.into_iter().map(MetricName::try_from).collect::<Result<_, _>>()?;
        // One more: the last has but a day of history.
        let machines = fleet::generate(seed, count + 1).into_iter().take(count).map(|made| {
            let rows = |rows: &[fleet::Row]| -> Vec<Vec<f32>> {
                rows.iter().map(|row| row.iter().map(|value| *value as f32).collect()).collect()
            };
            let labels = made.labels();
            let (training, test) = (rows(&made.training), rows(&made.test));
            let fault = |fault: &fleet::Fault| Fault {
                rows: fault.start..fault.end_inclusive + 1,
                name: fault.kind.name(),
                causes: fault.metrics.iter().copied().collect(),
            };
            let faults = made.faults.iter().map(fault).collect();
            machine(made.name, &metrics, (training, test), labels, faults)
        });
        Ok(Self { name: "fleet".to_owned(), machines: machines.collect(), metrics })
    }

    /// The machines of these names, and the data set without them.
    ///
    /// # Errors
    ///
    /// Names the machine that it has not, or says that nobody is left.
    pub(crate) fn split(&self, names: &[String]) -> Result<(Vec<Machine>, Self)> {
        let unknown = names.iter().find(|name| self.machines.iter().all(|machine| machine.name != **name));
        ensure!(unknown.is_none(), "--newcomer: {} has no machine {:?}", self.name, unknown);
        let (newcomers, machines): (Vec<_>, Vec<_>) =
            self.machines.iter().cloned().partition(|machine| names.contains(&machine.name));
        ensure!(!machines.is_empty(), "--newcomer: nobody is left to train together");
        Ok((newcomers, Self { name: self.name.clone(), metrics: Arc::clone(&self.metrics), machines }))
    }

    /// A folder with one for each machine: `train.csv.gz`, `test.csv.gz`, `test_label.csv.gz`, and `interpretation.csv`
    /// where somebody knows which metrics a fault disturbed.
    ///
    /// # Errors
    ///
    /// Names the file that is missing or cannot be used.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let mut known: Option<Arc<[MetricName]>> = None;
        let mut machines = Vec::new();
        for folder in &recorded::folders(dir).context("series of NAB are read with --nab")? {
            let (header, training) = recorded::table(&folder.join("train.csv.gz"))?;
            let (same, test) = recorded::table(&folder.join("test.csv.gz"))?;
            let metrics = known.get_or_insert_with(|| Arc::clone(&header));
            ensure!(
                header == *metrics && same == *metrics,
                "{}: other metrics than before",
                folder.display()
            );
            let labels = unpacked(&folder.join("test_label.csv.gz"))?;
            let labels: Vec<bool> =
                labels.lines().map(|line| line.trim() == "1" || line.trim() == "1.0").collect();
            // The first line may be a header.
            let labels = labels[labels.len().saturating_sub(test.len())..].to_vec();
            ensure!(
                labels.len() == test.len(),
                "{}: {} labels for {} records",
                folder.display(),
                labels.len(),
                test.len()
            );
            let causes = causes(&folder.join("interpretation.csv"), test.len(), metrics.len())?;
            let faults = if causes.is_empty() { labelled(&labels) } else { causes };
            machines.push(machine(recorded::name(folder), metrics, (training, test), labels, faults));
        }
        Ok(Self { name: recorded::name(dir), metrics: known.unwrap_or_else(|| Arc::from([])), machines })
    }
}

impl Machine {
    /// Whether a record of the test is part of a fault.
    pub(crate) fn is_faulty(&self, record: usize) -> bool {
        self.faults.iter().any(|fault| fault.rows.contains(&record))
    }

    /// The same with so many percent of its history, the latest.
    pub(crate) fn with_history(&self, percent: u8) -> Self {
        let mut late = self.clone();
        late.training.drain(..late.training.len() * usize::from(100 - percent) / 100);
        late
    }
}

fn machine(
    name: String,
    metrics: &Arc<[MetricName]>,
    (training, test): (Vec<Vec<f32>>, Vec<Vec<f32>>),
    labels: Vec<bool>,
    faults: Vec<Fault>,
) -> Machine {
    let interval_s = u64::from(INTERVAL_S);
    let test = recorded::records(&name, metrics, test, (training.len(), interval_s));
    let training = recorded::records(&name, metrics, training, (0, interval_s));
    Machine { name, training, test, labels, faults }
}

/// The stretches that are labelled.
pub(crate) fn labelled(labels: &[bool]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut start = 0;
    for stretch in labels.chunk_by(|one, other| one == other) {
        let rows = start..start + stretch.len();
        start = rows.end;
        if stretch[0] {
            faults.push(Fault { rows, name: UNNAMED, causes: BTreeSet::new() });
        }
    }
    faults
}

/// Lines `start,end_inclusive,metrics` after a header, the metrics counted from 0; none where there is no such file.
fn causes(path: &Path, rows: usize, metrics: usize) -> Result<Vec<Fault>> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(Vec::new()) };
    let line = |(index, line): (usize, &str)| {
        let read = || {
            let mut cells = line.split(',');
            let (start, last): (usize, usize) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
            let causes: Option<BTreeSet<usize>> =
                cells.next()?.split_whitespace().map(|metric| metric.parse().ok()).collect();
            let causes = causes.filter(|causes| causes.iter().all(|metric| *metric < metrics))?;
            (start <= last && last < rows).then_some(Fault { rows: start..last + 1, name: UNNAMED, causes })
        };
        read().with_context(|| format!("{} line {}: not START,END,METRICS", path.display(), index + 2))
    };
    let lines = text.lines().skip(1).enumerate().filter(|(_, text)| !text.is_empty());
    let mut faults = lines.map(line).collect::<Result<Vec<_>>>()?;
    faults.sort_by_key(|fault| fault.rows.start);
    Ok(faults)
}

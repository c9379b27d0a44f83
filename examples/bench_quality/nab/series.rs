//! Series of the Numenta Anomaly Benchmark, each a machine with one metric.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;
use examples::page::strip::UNNAMED;
use examples::unpacked;
use ingest::record::{Origin, TelemetryRecord};
use ingest::rfc3339;

use super::profile::probation;
use crate::dataset::{Dataset, Fault, Machine};

/// Windows by the name of a series: when each begins and ends.
type Windows = BTreeMap<String, Vec<[String; 2]>>;

/// The series that `combined_windows.json` names. Each is trained on what comes before it is judged, where windows count for
/// nothing, and its test is the whole of it: so the first records that are judged have others before them.
///
/// # Errors
///
/// Names the file that is missing or cannot be used.
pub(crate) fn read(dir: &Path) -> Result<Dataset> {
    let path = dir.join("combined_windows.json");
    let windows = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let windows: Windows = serde_json::from_str(&windows)
        .with_context(|| format!("{}: not a list of windows for each series", path.display()))?;
    ensure!(!windows.is_empty(), "{}: no series", path.display());
    let metrics: Arc<[MetricName]> =
        Arc::from([MetricName::try_from("value").ok().context("the metric has a name")?]);
    let machines = windows.iter().map(|(name, windows)| machine(dir, name, windows, &metrics));
    Ok(Dataset { name: "nab".to_owned(), machines: machines.collect::<Result<_>>()?, metrics })
}

fn machine(dir: &Path, name: &str, windows: &[[String; 2]], metrics: &Arc<[MetricName]>) -> Result<Machine> {
    let path = dir.join(format!("{name}.gz"));
    let text = unpacked(&path)?;
    let name = name.strip_suffix(".csv").unwrap_or(name);
    let origin = Origin::new(TenantId::default(), name);
    let record = |(index, line): (usize, &str)| {
        let read = || {
            let (at, value) = line.split_once(',')?;
            let (at, values) = (rfc3339(at)?, vec![value.trim().parse().ok()?]);
            Some(TelemetryRecord { origin: Arc::clone(&origin), at, metrics: Arc::clone(metrics), values })
        };
        read().with_context(|| format!("{} line {}: not TIMESTAMP,VALUE", path.display(), index + 2))
    };
    let test = text.lines().skip(1).enumerate().map(record).collect::<Result<Vec<_>>>()?;
    let faults = windows.iter().map(|window| {
        let place = || format!("{}: no records in the window {window:?}", path.display());
        fault(&test, window).with_context(place)
    });
    let mut faults = faults.collect::<Result<Vec<_>>>()?;
    let first = probation(test.len());
    faults.retain(|fault| fault.rows.end > first);
    let mut labels = vec![false; test.len()];
    for fault in &faults {
        labels[fault.rows.clone()].fill(true);
    }
    let training = test[..first].to_vec();
    Ok(Machine { name: name.to_owned(), training, test, labels, faults })
}

/// The records of a window, the last one included.
fn fault(records: &[TelemetryRecord], [start, end]: &[String; 2]) -> Option<Fault> {
    let (start, end): (Timestamp, Timestamp) = (rfc3339(start)?, rfc3339(end)?);
    let first = records.partition_point(|record| record.at < start);
    let past = records.partition_point(|record| record.at <= end);
    (first < past).then(|| Fault { rows: first..past, name: UNNAMED, causes: BTreeSet::new() })
}

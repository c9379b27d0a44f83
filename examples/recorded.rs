//! Recorded telemetry: a folder for each machine, with `train.csv.gz`, numbers behind a line of the metrics' names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;
use ingest::record::{Origin, TelemetryRecord};

use crate::unpacked;

/// Rows of numbers, one a metric.
pub type Rows = Vec<Vec<f32>>;

/// The folders of the machines, in the order of their names.
///
/// # Errors
///
/// Names the directory that cannot be read, or has none.
pub fn folders(dir: &Path) -> Result<Vec<PathBuf>> {
    let place = || dir.display().to_string();
    let entries = fs::read_dir(dir).with_context(place)?;
    let mut folders =
        entries.map(|entry| Ok(entry.with_context(place)?.path())).collect::<Result<Vec<_>>>()?;
    folders.retain(|folder| folder.join("train.csv.gz").is_file());
    folders.sort();
    ensure!(!folders.is_empty(), "{}: no folder with train.csv.gz", place());
    Ok(folders)
}

/// The last part of a path, as a name.
pub fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The metrics of a file, and its rows.
///
/// # Errors
///
/// Names the file, and the line that has not a number for each metric.
pub fn table(path: &Path) -> Result<(Arc<[MetricName]>, Rows)> {
    let text = unpacked(path)?;
    let mut lines = text.lines();
    let names = lines.next().unwrap_or_default().split(',').map(|name| MetricName::try_from(name.trim()));
    let metrics =
        names.collect::<Result<Arc<[MetricName]>, _>>().with_context(|| path.display().to_string())?;
    let row = |(index, line): (usize, &str)| {
        let values: Result<Vec<f32>, _> = line.split(',').map(|cell| cell.trim().parse()).collect();
        let values = values.ok().filter(|values: &Vec<f32>| values.len() == metrics.len());
        values.with_context(|| format!("{} line {}: not a number for each metric", path.display(), index + 2))
    };
    let rows = lines.enumerate().filter(|(_, line)| !line.is_empty()).map(row).collect::<Result<_>>()?;
    Ok((metrics, rows))
}

/// Rows as records of a machine of this name, so many seconds apart; `first` rows came before them.
pub fn records(
    name: &str,
    metrics: &Arc<[MetricName]>,
    rows: Rows,
    (first, interval_s): (usize, u64),
) -> Vec<TelemetryRecord> {
    let origin = Origin::new(TenantId::default(), name);
    let record = |(row, values): (usize, Vec<f32>)| TelemetryRecord {
        origin: Arc::clone(&origin),
        at: Timestamp::from_millis((first + row) as u64 * interval_s * 1000),
        metrics: Arc::clone(metrics),
        values,
    };
    rows.into_iter().enumerate().map(record).collect()
}

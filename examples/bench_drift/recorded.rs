//! Recorded telemetry, of which nobody says that something was wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;
use examples::unpacked;
use ingest::record::{Origin, TelemetryRecord};
use node::detect::DriftPolicy;

use crate::Line;
use crate::watched::{Node, detector};

/// What becomes of the machines of a folder: two thirds of each one's telemetry are history, the rest comes live.
pub(crate) fn line(dir: &Path, interval_s: u64, policy: &DriftPolicy) -> Result<Line> {
    let place = || dir.display().to_string();
    let entries = fs::read_dir(dir).with_context(place)?;
    let mut files: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path().join("train.csv.gz"))).collect::<Result<_>>()?;
    files.retain(|file| file.is_file());
    files.sort();
    ensure!(!files.is_empty(), "{}: no folder with train.csv.gz", place());
    let mut ended = Vec::new();
    for file in &files {
        let records = read(file, interval_s).with_context(|| file.display().to_string())?;
        let (history, live) = records.split_at(records.len() * 2 / 3);
        let mut node = Node::after(history, &detector(history)?, policy)?;
        ended.push((node.until_told(live)?, node.inputs_watched()));
    }
    let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
    Ok(Line::of(format!("{name}, recorded"), policy.block_s, &ended))
}

fn read(file: &Path, interval_s: u64) -> Result<Vec<TelemetryRecord>> {
    let text = unpacked(file)?;
    let mut lines = text.lines();
    let names = lines.next().context("is empty")?.split(',').map(|name| MetricName::try_from(name.trim()));
    let metrics: Arc<[MetricName]> = names.collect::<Result<_, _>>()?;
    let origin = Origin::new(TenantId::default(), "machine");
    let record = |(row, line): (usize, &str)| {
        let cells = line.split(',').map(|cell| cell.trim().parse().unwrap_or(f32::NAN));
        TelemetryRecord {
            origin: Arc::clone(&origin),
            at: Timestamp::from_millis(row as u64 * interval_s * 1000),
            metrics: Arc::clone(&metrics),
            values: cells.collect(),
        }
    };
    Ok(lines.enumerate().map(record).collect())
}

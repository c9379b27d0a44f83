//! A file of telemetry for each node, prepared as a node prepares it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use common::id::TenantId;
use common::model::Forecaster;
use ingest::{CsvSource, Format, Source};
use node::detect::{History, Preparation};
use pipeline::{Pipeline, Windows};

use crate::population::Population;

/// How a node reads and prepares telemetry: what its `node.toml` says of it.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// How rows get their time.
    pub format: Format,
    /// What records go through first.
    pub stages: Pipeline,
    /// How they become windows.
    pub preparation: Preparation,
}

/// The nodes of a folder that are wanted: each file `NAME.csv` or `NAME.csv.gz` is the telemetry of the node NAME. What is
/// left out of a file is handed to `tell`.
///
/// # Errors
///
/// Names the file that cannot be used.
pub fn read(
    dir: &Path,
    task: &Forecaster,
    stride: u32,
    reading: &Reading,
    is_wanted: &dyn Fn(&str) -> Result<bool>,
    tell: &mut dyn FnMut(String),
) -> Result<Population> {
    let files = files(dir)?;
    ensure!(!files.is_empty(), "{}: no file named NAME.csv or NAME.csv.gz", dir.display());
    let preparation = Preparation { stride, ..reading.preparation };
    let (mut names, mut training, mut validation) = (Vec::new(), Vec::new(), Vec::new());
    for (name, path) in files {
        if !is_wanted(&name).with_context(|| path.display().to_string())? {
            continue;
        }
        let mut history = || history(&path, task, reading, &preparation, tell);
        let parts = history().with_context(|| path.display().to_string())?;
        names.push(name);
        training.push(parts.0);
        validation.push(parts.1);
    }
    Ok(Population::with_telemetry(names, task.clone(), training, validation))
}

/// The windows of a file: to train on, and for validation.
fn history(
    path: &Path,
    task: &Forecaster,
    reading: &Reading,
    preparation: &Preparation,
    tell: &mut dyn FnMut(String),
) -> Result<(Windows, Windows)> {
    let Format { timestamp_column, interval_s } = reading.format.clone();
    let source = Source::Csv(CsvSource { path: path.to_owned(), timestamp_column, interval_s });
    let ingested = ingest::records(&source, TenantId::default(), edge::now(), None)?;
    ingested.rejected.iter().for_each(|row| tell(row.to_string()));
    let untold = ingested.rejected_count - ingested.rejected.len() as u64;
    if untold > 0 {
        tell(format!("{}: {untold} more rows were left out", path.display()));
    }
    let records = reading.stages.run(ingested.records);
    let History { training, validation, .. } = History::prepare(task, &records, preparation)?;
    Ok((training, validation))
}

/// Names of nodes and their files, in the order of the names.
fn files(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry.with_context(|| dir.display().to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        if let Some(name) = plain.strip_suffix(".csv").filter(|name| !name.is_empty() && path.is_file()) {
            files.push((name.to_owned(), path));
        }
    }
    files.sort();
    if let Some(pair) = files.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        anyhow::bail!("{} and {} are of one node", pair[0].1.display(), pair[1].1.display());
    }
    Ok(files)
}

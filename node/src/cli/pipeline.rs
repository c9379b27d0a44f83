//! `node pipeline`: the stages that records go through, and what each makes of a file.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use common::id::TenantId;
use common::model::{Forecaster, MetricName};
use edge::{Format, Listing};
use ingest::record::TelemetryRecord;
use pipeline::{Pipeline, Stage, Step, clean};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::config::NodeConfig;
use crate::detect::{History, Preparation};
use crate::folder::Folder;
use crate::kept::{self, Kept};

/// Metrics of a record that are shown to people; programs get all.
const METRICS_SHOWN: usize = 8;

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the stages of node.toml with their parameters, and warn of orders that make little sense.
    Check {
        /// How to print them.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show the records of a file before and after each stage.
    Run(Run),
}

#[derive(Args)]
struct Run {
    /// A CSV file, plain or gzip.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    times: super::RowTimes,
    /// Records, and reasons to leave some out, that are shown of each stage.
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    limit: usize,
    /// `json` and `jsonl` have one object a stage and one for the table.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One record, as it is printed.
#[derive(Serialize)]
struct Shown {
    source: String,
    at_ms: u64,
    labels: Map<String, Value>,
    values: Map<String, Value>,
}

/// What one stage did, for programs.
#[derive(Serialize)]
struct Line<'s> {
    number: usize,
    stage: &'s Stage,
    records_in: usize,
    records_out: usize,
    records_left_out: u64,
    values_left_out: u64,
    gaps_left_open: u64,
    left_out: Vec<String>,
    before: Vec<Shown>,
    after: Vec<Shown>,
}

/// What comes of the records after the stages.
#[derive(Serialize)]
struct Prepared {
    rows: usize,
    columns: usize,
    filled: u64,
    missing: u64,
    /// Missing without a model: it says how long a window is.
    windows: Option<Windows>,
}

#[derive(Serialize)]
struct Windows {
    training: usize,
    validation: usize,
}

pub(super) fn execute(dir: &Path, options: &Options) -> Result<()> {
    let config = Folder::config(dir)?;
    for warning in config.stages.warnings() {
        eprintln!("node: {warning}");
    }
    match &options.command {
        Command::Check { format } => check(&config, *format),
        Command::Run(run) => show(dir, &config, run),
    }
}

/// The records after the stages. What these left out is told on stderr.
pub(super) fn staged(stages: &Pipeline, records: Vec<TelemetryRecord>) -> Vec<TelemetryRecord> {
    stages.run_with(records, |step| {
        if step.applied.left_something() {
            eprintln!("node: {step}");
        }
    })
}

fn check(config: &NodeConfig, format: Format) -> Result<()> {
    let stages = config.stages.stages();
    let mut list = Listing::begin(format);
    for (number, stage) in (1..).zip(stages) {
        let keys = parameters(stage)?;
        list.item(stage, || vec![format!("stage {number} ({}): {keys}", stage.kind())])?;
    }
    if stages.is_empty() {
        list.remark(|| vec!["no [[stage]]: records stay as they are".to_owned()]);
    }
    let preparation = parameters(&config.preparation)?;
    list.remark(|| vec![format!("then clean, split, scale and window: {preparation}")]);
    list.end();
    Ok(())
}

/// `key=value` for each parameter but the kind.
fn parameters(of: &impl Serialize) -> Result<String> {
    let Value::Object(keys) = serde_json::to_value(of)? else {
        return Ok(String::new());
    };
    let shown = keys.iter().filter(|(key, _)| *key != "kind").map(|(key, value)| format!("{key}={value}"));
    Ok(shown.collect::<Vec<_>>().join(" "))
}

fn show(dir: &Path, config: &NodeConfig, run: &Run) -> Result<()> {
    let tenant = TenantId::of_name(&config.tenant);
    let records = super::read(&run.file, tenant, &run.times)?;
    let first = |records: &[TelemetryRecord]| records.iter().take(run.limit).cloned().collect::<Vec<_>>();
    let mut before = first(&records);
    let mut list = Listing::begin(run.format);
    list.remark(|| {
        let heading = format!("{}: {} records", run.file.display(), records.len());
        [heading].into_iter().chain(before.iter().map(|record| format!("  {}", text(record)))).collect()
    });
    let mut printed = Ok(());
    let records = config.stages.run_with(records, |step| {
        let after = first(&step.applied.records);
        let before = std::mem::replace(&mut before, after.clone());
        let shown = list
            .item(&line(&step, &before, &after, run.limit), || step_text(&step, &before, &after, run.limit));
        printed = std::mem::replace(&mut printed, Ok(())).and(shown);
    });
    printed?;
    match prepared(dir, config, &records) {
        Ok(prepared) => list.item(&prepared, || vec![prepared_text(&prepared)])?,
        // Without a model this is no fault of the file: a run may learn fewer metrics.
        Err(error) => {
            let why = format!("{error:#}");
            list.item(&serde_json::json!({ "no_table": why }), || vec![format!("no table: {why}")])?;
        }
    }
    list.end();
    Ok(())
}

fn line<'s>(
    step: &Step<'s>,
    before: &[TelemetryRecord],
    after: &[TelemetryRecord],
    limit: usize,
) -> Line<'s> {
    let applied = step.applied;
    Line {
        number: step.number,
        stage: step.stage,
        records_in: step.records_in,
        records_out: applied.records.len(),
        records_left_out: applied.records_left_out,
        values_left_out: applied.values_left_out,
        gaps_left_open: applied.gaps_left_open,
        left_out: applied.left_out.iter().take(limit).map(ToString::to_string).collect(),
        before: before.iter().map(shown).collect(),
        after: after.iter().map(shown).collect(),
    }
}

fn step_text(
    step: &Step<'_>,
    before: &[TelemetryRecord],
    after: &[TelemetryRecord],
    limit: usize,
) -> Vec<String> {
    let mut lines = vec![step.to_string()];
    // The first reason is in the line above.
    let reasons = step.applied.left_out.iter().take(limit).skip(1);
    lines.extend(reasons.map(|left_out| format!("  left out: {left_out}")));
    lines.extend(before.iter().map(|record| format!("  before: {}", text(record))));
    lines.extend(after.iter().map(|record| format!("  after:  {}", text(record))));
    lines
}

fn shown(record: &TelemetryRecord) -> Shown {
    let labels =
        record.origin.labels.iter().map(|(name, value)| (name.to_string(), value.to_string().into()));
    // What is not finite has no form in JSON: null.
    let values = record.metrics.iter().zip(&record.values);
    let values = values.map(|(name, value)| (name.to_string(), Value::from(*value))).collect();
    Shown { source: record.source().to_owned(), at_ms: record.at.millis(), labels: labels.collect(), values }
}

fn text(record: &TelemetryRecord) -> String {
    let mut parts = vec![format!("{} at {} ms:", record.source(), record.at.millis())];
    parts.extend(record.origin.labels.iter().map(|(name, value)| format!("{name}={value}")));
    let values = record.metrics.iter().zip(&record.values);
    parts.extend(values.take(METRICS_SHOWN).map(|(name, value)| format!("{name}={value}")));
    match record.metrics.len().saturating_sub(METRICS_SHOWN) {
        0 => (),
        more => parts.push(format!("and {more} more")),
    }
    parts.join(" ")
}

/// The table of the metrics that the kept model learns, else of those that the first record has.
fn prepared(dir: &Path, config: &NodeConfig, records: &[TelemetryRecord]) -> Result<Prepared> {
    let mut task: Option<(Forecaster, Preparation)> = None;
    if kept::is_there(dir) {
        let Kept { detector, note, .. } = kept::read(dir, &*Folder::vault(dir, config)?)?;
        let preparation = Preparation { stride: note.stride, ..config.preparation };
        task = Some((detector.profile().task, preparation));
    }
    let metrics: &[MetricName] = match (&task, records.first()) {
        (Some((task, _)), _) => &task.metrics,
        (None, Some(first)) => &first.metrics,
        (None, None) => &[],
    };
    let cleaned = clean(records, metrics, &config.preparation.clean)?;
    let history =
        task.map(|(task, preparation)| History::prepare(&task, records, &preparation)).transpose()?;
    let windows = |history: History| Windows {
        training: history.training.count(),
        validation: history.validation.count(),
    };
    Ok(Prepared {
        rows: cleaned.table.rows.len(),
        columns: cleaned.table.columns,
        filled: cleaned.filled,
        missing: cleaned.missing,
        windows: history.map(windows),
    })
}

fn prepared_text(prepared: &Prepared) -> String {
    let Prepared { rows, columns, filled, missing, windows } = prepared;
    let windows = match windows {
        Some(Windows { training, validation }) => {
            format!("{training} windows to train on, {validation} to validate")
        }
        None => "no windows without a model, which says how long one is".to_owned(),
    };
    format!(
        "clean, split, scale and window: {rows} rows of {columns} columns, {filled} values filled, {missing} missing; {windows}"
    )
}

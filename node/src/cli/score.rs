//! `node score FILE...`: how unusual is each record?

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use common::id::TenantId;
use edge::{Format, print_lines};
use serde::Serialize;

use super::progress_bar;
use crate::detect::Scored;
use crate::folder::Folder;
use crate::kept;
use ingest::record::TelemetryRecord;

/// Records scored between two steps of the progress bar.
const STEP: usize = 10_000;

#[derive(Args)]
pub(super) struct Score {
    /// CSV files, plain or gzip, with the metrics of the model.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    times: super::RowTimes,
    /// `text` prints alarms and a summary, `json` every record.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One scored record.
#[derive(Serialize)]
struct Line<'r> {
    source: &'r str,
    at_ms: u64,
    /// Missing where too few records come before it.
    score: Option<f64>,
    alarm: bool,
}

pub(super) fn execute(dir: &Path, options: &Score) -> Result<()> {
    let (detector, _) = kept::read(dir)?;
    let config = Folder::config(dir)?;
    let tenant = TenantId::of_name(&config.tenant);
    for file in &options.files {
        let records = super::pipeline::staged(&config.stages, super::read(file, tenant, &options.times)?);
        let bar = progress_bar(records.len() as u64, "scoring");
        let (mut scored, mut alarms, mut from) = (0, 0, 0);
        // Each step sees the records before it, so that it needs no run-up of its own.
        let run_up = detector.run_up();
        while from < records.len() {
            let to = records.len().min(from + STEP);
            let before = from.saturating_sub(run_up);
            let verdicts = detector.score(&records[before..to])?;
            let new = records[from..to].iter().zip(&verdicts[from - before..]);
            let lines: Result<Vec<Option<String>>> =
                new.map(|(record, verdict)| line(record, *verdict, options.format)).collect();
            let lines: Vec<String> = lines?.into_iter().flatten().collect();
            scored += verdicts[from - before..].iter().flatten().count();
            alarms += verdicts[from - before..].iter().flatten().filter(|verdict| verdict.alarm).count();
            print_lines(&lines);
            bar.inc((to - from) as u64);
            from = to;
        }
        bar.finish_and_clear();
        if options.format == Format::Text {
            let threshold = detector.threshold().0;
            print_lines(&[format!(
                "{}: {} records, {scored} scored, {alarms} above the threshold of {threshold:.3}",
                file.display(),
                records.len()
            )]);
        }
    }
    Ok(())
}

fn line(record: &TelemetryRecord, verdict: Option<Scored>, format: Format) -> Result<Option<String>> {
    let score = verdict.map(|verdict| verdict.score);
    let alarm = verdict.is_some_and(|verdict| verdict.alarm);
    let line = Line { source: record.source(), at_ms: record.at.millis(), score, alarm };
    Ok(match format {
        Format::Json => Some(serde_json::to_string(&line)?),
        Format::Text => alarm
            .then(|| format!("{} at {} ms: score {:.3}", line.source, line.at_ms, score.unwrap_or(f64::NAN))),
    })
}

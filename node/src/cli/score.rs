//! `node score FILE...`: how unusual is each record?

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use common::id::TenantId;
use edge::{Format, Listing};
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
    /// `text` prints alarms and a summary, `json` and `jsonl` every record.
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
    let config = Folder::config(dir)?;
    let (detector, _) = kept::read(dir, &*Folder::vault(dir, &config)?)?;
    let tenant = TenantId::of_name(&config.tenant);
    let mut list = Listing::begin(options.format);
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
            new.into_iter().try_for_each(|(record, verdict)| show(record, *verdict, &mut list))?;
            list.flush();
            scored += verdicts[from - before..].iter().flatten().count();
            alarms += verdicts[from - before..].iter().flatten().filter(|verdict| verdict.alarm).count();
            bar.inc((to - from) as u64);
            from = to;
        }
        bar.finish_and_clear();
        let threshold = detector.threshold().0;
        list.remark(|| {
            vec![format!(
                "{}: {} records, {scored} scored, {alarms} above the threshold of {threshold:.3}",
                file.display(),
                records.len()
            )]
        });
    }
    list.end();
    Ok(())
}

fn show(record: &TelemetryRecord, verdict: Option<Scored>, list: &mut Listing) -> Result<()> {
    let score = verdict.map(|verdict| verdict.score);
    let alarm = verdict.is_some_and(|verdict| verdict.alarm);
    let line = Line { source: record.source(), at_ms: record.at.millis(), score, alarm };
    list.item(&line, || match score {
        Some(score) if alarm => {
            vec![format!("{} at {} ms: score {score:.3}", line.source, line.at_ms)]
        }
        _ => Vec::new(),
    })
}

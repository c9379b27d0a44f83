//! `node score FILE...`: how unusual is each record?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use common::id::TenantId;
use edge::{Format, Listing};
use serde::Serialize;

use super::progress_bar;
use crate::alarms;
use crate::detect::alarm::Why;
use crate::detect::{Explained, Scored};
use crate::folder::Folder;
use crate::kept::{self, Kept};
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
    /// Name the metrics that have most of each alarm's score, and those whose values make most of it, and how much: so many
    /// of them, or three.
    #[arg(long, value_name = "METRICS", num_args = 0..=1, default_missing_value = "3")]
    explain: Option<usize>,
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
    /// With `--explain`, of an alarm.
    #[serde(flatten)]
    why: Option<Why>,
}

/// What an alarm is, and what it is explained with.
struct Explaining<'d> {
    metrics: Vec<&'d str>,
    /// How many of them are named.
    most: usize,
    /// The highest score of each source that was refuted: see `node label`.
    refuted: BTreeMap<String, f64>,
}

impl Explaining<'_> {
    fn is_alarm(&self, source: &str, verdict: Scored) -> bool {
        verdict.alarm && self.refuted.get(source).is_none_or(|refuted| verdict.score > *refuted)
    }
}

pub(super) fn execute(dir: &Path, options: &Score) -> Result<()> {
    let config = Folder::config(dir)?;
    let Kept { detector, .. } = kept::read(dir, &*Folder::vault(dir, &config)?)?;
    let tenant = TenantId::of_name(&config.tenant);
    let explaining = Explaining {
        metrics: detector.metrics().map(|name| &**name).collect(),
        most: options.explain.unwrap_or(0),
        refuted: alarms::known(dir)?.1.refuted(),
    };
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
            let verdicts =
                detector.explain(&records[before..to], |_, verdict| verdict.alarm && explaining.most > 0)?;
            let new = records[from..to].iter().zip(&verdicts[from - before..]);
            new.into_iter()
                .try_for_each(|(record, verdict)| show(record, verdict.as_ref(), &explaining, &mut list))?;
            list.flush();
            scored += verdicts[from - before..].iter().flatten().count();
            let told = records[from..to].iter().zip(&verdicts[from - before..]);
            alarms += told
                .filter(|(record, explained)| {
                    let verdict = explained.as_ref().map(|explained| explained.verdict);
                    verdict.is_some_and(|verdict| explaining.is_alarm(record.source(), verdict))
                })
                .count();
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

fn show(
    record: &TelemetryRecord,
    explained: Option<&Explained>,
    explaining: &Explaining<'_>,
    list: &mut Listing,
) -> Result<()> {
    let score = explained.map(|explained| explained.verdict.score);
    let alarm = explained.is_some_and(|explained| explaining.is_alarm(record.source(), explained.verdict));
    let why = explained.filter(|_| alarm && explaining.most > 0);
    let why =
        why.map(|explained| Why::of(explaining.metrics.iter().copied(), &explained.reasons, explaining.most));
    let line = Line { source: record.source(), at_ms: record.at.millis(), score, alarm, why };
    list.item(&line, || match score {
        Some(score) if alarm => {
            let why = line.why.as_ref().map(Why::to_string).unwrap_or_default();
            vec![format!("{} at {} ms: score {score:.3}{why}", line.source, line.at_ms)]
        }
        _ => Vec::new(),
    })
}

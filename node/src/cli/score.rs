//! `node score FILE...`: how unusual is each record?

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use common::id::TenantId;
use edge::{Format, Listing};
use serde::Serialize;

use super::progress_bar;
use crate::detect::Explained;
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
    /// Name the metrics that have most of each alarm's score, and how much: so many of them, or three.
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    because: Vec<Because<'r>>,
}

/// A metric with a part of an alarm's score.
#[derive(Serialize)]
struct Because<'m> {
    metric: &'m str,
    /// The parts of all metrics add up to the score.
    score: f64,
}

/// What an alarm is explained with.
struct Explaining<'d> {
    metrics: Vec<&'d str>,
    /// How many of them are named.
    most: usize,
}

impl<'d> Explaining<'d> {
    /// The metrics with the largest contributions, the largest first; none that has nothing.
    fn because(&self, contributions: &[f64]) -> Vec<Because<'d>> {
        let each = self.metrics.iter().zip(contributions);
        let mut each: Vec<Because<'d>> = each
            .map(|(metric, score)| Because { metric, score: *score })
            .filter(|part| part.score > 0.0)
            .collect();
        each.sort_by(|one, other| other.score.total_cmp(&one.score).then(one.metric.cmp(other.metric)));
        each.truncate(self.most);
        each
    }
}

pub(super) fn execute(dir: &Path, options: &Score) -> Result<()> {
    let config = Folder::config(dir)?;
    let Kept { detector, .. } = kept::read(dir, &*Folder::vault(dir, &config)?)?;
    let tenant = TenantId::of_name(&config.tenant);
    let explaining = Explaining {
        metrics: detector.metrics().map(|name| &**name).collect(),
        most: options.explain.unwrap_or(0),
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
                detector.explain(&records[before..to], |verdict| verdict.alarm && explaining.most > 0)?;
            let new = records[from..to].iter().zip(&verdicts[from - before..]);
            new.into_iter()
                .try_for_each(|(record, verdict)| show(record, verdict.as_ref(), &explaining, &mut list))?;
            list.flush();
            scored += verdicts[from - before..].iter().flatten().count();
            alarms += verdicts[from - before..]
                .iter()
                .flatten()
                .filter(|explained| explained.verdict.alarm)
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
    let alarm = explained.is_some_and(|explained| explained.verdict.alarm);
    let because = explained.map_or_else(Vec::new, |explained| explaining.because(&explained.contributions));
    let line = Line { source: record.source(), at_ms: record.at.millis(), score, alarm, because };
    list.item(&line, || match score {
        Some(score) if alarm => {
            let because = line.because.iter().map(|part| {
                let percent = (100.0 * part.score / score).round();
                format!(", {} {percent} %", part.metric)
            });
            vec![format!(
                "{} at {} ms: score {score:.3}{}",
                line.source,
                line.at_ms,
                because.collect::<String>()
            )]
        }
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_parts_are_named_first_and_those_without_any_not_at_all() {
        let explaining = Explaining { metrics: vec!["cpu", "disk", "net", "idle"], most: 3 };
        let named = |parts: &[f64]| {
            let because = explaining.because(parts);
            because.into_iter().map(|part| (part.metric, part.score)).collect::<Vec<_>>()
        };
        assert_eq!(named(&[0.5, 2.0, 0.5, 0.0]), [("disk", 2.0), ("cpu", 0.5), ("net", 0.5)]);
        assert_eq!(named(&[1.0, 2.0, 3.0, 4.0]), [("idle", 4.0), ("net", 3.0), ("disk", 2.0)]);
        assert!(named(&[0.0; 4]).is_empty() && named(&[]).is_empty());
    }
}

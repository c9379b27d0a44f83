//! `node evaluate`: is the federation worth it to this node?

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use common::id::TenantId;
use edge::{Format, print_one};
use serde::Serialize;

use super::progress_bar;
use crate::detect::{Chosen, Evaluation, Labelled, Plan, Preparation, Quality, evaluate};
use crate::folder::Folder;
use crate::kept::{self, Kept};
use crate::learn::{self, Training};
use crate::telemetry_trainer::node_seed;
use ingest::record::{Origin, TelemetryRecord};
use ingest::{CsvSource, Source, labels};
use pipeline::Pipeline;

#[derive(Args)]
pub(super) struct Evaluate {
    /// Telemetry later than what the node trains on, read as its first source is.
    #[arg(long, value_name = "FILE")]
    test: PathBuf,
    /// For each of its records whether it is anomalous: a column `label` of 0 and 1.
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// How far, in records, a detection may be from its label and still count in part (VUS).
    #[arg(long, default_value_t = 20)]
    width: usize,
    /// Epochs of tuning the federated model, or its head, to this node.
    #[arg(long, default_value_t = 5)]
    tune_epochs: u32,
    /// Records that a node of this federation usually has; one with under 5 % of them is not tuned.
    #[arg(long, default_value_t = 0)]
    usual_records: u64,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The result, for programs.
#[derive(Serialize)]
struct Line {
    node: String,
    train_records: u64,
    vus_pr_local: f64,
    vus_pr_federated: f64,
    vus_pr_head: Option<f64>,
    vus_pr_tuned: f64,
    auc_pr_local: f64,
    auc_pr_federated: f64,
    auc_pr_head: Option<f64>,
    auc_pr_tuned: f64,
    auc_roc_local: f64,
    auc_roc_federated: f64,
    auc_roc_head: Option<f64>,
    auc_roc_tuned: f64,
    chosen: Chosen,
}

pub(super) fn execute(dir: &Path, options: &Evaluate) -> Result<()> {
    let config = Folder::config(dir)?;
    let Kept { detector, federated, note, .. } = kept::read(dir, &*Folder::vault(dir, &config)?)?;
    ensure!(
        note.rounds > 0,
        "the model that is kept comes of an evaluation, which trained nothing that could be compared: the next run leaves one"
    );
    let tenant = TenantId::of_name(&config.tenant);
    let training = super::pipeline::staged(&config.stages, read_all(&config.sources, tenant)?);
    let test = read_all(&[like_first(&config.sources, &options.test)?], tenant)?;
    let test = staged_in_place(&config.stages, test)?;
    let labels = labels::read_labels(&options.labels)?;
    let plan = Plan {
        task: detector.profile().task,
        rounds: note.rounds,
        training: Training {
            epochs: note.epochs,
            batch: note.batch as usize,
            optimizer: note.optimizer,
            learning_rate: f64::from(note.learning_rate),
            proximal: f64::from(note.proximal),
            seed: node_seed(note.seed, &config.name),
            round: 0,
            correction: None,
        },
        initial_seed: note.seed,
        preparation: Preparation { stride: note.stride, ..config.preparation },
        tune_epochs: options.tune_epochs,
        usual_records: options.usual_records,
        tune_share_min: 0.05,
        width: options.width,
    };
    let labelled = Labelled { training: &training, test: &test, labels: &labels };
    let epochs = note.rounds * note.epochs + 2 * options.tune_epochs;
    let bar = progress_bar(u64::from(epochs), "training on this node");
    let mut progress = |step: learn::Progress| {
        if step.step == step.steps {
            bar.inc(1);
        }
        ControlFlow::Continue(())
    };
    let evaluation = evaluate(&plan, &labelled, &federated, &mut progress)?;
    bar.finish_and_clear();
    let line = line(&config.name, &evaluation);
    print_one(options.format, &line, || table(&config.name, &evaluation))
}

fn line(node: &str, evaluation: &Evaluation) -> Line {
    let Evaluation { train_records, local, federated, head, tuned, chosen } = *evaluation;
    Line {
        node: node.to_owned(),
        train_records,
        vus_pr_local: local.vus_pr,
        vus_pr_federated: federated.vus_pr,
        vus_pr_head: head.map(|head| head.vus_pr),
        vus_pr_tuned: tuned.vus_pr,
        auc_pr_local: local.auc_pr,
        auc_pr_federated: federated.auc_pr,
        auc_pr_head: head.map(|head| head.auc_pr),
        auc_pr_tuned: tuned.auc_pr,
        auc_roc_local: local.auc_roc,
        auc_roc_federated: federated.auc_roc,
        auc_roc_head: head.map(|head| head.auc_roc),
        auc_roc_tuned: tuned.auc_roc,
        chosen,
    }
}

fn table(node: &str, evaluation: &Evaluation) -> Vec<String> {
    let Evaluation { train_records, local, federated, head, tuned, chosen } = *evaluation;
    let row = |name: &str, quality: Quality| {
        let Quality { vus_pr, auc_pr, auc_roc } = quality;
        format!("{name:<12} {vus_pr:>8.3} {auc_pr:>8.3} {auc_roc:>8.3}")
    };
    let mut lines = vec![
        format!("{node}: {train_records} records to train on"),
        format!("{:<12} {:>8} {:>8} {:>8}", "model", "VUS-PR", "AUC-PR", "AUC-ROC"),
        row("local", local),
        row("federated", federated),
    ];
    lines.extend(head.map(|head| row("head", head)));
    lines.push(row("tuned", tuned));
    lines.push(format!("best by the records kept for validation, without labels: {chosen}"));
    lines
}

/// The test records after the stages. Labels are matched by place, so stages may change values here, never which
/// records there are.
fn staged_in_place(stages: &Pipeline, records: Vec<TelemetryRecord>) -> Result<Vec<TelemetryRecord>> {
    let place = |record: &TelemetryRecord| (Arc::clone(&record.origin), record.at);
    let places: Vec<_> = records.iter().map(place).collect();
    let staged = super::pipeline::staged(stages, records);
    let same = |(origin, at): &(Arc<Origin>, _), record: &TelemetryRecord| {
        origin.tenant == record.origin.tenant && *origin.source == *record.source() && *at == record.at
    };
    if staged.len() != places.len() || !places.iter().zip(&staged).all(|(place, record)| same(place, record))
    {
        bail!(
            "the [[stage]] list of node.toml leaves out, adds or moves records of the test file, and its labels \
             are matched by place: evaluate with stages that change values only"
        );
    }
    Ok(staged)
}

/// The test file, with the time of its rows given as in the node's own files.
fn like_first(sources: &[Source], path: &Path) -> Result<Source> {
    let format = sources.iter().find_map(|source| match source {
        Source::Csv(csv) | Source::Jsonl(csv) => Some(csv.format()),
        Source::Directory(directory) => Some(directory.format()),
        Source::Host(_) | Source::Prometheus(_) => None,
    });
    let format = format.context("node.toml has no source of kind \"csv\" or \"directory\" to train from")?;
    let (timestamp_column, interval_s) = (format.timestamp_column, format.interval_s);
    Ok(Source::Csv(CsvSource { path: path.to_owned(), timestamp_column, interval_s }))
}

fn read_all(sources: &[Source], tenant: TenantId) -> Result<Vec<TelemetryRecord>> {
    let mut records = Vec::new();
    let is_kept = |source: &&Source| !matches!(source, Source::Host(_) | Source::Prometheus(_));
    for source in sources.iter().filter(is_kept) {
        let ingested = ingest::records(source, tenant, edge::now(), None)?;
        super::report_rejected(&ingested);
        records.extend(ingested.records);
    }
    if records.is_empty() {
        bail!("no records");
    }
    Ok(records)
}

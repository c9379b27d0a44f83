//! What does scoring cost? A record in a stream, with all that `node run` does of it, on one core; and many records at once,
//! as `node score` does.
//!
//! Models as runs make them, of 19 past steps, with weights that were not trained: the arithmetic is the same.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use common::id::TenantId;
use common::model::{Forecaster, MetricName, Network, Task};
use common::units::Timestamp;
use edge::{Format, Listing};
use examples::forecaster;
use ingest::record::{Origin, TelemetryRecord};
use node::detect::alarm::{Seen, Watch};
use node::detect::{AlarmPolicy, Detector, History, Preparation, Streams};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

/// The allocator of the programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures what scoring a record costs.
#[derive(Parser)]
#[command(name = "bench-scoring")]
struct Options {
    /// Records of each model.
    #[arg(long, default_value_t = 20_000)]
    records: usize,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A model.
struct Case {
    name: &'static str,
    network: Network,
    metrics: usize,
    hidden: &'static [u32],
}

const CASES: [Case; 4] = [
    Case { name: "perceptron", network: Network::Perceptron, metrics: 19, hidden: &[64, 16, 64] },
    Case { name: "perceptron", network: Network::Perceptron, metrics: 38, hidden: &[64, 16, 64] },
    Case { name: "lstm", network: Network::Lstm, metrics: 19, hidden: &[64] },
    Case { name: "convolution", network: Network::Convolution, metrics: 19, hidden: &[32, 40] },
];

/// Past steps that each of them sees.
const PAST_STEPS: u32 = 19;

/// Records that a model is calibrated on.
const HISTORY: usize = 600;

/// What a model costs.
#[derive(Serialize)]
struct Line {
    model: &'static str,
    metrics: usize,
    parameters: usize,
    /// Microseconds for a record as it comes, the one in the middle.
    median_us: f64,
    /// And the one that 99 of 100 are not slower than.
    p99_us: f64,
    /// Records that are scored in a second, many at once.
    batch_records_s: f64,
}

/// So many records, of noise.
fn records(task: &Forecaster, count: usize) -> Vec<TelemetryRecord> {
    let metrics: Arc<[MetricName]> = task.metrics.to_vec().into();
    let origin = Origin::new(TenantId::default(), "host");
    let random = &mut ChaCha20Rng::seed_from_u64(1);
    let record = |row: usize| TelemetryRecord {
        origin: Arc::clone(&origin),
        at: Timestamp::from_millis(row as u64 * 1000),
        metrics: Arc::clone(&metrics),
        values: metrics.iter().map(|_| random.random_range(-1.0..1.0)).collect(),
    };
    (0..count).map(record).collect()
}

impl Case {
    fn measure(&self, count: usize) -> Result<Line> {
        let task = forecaster(self.metrics, PAST_STEPS, self.network, self.hidden)?;
        let records = records(&task, HISTORY + count);
        let (history, records) = records.split_at(HISTORY);
        let prepared = History::prepare(&task, history, &Preparation::default())?;
        let parameters = Task::Forecaster(task.clone()).initial(1)?;
        let detector = Detector::fit(&task, parameters, &prepared)?;
        let threshold = detector.threshold().0;
        let (mut streams, policy) = (Streams::new(detector.clone())?, AlarmPolicy::default());
        let (mut watch, mut next_id) = (Watch::default(), 1);
        for record in history {
            streams.score(record)?;
        }
        let mut taken_us = Vec::with_capacity(records.len());
        for record in records {
            let began = now();
            let score = streams.score(record)?.score().context("a record has a score")?;
            watch.observe(Seen { at_ms: record.at.millis(), score, threshold }, &policy, &mut next_id);
            taken_us.push(began.elapsed().as_secs_f64() * 1e6);
        }
        taken_us.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| taken_us[(share * (taken_us.len() - 1) as f64) as usize];
        let began = now();
        let scored = detector.score(records)?.len();
        Ok(Line {
            model: self.name,
            metrics: self.metrics,
            parameters: detector.parameters().values().len(),
            median_us: at(0.5),
            p99_us: at(0.99),
            batch_records_s: scored as f64 / began.elapsed().as_secs_f64(),
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}

fn main() -> ExitCode {
    examples::ending("bench-scoring", measure(&Options::parse()))
}

fn measure(options: &Options) -> Result<()> {
    ensure!(options.records > 100, "--records: more than a hundred");
    let mut list = Listing::begin(options.format);
    let heading =
        "| model | metrics | parameters | us a record, median | 99 of 100 | records a second at once |";
    list.remark(|| vec![heading.to_owned(), "|---|---|---|---|---|---|".to_owned()]);
    for case in &CASES {
        let line = case.measure(options.records)?;
        list.item(&line, || {
            let Line { model, metrics, parameters, median_us, p99_us, batch_records_s } = line;
            vec![format!(
                "| {model} | {metrics} | {parameters} | {median_us:.1} | {p99_us:.1} | {batch_records_s:.0} |"
            )]
        })?;
        list.flush();
    }
    list.end();
    Ok(())
}

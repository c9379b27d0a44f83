//! How often is drift told where nothing changed, and how soon where something did?
//!
//! On telemetry that is made here, of nodes that are alike and independent, so that rates can be told; and on recorded healthy
//! telemetry, where nobody knows whether something changed. Each node goes the way of `node run`: a model, its history, records
//! one by one.

mod made;
mod recorded;
mod watched;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use edge::{Format, Listing};
use node::detect::DriftPolicy;
use serde::Serialize;

use made::{Change, Law};

/// The allocator of the programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures how often and how soon drift is told.
#[derive(Parser)]
#[command(name = "bench-drift")]
struct Options {
    /// Nodes of each case whose telemetry is made.
    #[arg(long, default_value_t = 400)]
    nodes: u64,
    /// The false-alarm rate that is promised.
    #[arg(long, default_value_t = DriftPolicy::default().false_alarm_rate)]
    rate: f64,
    /// Recorded healthy telemetry, in place of what is made: a folder with one for each machine, with `train.csv.gz`. Two thirds
    /// of it are history.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Seconds between two records of that.
    #[arg(long, default_value_t = 300)]
    interval_s: u64,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What became of the nodes of a case.
#[derive(Serialize)]
pub(crate) struct Line {
    /// What they measure, and what happens.
    case: String,
    /// Seconds of a block.
    block_s: u64,
    nodes: u64,
    /// Nodes that told of drift.
    told: u64,
    /// Their share, and where it is with 95 % (Wilson 1927).
    share: f64,
    share_low: f64,
    share_high: f64,
    /// Blocks after the change until half of the nodes told; none when fewer did.
    median_blocks: Option<u64>,
    /// The mean share of levels and spreads that is watched.
    inputs_watched: f64,
}

impl Line {
    /// Of the nodes with the blocks until they told, if they did, and the share of inputs that they watch.
    pub(crate) fn of(case: String, block_s: u64, nodes: &[(Option<u64>, f64)]) -> Self {
        let mut told: Vec<u64> = nodes.iter().filter_map(|(blocks, _)| *blocks).collect();
        told.sort_unstable();
        let count = nodes.len() as f64;
        let share = told.len() as f64 / count;
        let square = 1.96_f64.powi(2) / count;
        let middle = (share + square / 2.0) / (1.0 + square);
        let half = (share * (1.0 - share) * square + square * square / 4.0).sqrt() / (1.0 + square);
        Self {
            case,
            block_s,
            nodes: nodes.len() as u64,
            told: told.len() as u64,
            share,
            share_low: middle - half,
            share_high: middle + half,
            median_blocks: told.get((nodes.len() - 1) / 2).copied(),
            inputs_watched: nodes.iter().map(|(_, watched)| watched).sum::<f64>() / count,
        }
    }

    fn text(&self) -> String {
        let Self { case, block_s, told, nodes, share_low, share_high, inputs_watched, .. } = self;
        let blocks = self.median_blocks.map_or("-".to_owned(), |blocks| blocks.to_string());
        format!(
            "| {case} | {block_s} | {told} of {nodes} ({share_low:.3} - {share_high:.3}) | {blocks} | {:.0} % |",
            100.0 * inputs_watched
        )
    }
}

fn main() -> ExitCode {
    examples::ending("bench-drift", measure(&Options::parse()))
}

fn measure(options: &Options) -> Result<()> {
    ensure!(options.nodes > 0, "--nodes: at least one");
    ensure!(options.rate > 0.0 && options.rate < 1.0, "--rate: between 0 and 1");
    let mut list = Listing::begin(options.format);
    let heading =
        "| telemetry | block, s | nodes that tell of drift | blocks until half of them do | inputs watched |";
    list.remark(|| vec![heading.to_owned(), "|---|---|---|---|---|".to_owned()]);
    if let Some(dir) = &options.data {
        for block_s in [DAY_S / 2, DAY_S] {
            let policy = DriftPolicy { false_alarm_rate: options.rate, block_s };
            let line = recorded::line(dir, options.interval_s, &policy)?;
            list.item(&line, || vec![line.text()])?;
        }
    } else {
        for (law, block_s) in cases() {
            let policy = DriftPolicy { false_alarm_rate: options.rate, block_s };
            let line = made::line(&law, options.nodes, &policy)?;
            list.item(&line, || vec![line.text()])?;
            list.flush();
        }
    }
    list.end();
    Ok(())
}

const DAY_S: u64 = 86_400;

/// What is made, with the blocks that it is looked at in.
fn cases() -> Vec<(Law, u64)> {
    let days = |change| (Law { change, days_alike: 0.0 }, DAY_S);
    let mut cases = vec![days(Change::Nothing), (Law { change: Change::Nothing, days_alike: 0.5 }, DAY_S)];
    cases.extend(
        [DAY_S / 4, DAY_S / 8].map(|block_s| (Law { change: Change::Nothing, days_alike: 0.0 }, block_s)),
    );
    cases.extend([0.5, 1.0, 2.0, 4.0].map(|spreads| days(Change::Level(spreads))));
    cases.extend([1.5, 2.0].map(|factor| days(Change::Noise(factor))));
    cases.push(days(Change::Rough));
    cases
}

//! How fast do updates become a model, and in how much memory?
//!
//! Speed is bytes of updates, as they arrive, over the time to check, fold and finish them; beside it stands the time to
//! copy the same bytes to another place, measured between the same rounds. Memory is what the process has more at its
//! peak than before, in models: all of it but the buffer that an update arrives in and the round's model.

mod measure;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use coordinator::strategy::{Combine, Robust};
use edge::{Format, Listing};

/// The allocator of the coordinator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nodes whose updates are folded to measure memory.
const NODES: usize = 64;

/// Measures how fast updates become a model, beside copying them, and the memory that it takes.
#[derive(Parser)]
#[command(name = "bench-aggregate")]
struct Options {
    /// Parameters of the model for what is a sum.
    #[arg(long, default_value_t = 10_000_000)]
    params: usize,
    /// Parameters of the model for rules that keep all updates.
    #[arg(long, default_value_t = 1_000_000)]
    robust_params: usize,
    /// Updates of a round.
    #[arg(long, default_value_t = 8)]
    updates: usize,
    /// Rounds to measure; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn main() -> ExitCode {
    examples::ending("bench-aggregate", measure_all(&Options::parse()))
}

fn measure_all(options: &Options) -> Result<()> {
    let mut table = Listing::begin(options.format);
    // Before anything else has grown.
    let memory = measure::memory(NODES, options.params)?;
    table.item(&memory, || vec![format!("{memory}\n")])?;
    table.remark(|| {
        let columns = "| strategy | updates x parameters | GB/s | copying, GB/s | ratio |";
        vec![columns.to_owned(), "|---|---|---|---|---|".to_owned()]
    });
    table.flush();
    for (name, combine) in strategies(options.updates as u32) {
        let is_sum = !matches!(combine, Combine::Robust(_));
        let params = if is_sum { options.params } else { options.robust_params };
        let speed = measure::speed((name, combine), (options.updates, params), options.rounds)?;
        table.item(&speed, || vec![speed.to_string()])?;
        table.flush();
    }
    table.end();
    Ok(())
}

/// All ways to combine updates, the robust ones for as many wrong ones as they bear.
fn strategies(updates: u32) -> [(&'static str, Combine); 8] {
    let byzantine = updates.saturating_sub(3) / 4;
    let robust = |name, rule| (name, Combine::Robust(rule));
    [
        ("mean", Combine::Mean),
        ("normalized mean", Combine::NormalizedMean),
        ("scaffold", Combine::Scaffold { nodes: updates }),
        robust("median", Robust::Median),
        robust("trimmed mean", Robust::TrimmedMean { share: 0.2 }),
        robust("multi-krum", Robust::MultiKrum { byzantine, keep: updates - byzantine }),
        robust("bulyan", Robust::Bulyan { byzantine }),
        robust("geometric median", Robust::GeometricMedian),
    ]
}

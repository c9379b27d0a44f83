//! What is coming: how well does a federation foresee load and failures, beside each machine alone, all telemetry in one place,
//! and simpler methods?

mod columns;
mod failures;
mod line;
mod load;
mod recipe;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use edge::{Format, Listing};

/// The allocator of the simulator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Judges ways to get a model by how well they foresee load or failures.
#[derive(Parser)]
#[command(name = "bench-foresight")]
struct Options {
    /// Virtual machines: a CSV file, packed with gzip, with the columns `vm` and `cpu` (percent, each five minutes).
    #[arg(long, value_name = "FILE")]
    load: Option<PathBuf>,
    /// Drives, a file for each drive model: CSV, packed with gzip, with `serial`, `tstart_h`, `tstop_h`, `fails` and the raw values
    /// of some SMART attributes.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    failures: Vec<PathBuf>,
    /// Seeds, from 1 on.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// `json` and `jsonl` print an object for each setting, method and seed; `text` the means.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn main() -> ExitCode {
    examples::ending("bench-foresight", compare(&Options::parse()))
}

fn compare(options: &Options) -> Result<()> {
    ensure!(options.seeds > 0, "--seeds: at least one");
    let nothing = options.load.is_none() && options.failures.is_empty();
    ensure!(!nothing, "nothing to foresee: say --load FILE, --failures FILE..., or both");
    let (mut list, mut lines) = (Listing::begin(options.format), Vec::new());
    for seed in 1..=options.seeds {
        eprintln!("seed {seed} of {}", options.seeds);
        let mut judged = Vec::new();
        if let Some(path) = &options.load {
            judged.extend(load::judged(path, seed)?);
        }
        if !options.failures.is_empty() {
            judged.extend(failures::pods(&options.failures, seed)?);
        }
        if options.failures.len() > 1 {
            judged.extend(failures::models(&options.failures, seed)?);
        }
        for line in judged {
            list.item(&line, Vec::new)?;
            lines.push(line);
        }
        list.flush();
    }
    list.remark(|| line::table(&lines));
    list.end();
    Ok(())
}

//! How well does a federation detect faults, beside each machine alone, all telemetry in one place, and simpler methods?
//!
//! On a data set with labels, on series of the Numenta Anomaly Benchmark, or on the built-in fleet: each method is judged on
//! the later telemetry of each machine, with some seeds. What a model says is calibrated by each machine on its own history.

mod compare;
mod dataset;
mod interval;
mod judge;
mod known;
mod line;
mod methods;
mod nab;
mod options;
mod pca;
mod report;
mod table;
mod verdicts;

use std::process::ExitCode;

use clap::Parser;

/// The allocator of the simulator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = options::Options::parse();
    let told = match &options.nab {
        Some(dir) => nab::compare(dir, &options),
        None => compare::compare(&options),
    };
    examples::ending("bench-quality", told)
}

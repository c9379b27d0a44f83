//! How long does a round take, and what does it cost, when training takes no time?
//!
//! Starts a real coordinator and real nodes as processes on loopback, with encryption and signatures
//! on, and a client that adds a constant to every parameter. Prints a table, or JSON lines.

mod cell;
mod processes;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use edge::{Format, Listing};

/// Returns memory to the system sooner than the default allocator, as in the two programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures rounds without training: time, CPU, memory and bytes.
#[derive(Parser)]
#[command(name = "bench-rounds")]
struct Options {
    /// Only this number of parameters.
    #[arg(long)]
    params: Option<u32>,
    /// Only this number of nodes.
    #[arg(long)]
    nodes: Option<u32>,
    /// Rounds to measure, after one to warm up; by default more for small models.
    #[arg(long)]
    rounds: Option<u32>,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn main() -> ExitCode {
    if let Some(code) = processes::play_a_part() {
        return code;
    }
    examples::ending("bench-rounds", measure(&Options::parse()))
}

fn measure(options: &Options) -> Result<()> {
    let all = |one: Option<u32>, all: &[u32]| one.map_or(all.to_vec(), |one| vec![one]);
    let mut result = Listing::begin(options.format);
    result.remark(|| vec![cell::HEADER.to_owned()]);
    result.flush();
    for params in all(options.params, &[10_000, 1_000_000, 10_000_000]) {
        for nodes in all(options.nodes, &[2, 8]) {
            let rounds = options.rounds.unwrap_or(match params {
                0..=100_000 => 40,
                100_001..=2_000_000 => 20,
                _ => 6,
            });
            let measured = cell::measure(params, nodes, rounds)?;
            result.item(&measured, || vec![measured.to_string()])?;
            result.flush();
        }
    }
    result.end();
    Ok(())
}

//! What does the cryptography of a round cost the coordinator?
//!
//! Of keys: seconds of CPU of one epoch, for so many nodes: their presences are verified, the root is wrapped for each,
//! the announcement is signed, and each update's manifest is verified and its key opened. In bulk: bytes of a value over
//! the time to seal and to open it on one core, with the hash over its chunks; beside it what OpenSSL says of the same
//! cipher.

mod bulk;
mod epoch;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use common::crypto::Suite;
use edge::{Format, Listing};

/// The allocator of the coordinator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the keys of an epoch in each suite, and sealing and opening in bulk beside OpenSSL.
#[derive(Parser)]
#[command(name = "bench-crypto")]
struct Options {
    /// Nodes of an epoch; of a suite with fewer in a cohort, as many as that.
    #[arg(long, default_value_t = 1_000)]
    nodes: usize,
    /// Epochs to measure, of which each counts the same; the system counts CPU in hundredths of a second.
    #[arg(long, default_value_t = 10)]
    epochs: u64,
    /// Bytes of the value that is sealed and opened.
    #[arg(long, default_value_t = 64_000_000)]
    bytes: usize,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn main() -> ExitCode {
    examples::ending("bench-crypto", measure_all(&Options::parse()))
}

fn measure_all(options: &Options) -> Result<()> {
    let mut table = Listing::begin(options.format);
    table.remark(|| {
        let columns = "| suite | nodes | verify presences | wrap roots | sign | open updates | all, CPU s |";
        vec![columns.to_owned(), "|---|---|---|---|---|---|---|".to_owned()]
    });
    for suite in [Suite::X25519, Suite::XWing] {
        let nodes = options.nodes.min(suite.cohort_max());
        let cost = epoch::cost(suite, nodes, options.epochs.max(1))?;
        table.item(&cost, || vec![cost.to_string()])?;
        table.flush();
    }
    let speed = bulk::speed(options.bytes)?;
    table.item(&speed, || vec![String::new(), speed.to_string()])?;
    table.end();
    Ok(())
}

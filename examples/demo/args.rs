//! The command line of the demo.

use std::path::PathBuf;

use clap::Parser;
use edge::Format;

/// Rounds on the fleet that is made here.
const FLEET_ROUNDS: u32 = 5;
/// Rounds on a data set.
const DATA_ROUNDS: u32 = 20;

/// Runs a federation of one coordinator and some nodes on this host, and shows what it is worth to each node.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "demo",
    after_help = "Exit codes: 0 done; 1 failed, the reason is on stderr; 2 wrong usage."
)]
pub(crate) struct Args {
    /// A data set instead of the fleet that is made here: a folder a machine, each with `train.csv.gz`,
    /// `test.csv.gz` and `test_label.csv.gz`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Seeds every random choice: the fleet, the first model, the order of training.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Rounds to train; 5 for the fleet that is made here, 20 for a data set.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,
    /// Machines of the fleet that is made here; the last is a newcomer.
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "data", value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) nodes: u16,
    /// How far, in records, a detection may be from a fault and still count in part (VUS).
    #[arg(long, default_value_t = 20)]
    pub(crate) width: usize,
    /// Where everything is written. An older demo's folder is replaced, any other is left alone.
    #[arg(long, value_name = "DIR", default_value = "demo-output")]
    pub(crate) output: PathBuf,
    /// `text` shows progress, a table, and where the files are; `json` and `jsonl` have one object a node and one for
    /// the run.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

impl Args {
    /// Rounds to train.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.data.is_some() { DATA_ROUNDS } else { FLEET_ROUNDS })
    }

    /// Records between the starts of two training windows. The fleet's history is short, so all of it is used; a
    /// data set's is long, and windows that overlap a little less teach nearly as much.
    pub(crate) fn stride(&self) -> u32 {
        if self.data.is_some() { 4 } else { 1 }
    }
}

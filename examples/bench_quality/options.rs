//! What can be asked for.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use common::model::Network;
use edge::Format;
use node::detect::{Newcomer, Preparation};

use super::methods::Recipe;

/// Judges ways to get a model by how well they find labelled faults.
#[derive(Parser)]
#[command(name = "bench-quality")]
pub(crate) struct Options {
    /// A folder with one for each machine: `train.csv.gz`, `test.csv.gz`, `test_label.csv.gz`, and perhaps
    /// `interpretation.csv`.
    /// Without it, a fleet out of each seed.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Instead, a folder with series of the Numenta Anomaly Benchmark: `combined_windows.json`, and `timestamp,value` in a
    /// `.csv.gz` for each name in it. Judged by its standard profile.
    #[arg(long, conflicts_with_all = ["data", "machines", "newcomer", "history", "width"])]
    pub(crate) nab: Option<PathBuf>,
    /// Machines of the built-in fleet.
    #[arg(long, default_value_t = 8)]
    pub(crate) machines: usize,
    /// Seeds, from 1 on.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// Rounds of the run; who trains alone makes as many passes.
    #[arg(long, default_value_t = 30)]
    pub(crate) rounds: u32,
    /// Of what kind the hidden layers are: `perceptron`, `lstm`, `convolution`, `autoencoder`, `ridge` or `pca`.
    #[arg(long, default_value = "perceptron", value_parser = network)]
    network: Network,
    /// Widths of the hidden layers; without it, some that go with the network.
    #[arg(long, value_delimiter = ',')]
    hidden: Vec<u32>,
    /// Machines that do not train with the others, and are judged, by their names: `--newcomer a,b`. May be repeated: each
    /// time the others are trained anew.
    #[arg(long, value_parser = names)]
    pub(crate) newcomer: Vec<Names>,
    /// Percent of their history that newcomers have, the latest.
    #[arg(long, value_delimiter = ',', default_value = "0,1,5,100", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) history: Vec<u8>,
    /// What all machines know together counts as so many records of a newcomer's own.
    #[arg(long, default_value_t = Newcomer::default().known_records)]
    known_records: u64,
    /// How far, in records, a detection may be from a fault and still count in part.
    #[arg(long, default_value_t = 20)]
    width: usize,
    /// `json` and `jsonl` print an object for each machine, method and seed, and one for each mean; `text` the means.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Also write a report, an HTML page with drawings that needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// Names of machines.
pub(crate) type Names = Arc<[String]>;

fn names(text: &str) -> Result<Names, &'static str> {
    let names: Names = text.split(',').map(str::to_owned).collect();
    if names.iter().any(String::is_empty) { Err("a name is empty") } else { Ok(names) }
}

/// A network by the name that it has in a run's configuration.
fn network(name: &str) -> Result<Network, serde_json::Error> {
    serde_json::from_value(name.into())
}

/// Widths that go with a network.
fn usual(network: Network) -> &'static [u32] {
    match network {
        Network::Perceptron | Network::Autoencoder => &[64, 16, 64],
        Network::Lstm => &[64],
        Network::Convolution => &[32, 40],
        Network::Ridge => &[],
        Network::Pca => &[6],
    }
}

impl Options {
    /// What is trained, with telemetry that is prepared so.
    pub(crate) fn recipe(&self, preparation: Preparation) -> Recipe {
        let Self { network, rounds, width, known_records, .. } = *self;
        let newcomer = Newcomer { known_records, ..preparation.newcomer };
        let preparation = Preparation { newcomer, ..preparation };
        let hidden = if self.hidden.is_empty() { usual(network) } else { &self.hidden };
        Recipe { network, hidden: hidden.to_vec(), rounds, preparation, width }
    }

    /// The seeds.
    pub(crate) fn seeds(&self) -> std::ops::RangeInclusive<u64> {
        1..=self.seeds
    }
}

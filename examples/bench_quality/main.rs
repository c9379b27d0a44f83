//! How well does a federation detect faults, beside each machine alone, all telemetry in one place, and simpler methods?
//!
//! On a data set with labels, or on the built-in fleet: each method is judged on the later telemetry of each machine, with
//! some seeds. What a model says is calibrated by each machine on its own history.

mod dataset;
mod judge;
mod methods;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use common::model::Network;
use edge::{Format, Listing};
use serde::Serialize;

use dataset::Dataset;
use judge::Figures;
use methods::Bench;

/// The allocator of the simulator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Judges ways to get a model by how well they find labelled faults.
#[derive(Parser)]
#[command(name = "bench-quality")]
struct Options {
    /// A folder with one for each machine: `train.csv.gz`, `test.csv.gz`, `test_label.csv.gz`, and perhaps
    /// `interpretation.csv`.
    /// Without it, a fleet out of each seed.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Machines of the built-in fleet.
    #[arg(long, default_value_t = 8)]
    machines: usize,
    /// Seeds, from 1 on.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Rounds of the run; who trains alone makes as many passes.
    #[arg(long, default_value_t = 30)]
    rounds: u32,
    /// Of what kind the hidden layers are: `perceptron`, `lstm` or `convolution`.
    #[arg(long, default_value = "perceptron", value_parser = network)]
    network: Network,
    /// Widths of the hidden layers.
    #[arg(long, value_delimiter = ',', default_value = "64,16,64")]
    hidden: Vec<u32>,
    /// How far, in records, a detection may be from a fault and still count in part.
    #[arg(long, default_value_t = 20)]
    width: usize,
    /// `json` and `jsonl` print an object for each machine, method and seed; `text` the means.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A method on a machine.
#[derive(Clone, Debug, Serialize)]
struct Line {
    dataset: String,
    setting: &'static str,
    method: &'static str,
    seed: u64,
    node: String,
    vus_pr: f64,
    auc_pr: f64,
    auc_roc: f64,
    /// Where it is known which metrics the faults disturbed, and the method says.
    hitrate_100: Option<f64>,
    hitrate_150: Option<f64>,
}

/// What is compared, in the order of the table.
const METHODS: [&str; 6] = ["random", "z-score", "local", "federated", "tuned", "centralised"];

/// A network by the name that it has in a run's configuration.
fn network(name: &str) -> Result<Network, serde_json::Error> {
    serde_json::from_value(name.into())
}

fn main() -> ExitCode {
    examples::ending("bench-quality", compare(&Options::parse()))
}

fn compare(options: &Options) -> Result<()> {
    ensure!(options.seeds > 0, "--seeds: at least one");
    let mut list = Listing::begin(options.format);
    let mut lines = Vec::new();
    let given = options.data.as_deref().map(Dataset::read).transpose()?;
    for seed in 1..=options.seeds {
        let made;
        let dataset = if let Some(given) = &given {
            given
        } else {
            made = Dataset::made(seed, options.machines)?;
            &made
        };
        eprintln!("{}: seed {seed} of {}, {} machines", dataset.name, options.seeds, dataset.machines.len());
        for line in judged(dataset, options, seed)? {
            list.item(&line, Vec::new)?;
            lines.push(line);
        }
        list.flush();
    }
    list.remark(|| table(&lines));
    list.end();
    Ok(())
}

/// All methods on all machines, with one seed.
fn judged(dataset: &Dataset, options: &Options, seed: u64) -> Result<Vec<Line>> {
    let kind = (options.network, &options.hidden[..]);
    let bench = Bench::new(dataset, kind, options.rounds, seed, options.width)?;
    let (federated, centralised) = (bench.federated()?, bench.centralised()?);
    let mut lines = Vec::new();
    for (place, (machine, history)) in dataset.machines.iter().zip(&bench.histories).enumerate() {
        let model = |parameters| judge::model(&bench, (machine, history), parameters);
        let figures = [
            judge::random(&bench, machine, seed)?,
            judge::z_score(&bench, machine, history)?,
            model(bench.local(place)?)?,
            model(federated.clone())?,
            model(bench.tuned(place, &federated)?)?,
            model(centralised.clone())?,
        ];
        lines.extend(METHODS.into_iter().zip(figures).map(|(method, figures)| {
            let Figures { vus_pr, auc_pr, auc_roc, hit_rates } = figures;
            let [hitrate_100, hitrate_150] = hit_rates.map_or([None; 2], |rates| rates.map(Some));
            let (dataset, node) = (dataset.name.clone(), machine.name.clone());
            let setting = "all machines";
            Line { dataset, setting, method, seed, node, vus_pr, auc_pr, auc_roc, hitrate_100, hitrate_150 }
        }));
    }
    Ok(lines)
}

/// Means over machines and seeds, and how far those of a seed are from each other.
fn table(lines: &[Line]) -> Vec<String> {
    let head = "| method | VUS-PR | over seeds | AUC-PR | AUC-ROC | HitRate@100 | HitRate@150 |";
    let row = |method: &str| {
        let of: Vec<&Line> = lines.iter().filter(|line| line.method == method).collect();
        let mean = |figure: &dyn Fn(&Line) -> Option<f64>| {
            let known: Vec<f64> = of.iter().filter_map(|line| figure(line)).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        };
        let show = |mean: Option<f64>| mean.map_or("-".to_owned(), |mean| format!("{mean:.3}"));
        let by_seed = of.chunk_by(|one, other| one.seed == other.seed);
        let by_seed = by_seed.map(|of| of.iter().map(|line| line.vus_pr).sum::<f64>() / of.len() as f64);
        let (least, most) =
            by_seed.fold((f64::MAX, f64::MIN), |(least, most), mean| (least.min(mean), most.max(mean)));
        format!(
            "| {method} | {} | {least:.3} - {most:.3} | {} | {} | {} | {} |",
            show(mean(&|line| Some(line.vus_pr))),
            show(mean(&|line| Some(line.auc_pr))),
            show(mean(&|line| Some(line.auc_roc))),
            show(mean(&|line| line.hitrate_100)),
            show(mean(&|line| line.hitrate_150)),
        )
    };
    [head.to_owned(), "|---|---|---|---|---|---|---|".to_owned()]
        .into_iter()
        .chain(METHODS.into_iter().map(row))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_fleet_models_beat_chance_and_every_method_is_judged_on_every_machine() {
        let options = Options::parse_from(["bench-quality", "--machines", "2", "--rounds", "3"]);
        let dataset = Dataset::made(5, 2).unwrap();
        let lines = judged(&dataset, &options, 5).unwrap();
        assert_eq!(lines.len(), 2 * METHODS.len());
        let mean = |method: &str| {
            let of = lines.iter().filter(|line| line.method == method);
            of.map(|line| line.vus_pr).sum::<f64>() / 2.0
        };
        for method in ["local", "federated", "tuned", "centralised"] {
            assert!(mean(method) > 1.5 * mean("random"), "{method}: {} {}", mean(method), mean("random"));
        }
        assert_eq!(table(&lines).len(), 2 + METHODS.len());
    }
}

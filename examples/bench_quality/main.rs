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
use common::model::{Network, ParameterVector};
use edge::{Format, Listing};
use node::detect::{Chosen, History, choose};
use serde::Serialize;

use dataset::{Dataset, Machine};
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
    /// Machines that do not train with the others, and are judged, by their names: `--newcomer a,b`. May be repeated: each
    /// time the others are trained anew.
    #[arg(long, value_parser = names)]
    newcomer: Vec<Names>,
    /// Percent of their history that newcomers have, the latest.
    #[arg(long, value_delimiter = ',', default_value = "1,5,100", value_parser = clap::value_parser!(u8).range(1..=100))]
    history: Vec<u8>,
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
    setting: String,
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
const METHODS: [&str; 7] = ["random", "z-score", "local", "federated", "tuned", "chosen", "centralised"];

/// Names of machines.
type Names = std::sync::Arc<[String]>;

fn names(text: &str) -> Result<Names, &'static str> {
    let names: Names = text.split(',').map(str::to_owned).collect();
    if names.iter().any(String::is_empty) { Err("a name is empty") } else { Ok(names) }
}

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

/// All methods with one seed, in each setting.
fn judged(dataset: &Dataset, options: &Options, seed: u64) -> Result<Vec<Line>> {
    if options.newcomer.is_empty() {
        let bench = bench(dataset, options, seed)?;
        let machines: Vec<_> = dataset.machines.iter().zip(bench.histories.clone()).collect();
        let together = Together::train(&bench)?;
        return on_machines(&bench, &together, &machines, "all machines");
    }
    let mut lines = Vec::new();
    for names in &options.newcomer {
        let (newcomers, others) = dataset.split(names)?;
        let bench = bench(&others, options, seed)?;
        let together = Together::train(&bench)?;
        for percent in &options.history {
            let late = newcomers.iter().map(|newcomer| newcomer.with_history(*percent)).collect::<Vec<_>>();
            let prepared = late.iter().map(|newcomer| Ok((newcomer, bench.history(newcomer)?)));
            let prepared = prepared.collect::<Result<Vec<_>>>()?;
            let setting = format!("newcomers with {percent} % of their history");
            lines.extend(on_machines(&bench, &together, &prepared, &setting)?);
        }
    }
    Ok(lines)
}

fn bench<'d>(dataset: &'d Dataset, options: &Options, seed: u64) -> Result<Bench<'d>> {
    let kind = (options.network, &options.hidden[..]);
    Bench::new(dataset, kind, options.rounds, seed, options.width)
}

/// What several machines trained.
struct Together {
    federated: ParameterVector,
    centralised: ParameterVector,
}

impl Together {
    fn train(bench: &Bench<'_>) -> Result<Self> {
        Ok(Self { federated: bench.federated()?, centralised: bench.centralised()? })
    }
}

/// All methods on these machines, some of which may be none of those that trained together.
fn on_machines(
    bench: &Bench<'_>,
    Together { federated, centralised }: &Together,
    machines: &[(&Machine, History)],
    setting: &str,
) -> Result<Vec<Line>> {
    let (mut lines, seed) = (Vec::new(), bench.seed());
    for (machine, history) in machines {
        let model =
            |parameters: &ParameterVector| judge::model(bench, (machine, history), parameters.clone());
        let (tuned, local) = (bench.tuned(history, federated)?, bench.local(history)?);
        let candidates = [(Chosen::Federated, federated), (Chosen::Tuned, &tuned), (Chosen::Local, &local)];
        let [of_federated, of_tuned, of_local] = [model(federated)?, model(&tuned)?, model(&local)?];
        let of_chosen = match choose(&bench.plan.task, history, candidates)? {
            Chosen::Federated => of_federated,
            Chosen::Tuned => of_tuned,
            Chosen::Local => of_local,
        };
        let figures = [
            judge::random(bench, machine, seed)?,
            judge::z_score(bench, machine, history)?,
            of_local,
            of_federated,
            of_tuned,
            of_chosen,
            model(centralised)?,
        ];
        lines.extend(METHODS.into_iter().zip(figures).map(|(method, figures)| {
            let Figures { vus_pr, auc_pr, auc_roc, hit_rates } = figures;
            let [hitrate_100, hitrate_150] = hit_rates.map_or([None; 2], |rates| rates.map(Some));
            let (dataset, node) = (bench.dataset().to_owned(), machine.name.clone());
            let setting = setting.to_owned();
            Line { dataset, setting, method, seed, node, vus_pr, auc_pr, auc_roc, hitrate_100, hitrate_150 }
        }));
    }
    Ok(lines)
}

/// Means over machines and seeds, and how far those of a seed are from each other, in each setting.
fn table(lines: &[Line]) -> Vec<String> {
    let mut settings: Vec<&str> = Vec::new();
    for line in lines {
        if !settings.contains(&&*line.setting) {
            settings.push(&line.setting);
        }
    }
    let head = "| setting | method | VUS-PR | over seeds | AUC-PR | AUC-ROC | HitRate@100 | HitRate@150 |";
    let row = |setting: &str, method: &str| {
        let is_of = |line: &&Line| line.method == method && line.setting == setting;
        let mut of: Vec<&Line> = lines.iter().filter(is_of).collect();
        of.sort_by_key(|line| line.seed);
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
            "| {setting} | {method} | {} | {least:.3} - {most:.3} | {} | {} | {} | {} |",
            show(mean(&|line| Some(line.vus_pr))),
            show(mean(&|line| Some(line.auc_pr))),
            show(mean(&|line| Some(line.auc_roc))),
            show(mean(&|line| line.hitrate_100)),
            show(mean(&|line| line.hitrate_150)),
        )
    };
    let rows = settings.iter().flat_map(|setting| METHODS.map(|method| row(setting, method)));
    [head.to_owned(), "|---|---|---|---|---|---|---|---|".to_owned()].into_iter().chain(rows).collect()
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

    #[test]
    fn a_newcomer_is_judged_with_parts_of_its_history_by_what_the_others_trained() {
        let words = ["bench-quality", "--rounds", "2", "--history", "5,100", "--newcomer"];
        let dataset = Dataset::made(5, 3).unwrap();
        let name = dataset.machines[1].name.clone();
        let options = |name: &str| Options::parse_from(words.iter().copied().chain([name]));
        let lines = judged(&dataset, &options(&name), 5).unwrap();
        assert_eq!(lines.len(), 2 * METHODS.len());
        assert!(lines.iter().all(|line| line.node == name));
        let of = |setting: &str, method: &str| {
            let line = lines.iter().find(|line| line.setting.contains(setting) && line.method == method);
            line.unwrap().vus_pr
        };
        assert!(of(" 5 %", "federated") > of(" 5 %", "local"), "{lines:?}");
        assert!(of(" 100 %", "local") > of(" 5 %", "local"), "{lines:?}");
        assert_eq!(table(&lines).len(), 2 + 2 * METHODS.len());
        let unknown = judged(&dataset, &options("nobody"), 5).unwrap_err().to_string();
        assert!(unknown.contains("has no machine"), "{unknown}");
    }
}

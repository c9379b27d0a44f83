//! All methods on all machines of a data set.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result};
use common::model::{MetricName, ParameterVector, Statistics};
use edge::Listing;
use node::detect::{History, Preparation, choose};

use super::dataset::{Dataset, Fault, Machine};
use super::judge::{Figures, judge};
use super::line::{Line, Setting, means};
use super::methods::Bench;
use super::options::Options;
use super::verdicts::{self, Verdicts};
use super::{report, table};

/// What is compared, in the order of the table.
pub(crate) const METHODS: [&str; 12] = [
    "random",
    "pooled",
    "growing",
    "z-score",
    "pca",
    "local",
    "federated",
    "gradients",
    "head",
    "tuned",
    "chosen",
    "centralised",
];

/// What the federated model made of one machine's telemetry.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) node: String,
    pub(crate) metrics: Arc<[MetricName]>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) verdicts: Verdicts,
}

/// What was found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judged {
    pub(crate) lines: Vec<Line>,
    pub(crate) seen: Vec<(Setting, Seen)>,
}

/// Compares all methods with all seeds, and tells it.
///
/// # Errors
///
/// Names what cannot be read, trained on, judged or written.
pub(crate) fn compare(options: &Options) -> Result<()> {
    let mut list = Listing::begin(options.format);
    let (mut lines, mut seen) = (Vec::new(), Vec::new());
    let given = options.data.as_deref().map(Dataset::read).transpose()?;
    for seed in options.seeds() {
        let made;
        let dataset = if let Some(given) = &given {
            given
        } else {
            made = Dataset::made(seed, options.machines)?;
            &made
        };
        eprintln!("{}: seed {seed} of {}, {} machines", dataset.name, options.seeds, dataset.machines.len());
        let judged = judged(dataset, options, seed)?;
        judged.lines.iter().try_for_each(|line| list.item(line, Vec::new))?;
        list.flush();
        lines.extend(judged.lines);
        if seen.is_empty() {
            seen = judged.seen;
        }
    }
    let means = means(&lines);
    means.iter().try_for_each(|mean| list.item(mean, Vec::new))?;
    list.remark(|| table::table(&means));
    list.end();
    if let Some(path) = &options.report {
        let page = report::quality(options, &lines, &means, &seen);
        fs::write(path, page).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// All methods with one seed, in each setting.
fn judged(dataset: &Dataset, options: &Options, seed: u64) -> Result<Judged> {
    let recipe = options.recipe(Preparation::default());
    let mut judged = Judged::default();
    if options.newcomer.is_empty() {
        let bench = Bench::new(dataset, &recipe, seed)?;
        let machines: Vec<_> = dataset.machines.iter().zip(bench.histories.clone()).collect();
        on_machines(&bench, &Together::train(&bench)?, &machines, Setting::All, &mut judged)?;
    }
    for names in &options.newcomer {
        let (newcomers, others) = dataset.split(names)?;
        let bench = Bench::new(&others, &recipe, seed)?;
        let together = Together::train(&bench)?;
        for percent in &options.history {
            let late = newcomers.iter().map(|newcomer| newcomer.with_history(*percent)).collect::<Vec<_>>();
            let prepared = late.iter().map(|newcomer| Ok((newcomer, bench.history(newcomer)?)));
            let prepared = prepared.collect::<Result<Vec<_>>>()?;
            on_machines(&bench, &together, &prepared, Setting::Newcomers(*percent), &mut judged)?;
        }
    }
    Ok(judged)
}

/// What several machines trained.
pub(crate) struct Together {
    pub(crate) federated: ParameterVector,
    pub(crate) centralised: ParameterVector,
    pub(crate) known: Statistics,
}

impl Together {
    /// # Errors
    ///
    /// Why the telemetry cannot be trained on.
    pub(crate) fn train(bench: &Bench<'_>) -> Result<Self> {
        let federated = bench.federated()?;
        let known = bench.known(&federated)?;
        Ok(Self { federated, centralised: bench.centralised()?, known })
    }
}

/// All methods on these machines, some of which may be none of those that trained together.
fn on_machines(
    bench: &Bench<'_>,
    together: &Together,
    machines: &[(&Machine, History)],
    setting: Setting,
    judged: &mut Judged,
) -> Result<()> {
    for (machine, history) in machines {
        let known = (together.federated.clone(), &together.known);
        let mut by_method = vec![
            ("random", verdicts::random(machine, bench.seed())),
            ("pooled", verdicts::pooled(&bench.plan, machine, known.clone())?),
            ("growing", verdicts::growing(&bench.plan, machine, known)?),
        ];
        if history.training.count() > 0 {
            by_method.extend(with_history(bench, together, (machine, history))?);
        }
        for (method, verdicts) in &by_method {
            judged.lines.push(line(bench, machine, (setting, method), verdicts)?);
        }
        let (node, faults) = (machine.name.clone(), machine.faults.clone());
        let metrics =
            machine.test.first().map_or_else(|| Arc::from([]), |record| Arc::clone(&record.metrics));
        if let Some((_, verdicts)) = by_method.into_iter().find(|(method, _)| *method == "federated") {
            judged.seen.push((setting, Seen { node, metrics, faults, verdicts }));
        }
    }
    Ok(())
}

/// What takes a history of the machine's own.
fn with_history(
    bench: &Bench<'_>,
    Together { federated, centralised, .. }: &Together,
    (machine, history): (&Machine, &History),
) -> Result<Vec<(&'static str, Verdicts)>> {
    let plan = &bench.plan;
    let model =
        |parameters: &ParameterVector| verdicts::model(&plan.task, (machine, history), parameters.clone());
    let own = bench.own(history, federated)?;
    let chosen = choose(&plan.task, history, federated, &own)?;
    let together = model(federated)?;
    let by_values = together.by_values();
    let mut by_method = vec![
        ("z-score", verdicts::z_score(plan, machine)?),
        ("pca", verdicts::pca(plan, machine)?),
        ("federated", together),
        ("gradients", by_values),
        ("centralised", model(centralised)?),
    ];
    for (made, parameters) in &own {
        by_method.push((made.name(), model(parameters)?));
    }
    let of_chosen = by_method.iter().find(|(method, _)| *method == chosen.name());
    by_method.extend(of_chosen.map(|(_, verdicts)| ("chosen", verdicts.clone())));
    Ok(by_method)
}

/// How a method did on a machine.
fn line(
    bench: &Bench<'_>,
    machine: &Machine,
    (setting, method): (Setting, &'static str),
    verdicts: &Verdicts,
) -> Result<Line> {
    let Figures { vus_pr, auc_pr, auc_roc, hit_rates } = judge(machine, verdicts, bench.plan.width)?;
    let [hitrate_100, hitrate_150] = hit_rates;
    let (dataset, node) = (bench.dataset().to_owned(), Some(machine.name.clone()));
    let seed = Some(bench.seed());
    Ok(Line { dataset, setting, method, seed, node, vus_pr, auc_pr, auc_roc, hitrate_100, hitrate_150 })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[test]
    fn on_the_fleet_models_beat_chance_and_every_method_is_judged_on_every_machine() {
        let options = Options::parse_from(["bench-quality", "--machines", "2", "--rounds", "3"]);
        let dataset = Dataset::made(5, 2).unwrap();
        let judged = judged(&dataset, &options, 5).unwrap();
        assert_eq!((judged.lines.len(), judged.seen.len()), (2 * METHODS.len(), 2));
        let means = means(&judged.lines);
        let mean = |method: &str| {
            means.iter().find(|mean| mean.line.method == method).map(|mean| mean.line.clone()).unwrap()
        };
        for method in ["pca", "local", "federated", "head", "tuned", "centralised"] {
            assert!(mean(method).vus_pr > 1.5 * mean("random").vus_pr, "{method}: {means:?}");
            assert!(mean(method).hitrate_100 > Some(0.4), "{method}: {means:?}");
        }
        assert_eq!(mean("random").hitrate_100, None);
        assert_eq!(table::table(&means).len(), 2 + METHODS.len());
        let page = report::quality(&options, &judged.lines, &means, &judged.seen);
        assert_eq!(examples::page::fault(&page), None);
    }

    #[test]
    fn on_shared_servers_a_federation_is_better_than_calibrated_principal_components() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/asd");
        if !folder.is_dir() {
            eprintln!("skipped: no servers in {}", folder.display());
            return;
        }
        let options = Options::parse_from(["bench-quality", "--rounds", "5"]);
        let means = means(&judged(&Dataset::read(&folder).unwrap(), &options, 1).unwrap().lines);
        let vus_pr = |method: &str| means.iter().find(|mean| mean.line.method == method).unwrap().line.vus_pr;
        for (better, times, worse) in
            [("federated", 1.3, "pca"), ("pca", 2.0, "z-score"), ("pca", 4.0, "random")]
        {
            assert!(vus_pr(better) > times * vus_pr(worse), "{better}, {worse}: {means:?}");
        }
    }

    #[test]
    fn a_newcomer_is_judged_with_parts_of_its_history_by_what_the_others_trained() {
        let words = ["bench-quality", "--rounds", "2", "--history", "5,100", "--newcomer"];
        let dataset = Dataset::made(5, 3).unwrap();
        let name = dataset.machines[1].name.clone();
        let options = |name: &str| Options::parse_from(words.iter().copied().chain([name]));
        let lines = judged(&dataset, &options(&name), 5).unwrap().lines;
        assert_eq!(lines.len(), 2 * METHODS.len());
        assert!(lines.iter().all(|line| line.node.as_ref() == Some(&name)));
        let of = |percent: u8, method: &str| {
            let is_of = |line: &&Line| line.setting == Setting::Newcomers(percent) && line.method == method;
            lines.iter().find(is_of).unwrap().vus_pr
        };
        assert!(of(5, "federated") > of(5, "local"), "{lines:?}");
        assert!(of(100, "local") > of(5, "local"), "{lines:?}");
        assert_eq!(table::table(&means(&lines)).len(), 2 + 2 * METHODS.len());
        let unknown = judged(&dataset, &options("nobody"), 5).unwrap_err().to_string();
        assert!(unknown.contains("has no machine"), "{unknown}");
    }
}

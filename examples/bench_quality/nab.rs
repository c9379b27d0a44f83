//! Detectors on series of the Numenta Anomaly Benchmark, each a node with one metric.

mod line;
mod profile;
mod running;
mod series;
mod table;

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use common::model::ParameterVector;
use edge::Listing;
use node::detect::{Chosen, Preparation};
use pipeline::Scale;

use super::compare::Together;
use super::dataset::{Dataset, Machine};
use super::methods::Bench;
use super::options::Options;
use super::verdicts;
use line::{Line, means};
use profile::{Scores, Series};

pub(crate) use line::Mean;
pub(crate) use table::{range, score};

/// What is compared, in the order of the table.
pub(crate) const METHODS: [&str; 6] = ["random", "z-score", "local", "federated", "tuned", "centralised"];

/// Spreads of the first part of a series at which its values are cut: later ones go far beyond it.
const CLIP: f32 = 20.0;

/// Compares all methods with all seeds, and tells it.
///
/// # Errors
///
/// Names what cannot be read, trained on or written.
pub(crate) fn compare(dir: &Path, options: &Options) -> Result<()> {
    let dataset = series::read(dir)?;
    let mut list = Listing::begin(options.format);
    let mut lines = Vec::new();
    for seed in options.seeds() {
        eprintln!("nab: seed {seed} of {}, {} series", options.seeds, dataset.machines.len());
        for line in judged(&dataset, options, seed)? {
            list.item(&line, Vec::new)?;
            lines.push(line);
        }
        list.flush();
    }
    let means = means(&lines);
    means.iter().try_for_each(|mean| list.item(mean, Vec::new))?;
    list.remark(|| table::table(&means));
    list.end();
    if let Some(path) = &options.report {
        let page = super::report::nab(options, &means);
        fs::write(path, page).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// All methods on all series with one seed.
fn judged(dataset: &Dataset, options: &Options, seed: u64) -> Result<Vec<Line>> {
    let bench = Bench::new(dataset, &options.recipe(preparation()), seed)?;
    let Together { federated, centralised, .. } = Together::train(&bench)?;
    let mut by_method: [Vec<Scores>; METHODS.len()] = Default::default();
    for (machine, history) in dataset.machines.iter().zip(&bench.histories) {
        let model =
            |parameters: &ParameterVector| running::model(&bench.plan, (machine, history), parameters);
        let own = bench.own(history, &federated)?;
        let of = |which| {
            own.iter()
                .find(|(made, _)| *made == which)
                .map(|(_, model)| model)
                .expect("each machine makes it")
        };
        let scores = [
            verdicts::random(machine, seed).scores,
            running::z_score(&bench.plan, machine),
            model(of(Chosen::Local))?,
            model(&federated)?,
            model(of(Chosen::Tuned))?,
            model(&centralised)?,
        ];
        by_method.iter_mut().zip(scores).for_each(|(of, scores)| of.push(scores));
    }
    let rows = |machine: &Machine| machine.faults.iter().map(|fault| fault.rows.clone()).collect();
    let windows: Vec<Vec<Range<usize>>> = dataset.machines.iter().map(rows).collect();
    let names: Vec<&str> = dataset.machines.iter().map(|machine| &*machine.name).collect();
    let mut lines = Vec::new();
    for (method, scores) in METHODS.into_iter().zip(&by_method) {
        let series = scores.iter().zip(&windows);
        let series: Vec<_> = series.map(|(scores, windows)| Series { scores, windows }).collect();
        lines.extend(line::lines(method, seed, &names, &profile::judge(&series)));
    }
    Ok(lines)
}

/// As everywhere, but for how little there is to train on, and how far beyond it values go later.
fn preparation() -> Preparation {
    let usual = Preparation::default();
    Preparation { stride: 1, scale: Scale { clip: CLIP, ..usual.scale }, ..usual }
}

#[cfg(test)]
mod tests;

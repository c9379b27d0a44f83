//! Results: a method on a series with a seed, and means of these.

use serde::Serialize;

use super::METHODS;
use super::profile::{Outcome, Worth};
use crate::interval::interval;
use crate::judge::mean;
use crate::line::distinct;

/// A method on a series; without a node on all of them, without a seed the mean over all seeds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) dataset: &'static str,
    pub(crate) setting: &'static str,
    pub(crate) method: &'static str,
    pub(crate) seed: Option<u64>,
    pub(crate) node: Option<String>,
    /// 0 for no alarm at all, 100 for a perfect detector; none where nothing was wrong.
    pub(crate) nab_score: Option<f64>,
    /// The sum of which that is made.
    pub(crate) raw: f64,
    pub(crate) windows: usize,
    /// From this score on an alarm was raised: best for the method on all series.
    pub(crate) threshold: Option<f64>,
    /// Windows with an alarm, and alarms outside of all.
    pub(crate) found: f64,
    pub(crate) false_alarms: f64,
}

/// The mean over the seeds, and in what the score lies but for chance.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mean {
    #[serde(flatten)]
    pub(crate) line: Line,
    pub(crate) over_seeds: Option<[f64; 2]>,
}

/// A line for each series, and one for all of them.
pub(super) fn lines(method: &'static str, seed: u64, names: &[&str], outcome: &Outcome) -> Vec<Line> {
    let line = |(node, worth): (Option<String>, &Worth)| Line {
        dataset: "nab",
        setting: "standard profile",
        method,
        seed: Some(seed),
        node,
        nab_score: worth.score(),
        raw: worth.raw,
        windows: worth.windows,
        threshold: outcome.threshold,
        found: worth.found as f64,
        false_alarms: worth.false_alarms as f64,
    };
    let names = names.iter().map(|name| Some((*name).to_owned()));
    names.zip(&outcome.series).chain([(None, &outcome.whole)]).map(line).collect()
}

/// Means over the seeds: of each series, and last of all together, each by every method.
pub(super) fn means(lines: &[Line]) -> Vec<Mean> {
    let nodes = distinct(lines.iter().map(|line| &line.node)).into_iter();
    nodes.flat_map(|node| METHODS.map(|method| (node, method))).filter_map(|of| one(lines, of)).collect()
}

fn one(lines: &[Line], (node, method): (&Option<String>, &str)) -> Option<Mean> {
    let of: Vec<&Line> = lines.iter().filter(|line| line.node == *node && line.method == method).collect();
    let figure = |figure: fn(&Line) -> f64| mean(of.iter().map(|line| figure(line)));
    let scores: Vec<f64> = of.iter().filter_map(|line| line.nab_score).collect();
    let line = Line {
        seed: None,
        threshold: mean(of.iter().filter_map(|line| line.threshold)),
        nab_score: mean(scores.iter().copied()),
        raw: figure(|line| line.raw)?,
        found: figure(|line| line.found)?,
        false_alarms: figure(|line| line.false_alarms)?,
        ..(*of.first()?).clone()
    };
    Some(Mean { line, over_seeds: interval(&scores) })
}

//! Failures: drives that fail within the next thirty days, by what they tell of themselves (SMART).
//!
//! A drive is looked at every thirty days of its age, and what it told last then is what is seen. A quarter of the drives is kept
//! from training. How long a drive is observed tells whether it fails, and is never seen.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use common::model::{Failure, Forecaster, Foresees, MetricName, Network, ParameterVector};
use common::units::Timestamp;
use node::detect::metrics::auc_pr;
use node::learn::{Training, mean_loss, predict};
use pipeline::{Row, Scale, Scaler, Table, Windows};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;

use super::columns;
use super::line::Line;
use super::recipe::Recipe;

/// What is known of a drive over some hours of its age; what it tells of itself comes behind the first four.
const COLUMNS: [&str; 13] = [
    "serial",
    "tstart_h",
    "tstop_h",
    "fails",
    "smart_5",
    "smart_10",
    "smart_12",
    "smart_187",
    "smart_188",
    "smart_189",
    "smart_196",
    "smart_197",
    "smart_198",
];
/// What it tells, and its age.
const SEEN: usize = COLUMNS.len() - 4 + 1;
/// Thirty days.
const EVERY_HOURS: f64 = 720.0;
/// Parts that the drives of one model are in, each a node.
const PODS: usize = 10;
const ROUNDS: u32 = 20;
/// Share of the drives of a node that has little.
const LITTLE: f64 = 0.2;

/// A drive: how old it was at each look and what it told, and whether it failed after the last.
#[derive(Clone, Debug)]
struct Drive {
    looks: Vec<[f32; SEEN]>,
    fails: bool,
}

/// The drives of one model in pods that are nodes; the largest file is taken.
pub(crate) fn pods(paths: &[PathBuf], seed: u64) -> Result<Vec<Line>> {
    let read = paths.iter().map(|path| drives(path)).collect::<Result<Vec<_>>>()?;
    let mut drives = read.into_iter().max_by_key(Vec::len).context("no file of drives")?;
    ensure!(drives.len() >= 8 * PODS, "{} drives are too few for {PODS} pods", drives.len());
    drives.shuffle(&mut ChaCha20Rng::seed_from_u64(seed));
    let (test, training) = drives.split_at(drives.len() / 4);
    let recipe = recipe(seed)?;
    let pods: Vec<&[Drive]> = training.chunks(training.len().div_ceil(PODS)).collect();
    let nodes = pods.iter().map(|pod| Node::of(&recipe, pod)).collect::<Result<Vec<_>>>()?;
    let few = |pod: &&[Drive]| Node::of(&recipe, &pod[..(pod.len() as f64 * LITTLE) as usize]);
    let few = pods.iter().map(few).collect::<Result<Vec<_>>>()?;
    let (federated, centralised) = both(&recipe, &nodes)?;
    let shared = |model: &ParameterVector| {
        let judged = nodes.iter().map(|node| node.judge(&recipe, model, test));
        Ok::<_, anyhow::Error>(mean(&judged.collect::<Result<Vec<_>>>()?))
    };
    let alone = |nodes: &[Node]| {
        let judged = nodes.iter().map(|node| node.judge(&recipe, &recipe.alone(&node.windows)?, test));
        Ok::<_, anyhow::Error>(mean(&judged.collect::<Result<Vec<_>>>()?))
    };
    let figures = [
        ("by chance", chance(&recipe, &nodes[0], test)?),
        ("local, a fifth of the drives", alone(&few)?),
        ("local", alone(&nodes)?),
        ("federated", shared(&federated)?),
        ("centralised", shared(&centralised)?),
    ];
    let setting = || "failures, pods of one drive model".to_owned();
    Ok(figures.map(|(method, auc_pr)| line(setting(), method, seed, auc_pr)).into())
}

/// Each drive model is a node: they differ.
pub(crate) fn models(paths: &[PathBuf], seed: u64) -> Result<Vec<Line>> {
    let recipe = recipe(seed)?;
    let (mut nodes, mut tests, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        let mut drives = drives(path)?;
        drives.shuffle(&mut ChaCha20Rng::seed_from_u64(seed));
        let (test, training) = drives.split_at(drives.len() / 4);
        nodes.push(Node::of(&recipe, training)?);
        tests.push(test.to_vec());
        names.push(path.file_name().unwrap_or_default().to_string_lossy().replace(".csv.gz", ""));
    }
    let (federated, centralised) = both(&recipe, &nodes)?;
    let mut lines = Vec::new();
    for ((node, test), name) in nodes.iter().zip(&tests).zip(&names) {
        let local = recipe.alone(&node.windows)?;
        let loss = |model| mean_loss(&recipe.task, model, &node.validation);
        let chosen = if loss(&local)? < loss(&federated)? { &local } else { &federated };
        let figures = [
            ("by chance", chance(&recipe, node, test)?),
            ("local", node.judge(&recipe, &local, test)?),
            ("federated", node.judge(&recipe, &federated, test)?),
            ("chosen", node.judge(&recipe, chosen, test)?),
            ("centralised", node.judge(&recipe, &centralised, test)?),
        ];
        lines.extend(figures.map(|(method, auc_pr)| line(format!("failures, {name}"), method, seed, auc_pr)));
    }
    Ok(lines)
}

fn line(setting: String, method: &'static str, seed: u64, auc_pr: f64) -> Line {
    Line { setting, method, seed, figures: [("auc_pr", auc_pr)].into() }
}

fn recipe(seed: u64) -> Result<Recipe> {
    let name = |name: &str| MetricName::try_from(name);
    let metrics = COLUMNS.into_iter().skip(4).chain(["age"]).map(name).collect::<Result<Vec<_>, _>>()?;
    let task = Forecaster {
        metrics: metrics.try_into()?,
        past_steps: 0,
        network: Network::Perceptron,
        hidden: vec![32, 16].try_into()?,
        foresees: Foresees::Failure(Failure { metric: name("fails")?, steps: 1 }),
    };
    Ok(Recipe { task, rounds: ROUNDS, training: Training { seed, ..Training::default() } })
}

/// The drives of a file, by the order in which they are in it.
fn drives(path: &Path) -> Result<Vec<Drive>> {
    let rows = columns::read(path, COLUMNS)?;
    let of_one = rows.chunk_by(|one, other| one[0].to_bits() == other[0].to_bits());
    Ok(of_one.filter_map(drive).collect())
}

/// A drive that was looked at once or more: on the grid of its age, what it told last then.
fn drive(rows: &[[f64; COLUMNS.len()]]) -> Option<Drive> {
    let (first, last) = (rows.first()?, rows.last()?);
    let looks = ((first[1] / EVERY_HOURS).ceil() as u64..).map(|look| look as f64 * EVERY_HOURS);
    let looks = looks.take_while(|age| *age < last[2]);
    let told = |age: f64| rows.iter().rev().find(|row| row[1] <= age);
    let seen = |age: f64| {
        let row = told(age)?;
        let values = row[4..].iter().copied().chain([age]);
        let mut look = [f32::NAN; SEEN];
        // Counts of events: most are zero, and some are in the thousands.
        look.iter_mut().zip(values).for_each(|(look, value)| *look = value.ln_1p() as f32);
        Some(look)
    };
    let looks: Vec<_> = looks.filter_map(seen).collect();
    (!looks.is_empty()).then_some(Drive { looks, fails: last[3] > 0.5 })
}

/// A table of drives, each a source with a row a look; where it failed, a row more says so.
fn table(drives: &[Drive]) -> Table {
    let mut table = Table { columns: SEEN, ..Table::default() };
    for (source, drive) in (0..).zip(drives) {
        let at = |look: usize| Timestamp::from_millis(look as u64 * 1000);
        let row = |look, record, down| Row { source, at: at(look), record, down };
        for (look, told) in drive.looks.iter().enumerate() {
            table.push(row(look, table.rows.len(), false), told);
        }
        if drive.fails {
            let none = [f32::NAN; SEEN];
            table.push(row(drive.looks.len(), table.rows.len(), true), &none);
        }
    }
    table
}

/// A node with some drives.
struct Node {
    scaler: Scaler,
    table: Table,
    windows: Windows,
    /// Of drives that it does not train on.
    validation: Windows,
}

/// Share of a node's drives that it does not train on.
const KEPT: f64 = 0.15;

impl Node {
    fn of(recipe: &Recipe, drives: &[Drive]) -> Result<Self> {
        let (kept, training) = drives.split_at((drives.len() as f64 * KEPT) as usize);
        let (training, kept) = (table(training), table(kept));
        let scaler = Scaler::fit(&training, &Scale::default());
        let table = scaler.scale(training)?;
        let windows = recipe.windows(table.clone());
        Ok(Self { validation: recipe.windows(scaler.scale(kept)?), scaler, table, windows })
    }

    /// The looks at these drives, as this node sees them.
    fn looks(&self, recipe: &Recipe, drives: &[Drive]) -> Result<Windows> {
        Ok(recipe.windows(self.scaler.scale(table(drives))?))
    }

    /// The AUC-PR of a model on these drives, as this node sees them.
    fn judge(&self, recipe: &Recipe, model: &ParameterVector, drives: &[Drive]) -> Result<f64> {
        let looks = self.looks(recipe, drives)?;
        let said: Vec<f64> = predict(&recipe.task, model, &looks)?.into_iter().map(f64::from).collect();
        Ok(auc_pr(&fails(&looks), &said)?)
    }
}

/// Whether the drive of each look failed before the next.
fn fails(looks: &Windows) -> Vec<bool> {
    let rows = &looks.table().rows;
    (0..looks.count()).map(|index| rows[looks.ahead(index, 1)].iter().any(|row| row.down)).collect()
}

/// The share of looks after which a drive fails: the AUC-PR of a guess.
fn chance(recipe: &Recipe, node: &Node, drives: &[Drive]) -> Result<f64> {
    let fails = fails(&node.looks(recipe, drives)?);
    Ok(fails.iter().filter(|fails| **fails).count() as f64 / fails.len().max(1) as f64)
}

/// The model of these nodes, and that of all their telemetry in one place.
fn both(recipe: &Recipe, nodes: &[Node]) -> Result<(ParameterVector, ParameterVector)> {
    let windows: Vec<Windows> = nodes.iter().map(|node| node.windows.clone()).collect();
    let tables: Vec<Table> = nodes.iter().map(|node| node.table.clone()).collect();
    Ok((recipe.together(&windows)?, recipe.centralised(&tables)?))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known from one age to another.
    fn row(from: f64, to: f64, fails: f64, sectors: f64) -> [f64; COLUMNS.len()] {
        let mut row = [0.0; COLUMNS.len()];
        row[1..5].copy_from_slice(&[from, to, fails, sectors]);
        row
    }

    #[test]
    fn a_drive_is_looked_at_every_thirty_days_until_it_is_seen_no_more() {
        let drive = drive(&[row(100.0, 1_000.0, 0.0, 0.0), row(1_000.0, 1_500.0, 1.0, 8.0)]).unwrap();
        let told: Vec<(f32, f32)> = drive.looks.iter().map(|look| (look[0], look[SEEN - 1])).collect();
        assert_eq!(told, [(0.0, 721_f32.ln()), (9_f32.ln(), 1_441_f32.ln())]);
        assert!(drive.fails);
        assert!(super::drive(&[row(100.0, 200.0, 0.0, 0.0)]).is_none(), "nobody looked");
    }

    #[test]
    fn a_look_is_before_a_failure_when_the_drive_fails_before_the_next() {
        let looks = |count, fails| Drive { looks: vec![[0.0; SEEN]; count], fails };
        let looks = recipe(1).unwrap().windows(table(&[looks(3, true), looks(2, false), looks(1, true)]));
        // After the last look at the second drive nobody knows what came.
        assert_eq!(fails(&looks), [false, false, true, false, true]);
    }

    #[test]
    fn a_model_learns_what_failing_drives_tell() {
        let drive = |number: usize| {
            let fails = number.is_multiple_of(4);
            let mut looks = vec![[0.0; SEEN]; 6];
            looks[5][0] = if fails { 3.0 } else { 0.1 * (number % 3) as f32 };
            Drive { looks, fails }
        };
        let drives: Vec<Drive> = (0..120).map(drive).collect();
        let recipe = recipe(1).unwrap();
        let node = Node::of(&recipe, &drives[..90]).unwrap();
        let model = recipe.together(std::slice::from_ref(&node.windows)).unwrap();
        let judged = node.judge(&recipe, &model, &drives[90..]).unwrap();
        let chance = chance(&recipe, &node, &drives[90..]).unwrap();
        assert!(judged > 0.9 && chance < 0.1, "{judged} of {chance}");
    }
}

//! Speed and memory of one strategy.

use std::fmt;
use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use common::id::NodeId;
use coordinator::strategy::{Aggregator, Combine, Effort, Moments, Strategy};
use edge::now;
use examples::usage::rss_peak_mb;
use serde::Serialize;

/// The most memory that folding may take, in models.
const MODELS_MAX: f64 = 2.5;

/// The share of the speed of copying that a mean should have.
const RATIO_MIN: f64 = 0.5;

/// How fast updates become a model.
#[derive(Serialize)]
pub(crate) struct Speed {
    strategy: &'static str,
    updates: usize,
    params: usize,
    bytes_per_s: f64,
    copied_bytes_per_s: f64,
    ratio: f64,
}

/// The memory that it takes.
#[derive(Serialize)]
pub(crate) struct Memory {
    nodes: usize,
    params: usize,
    models: f64,
    models_max: f64,
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { strategy, updates, params, bytes_per_s, copied_bytes_per_s, ratio } = self;
        let (speed, copied) = (bytes_per_s / 1e9, copied_bytes_per_s / 1e9);
        let bar = if *strategy == "mean" { format!(" (wanted: {RATIO_MIN})") } else { String::new() };
        write!(f, "| {strategy} | {updates} x {params} | {speed:.2} | {copied:.2} | {ratio:.2}{bar} |")
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nodes, params, models, models_max } = self;
        write!(
            f,
            "{nodes} nodes, {params} parameters, mean: {models:.2} models at the peak (wanted: {models_max})"
        )
    }
}

/// Values of an update: small, and others for each node.
fn update(node: usize, values: usize) -> Vec<u8> {
    let value = |index: usize| ((index * 7 + node * 13) % 1000) as f32 * 1e-4 - 0.05;
    (0..values).flat_map(|index| value(index).to_le_bytes()).collect()
}

fn id(node: usize) -> NodeId {
    let mut id = NodeId([0; 32]);
    id.0[..8].copy_from_slice(&node.to_le_bytes());
    id
}

/// The median; sorts the values.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The strategy over so many updates of so many parameters: the median of some rounds after one to warm up.
pub(crate) fn speed(
    (name, combine): (&'static str, Combine),
    (updates, params): (usize, usize),
    rounds: usize,
) -> Result<Speed> {
    ensure!(updates >= combine.needs() as usize, "{name} needs {} updates", combine.needs());
    let values = params * combine.vectors();
    let bytes: Vec<Vec<u8>> = (0..updates).map(|node| update(node, values)).collect();
    let mut aggregator = Aggregator::new(Strategy { combine, ..Strategy::FEDAVG }, params);
    let (mut model, mut moments, mut copy) = (vec![0.5; params], Moments::new(), vec![1; values * 4]);
    let (mut made, mut copied) = (Vec::new(), Vec::new());
    for round in 0..=rounds.max(1) {
        let began = now();
        for bytes in &bytes {
            copy.copy_from_slice(black_box(bytes));
            black_box(&copy);
        }
        let between = now();
        aggregator.reset();
        for (node, bytes) in bytes.iter().enumerate() {
            aggregator.fold(id(node), bytes, Effort { weight: 1 + node as u64, steps: 7, staleness: 0 })?;
        }
        aggregator.finish(black_box(&mut model), &mut moments);
        if round > 0 {
            copied.push(between.micros_since(began) as f64 / 1e6);
            made.push(now().micros_since(between) as f64 / 1e6);
        }
    }
    let total = (values * 4 * updates) as f64;
    // Of one round each, so that what else the machine does weighs on both.
    let mut ratios: Vec<f64> = copied.iter().zip(&made).map(|(copied, made)| copied / made).collect();
    Ok(Speed {
        strategy: name,
        updates,
        params,
        bytes_per_s: total / median(&mut made),
        copied_bytes_per_s: total / median(&mut copied),
        ratio: median(&mut ratios),
    })
}

/// The memory of federated averaging over so many nodes.
pub(crate) fn memory(nodes: usize, params: usize) -> Result<Memory> {
    let mut model = vec![0.5; params];
    let bytes = update(0, params);
    let peak_mb = || rss_peak_mb(std::process::id()).context("the peak of this process");
    let before = peak_mb()?;
    let mut aggregator = Aggregator::new(Strategy::FEDAVG, params);
    for node in 0..nodes {
        aggregator.fold(id(node), &bytes, Effort { weight: 5, steps: 7, staleness: 0 })?;
    }
    aggregator.finish(black_box(&mut model), &mut Moments::new());
    let models = (peak_mb()? - before) * 1e6 / (params * 4) as f64;
    Ok(Memory { nodes, params, models, models_max: MODELS_MAX })
}

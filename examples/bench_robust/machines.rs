//! The machines: what each trains on, and what a model is worth on its faults.

use std::sync::Arc;

use anyhow::{Context, Result};
use common::id::{NodeId, TenantId};
use common::model::{Forecaster, Foresees, MetricName, Network, ParameterVector};
use common::units::Timestamp;
use coordinator::config::RunConfig;
use coordinator_simulate::population::Population;
use examples::fleet::{self, INTERVAL_S, METRICS, Row};
use examples::together;
use ingest::record::{Origin, TelemetryRecord};
use node::detect::metrics::vus;
use node::detect::{Detector, History, Preparation};
use node::learn::Training;

/// How far, in records, a detection may be from a fault and still count in part, as in the demo.
const WIDTH: usize = 20;

/// Records between the starts of two windows.
const STRIDE: u32 = 8;

const PAST_STEPS: u32 = 19;
const HIDDEN: [u32; 3] = [64, 16, 64];

/// A fleet out of a seed.
pub(crate) struct Machines {
    task: Forecaster,
    population: Population,
    all: Vec<Judged>,
}

/// What one machine judges models by.
struct Judged {
    history: History,
    test: Vec<TelemetryRecord>,
    labels: Vec<bool>,
}

impl Machines {
    /// So many of them.
    ///
    /// # Errors
    ///
    /// When their telemetry cannot be prepared.
    pub(crate) fn make(seed: u64, count: usize) -> Result<Self> {
        let names: Result<Vec<MetricName>, _> = METRICS.iter().map(|name| (*name).try_into()).collect();
        let names = names.context("the fleet's metrics")?;
        let hidden = HIDDEN.to_vec().try_into().context("three layers")?;
        let metrics: Arc<[MetricName]> = names.clone().into();
        let task = Forecaster {
            metrics: names.try_into()?,
            past_steps: PAST_STEPS,
            network: Network::default(),
            hidden,
            foresees: Foresees::default(),
        };
        let preparation = Preparation { stride: STRIDE, ..Preparation::default() };
        let (mut all, mut names) = (Vec::new(), Vec::new());
        // One more: the last has but a day of history.
        for machine in fleet::generate(seed, count + 1).into_iter().take(count) {
            let training = records(&machine.name, &machine.training, 0, &metrics);
            let test = records(&machine.name, &machine.test, machine.training.len(), &metrics);
            let history = History::prepare(&task, &training, &preparation)?;
            all.push(Judged { history, test, labels: machine.labels() });
            names.push(machine.name);
        }
        let training = all.iter().map(|judged| judged.history.training.clone()).collect();
        let population = Population::with_telemetry(names, task.clone(), training, Vec::new());
        Ok(Self { task, population, all })
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn population(&self) -> &Population {
        &self.population
    }

    /// Their ids, by their place.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        let id = |name: &String| NodeId(*blake3::hash(name.as_bytes()).as_bytes());
        self.population.names().iter().map(id).collect()
    }

    /// A run of all of them in every round, with these keys of `[strategy]`.
    pub(crate) fn config(&self, strategy: &str, rounds: u32, seed: u64) -> RunConfig {
        let training = Training { seed, ..Training::default() };
        together::config(&self.task, rounds, &training, (self.count(), strategy))
    }

    /// The mean volume under the precision-recall surface on some of them. A model that says nothing finite any more
    /// detects nothing.
    pub(crate) fn judge(&self, model: &ParameterVector, wanted: impl Fn(usize) -> bool) -> f64 {
        let judged: Vec<f64> = self
            .all
            .iter()
            .enumerate()
            .filter(|(place, _)| wanted(*place))
            .map(|(_, judged)| judged.judge(&self.task, model).unwrap_or(0.0))
            .collect();
        judged.iter().sum::<f64>() / judged.len() as f64
    }
}

impl Judged {
    fn judge(&self, task: &Forecaster, model: &ParameterVector) -> Result<f64> {
        let verdicts = Detector::fit(task, model.clone(), &self.history)?.score(&self.test)?;
        let scored = verdicts.iter().zip(&self.labels);
        let (scores, labels): (Vec<f64>, Vec<bool>) =
            scored.filter_map(|(verdict, label)| Some((verdict.as_ref()?.score, *label))).unzip();
        Ok(vus(&labels, &scores, WIDTH)?.pr)
    }
}

fn records(name: &str, rows: &[Row], first: usize, metrics: &Arc<[MetricName]>) -> Vec<TelemetryRecord> {
    let origin = Origin::new(TenantId::default(), name);
    let at = |row: usize| Timestamp::from_millis((first + row) as u64 * u64::from(INTERVAL_S) * 1000);
    let record = |(row, values): (usize, &Row)| TelemetryRecord {
        origin: origin.clone(),
        at: at(row),
        metrics: Arc::clone(metrics),
        values: values.iter().map(|value| *value as f32).collect(),
    };
    rows.iter().enumerate().map(record).collect()
}

//! A node that watches for drift, as `node run` does.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use common::model::{Forecaster, Foresees, Network, Task};
use ingest::record::TelemetryRecord;
use node::detect::drift::{Model, Seen};
use node::detect::{Chosen, Detector, DriftPolicy, DriftWatch, History, Preparation, Streams};
use node::learn::{Training, train};

/// A small model is enough: what is watched is whether it goes on being as good as it is.
const PAST_STEPS: u32 = 4;
const HIDDEN: u32 = 16;
const TRAINING: Training<'static> = Training {
    epochs: 40,
    batch: 64,
    optimizer: common::message::model::Optimizer::Adam,
    learning_rate: 0.005,
    proximal: 0.0,
    seed: 1,
    round: 1,
    correction: None,
};

/// A model that was trained on these records, and calibrated on them.
pub(crate) fn detector(records: &[TelemetryRecord]) -> Result<Detector> {
    let metrics = records.first().context("there are no records")?.metrics.to_vec().try_into()?;
    let hidden = vec![HIDDEN].try_into()?;
    let (past_steps, network, foresees) = (PAST_STEPS, Network::Perceptron, Foresees::Record);
    let task = Forecaster { metrics, past_steps, network, hidden, foresees };
    let history = History::prepare(&task, records, &Preparation::default())?;
    let first = Task::Forecaster(task.clone()).initial(1)?;
    let go_on = &mut |_| ControlFlow::Continue(());
    let trained = train(&task, &first, &history.training, &TRAINING, go_on)?;
    Ok(Detector::fit(&task, trained.parameters, &history)?)
}

/// A node with a model.
pub(crate) struct Node {
    streams: Streams,
    watch: DriftWatch,
    policy: DriftPolicy,
}

impl Node {
    /// A node with this history.
    pub(crate) fn after(
        history: &[TelemetryRecord],
        detector: &Detector,
        policy: &DriftPolicy,
    ) -> Result<Self> {
        let model = Model { run: "bench".to_owned(), rounds: 1, chosen: Chosen::Federated, records: 0 };
        let before: Vec<&TelemetryRecord> = history.iter().collect();
        let watch = DriftWatch::begin(model, detector, policy, [&before[..]].into_iter());
        let mut streams = Streams::new(detector.clone())?;
        for record in &history[history.len().saturating_sub(detector.run_up())..] {
            streams.score(record)?;
        }
        Ok(Self { streams, watch, policy: *policy })
    }

    /// Takes these records; after how many blocks drift was told, if it was.
    pub(crate) fn until_told(&mut self, records: &[TelemetryRecord]) -> Result<Option<u64>> {
        let Some(first) = records.first() else { return Ok(None) };
        for record in records {
            let score = self.streams.score(record)?.score();
            let seen = Seen { at: record.at, row: self.streams.row(), score };
            if let Some(drift) = self.watch.observe(seen, &self.policy) {
                let block_ms = self.policy.block_s * 1000;
                return Ok(Some(drift.at_ms.saturating_sub(first.at.millis()) / block_ms));
            }
        }
        Ok(None)
    }

    /// The share of levels and spreads that is watched.
    pub(crate) fn inputs_watched(&self) -> f64 {
        let standing = self.watch.standing(&self.policy);
        standing.inputs_watched as f64 / standing.inputs.max(1) as f64
    }
}

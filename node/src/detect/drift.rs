//! Drift: whether telemetry is still what the model was calibrated with.
//!
//! Blocks of time, a day each unless told otherwise, are reduced to a few numbers: the level and the spread of each metric and
//! the mean score. If blocks are exchangeable, that is if it says nothing of them in which order they came, then a number is as
//! likely to fall between any two of those before it as between any two others. A *wager* bets against that, and what it
//! wins is evidence (a conformal test martingale: Vovk, Nouretdinov and Gammerman 2003). It has a stake of 1, and is ever worth
//! `1 / p` with a probability of at most `p` (Ville 1939), however long it goes on.
//!
//! The false-alarm rate is shared: half of it for the scores, and the other half by all numbers of metrics alike. So it
//! is the probability that a node ever says of a model that telemetry drifted from it, though blocks are exchangeable.

mod block;
mod channel;
mod wager;

use std::collections::BTreeMap;
use std::fmt;

use common::units::Timestamp;
use ingest::record::TelemetryRecord;
use pipeline::Filling;
use serde::{Deserialize, Serialize};

use super::{Chosen, Detector};
use block::Block;
pub use channel::BLOCKS_MIN;
use channel::{Channel, Stage};

/// Numbers of a block that are named as the reason.
const BECAUSE_MAX: usize = 3;

/// When drift is told: `[drift]` in node.toml.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriftPolicy {
    /// The probability that drift is ever told of a model though nothing changed; 0 for never, and then nothing is watched.
    pub false_alarm_rate: f64,
    /// Seconds of a block.
    pub block_s: u64,
}

impl Default for DriftPolicy {
    fn default() -> Self {
        Self { false_alarm_rate: 0.01, block_s: 86_400 }
    }
}

impl DriftPolicy {
    /// Whether nothing is watched.
    pub fn is_off(&self) -> bool {
        self.false_alarm_rate <= 0.0
    }

    fn block_of(&self, at: Timestamp) -> u64 {
        at.0 / (self.block_s.max(1) * 1_000_000)
    }
}

/// The model that telemetry is compared with: another one was calibrated anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The run that made it.
    pub run: String,
    /// After so many rounds.
    pub rounds: u32,
    /// And what the node made of it.
    pub chosen: Chosen,
    /// The records that it measures by.
    #[serde(default)]
    pub records: u64,
}

/// A record as the model saw it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'r> {
    /// When it was measured.
    pub at: Timestamp,
    /// Its metrics, scaled.
    pub row: &'r [f32],
    /// How unusual it is, if it has a score.
    pub score: Option<f64>,
}

/// What is known of the blocks of a node: all that the next word of drift depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftWatch {
    model: Model,
    block_s: u64,
    metrics: Vec<String>,
    /// What is above it is an affair of alarms, and counts as that.
    threshold: f64,
    /// Whole blocks so far.
    blocks: u64,
    open: Option<Block>,
    /// The level of each metric, then the spread of each, then the score.
    channels: Vec<Channel>,
    drift: Option<Drift>,
}

/// That telemetry drifted from a model; told once of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The run that made the model.
    pub run: String,
    /// The end of the block with which the evidence was enough, in milliseconds since 1970.
    pub at_ms: u64,
    /// The beginning of the first block that speaks for it.
    pub since_ms: u64,
    /// What has changed, the surest first.
    pub because: Vec<Moved>,
}

/// A number of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// The mean of a metric.
    Level,
    /// Its variance.
    Spread,
    /// The mean score.
    Score,
}

/// A number that is not where it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// Which.
    pub number: Number,
    /// Of which metric; none for the score.
    pub metric: Option<String>,
    /// Whether it is higher than before, or else lower.
    pub higher: bool,
    /// What the wager on it is worth.
    pub evidence: f64,
    /// From this on it is enough to tell of drift.
    pub enough: f64,
}

/// How the watch for drift stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// The run that made the model.
    pub run: String,
    /// Seconds of a block.
    pub block_s: u64,
    /// Whole blocks that are known.
    pub blocks: u64,
    /// Levels and spreads of metrics.
    pub inputs: usize,
    /// Those that are watched.
    pub inputs_watched: usize,
    /// Those that are not, as they wandered in the node's own history.
    pub inputs_wandering: usize,
    /// Whether scores are watched.
    pub score_watched: bool,
    /// What speaks most for drift, the surest first.
    pub evidence: Vec<Moved>,
    /// What was told, if it was.
    pub drift: Option<Drift>,
}

impl DriftWatch {
    /// Begins with a model: the records that it was calibrated with, those of each source in the order of time, are the first
    /// blocks. They say nothing of scores, which are lower where a model has learned.
    pub fn begin<'r>(
        model: Model,
        detector: &Detector,
        policy: &DriftPolicy,
        history: impl Iterator<Item = &'r [&'r TelemetryRecord]>,
    ) -> Self {
        let metrics: Vec<String> = detector.metrics().map(ToString::to_string).collect();
        let mut past = BTreeMap::<u64, Block>::new();
        let mut row = Vec::new();
        for records in history {
            let mut filling = Filling::default();
            for record in records {
                row.clear();
                if filling.row(record, &detector.task.metrics, &detector.clean, &mut row).is_err() {
                    // Neither is it scored, and that is told.
                    continue;
                }
                detector.scaler.scale_row(&mut row);
                let number = policy.block_of(record.at);
                let block = past.entry(number).or_insert_with(|| Block::new(number, metrics.len()));
                block.add(policy.block_s, Seen { at: record.at, row: &row, score: None });
            }
        }
        // The last one goes on.
        let open = past.pop_last().map(|(_, block)| block);
        let whole: Vec<Vec<f64>> =
            past.values().filter(|block| block.is_whole()).map(Block::inputs).collect();
        let column = |channel: usize| whole.iter().map(|numbers| numbers[channel]).collect::<Vec<f64>>();
        let inputs = (0..2 * metrics.len()).map(|channel| Channel::after(&column(channel)));
        let channels = inputs.chain([Channel::after(&[])]).collect();
        let (block_s, blocks, threshold) = (policy.block_s, whole.len() as u64, detector.threshold().0);
        Self { model, block_s, metrics, threshold, blocks, open, channels, drift: None }
    }

    /// Whether it is a watch on this model, by blocks of this length.
    pub fn is_of(&self, model: &Model, policy: &DriftPolicy) -> bool {
        (&self.model, self.block_s) == (model, policy.block_s)
    }

    /// What was told, if it was.
    pub fn drift(&self) -> Option<&Drift> {
        self.drift.as_ref()
    }

    /// Takes the next record. A block ends with the first record after it; one that comes later than that is left out, and so is
    /// a block without a record in each of its eighths.
    pub fn observe(&mut self, seen: Seen<'_>, policy: &DriftPolicy) -> Option<Drift> {
        if self.drift.is_some() {
            return None;
        }
        let number = policy.block_of(seen.at);
        let block = self.open.get_or_insert_with(|| Block::new(number, self.metrics.len()));
        if number < block.number() {
            return None;
        }
        let ended = (number > block.number())
            .then(|| std::mem::replace(block, Block::new(number, self.metrics.len())));
        let score = seen.score.map(|score| score.min(self.threshold));
        block.add(self.block_s, Seen { score, ..seen });
        self.end(&ended.filter(Block::is_whole)?, policy)
    }

    fn end(&mut self, block: &Block, policy: &DriftPolicy) -> Option<Drift> {
        self.blocks += 1;
        let numbers = block.inputs().into_iter().map(Some).chain([block.score()]);
        for (channel, number) in self.channels.iter_mut().zip(numbers) {
            if let Some(number) = number {
                channel.take(number, block.number());
            }
        }
        let mut because = self.moved(policy);
        because.retain(|(moved, _)| moved.evidence >= moved.enough);
        let since = because.iter().map(|(_, since)| since.unwrap_or(block.number())).min()?;
        let block_ms = self.block_s * 1000;
        self.drift = Some(Drift {
            run: self.model.run.clone(),
            at_ms: (block.number() + 1) * block_ms,
            since_ms: since * block_ms,
            because: because.into_iter().map(|(moved, _)| moved).take(BECAUSE_MAX).collect(),
        });
        self.drift.clone()
    }

    /// What speaks for drift, the surest first, and from which block on.
    fn moved(&self, policy: &DriftPolicy) -> Vec<(Moved, Option<u64>)> {
        let metrics = self.metrics.len();
        let moved = |(index, channel): (usize, &Channel)| {
            let Stage::Watched(wager) = channel.stage() else { return None };
            let (number, share) = match index.checked_div(metrics) {
                Some(0) => (Number::Level, 4 * metrics),
                Some(1) => (Number::Spread, 4 * metrics),
                _ => (Number::Score, 2),
            };
            let metric = (number != Number::Score).then(|| self.metrics[index % metrics].clone());
            let (evidence, enough) = (wager.evidence(), share as f64 / policy.false_alarm_rate);
            Some((Moved { number, metric, higher: wager.is_high(), evidence, enough }, wager.since()))
        };
        let mut moved: Vec<_> = self.channels.iter().enumerate().filter_map(moved).collect();
        let surety = |(moved, _): &(Moved, Option<u64>)| moved.evidence / moved.enough;
        moved.sort_by(|one, other| surety(other).total_cmp(&surety(one)));
        moved
    }

    /// How it stands.
    pub fn standing(&self, policy: &DriftPolicy) -> Standing {
        let (score, inputs) = self.channels.split_last().expect("there is one for the score");
        let count = |is: fn(&Stage) -> bool| inputs.iter().filter(|input| is(input.stage())).count();
        let mut evidence: Vec<Moved> = self.moved(policy).into_iter().map(|(moved, _)| moved).collect();
        evidence.truncate(BECAUSE_MAX);
        Standing {
            run: self.model.run.clone(),
            block_s: self.block_s,
            blocks: self.blocks,
            inputs: inputs.len(),
            inputs_watched: count(|stage| matches!(stage, Stage::Watched(_))),
            inputs_wandering: count(|stage| *stage == Stage::Wandering),
            score_watched: matches!(score.stage(), Stage::Watched(_)),
            evidence,
            drift: self.drift.clone(),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { block_s, blocks, inputs, inputs_watched, inputs_wandering, score_watched, .. } = self;
        write!(f, "drift: {blocks} whole blocks of {block_s} s are known")?;
        if *inputs_watched + *inputs_wandering == 0 {
            return write!(f, "; with fewer than {BLOCKS_MIN} nothing is said");
        }
        let score = if *score_watched { "and scores" } else { "and scores not yet" };
        write!(f, "; {inputs_watched} of {inputs} levels and spreads are watched {score}")?;
        match inputs_wandering {
            0 => Ok(()),
            many => write!(f, "; {many} wandered in the history, and are not"),
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, since_ms, because, .. } = self;
        write!(f, "telemetry drifted from the model of run {run} since {since_ms} ms: ")?;
        let because: Vec<String> = because.iter().map(ToString::to_string).collect();
        write!(f, "{}; a new run calibrates anew", because.join(", "))
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, metric, higher, evidence, enough } = self;
        let metric = metric.as_deref().unwrap_or_default();
        match (number, higher) {
            (Number::Level, true) => write!(f, "{metric} is higher"),
            (Number::Level, false) => write!(f, "{metric} is lower"),
            (Number::Spread, true) => write!(f, "{metric} varies more"),
            (Number::Spread, false) => write!(f, "{metric} varies less"),
            (Number::Score, true) => f.write_str("scores are higher"),
            (Number::Score, false) => f.write_str("scores are lower"),
        }?;
        write!(f, " (evidence {evidence:.0}, {enough:.0} is enough)")
    }
}

#[cfg(test)]
mod tests;

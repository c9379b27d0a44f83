//! Telemetry that is made: each metric has a daily rhythm, is off by something of its own each day, and has noise that lasts for
//! hours.

use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;
use examples::fleet::Random;
use ingest::record::{Origin, TelemetryRecord};
use node::detect::DriftPolicy;

use crate::watched::{Node, detector};
use crate::{DAY_S, Line};

const METRICS: usize = 10;

/// Records of a day.
const DAY: usize = 96;

/// Days of history, and days of live telemetry before the change: scores are watched from then on too.
const HISTORY_DAYS: usize = 20;
const QUIET_DAYS: usize = 20;

/// Days after the change.
const DAYS: usize = 60;

/// How far a day is off, and the noise within it: standard deviations.
const DAY_SD: f64 = 0.3;
const NOISE_SD: f64 = 0.5;

/// How much of the noise of a record is left in the next one.
const LASTS: f64 = 0.9;

/// What happens to the first metric.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    Nothing,
    /// Its level moves, by so many standard deviations of the means of days.
    Level(f64),
    /// Its noise is so many times as large.
    Noise(f64),
    /// Its noise does not last any longer, and is as large as before.
    Rough,
}

/// How telemetry comes about.
#[derive(Clone, Copy)]
pub(crate) struct Law {
    pub(crate) change: Change,
    /// How much of what one day is off is left on the next: more than nothing, and days are not exchangeable.
    pub(crate) days_alike: f64,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change {
            Change::Nothing if self.days_alike > 0.0 => {
                write!(f, "nothing changes, days correlated by {}", self.days_alike)
            }
            Change::Nothing => f.write_str("nothing changes"),
            Change::Level(spreads) => {
                write!(f, "a metric of {METRICS} moves by {spreads} spreads of its days")
            }
            Change::Noise(factor) => write!(f, "a metric of {METRICS} has {factor} times the noise"),
            Change::Rough => write!(f, "a metric of {METRICS} has noise that does not last"),
        }
    }
}

/// What becomes of so many nodes. One that tells of drift before there is any is counted where nothing changes alone.
pub(crate) fn line(law: &Law, nodes: u64, policy: &DriftPolicy) -> Result<Line> {
    let usual = Law { change: Change::Nothing, ..*law };
    let detector = detector(&Source::new(0).days(&usual, HISTORY_DAYS))?;
    let mut ended = Vec::new();
    for seed in 1..=nodes {
        let mut source = Source::new(seed);
        let mut node = Node::after(&source.days(&usual, HISTORY_DAYS), &detector, policy)?;
        let early = node.until_told(&source.days(&usual, QUIET_DAYS))?;
        let told = match law.change {
            Change::Nothing if early.is_some() => early,
            _ if early.is_some() => continue,
            _ => node.until_told(&source.days(law, DAYS))?,
        };
        ended.push((told, node.inputs_watched()));
    }
    Ok(Line::of(law.to_string(), policy.block_s, &ended))
}

/// A node's telemetry, day after day.
struct Source {
    random: Random,
    origin: Arc<Origin>,
    metrics: Arc<[MetricName]>,
    /// What the day is off, and the noise of the last record.
    off: [f64; METRICS],
    noise: [f64; METRICS],
    rows: usize,
}

impl Source {
    fn new(seed: u64) -> Self {
        let name = |metric: usize| MetricName::try_from(format!("m{metric}").as_str()).expect("a short name");
        Self {
            random: Random::new(seed, 0),
            origin: Origin::new(TenantId::default(), "host"),
            metrics: (0..METRICS).map(name).collect(),
            off: [0.0; METRICS],
            noise: [0.0; METRICS],
            rows: 0,
        }
    }

    fn days(&mut self, law: &Law, days: usize) -> Vec<TelemetryRecord> {
        (0..days * DAY).map(|_| self.record(law)).collect()
    }

    fn record(&mut self, law: &Law) -> TelemetryRecord {
        let of_day = self.rows % DAY;
        let value = |metric: usize| {
            let (mut lasts, mut noise_sd, mut level) = (LASTS, NOISE_SD, 0.0);
            match law.change {
                Change::Level(spreads) if metric == 0 => level = spreads * day_mean_sd(),
                Change::Noise(factor) if metric == 0 => noise_sd *= factor,
                Change::Rough if metric == 0 => lasts = 0.0,
                _ => (),
            }
            if of_day == 0 {
                step(&mut self.random, &mut self.off[metric], law.days_alike);
            }
            step(&mut self.random, &mut self.noise[metric], lasts);
            let rhythm = (std::f64::consts::TAU * of_day as f64 / DAY as f64 + metric as f64).sin();
            (rhythm + DAY_SD * self.off[metric] + noise_sd * self.noise[metric] + level) as f32
        };
        let values = (0..METRICS).map(value).collect();
        let at = Timestamp::from_millis(self.rows as u64 * DAY_S * 1000 / DAY as u64);
        self.rows += 1;
        TelemetryRecord { origin: Arc::clone(&self.origin), at, metrics: Arc::clone(&self.metrics), values }
    }
}

/// The next value of something of mean 0 and variance 1 of which so much is left from one to the next.
fn step(random: &mut Random, value: &mut f64, lasts: f64) {
    *value = lasts * *value + (1.0 - lasts * lasts).sqrt() * random.normal();
}

/// The standard deviation of the mean of a day, nearly: the noise of a day is a mean of so many that are alike.
fn day_mean_sd() -> f64 {
    let noise = NOISE_SD * NOISE_SD * (1.0 + LASTS) / (1.0 - LASTS) / DAY as f64;
    (DAY_SD * DAY_SD + noise).sqrt()
}

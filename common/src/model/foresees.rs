//! What a model over windows of telemetry says of what comes next: a task is made of this and of what it sees.

use serde::{Deserialize, Serialize};

use super::MetricName;
use crate::limits::HORIZON_STEPS_MAX;
use crate::wire::{Fault, Input, List, Wire, WireError};

/// What is foreseen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Foresees {
    /// The record itself: how far it is from that tells what is unusual.
    #[default]
    Record,
    /// How much load is coming.
    Load(Load),
    /// Whether a failure is coming.
    Failure(Failure),
}

/// One metric at each of the next steps, at some quantiles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Which metric: one of those that the model sees.
    pub metric: MetricName,
    /// So many steps ahead.
    pub steps: u32,
    /// The values that it stays below with these probabilities, in rising order.
    pub quantiles: List<Quantile, 16>,
}

/// The probability that a failure begins within the next steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The metric that is not zero while the machine is down. The model does not see it, and learns nothing from what is
    /// measured then.
    pub metric: MetricName,
    /// So many steps ahead.
    pub steps: u32,
}

/// A probability in thousandths, from 1 to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Quantile(u16);

/// No quantile: it must be from 0.001 to 0.999.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not from 0.001 to 0.999")]
pub struct NoQuantile(pub f64);

impl TryFrom<f64> for Quantile {
    type Error = NoQuantile;

    fn try_from(probability: f64) -> Result<Self, NoQuantile> {
        let thousandths = (probability * 1000.0).round();
        // What is not a number is in no range.
        if (1.0..=999.0).contains(&thousandths) {
            Ok(Self(thousandths as u16))
        } else {
            Err(NoQuantile(probability))
        }
    }
}

impl From<Quantile> for f64 {
    fn from(Quantile(thousandths): Quantile) -> Self {
        Self::from(thousandths) / 1000.0
    }
}

impl Wire for Quantile {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        match u16::take(input)? {
            thousandths @ 1..=999 => Ok(Self(thousandths)),
            other => Err(input.error(Fault::Unknown(u64::from(other)))),
        }
    }
}

impl Foresees {
    /// Values that a model says, which sees so many metrics.
    pub(super) fn outputs(&self, metrics: u32) -> u32 {
        match self {
            Self::Record => metrics,
            Self::Load(load) => load.steps.saturating_mul(load.quantiles.len() as u32),
            Self::Failure(_) => 1,
        }
    }

    /// Steps after the record that it is about.
    pub fn steps(&self) -> u32 {
        match self {
            Self::Record => 0,
            Self::Load(Load { steps, .. }) | Self::Failure(Failure { steps, .. }) => *steps,
        }
    }

    /// Whether there is something to foresee, not too far away, for a model that sees these metrics.
    pub(super) fn fits(&self, metrics: &[MetricName]) -> Result<(), Misfit> {
        if let Self::Load(_) | Self::Failure(_) = self
            && !(1..=HORIZON_STEPS_MAX).contains(&self.steps())
        {
            return Err(Misfit::Steps);
        }
        match self {
            Self::Load(load) if !metrics.contains(&load.metric) => Err(Misfit::Unseen(load.metric.clone())),
            Self::Load(load) if load.quantiles.is_empty() || !load.quantiles.is_sorted() => {
                Err(Misfit::Quantiles)
            }
            Self::Failure(failure) if metrics.contains(&failure.metric) => {
                Err(Misfit::Seen(failure.metric.clone()))
            }
            _ => Ok(()),
        }
    }
}

/// Why something cannot be foreseen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It is none or too many steps ahead.
    #[error("is not from 1 to {HORIZON_STEPS_MAX} steps ahead")]
    Steps,
    /// The model does not see the load that it should foresee.
    #[error("is of metric `{0}`, which the model does not see")]
    Unseen(MetricName),
    /// The model sees what says that the machine is down.
    #[error("is of metric `{0}`, which the model sees: it would foresee nothing, and read it there")]
    Seen(MetricName),
    /// Quantiles that are none, or not in rising order.
    #[error("has no quantiles, or not in rising order")]
    Quantiles,
}

impl Wire for Foresees {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Record => out.push(1),
            Self::Load(load) => {
                out.push(2);
                load.put(out);
            }
            Self::Failure(failure) => {
                out.push(3);
                failure.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        match u8::take(input)? {
            1 => Ok(Self::Record),
            2 => Wire::take(input).map(Self::Load),
            3 => Wire::take(input).map(Self::Failure),
            tag => Err(input.error(Fault::Unknown(u64::from(tag)))),
        }
    }
}

crate::wire_fields!(Load { metric, steps, quantiles });
crate::wire_fields!(Failure { metric, steps });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    fn name(name: &str) -> MetricName {
        name.try_into().unwrap()
    }

    fn load(metric: &str, steps: u32, quantiles: &[f64]) -> Foresees {
        let quantiles: Vec<Quantile> =
            quantiles.iter().map(|probability| (*probability).try_into().unwrap()).collect();
        Foresees::Load(Load { metric: name(metric), steps, quantiles: quantiles.try_into().unwrap() })
    }

    fn failure(metric: &str, steps: u32) -> Foresees {
        Foresees::Failure(Failure { metric: name(metric), steps })
    }

    #[test]
    fn a_load_has_a_value_for_each_step_and_quantile_and_a_failure_one() {
        assert_eq!(Foresees::Record.outputs(19), 19);
        assert_eq!(load("cpu", 6, &[0.1, 0.5, 0.9]).outputs(19), 18);
        assert_eq!(failure("down", 12).outputs(19), 1);
        assert_eq!((Foresees::Record.steps(), failure("down", 12).steps()), (0, 12));
    }

    #[test]
    fn what_cannot_be_foreseen_is_told() {
        let seen = [name("cpu"), name("memory")];
        let cases = [
            (load("cpu", 6, &[0.5]), Ok(())),
            (failure("down", HORIZON_STEPS_MAX), Ok(())),
            (load("cpu", 0, &[0.5]), Err(Misfit::Steps)),
            (failure("down", HORIZON_STEPS_MAX + 1), Err(Misfit::Steps)),
            (load("disk", 6, &[0.5]), Err(Misfit::Unseen(name("disk")))),
            (load("cpu", 6, &[]), Err(Misfit::Quantiles)),
            (load("cpu", 6, &[0.9, 0.1]), Err(Misfit::Quantiles)),
            (failure("cpu", 6), Err(Misfit::Seen(name("cpu")))),
        ];
        for (foresees, expected) in cases {
            assert_eq!(foresees.fits(&seen), expected, "{foresees:?}");
            assert_eq!(decode(&encode(&foresees)), Ok(foresees));
        }
    }

    #[test]
    fn a_quantile_is_a_probability_that_is_neither_never_nor_always() {
        for probability in [0.001, 0.5, 0.999] {
            let quantile = Quantile::try_from(probability).unwrap();
            assert!((f64::from(quantile) - probability).abs() < 1e-9);
        }
        for probability in [0.0, 1.0, -0.5, f64::NAN, f64::INFINITY] {
            assert!(Quantile::try_from(probability).is_err(), "{probability}");
        }
        assert!(
            decode::<Quantile>(&encode(&1000_u16)).is_err() && decode::<Quantile>(&encode(&0_u16)).is_err()
        );
    }
}

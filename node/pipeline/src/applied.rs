//! [`Applied`]: what a stage made of the records, and what it left out, each with its reason.

use std::fmt;
use std::sync::Arc;

use common::model::MetricName;
use common::units::Timestamp;
use ingest::error::Shown;
use ingest::record::{Origin, TelemetryRecord};

use crate::limits::{FILLED_PER_MEASURED_MAX, LEFT_OUT_KEPT};

/// What a stage made of the records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// The records that go on.
    pub records: Vec<TelemetryRecord>,
    /// The first of what was left out.
    pub left_out: Vec<LeftOut>,
    /// All records that were left out.
    pub records_left_out: u64,
    /// All values that were known and are now missing, in records that go on.
    pub values_left_out: u64,
    /// All gaps that stay open because of a limit, though the parameters would have them filled.
    pub gaps_left_open: u64,
}

/// A record or a value that was left out, or a gap that stays open.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("source {} at {} ms{}: {reason}", Shown::of(&.origin.source), .at.millis(), OfMetric(.metric.as_ref()))]
pub struct LeftOut {
    /// Whose record, and of what source.
    pub origin: Arc<Origin>,
    /// When it was measured.
    pub at: Timestamp,
    /// The metric, where one value is to blame.
    pub metric: Option<MetricName>,
    /// Why.
    pub reason: Reason,
}

/// Why something was left out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Reason {
    /// More or fewer values than names: nobody knows which is which.
    #[error("{values} values for {metrics} metrics")]
    Ragged {
        /// Values it has.
        values: usize,
        /// Names it has.
        metrics: usize,
    },
    /// No metric of a name that must be there.
    #[error("no metric {0} is there")]
    Lacks(Shown),
    /// A value under its range.
    #[error("{value} is under the minimum of {min}")]
    Under {
        /// The value.
        value: f32,
        /// The least it may be.
        min: f32,
    },
    /// A value over its range.
    #[error("{value} is over the maximum of {max}")]
    Over {
        /// The value.
        value: f32,
        /// The most it may be.
        max: f32,
    },
    /// A value that is none of those allowed.
    #[error("{0} is none of the allowed values")]
    NotAllowed(f32),
    /// A name that does not end in its unit.
    #[error("the name does not end in the unit `{0}`")]
    OtherUnit(String),
    /// The same record again.
    #[error("the same record is there again")]
    Repeated,
    /// Another record of the same metrics at the same time.
    #[error("another record of this time has other values, and counts")]
    Contradicted,
    /// What the filter does not let through.
    #[error("the filter does not let it through")]
    Filtered,
    /// More records than the budget.
    #[error("it is over the budget of {0} records")]
    OverBudget(usize),
    /// A new name that another metric of the record has.
    #[error("another metric has the new name {0}")]
    NameTaken(Shown),
    /// A new name over its limit.
    #[error("the new name {0} is too long")]
    NameTooLong(Shown),
    /// A value that no 32-bit float can hold.
    #[error("{0} cannot be converted: the result is too large")]
    TooLarge(f32),
    /// A source with many gaps and few records.
    #[error(
        "the gap stays open: a source gets at most {FILLED_PER_MEASURED_MAX} filled records for each of its own"
    )]
    MostlyGaps,
}

struct OfMetric<'m>(Option<&'m MetricName>);

impl fmt::Display for OfMetric<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |metric| write!(f, ", metric {}", Shown::of(metric)))
    }
}

impl Applied {
    /// Whether anything was left out, or left open.
    pub const fn left_something(&self) -> bool {
        self.records_left_out + self.values_left_out + self.gaps_left_open > 0
    }

    /// Leaves a record out.
    pub(crate) fn leave_out(&mut self, record: &TelemetryRecord, reason: Reason) {
        self.records_left_out += 1;
        self.note(&record.origin, record.at, None, || reason);
    }

    /// Leaves a value out.
    pub(crate) fn leave_value_out(
        &mut self,
        record: &TelemetryRecord,
        metric: &MetricName,
        reason: impl FnOnce() -> Reason,
    ) {
        self.values_left_out += 1;
        self.note(&record.origin, record.at, Some(metric), reason);
    }

    /// Leaves the gap behind a record open.
    pub(crate) fn leave_open(&mut self, origin: &Arc<Origin>, at: Timestamp) {
        self.gaps_left_open += 1;
        self.note(origin, at, None, || Reason::MostlyGaps);
    }

    /// Leaves a record out because of one of its values.
    pub(crate) fn leave_out_for(&mut self, record: &TelemetryRecord, metric: &MetricName, reason: Reason) {
        self.records_left_out += 1;
        self.note(&record.origin, record.at, Some(metric), || reason);
    }

    /// Leaves out records whose values nobody can name; the others can be worked with.
    pub(crate) fn without_ragged(&mut self, records: Vec<TelemetryRecord>) -> Vec<TelemetryRecord> {
        let mut sound = records;
        sound.retain(|record| {
            let (values, metrics) = (record.values.len(), record.metrics.len());
            if values != metrics {
                self.leave_out(record, Reason::Ragged { values, metrics });
            }
            values == metrics
        });
        sound
    }

    fn note(
        &mut self,
        origin: &Arc<Origin>,
        at: Timestamp,
        metric: Option<&MetricName>,
        reason: impl FnOnce() -> Reason,
    ) {
        if self.left_out.len() < LEFT_OUT_KEPT {
            self.left_out.push(LeftOut {
                origin: Arc::clone(origin),
                at,
                metric: metric.cloned(),
                reason: reason(),
            });
        }
    }
}

//! [`Stage`]: one step over records, as `[[stage]]` in the configuration describes it.

pub mod convert;
pub mod deduplicate;
pub mod enrich;
pub mod fill;
pub mod filter;
pub mod prioritise;
pub mod resample;
pub mod validate;

use ingest::record::TelemetryRecord;
use serde::{Deserialize, Serialize};

pub use self::convert::Convert;
pub use self::deduplicate::Deduplicate;
pub use self::enrich::Enrich;
pub use self::fill::Fill;
pub use self::filter::Filter;
pub use self::prioritise::Prioritise;
pub use self::resample::Resample;
pub use self::validate::Validate;
use crate::applied::Applied;

/// One step over records, chosen by its `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Stage {
    /// `kind = "validate"`: values are in their ranges, and what must be there is there.
    Validate(Validate),
    /// `kind = "deduplicate"`: one record a source, time and set of metrics.
    Deduplicate(Deduplicate),
    /// `kind = "filter"`: only these records and metrics go on, or all but these.
    Filter(Filter),
    /// `kind = "prioritise"`: with more records than can be used, the critical ones go first.
    Prioritise(Prioritise),
    /// `kind = "enrich"`: labels for sources.
    Enrich(Enrich),
    /// `kind = "resample"`: one record for each cell of a grid in time.
    Resample(Resample),
    /// `kind = "fill"`: values and records for gaps in a grid.
    Fill(Fill),
    /// `kind = "convert"`: other units and names.
    Convert(Convert),
}

impl Stage {
    /// Its `kind`, as configured.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Validate(_) => "validate",
            Self::Deduplicate(_) => "deduplicate",
            Self::Filter(_) => "filter",
            Self::Prioritise(_) => "prioritise",
            Self::Enrich(_) => "enrich",
            Self::Resample(_) => "resample",
            Self::Fill(_) => "fill",
            Self::Convert(_) => "convert",
        }
    }

    /// Whether it makes of each record the same, whatever comes before or after it.
    pub const fn is_by_record(&self) -> bool {
        match self {
            Self::Validate(_) | Self::Filter(_) | Self::Enrich(_) | Self::Convert(_) => true,
            Self::Deduplicate(_) | Self::Prioritise(_) | Self::Resample(_) | Self::Fill(_) => false,
        }
    }

    /// What it makes of the records. A record with more or fewer values than names is left out by every stage.
    pub fn apply(&self, records: Vec<TelemetryRecord>) -> Applied {
        let mut out = Applied::default();
        let records = out.without_ragged(records);
        match self {
            Self::Validate(stage) => stage.apply(records, &mut out),
            Self::Deduplicate(stage) => stage.apply(records, &mut out),
            Self::Filter(stage) => stage.apply(records, &mut out),
            Self::Prioritise(stage) => stage.apply(records, &mut out),
            Self::Enrich(stage) => stage.apply(records, &mut out),
            Self::Resample(stage) => stage.apply(records, &mut out),
            Self::Fill(stage) => stage.apply(records, &mut out),
            Self::Convert(stage) => stage.apply(records, &mut out),
        }
        out
    }
}

//! Deduplicate: of the records of one source, time and set of metrics, one counts.

use std::collections::BTreeMap;

use common::units::Timestamp;
use ingest::record::TelemetryRecord;
use serde::{Deserialize, Serialize};

use crate::applied::{Applied, Reason};
use crate::shared::{align, groups};

/// Which of several records counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deduplicate {
    /// Which one, where their values differ; where they do not, it makes no difference.
    #[serde(default)]
    pub keep: Keep,
}

/// The first or the last, in the order in which they came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// What was said first.
    First,
    /// What was said last: a correction.
    #[default]
    Last,
}

impl Deduplicate {
    pub(super) fn apply(self, records: Vec<TelemetryRecord>, out: &mut Applied) {
        // The record that counts in place of each one: itself, but for those that are left out.
        let mut counts: Vec<usize> = (0..records.len()).collect();
        for group in groups(&records) {
            let mut kept: BTreeMap<Timestamp, usize> = BTreeMap::new();
            for &index in &group {
                let place = kept.entry(records[index].at).or_insert(index);
                if self.keep == Keep::Last {
                    *place = index;
                }
            }
            for index in group {
                counts[index] = kept[&records[index].at];
            }
        }
        for (index, &kept) in counts.iter().enumerate().filter(|(index, kept)| *index != **kept) {
            let same = same_values(&records[index], &records[kept]);
            let reason = if same { Reason::Repeated } else { Reason::Contradicted };
            out.leave_out(&records[index], reason);
        }
        let counted = records.into_iter().zip(counts).enumerate().filter(|(index, (_, kept))| index == kept);
        out.records = counted.map(|(_, (record, _))| record).collect();
    }
}

/// Whether two records of a group say the same; what both do not know is the same too.
fn same_values(one: &TelemetryRecord, other: &TelemetryRecord) -> bool {
    let mut aligned = other.clone();
    align(&mut aligned, &one.metrics);
    let same = |(one, other): (&f32, &f32)| one.is_nan() && other.is_nan() || one.total_cmp(other).is_eq();
    one.values.iter().zip(&aligned.values).all(same)
}

#[cfg(test)]
mod tests {
    use ingest::record::TelemetryRecord;

    use crate::samples::{known, of_tenant, record, stage, stage_error};

    fn twice() -> Vec<TelemetryRecord> {
        vec![
            record("a", 1, &["x", "y"], &[1.0, f32::NAN]),
            record("b", 1, &["x", "y"], &[1.0, 2.0]),
            record("a", 1, &["y", "x"], &[f32::NAN, 1.0]),
            record("a", 1, &["x"], &[5.0]),
            record("a", 1, &["x", "y"], &[3.0, 4.0]),
            record("a", 2, &["x", "y"], &[3.0, 4.0]),
        ]
    }

    #[test]
    fn the_last_of_a_source_time_and_set_of_metrics_counts() {
        let applied = stage("kind = 'deduplicate'").apply(twice());
        let values: Vec<_> = applied.records.iter().map(|record| record.values.clone()).collect();
        assert_eq!(values, [vec![1.0, 2.0], vec![5.0], vec![3.0, 4.0], vec![3.0, 4.0]]);
        assert_eq!(applied.records_left_out, 2);
    }

    #[test]
    fn the_first_counts_where_that_is_configured_and_the_reasons_differ() {
        let applied = stage("kind = 'deduplicate'\nkeep = 'first'").apply(twice());
        assert_eq!(known(&applied.records[0]), [Some(1.0), None]);
        assert_eq!(applied.records.len(), 4);
        let told: Vec<String> = applied.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "source `a` at 1000 ms: the same record is there again",
                "source `a` at 1000 ms: another record of this time has other values, and counts",
            ]
        );
    }

    #[test]
    fn equal_records_of_two_tenants_are_two_records() {
        let record = record("a", 1, &["x"], &[1.0]);
        let applied = stage("kind = 'deduplicate'").apply(vec![record.clone(), of_tenant(&record, 2)]);
        assert_eq!(applied.records.len(), 2);
    }

    #[test]
    fn what_to_keep_is_first_or_last() {
        assert!(stage_error("kind = 'deduplicate'\nkeep = 'best'").contains("unknown variant `best`"));
        assert!(stage_error("kind = 'deduplicate'\nkept = 'last'").contains("unknown field `kept`"));
    }
}

//! Prioritise: when there are more records than can be used, the critical ones go first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use common::id::TenantId;
use ingest::record::{Origin, TelemetryRecord};
use serde::{Deserialize, Serialize};

use crate::applied::{Applied, Reason};
use crate::limits::RULES_MAX;
use crate::parameter::{Finite, Globs, Labels, OneTo};
use crate::shared::Once;

/// How many records can be used, and which are critical. Each tenant has this budget to itself. Within it, all is
/// left as it is; beyond it, the critical records come first, then the others, and the oldest are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prioritise {
    /// Records that can be used.
    pub budget: std::num::NonZeroU32,
    /// A record is critical when one of these rules holds.
    pub critical: OneTo<Rule, RULES_MAX>,
}

/// What makes a record critical: all conditions that are given hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its source matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Globs>,
    /// Its source has these labels.
    #[serde(default)]
    pub labels: Labels,
    /// A value of these metrics is known, and within what `above` and `below` say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Globs>,
    /// The value is over this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Finite>,
    /// The value is under this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Finite>,
}

impl Rule {
    fn matches_origin(&self, origin: &Origin) -> bool {
        let source = self.sources.as_ref().is_none_or(|globs| globs.match_name(&origin.source));
        source && self.labels.are_of(origin)
    }

    fn looks_at_values(&self) -> bool {
        self.metrics.is_some() || self.above.is_some() || self.below.is_some()
    }

    fn matches_value(&self, value: f32) -> bool {
        !value.is_nan()
            && self.above.is_none_or(|above| value > above.value())
            && self.below.is_none_or(|below| value < below.value())
    }
}

impl Prioritise {
    pub(super) fn apply(&self, records: Vec<TelemetryRecord>, out: &mut Applied) {
        let budget = self.budget.get() as usize;
        let mut tenants: BTreeMap<TenantId, Vec<usize>> = BTreeMap::new();
        for (index, record) in records.iter().enumerate() {
            tenants.entry(record.origin.tenant).or_default().push(index);
        }
        let mut kept = vec![true; records.len()];
        let mut first = vec![false; records.len()];
        for indices in tenants.into_values().filter(|indices| indices.len() > budget) {
            self.mark_critical(&records, &indices, &mut first);
            let mut ranked = indices;
            // Of one source and time, what came in last is the newest.
            ranked.sort_by_key(|&index| {
                let record = &records[index];
                (!first[index], Reverse(record.at), record.source(), Reverse(index))
            });
            ranked.into_iter().skip(budget).for_each(|index| kept[index] = false);
        }
        for (record, _) in records.iter().zip(&kept).filter(|(_, kept)| !**kept) {
            out.leave_out(record, Reason::OverBudget(budget));
        }
        let kept = records.into_iter().zip(first).zip(kept).filter(|(_, kept)| *kept);
        let (critical, others): (Vec<_>, Vec<_>) =
            kept.map(|(record, _)| record).partition(|(_, critical)| *critical);
        out.records = critical.into_iter().chain(others).map(|(record, _)| record).collect();
    }

    fn mark_critical(&self, records: &[TelemetryRecord], indices: &[usize], critical: &mut [bool]) {
        for rule in &*self.critical {
            let mut origins = Once::new();
            let mut columns = Once::new();
            for &index in indices {
                let record = &records[index];
                if critical[index] || !*origins.of(&record.origin, |origin| rule.matches_origin(origin)) {
                    continue;
                }
                let columns: &Vec<usize> = columns.of(&record.metrics, |names| {
                    let named = |name: &str| rule.metrics.as_ref().is_none_or(|globs| globs.match_name(name));
                    (0..names.len()).filter(|&column| named(&names[column])).collect()
                });
                let beyond = || columns.iter().any(|&column| rule.matches_value(record.values[column]));
                critical[index] = !rule.looks_at_values() || beyond();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ingest::record::TelemetryRecord;

    use crate::samples::{labelled, of_tenant, record, stage, stage_error};

    const HOT: &str = "kind = 'prioritise'\nbudget = 3\ncritical = [{ metrics = ['temp*'], above = 90 }]";

    /// Six records a second apart, of which those at 1 and 4 are hot.
    fn six() -> Vec<TelemetryRecord> {
        let temperature = |at| if at % 3 == 1 { 95.0 } else { 50.0 };
        (0..6).map(|at| record("a", at, &["load", "temp_c"], &[99.0, temperature(at)])).collect()
    }

    fn seconds(records: &[TelemetryRecord]) -> Vec<u64> {
        records.iter().map(|record| record.at.millis() / 1000).collect()
    }

    #[test]
    fn beyond_the_budget_the_critical_come_first_and_the_oldest_are_left_out() {
        let applied = stage(HOT).apply(six());
        assert_eq!(seconds(&applied.records), [1, 4, 5]);
        assert_eq!(applied.records_left_out, 3);
        let told = applied.left_out[0].to_string();
        assert_eq!(told, "source `a` at 0 ms: it is over the budget of 3 records");
    }

    #[test]
    fn of_too_many_critical_records_the_newest_are_kept() {
        let applied = stage("kind = 'prioritise'\nbudget = 2\ncritical = [{ sources = ['a'] }]").apply(six());
        assert_eq!(seconds(&applied.records), [4, 5]);
    }

    #[test]
    fn within_the_budget_the_order_is_left_as_it_is() {
        let applied = stage(&HOT.replace("= 3", "= 6")).apply(six());
        assert_eq!(seconds(&applied.records), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_records_of_one_tenant_take_nothing_from_the_budget_of_another() {
        let mut records = six();
        records.push(of_tenant(&record("a", 0, &["temp_c"], &[1.0]), 2));
        let applied = stage(HOT).apply(records);
        assert_eq!(seconds(&applied.records), [1, 4, 5, 0]);
    }

    #[test]
    fn labels_make_a_record_critical_and_a_missing_value_does_not() {
        let mut records = six();
        records[4].values[1] = f32::NAN;
        records[0] = labelled("a", "tier", "1", records[0].clone());
        let rules =
            "critical = [{ labels = { tier = '1' } }, { metrics = ['temp*'] , below = 200, above = 90 }]";
        let applied = stage(&format!("kind = 'prioritise'\nbudget = 3\n{rules}")).apply(records);
        assert_eq!(seconds(&applied.records), [0, 1, 5]);
    }

    #[test]
    fn a_budget_of_nothing_and_no_rules_are_refused() {
        assert!(stage_error(&HOT.replace("= 3", "= 0")).contains("nonzero"));
        assert!(stage_error("kind = 'prioritise'\nbudget = 1\ncritical = []").contains("the list is empty"));
    }
}

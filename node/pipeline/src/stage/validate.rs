//! Validate: values that break the schema become missing, or their records are left out.

use std::sync::Arc;

use common::model::MetricName;
use ingest::error::Shown;
use ingest::record::TelemetryRecord;
use serde::{Deserialize, Serialize};

use crate::applied::{Applied, Reason};
use crate::limits::{ALLOWED_MAX, RULES_MAX};
use crate::parameter::{Finite, Globs, OneTo};
use crate::shared::Once;
use crate::unit::Unit;

/// The schema of the records. A value that is missing breaks no rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// What becomes of a value that breaks a rule.
    #[serde(default)]
    pub on_fault: OnFault,
    /// Metrics that must be there, at least one for each pattern; a record that lacks one is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<Globs>,
    /// What values may be. All rules that match the name of a metric hold for it.
    #[serde(default, rename = "rule", skip_serializing_if = "Option::is_none")]
    pub rules: Option<OneTo<Rule, RULES_MAX>>,
}

/// What becomes of a value that breaks a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFault {
    /// It becomes missing.
    #[default]
    Missing,
    /// Its record is left out.
    Reject,
}

/// What the values of some metrics may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawRule")]
pub struct Rule {
    /// Which metrics.
    pub metrics: Globs,
    /// What their names must end in: a value under another name is of another unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// The least they may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Finite>,
    /// The most they may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Finite>,
    /// All that they may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<OneTo<Finite, ALLOWED_MAX>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    metrics: Globs,
    unit: Option<Unit>,
    min: Option<Finite>,
    max: Option<Finite>,
    allowed: Option<OneTo<Finite, ALLOWED_MAX>>,
}

/// A rule that no value can keep, or none can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The least is over the most.
    #[error("`min` is over `max`")]
    Backwards,
    /// No condition.
    #[error("a rule needs `unit`, `min`, `max` or `allowed`")]
    Nothing,
}

impl TryFrom<RawRule> for Rule {
    type Error = RuleError;

    fn try_from(raw: RawRule) -> Result<Self, RuleError> {
        let RawRule { metrics, unit, min, max, allowed } = raw;
        if unit.is_none() && min.is_none() && max.is_none() && allowed.is_none() {
            return Err(RuleError::Nothing);
        }
        if min.zip(max).is_some_and(|(min, max)| min > max) {
            return Err(RuleError::Backwards);
        }
        Ok(Self { metrics, unit, min, max, allowed })
    }
}

impl Rule {
    /// What is wrong with a value of this name.
    fn fault(&self, name: &str, value: f32) -> Option<Reason> {
        if let Some(unit) = self.unit.as_ref().filter(|unit| !unit.ends(name)) {
            return Some(Reason::OtherUnit(unit.clone().into()));
        }
        if let Some(min) = self.min.map(Finite::value).filter(|min| value < *min) {
            return Some(Reason::Under { value, min });
        }
        if let Some(max) = self.max.map(Finite::value).filter(|max| value > *max) {
            return Some(Reason::Over { value, max });
        }
        let allowed = self.allowed.as_ref()?;
        // Zero is zero, whatever its sign; no allowed value is NaN.
        let is_one = allowed.iter().any(|allowed| !(allowed.value() < value || allowed.value() > value));
        (!is_one).then_some(Reason::NotAllowed(value))
    }
}

/// What the schema says of records with the same names.
struct Layout<'s> {
    lacks: Option<Shown>,
    /// The rules of each column.
    rules: Vec<Vec<&'s Rule>>,
}

impl Validate {
    pub(super) fn apply(&self, mut records: Vec<TelemetryRecord>, out: &mut Applied) {
        let mut layouts = Once::new();
        records.retain_mut(|record| {
            let layout = layouts.of(&record.metrics, |names| self.layout(names));
            self.keeps(record, layout, out)
        });
        out.records = records;
    }

    fn layout(&self, names: &Arc<[MetricName]>) -> Layout<'_> {
        let required = self.required.as_deref().unwrap_or_default();
        let lacks = required.iter().find(|glob| !names.iter().any(|name| glob.matches(name)));
        let rules = self.rules.as_deref().unwrap_or_default();
        let of = |name: &MetricName| rules.iter().filter(|rule| rule.metrics.match_name(name)).collect();
        Layout {
            lacks: lacks.map(|glob| Shown::of(&glob.to_string())),
            rules: names.iter().map(of).collect(),
        }
    }

    fn keeps(&self, record: &mut TelemetryRecord, layout: &Layout<'_>, out: &mut Applied) -> bool {
        if let Some(lacks) = &layout.lacks {
            out.leave_out(record, Reason::Lacks(lacks.clone()));
            return false;
        }
        for (column, rules) in layout.rules.iter().enumerate() {
            let value = record.values[column];
            let name = &record.metrics[column];
            let known = rules.iter().filter(|_| !value.is_nan());
            let Some(reason) = known.into_iter().find_map(|rule| rule.fault(name, value)) else {
                continue;
            };
            match self.on_fault {
                OnFault::Reject => {
                    out.leave_out_for(record, name, reason);
                    return false;
                }
                OnFault::Missing => {
                    out.leave_value_out(record, name, || reason);
                    record.values[column] = f32::NAN;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{known, record, stage, stage_error};

    const RANGE: &str =
        "kind = 'validate'\nrule = [{ metrics = ['cpu*'], unit = 'percent', min = 0, max = 100 }]";

    #[test]
    fn a_value_out_of_its_range_or_unit_becomes_missing_and_is_told() {
        let values = [100.0, 100.5, -1.0, f32::INFINITY, f32::NAN];
        let records =
            (0..).zip(values).map(|(at, value)| record("a", at, &["cpu_percent", "x"], &[value, 7.0]));
        let mut records: Vec<_> = records.collect();
        records.push(record("a", 9, &["cpu_share"], &[0.5]));
        let applied = stage(RANGE).apply(records);
        let expected: [&[Option<f32>]; 6] = [
            &[Some(100.0), Some(7.0)],
            &[None, Some(7.0)],
            &[None, Some(7.0)],
            &[None, Some(7.0)],
            &[None, Some(7.0)],
            &[None],
        ];
        assert_eq!(applied.records.iter().map(known).collect::<Vec<_>>(), expected);
        let told: Vec<String> = applied.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "source `a` at 1000 ms, metric `cpu_percent`: 100.5 is over the maximum of 100",
                "source `a` at 2000 ms, metric `cpu_percent`: -1 is under the minimum of 0",
                "source `a` at 3000 ms, metric `cpu_percent`: inf is over the maximum of 100",
                "source `a` at 9000 ms, metric `cpu_share`: the name does not end in the unit `percent`",
            ]
        );
        assert_eq!((applied.values_left_out, applied.records_left_out), (4, 0));
    }

    #[test]
    fn a_record_with_a_bad_value_is_left_out_where_that_is_configured() {
        let strict = stage(&RANGE.replace("rule", "on_fault = 'reject'\nrule"));
        let applied = strict.apply(vec![
            record("a", 0, &["cpu_percent"], &[101.0]),
            record("a", 1, &["cpu_percent"], &[99.0]),
        ]);
        assert_eq!((applied.records.len(), applied.records_left_out, applied.values_left_out), (1, 1, 0));
    }

    #[test]
    fn only_listed_values_are_allowed() {
        let applied =
            stage("kind = 'validate'\nrule = [{ metrics = ['up'], allowed = [0, 1] }]").apply(vec![
                record("a", 0, &["up"], &[-0.0]),
                record("a", 1, &["up"], &[1.0]),
                record("a", 2, &["up"], &[0.5]),
            ]);
        assert_eq!(applied.records.iter().map(known).collect::<Vec<_>>(), [[Some(0.0)], [Some(1.0)], [None]]);
        assert!(applied.left_out[0].to_string().ends_with("0.5 is none of the allowed values"));
    }

    #[test]
    fn a_record_without_a_required_metric_is_left_out() {
        let applied = stage("kind = 'validate'\nrequired = ['cpu*', 'mem']").apply(vec![
            record("a", 0, &["cpu0", "mem"], &[1.0, f32::NAN]),
            record("a", 1, &["cpu0"], &[1.0]),
        ]);
        assert_eq!(applied.records.len(), 1);
        assert_eq!(applied.left_out[0].to_string(), "source `a` at 1000 ms: no metric `mem` is there");
    }

    #[test]
    fn a_rule_that_cannot_be_kept_or_broken_is_refused() {
        let error =
            |rule: &str| stage_error(&format!("kind = 'validate'\nrule = [{{ metrics = ['x'], {rule} }}]"));
        assert!(error("min = 2, max = 1").contains("`min` is over `max`"));
        assert!(error("").contains("a rule needs `unit`, `min`, `max` or `allowed`"));
        assert!(error("max = inf").contains("inf is not a finite number"));
        assert!(error("maximum = 1").contains("unknown field `maximum`"));
        assert!(error("allowed = []").contains("the list is empty"));
    }
}

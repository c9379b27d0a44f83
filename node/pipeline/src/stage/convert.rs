//! Convert: other units and names of metrics.

use std::collections::BTreeSet;
use std::sync::Arc;

use common::model::MetricName;
use ingest::error::Shown;
use ingest::record::TelemetryRecord;
use serde::{Deserialize, Serialize};

use crate::applied::{Applied, Reason};
use crate::limits::RULES_MAX;
use crate::parameter::{Globs, OneTo};
use crate::shared::Once;
use crate::unit::Unit;

/// How metrics become others. The first rule that matches a metric holds for it. A metric whose new name is taken
/// or too long is left out: under its old name, its values would be of another unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convert {
    /// The rules.
    #[serde(rename = "rule")]
    pub rules: OneTo<Rule, RULES_MAX>,
}

/// `value * factor + offset`, under another name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawRule")]
pub struct Rule {
    /// Which metrics.
    pub metrics: Globs,
    /// What each value is multiplied with.
    pub factor: f64,
    /// What is added then.
    pub offset: f64,
    /// Another unit at the end of the name; a metric whose name does not end in `from` is left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Units>,
    /// Another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One unit in place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// What the name ends in.
    pub from: Unit,
    /// What the new name ends in.
    pub to: Unit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    metrics: Globs,
    factor: Option<f64>,
    offset: Option<f64>,
    unit: Option<Units>,
    name: Option<String>,
}

/// A conversion that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not a number to calculate with.
    #[error("`factor` is finite and not 0, `offset` is finite")]
    Number,
    /// Two ways to the new name.
    #[error("a rule has `unit` or `name`, not both")]
    TwoNames,
    /// A name that no metric may have.
    #[error("`name` is empty or longer than {} bytes", common::limits::NAME_BYTES_MAX)]
    Name,
}

impl TryFrom<RawRule> for Rule {
    type Error = RuleError;

    fn try_from(raw: RawRule) -> Result<Self, RuleError> {
        let RawRule { metrics, factor, offset, unit, name } = raw;
        let (factor, offset) = (factor.unwrap_or(1.0), offset.unwrap_or(0.0));
        if !factor.is_finite() || factor.abs() < f64::MIN_POSITIVE || !offset.is_finite() {
            return Err(RuleError::Number);
        }
        if unit.is_some() && name.is_some() {
            return Err(RuleError::TwoNames);
        }
        if name.as_deref().is_some_and(|name| name.is_empty() || MetricName::try_from(name).is_err()) {
            return Err(RuleError::Name);
        }
        Ok(Self { metrics, factor, offset, unit, name })
    }
}

/// What becomes of one column.
enum Column {
    Same,
    Scaled { factor: f64, offset: f64 },
    LeftOut(Reason),
}

/// What becomes of records with the same names.
struct Layout {
    metrics: Arc<[MetricName]>,
    columns: Vec<Column>,
}

impl Rule {
    /// The new name; `None` when the rule is not for this metric.
    fn rename(&self, name: &str) -> Option<String> {
        if !self.metrics.match_name(name) {
            return None;
        }
        match (&self.unit, &self.name) {
            (Some(units), _) => units.from.replaced(name, &units.to),
            (None, Some(name)) => Some(name.clone()),
            (None, None) => Some(name.to_owned()),
        }
    }
}

impl Convert {
    pub(super) fn apply(&self, mut records: Vec<TelemetryRecord>, out: &mut Applied) {
        let mut layouts = Once::new();
        for record in &mut records {
            let layout = layouts.of(&record.metrics, |names| self.layout(names));
            let mut values = Vec::with_capacity(layout.metrics.len());
            for ((column, name), &value) in layout.columns.iter().zip(&*record.metrics).zip(&record.values) {
                match column {
                    Column::Same => values.push(value),
                    Column::Scaled { factor, offset } => {
                        let scaled = (f64::from(value) * factor + offset) as f32;
                        if value.is_finite() && !scaled.is_finite() {
                            out.leave_value_out(record, name, || Reason::TooLarge(value));
                        }
                        values.push(if scaled.is_finite() { scaled } else { f32::NAN });
                    }
                    Column::LeftOut(reason) if !value.is_nan() => {
                        out.leave_value_out(record, name, || reason.clone());
                    }
                    Column::LeftOut(_) => (),
                }
            }
            record.values = values;
            record.metrics = Arc::clone(&layout.metrics);
        }
        out.records = records;
    }

    fn layout(&self, names: &Arc<[MetricName]>) -> Layout {
        let rule = |name: &MetricName| self.rules.iter().find_map(|rule| Some((rule, rule.rename(name)?)));
        let rules: Vec<_> = names.iter().map(rule).collect();
        if rules.iter().all(Option::is_none) {
            return Layout {
                metrics: Arc::clone(names),
                columns: rules.iter().map(|_| Column::Same).collect(),
            };
        }
        let untouched = names.iter().zip(&rules).filter(|(_, rule)| rule.is_none());
        let mut taken: BTreeSet<String> = untouched.map(|(name, _)| name.to_string()).collect();
        let mut metrics = Vec::with_capacity(names.len());
        let mut columns = Vec::with_capacity(names.len());
        for (name, rule) in names.iter().zip(rules) {
            columns.push(match rule {
                None => {
                    metrics.push(name.clone());
                    Column::Same
                }
                Some((rule, new)) => match MetricName::try_from(new.as_str()) {
                    Err(_) => Column::LeftOut(Reason::NameTooLong(Shown::of(&new))),
                    Ok(_) if taken.contains(&new) => Column::LeftOut(Reason::NameTaken(Shown::of(&new))),
                    Ok(name) => {
                        metrics.push(name);
                        taken.insert(new);
                        Column::Scaled { factor: rule.factor, offset: rule.offset }
                    }
                },
            });
        }
        Layout { metrics: metrics.into(), columns }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::samples::{known, names, record, stage, stage_error};

    fn convert(rules: &str) -> crate::stage::Stage {
        stage(&format!("kind = 'convert'\nrule = [{rules}]"))
    }

    #[test]
    fn a_value_is_multiplied_and_moved_and_gets_the_name_of_its_new_unit() {
        let stage = convert(
            "{ metrics = ['*_f'], factor = 0.5555555555555556, offset = -17.77777777777778, unit = { from = 'f', to = 'c' } }",
        );
        let applied = stage.apply(vec![
            record("a", 0, &["temp_f{of=cpu}", "load"], &[212.0, 1.0]),
            record("a", 1, &["temp_f{of=cpu}", "load"], &[f32::NAN, 1.0]),
        ]);
        // Two records with names of their own: their patterns match only the part before the braces.
        assert_eq!(*applied.records[0].metrics, *names(&["temp_f{of=cpu}", "load"]));
        let stage = convert(
            "{ metrics = ['temp_f*'], factor = 0.5555555555555556, offset = -17.77777777777778, unit = { from = 'f', to = 'c' } }",
        );
        let applied = stage.apply(applied.records);
        assert_eq!(*applied.records[0].metrics, *names(&["temp_c{of=cpu}", "load"]));
        assert_eq!(applied.records[0].values, [100.0, 1.0]);
        assert_eq!(known(&applied.records[1]), [None, Some(1.0)]);
        assert_eq!(applied.values_left_out, 0);
    }

    #[test]
    fn a_rule_is_for_names_that_end_in_its_unit_only_and_the_first_holds() {
        let stage = convert(
            "{ metrics = ['*'], factor = 1024, unit = { from = 'kb', to = 'bytes' } }, { metrics = ['*'], factor = 2 }",
        );
        let applied = stage.apply(vec![record("a", 0, &["disk_kb", "load"], &[1.0, 3.0])]);
        assert_eq!(*applied.records[0].metrics, *names(&["disk_bytes", "load"]));
        assert_eq!(applied.records[0].values, [1024.0, 6.0]);
    }

    #[test]
    fn a_metric_whose_new_name_is_taken_is_left_out_and_told() {
        let stage = convert("{ metrics = ['a', 'b'], name = 'c' }");
        let applied = stage.apply(vec![record("s", 0, &["a", "b", "d"], &[1.0, 2.0, 3.0])]);
        assert_eq!(*applied.records[0].metrics, *names(&["c", "d"]));
        assert_eq!(applied.records[0].values, [1.0, 3.0]);
        let told = applied.left_out[0].to_string();
        assert_eq!(told, "source `s` at 0 ms, metric `b`: another metric has the new name `c`");
    }

    #[test]
    fn a_result_that_is_too_large_becomes_missing_and_a_long_name_is_left_out() {
        let applied =
            convert("{ metrics = ['x'], factor = 1e30 }").apply(vec![record("a", 0, &["x"], &[1e30])]);
        assert_eq!((known(&applied.records[0]), applied.values_left_out), (vec![None], 1));
        let long = "x".repeat(126) + "_s";
        let rule = "{ metrics = ['*'], factor = 1000, unit = { from = 's', to = 'ms' } }";
        let applied = convert(rule).apply(vec![record("a", 0, &[&long], &[1.0])]);
        assert_eq!((applied.records[0].values.len(), applied.values_left_out), (0, 1));
    }

    #[test]
    fn records_without_a_match_keep_and_share_their_names() {
        let one = record("a", 0, &["x"], &[1.0]);
        let applied = convert("{ metrics = ['y'], factor = 2 }").apply(vec![one.clone()]);
        assert!(Arc::ptr_eq(&applied.records[0].metrics, &one.metrics));
    }

    #[test]
    fn a_factor_of_nothing_or_two_new_names_are_refused() {
        let error =
            |rule: &str| stage_error(&format!("kind = 'convert'\nrule = [{{ metrics = ['x'], {rule} }}]"));
        assert!(error("factor = 0").contains("`factor` is finite and not 0"));
        assert!(error("name = 'y', unit = { from = 's', to = 'ms' }").contains("not both"));
        assert!(error("name = ''").contains("`name` is empty"));
        assert!(error("unit = { from = 's' }").contains("missing field `to`"));
    }
}

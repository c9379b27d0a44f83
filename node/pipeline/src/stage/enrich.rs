//! Enrich: labels for sources.

use std::sync::Arc;

use ingest::record::{Origin, TelemetryRecord};
use serde::{Deserialize, Serialize};

use crate::applied::Applied;
use crate::limits::RULES_MAX;
use crate::parameter::{Globs, Labels, OneTo};
use crate::shared::Once;

/// Which sources get which labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrich {
    /// All rules that match a source hold for it; of two labels of one name, the later rule's stays.
    #[serde(rename = "rule")]
    pub rules: OneTo<Rule, RULES_MAX>,
}

/// Labels for some sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which sources.
    pub sources: Globs,
    /// What is known of them.
    pub labels: Labels,
}

impl Enrich {
    pub(super) fn apply(&self, mut records: Vec<TelemetryRecord>, out: &mut Applied) {
        let mut origins = Once::new();
        for record in &mut records {
            record.origin = Arc::clone(origins.of(&record.origin, |origin| self.enriched(origin)));
        }
        out.records = records;
    }

    /// The origin itself when no label is new to it.
    fn enriched(&self, origin: &Arc<Origin>) -> Arc<Origin> {
        let mut labels = origin.labels.clone();
        for rule in self.rules.iter().filter(|rule| rule.sources.match_name(&origin.source)) {
            labels.extend(rule.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        if labels == origin.labels {
            return Arc::clone(origin);
        }
        Arc::new(Origin { tenant: origin.tenant, source: origin.source.clone(), labels })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::samples::{record, stage, stage_error};

    const RACKS: &str = "kind = 'enrich'\n\
        rule = [{ sources = ['web-*'], labels = { role = 'web', rack = 'r1' } }, { sources = ['web-2'], labels = { rack = 'r2' } }]";

    #[test]
    fn labels_are_added_by_source_and_the_later_rule_stays() {
        let sources = ["web-1", "web-2", "db-1"];
        let applied =
            stage(RACKS).apply(sources.iter().map(|source| record(source, 0, &["x"], &[1.0])).collect());
        let racks: Vec<_> = applied
            .records
            .iter()
            .map(|record| record.origin.labels.get("rack").map(|rack| &**rack))
            .collect();
        assert_eq!(racks, [Some("r1"), Some("r2"), None]);
        assert_eq!(applied.records[1].origin.labels.len(), 2);
        assert_eq!(applied.records_left_out, 0);
    }

    #[test]
    fn records_of_one_origin_share_the_new_one_and_without_news_keep_theirs() {
        let one = record("web-1", 0, &["x"], &[1.0]);
        let other = record("db-1", 0, &["x"], &[1.0]);
        let applied = stage(RACKS).apply(vec![one.clone(), one, other.clone()]);
        assert!(Arc::ptr_eq(&applied.records[0].origin, &applied.records[1].origin));
        assert!(Arc::ptr_eq(&applied.records[2].origin, &other.origin));
    }

    #[test]
    fn a_label_without_a_name_is_refused() {
        let error = stage_error("kind = 'enrich'\nrule = [{ sources = ['a'], labels = { '' = 'x' } }]");
        assert!(error.contains("the name of a label is empty"), "{error}");
    }
}

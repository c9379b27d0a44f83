//! What people decide about alarms, and what follows from it.
//!
//! - *Refuted*: such scores are healthy. From then on the threshold of that source is at least the highest score of the
//!   alarm. It is the source's and not the node's: what is usual on one machine says nothing of another one. It holds for
//!   later models too, because a score counts in spreads of the errors of its own model. There is no margin above it: of
//!   alarms of a kind, whatever their distribution, the next is higher than all before it ever more rarely (Rényi 1962, on
//!   records), and a margin would hide faults by an assumption about scores that nobody has seen.
//! - *Confirmed*: it was a fault. Its records teach nothing: they are left out of training and calibration, as a gap in
//!   time is.

use std::collections::BTreeMap;
use std::fmt;

use ingest::record::TelemetryRecord;
use serde::{Deserialize, Serialize};

use super::alarm::Alarm;

/// Decisions that are kept; those on the oldest alarms go first.
const LABELS_MAX: usize = 10_000;

/// What somebody decided about an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It was a fault.
    Confirmed,
    /// Nothing was wrong.
    Refuted,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirmed => "confirmed",
            Self::Refuted => "refuted",
        })
    }
}

/// A decision, with what must be known of its alarm when the events are no longer kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// What was decided.
    pub decision: Decision,
    /// When, in milliseconds since 1970.
    pub decided_ms: u64,
    source: String,
    since_ms: u64,
    until_ms: u64,
    peak: f64,
}

/// The decisions of a node, by alarm; of two about one the last counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Labels(BTreeMap<u64, Label>);

/// Records of a source from a time to another, both among them, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    source: String,
    from_ms: u64,
    to_ms: u64,
}

impl Stretch {
    /// Whether a record lies in it.
    pub fn has(&self, record: &TelemetryRecord) -> bool {
        record.source() == self.source && (self.from_ms..=self.to_ms).contains(&record.at.millis())
    }
}

impl Labels {
    /// Notes a decision about an alarm; gives the one that stood before.
    pub fn set(&mut self, alarm: &Alarm, decision: Decision, decided_ms: u64) -> Option<Decision> {
        let Alarm { id, ref source, since_ms, until_ms, peak, .. } = *alarm;
        let label = Label { decision, decided_ms, source: source.clone(), since_ms, until_ms, peak };
        let before = self.0.insert(id, label).map(|label| label.decision);
        while self.0.len() > LABELS_MAX {
            self.0.pop_first();
        }
        before
    }

    /// Says with each alarm what was decided about it, and with each decision what is known of its alarm by now.
    pub fn join(&mut self, alarms: &mut BTreeMap<u64, Alarm>) {
        for (id, label) in &mut self.0 {
            let Some(alarm) = alarms.get_mut(id) else { continue };
            alarm.label = Some(label.decision);
            label.peak = label.peak.max(alarm.peak);
            // One that lasts has no end yet.
            label.until_ms = if alarm.open { u64::MAX } else { label.until_ms.max(alarm.until_ms) };
        }
    }

    /// The highest refuted score of each source that has one: no score up to it is unusual there.
    pub fn refuted(&self) -> BTreeMap<String, f64> {
        let mut highest: BTreeMap<String, f64> = BTreeMap::new();
        for label in self.of(Decision::Refuted) {
            let known = highest.entry(label.source.clone()).or_insert(label.peak);
            *known = known.max(label.peak);
        }
        highest
    }

    /// What was confirmed: nothing is learned from it.
    pub fn confirmed(&self) -> Vec<Stretch> {
        let stretch = |label: &Label| Stretch {
            source: label.source.clone(),
            from_ms: label.since_ms,
            to_ms: label.until_ms,
        };
        self.of(Decision::Confirmed).map(stretch).collect()
    }

    fn of(&self, decision: Decision) -> impl Iterator<Item = &Label> {
        self.0.values().filter(move |label| label.decision == decision)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::id::TenantId;
    use common::units::Timestamp;
    use ingest::record::Origin;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::super::alarm::samples::event;
    use super::super::alarm::{AlarmPolicy, Change, Seen, Watch, alarms};
    use super::*;

    fn known() -> BTreeMap<u64, Alarm> {
        alarms([
            event(1, Change::Raised, "a", [10, 12], 3.0),
            event(1, Change::Recovered, "a", [10, 20], 5.0),
            event(2, Change::Raised, "a", [40, 42], 4.0),
            event(3, Change::Raised, "b", [40, 42], 2.0),
        ])
    }

    fn record(source: &str, at_ms: u64) -> TelemetryRecord {
        let origin = Origin::new(TenantId::default(), source);
        TelemetryRecord {
            origin,
            at: Timestamp::from_millis(at_ms),
            metrics: Arc::new([]),
            values: Vec::new(),
        }
    }

    #[test]
    fn what_is_refuted_is_usual_for_its_source_and_the_last_decision_counts() {
        let (mut labels, alarms) = (Labels::default(), known());
        assert_eq!(labels.set(&alarms[&1], Decision::Refuted, 7), None);
        labels.set(&alarms[&2], Decision::Refuted, 8);
        labels.set(&alarms[&3], Decision::Refuted, 8);
        assert_eq!(labels.refuted(), BTreeMap::from([("a".to_owned(), 5.0), ("b".to_owned(), 2.0)]));
        assert_eq!(labels.set(&alarms[&1], Decision::Confirmed, 9), Some(Decision::Refuted));
        assert_eq!(labels.refuted()["a"].to_bits(), 4.0_f64.to_bits());
        assert_eq!(labels.confirmed().len(), 1);
    }

    #[test]
    fn what_is_confirmed_is_left_out_from_its_first_record_to_its_last() {
        let (mut labels, mut alarms) = (Labels::default(), known());
        labels.set(&alarms[&1], Decision::Confirmed, 7);
        let [stretch] = &labels.confirmed()[..] else { panic!("one") };
        for (source, at_ms, is_in) in
            [("a", 9, false), ("a", 10, true), ("a", 20, true), ("a", 21, false), ("b", 15, false)]
        {
            assert_eq!(stretch.has(&record(source, at_ms)), is_in, "{source} {at_ms}");
        }
        // One that lasts has no end, until it is known.
        labels.set(&alarms[&2], Decision::Confirmed, 7);
        labels.join(&mut alarms);
        assert!(labels.confirmed()[1].has(&record("a", 1_000_000)));
        assert_eq!(
            [1, 2, 3].map(|id| alarms[&id].label),
            [Some(Decision::Confirmed), Some(Decision::Confirmed), None]
        );
        let text = serde_json::to_string(&labels).unwrap();
        assert_eq!(serde_json::from_str::<Labels>(&text).unwrap(), labels);
    }

    #[test]
    fn what_is_known_of_an_alarm_later_counts_for_what_was_decided_before() {
        let mut alarms = known();
        let mut labels = Labels::default();
        labels.set(&alarms[&2], Decision::Refuted, 7);
        alarms.extend(super::super::alarm::alarms([event(2, Change::Recovered, "a", [40, 50], 9.0)]));
        labels.join(&mut alarms);
        assert_eq!(labels.refuted()["a"].to_bits(), 9.0_f64.to_bits());
    }

    /// Alarms of a source that is disturbed once a night, each time by chance as much as it may be, and all are refuted.
    fn told_in(nights: u64, seed: u64) -> usize {
        let random = &mut ChaCha20Rng::seed_from_u64(seed);
        let (mut watch, mut next_id, policy) = (Watch::default(), 1, AlarmPolicy::default());
        let mut labels = Labels::default();
        for night in 0..nights {
            let height = (2.0 + random.random_range(0.0..1.0_f64)).exp();
            let mut told = Vec::new();
            for (minute, share) in (0..).zip([0.5, 0.8, 0.9, 1.0, 0.9, 0.7, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0]) {
                let threshold = labels.refuted().get("").map_or(1.0, |refuted| refuted.max(1.0));
                let seen = Seen { at_ms: (night * 1440 + minute) * 60_000, score: height * share, threshold };
                told.extend(watch.observe(seen, &policy, &mut next_id));
            }
            for alarm in alarms(told).values() {
                labels.set(alarm, Decision::Refuted, 7);
            }
        }
        labels.0.len()
    }

    #[test]
    fn what_comes_every_night_and_is_always_refuted_is_told_ever_more_rarely() {
        let told: Vec<usize> = (0..20).map(|seed| told_in(365, seed)).collect();
        let mean = told.iter().sum::<usize>() as f64 / told.len() as f64;
        // Of so many numbers by chance so many are higher than all before them.
        let records: f64 = (1..=365).map(|night| 1.0 / f64::from(night)).sum();
        assert!((1.0..records).contains(&mean), "{mean} of {records}: {told:?}");
    }

    #[test]
    fn decisions_are_bounded_in_number() {
        let (mut labels, alarms) = (Labels::default(), known());
        for id in 0..=LABELS_MAX as u64 {
            labels.set(&Alarm { id, ..alarms[&1].clone() }, Decision::Refuted, 7);
        }
        assert_eq!((labels.0.len(), labels.0.first_key_value().map(|(id, _)| *id)), (LABELS_MAX, Some(1)));
    }
}

//! Alarms as events: raised when some records in a row are above the threshold, worsened when one is far above it,
//! recovered when some in a row are not.
//!
//! One [`Watch`] for each source takes its scores in the order of time. While an alarm lasts nothing is said of it again
//! unless it gets more severe, and a source that has just had one is quiet for a while.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Reasons;
use super::label::Decision;

/// When scores become events: `[alarms]` in node.toml.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlarmPolicy {
    /// An alarm is raised after so many records in a row above the threshold.
    pub raise_after: u32,
    /// And is over after so many in a row that are not.
    pub recover_after: u32,
    /// A score above so many thresholds is critical.
    pub critical_factor: f64,
    /// Seconds, by the times of the records, after an alarm was raised in which no other one of its source is.
    pub silence_s: u64,
    /// Metrics that are named as its reason.
    pub because_max: usize,
}

impl Default for AlarmPolicy {
    fn default() -> Self {
        Self { raise_after: 3, recover_after: 5, critical_factor: 4.0, silence_s: 600, because_max: 3 }
    }
}

/// How bad an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Above the threshold.
    Warning,
    /// Far above it.
    Critical,
}

/// What happened to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It began.
    Raised,
    /// It is critical now.
    Worsened,
    /// It is over.
    Recovered,
    /// Its source made room for others before it was over.
    Lost,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raised => "raised",
            Self::Worsened => "worsened",
            Self::Recovered => "recovered",
            Self::Lost => "lost",
        })
    }
}

/// A metric with a part of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub metric: String,
    /// The parts of all metrics add up to the score.
    pub score: f64,
    /// Of the whole score: at most 1, unless what another metric has is negative.
    pub share: f64,
}

/// Why an alarm is one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The metrics with the largest parts of the score, the largest first.
    pub because: Vec<Part>,
    /// Those whose values, of the record and of those before it, have the largest, by integrated gradients.
    #[serde(default)]
    pub attributed: Vec<Part>,
}

impl Why {
    /// Of reasons so many metrics at most, none that has nothing.
    pub fn of<'m>(metrics: impl Iterator<Item = &'m str> + Clone, reasons: &Reasons, most: usize) -> Self {
        let because = largest(metrics.clone(), reasons.first(), most);
        Self { because, attributed: largest(metrics, &reasons.attributions, most) }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.because.is_empty() && self.attributed.is_empty()
    }
}

/// As people read it: `, cpu 61 %, disk 20 %; by values cpu 50 %, net 30 %`.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { because, attributed } = self;
        let text = |part: &Part| format!("{} {} %", part.metric, (100.0 * part.share).round());
        let list = |parts: &[Part]| parts.iter().map(text).collect::<Vec<_>>().join(", ");
        if !because.is_empty() {
            write!(f, ", {}", list(because))?;
        }
        if attributed.is_empty() || attributed == because {
            return Ok(());
        }
        write!(f, "; by values {}", list(attributed))
    }
}

fn largest<'m>(metrics: impl Iterator<Item = &'m str>, of: &[f64], most: usize) -> Vec<Part> {
    let whole: f64 = of.iter().sum();
    let mut parts: Vec<(&str, f64)> =
        metrics.zip(of.iter().copied()).filter(|(_, score)| *score > 0.0).collect();
    parts.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(other.0)));
    parts.truncate(most);
    let part = |(metric, score): (&str, f64)| Part { metric: metric.to_owned(), score, share: score / whole };
    parts.into_iter().map(part).collect()
}

/// One change of one alarm; says all that is known of it, so that none needs another to be understood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The alarm, counted from 1 in each node's folder.
    pub id: u64,
    /// What happened to it.
    pub event: Change,
    /// How bad it is, or was at its worst.
    pub severity: Severity,
    /// Whose record was unusual.
    pub source: String,
    /// Time of the record at which this happened, in milliseconds since 1970.
    pub at_ms: u64,
    /// Time of the first record above the threshold.
    pub since_ms: u64,
    /// Time of the last one.
    pub until_ms: u64,
    /// Score of the record at which this happened.
    pub score: f64,
    /// The highest score of the alarm so far.
    pub peak: f64,
    /// Scores above this are unusual.
    pub threshold: f64,
    /// Alarms of this source that were not raised before this one, because of the one before.
    pub suppressed: u32,
    /// Why, when it was raised or worsened.
    #[serde(flatten)]
    pub why: Why,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, event, severity, source, at_ms, score, threshold, why, .. } = self;
        write!(f, "alarm {id} {event}: {severity}, {source} at {at_ms} ms, ")?;
        write!(f, "score {score:.3} (threshold {threshold:.3}){why}")
    }
}

/// What is known of the alarms of one source: all that the next event depends on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Records in a row above the threshold without an alarm, and the first of them.
    above: u32,
    since_ms: u64,
    peak: f64,
    /// No alarm is raised before.
    quiet_until_ms: u64,
    suppressed: u32,
    open: Option<Open>,
}

/// An alarm that lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    id: u64,
    severity: Severity,
    since_ms: u64,
    until_ms: u64,
    peak: f64,
    threshold: f64,
    suppressed: u32,
    /// Records in a row that are not above the threshold.
    below: u32,
}

/// A record of a source, scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// When it was measured, in milliseconds since 1970.
    pub at_ms: u64,
    /// How unusual it is.
    pub score: f64,
    /// What its source's scores rarely exceed.
    pub threshold: f64,
}

impl Watch {
    /// What comes of the next record. A new alarm takes its number from `next_id`. The event says neither source nor reason.
    pub fn observe(&mut self, seen: Seen, policy: &AlarmPolicy, next_id: &mut u64) -> Option<Event> {
        let change = match &mut self.open {
            Some(open) => open.observe(seen, policy),
            None => self.raise(seen, policy, next_id).then_some(Change::Raised),
        }?;
        let event = self.open.as_ref().map(|open| open.event(change, seen));
        if change == Change::Recovered {
            self.open = None;
        }
        event
    }

    /// Ends the alarm of a source that is not watched any longer, if one lasts.
    pub fn lose(&mut self) -> Option<Event> {
        let open = self.open.take()?;
        let Open { until_ms, peak, threshold, .. } = open;
        Some(open.event(Change::Lost, Seen { at_ms: until_ms, score: peak, threshold }))
    }

    /// Whether an alarm lasts.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    fn raise(
        &mut self,
        Seen { at_ms, score, threshold }: Seen,
        policy: &AlarmPolicy,
        next_id: &mut u64,
    ) -> bool {
        if score <= threshold {
            // What ends here would have been an alarm, had its source not been quiet.
            self.suppressed += u32::from(self.above >= policy.raise_after);
            self.above = 0;
            return false;
        }
        if self.above == 0 {
            (self.since_ms, self.peak) = (at_ms, score);
        }
        self.above = self.above.saturating_add(1);
        self.peak = self.peak.max(score);
        if self.above < policy.raise_after || at_ms < self.quiet_until_ms {
            return false;
        }
        self.open = Some(Open {
            id: *next_id,
            severity: severity(score, threshold, policy),
            since_ms: self.since_ms,
            until_ms: at_ms,
            peak: self.peak,
            threshold,
            suppressed: std::mem::take(&mut self.suppressed),
            below: 0,
        });
        *next_id += 1;
        self.above = 0;
        self.quiet_until_ms = at_ms.saturating_add(policy.silence_s.saturating_mul(1000));
        true
    }
}

fn severity(score: f64, threshold: f64, policy: &AlarmPolicy) -> Severity {
    // A multiple of nothing says nothing: a load may be foreseen below its mean.
    let is_far = threshold > 0.0 && score > threshold * policy.critical_factor;
    if is_far { Severity::Critical } else { Severity::Warning }
}

impl Open {
    fn observe(&mut self, Seen { at_ms, score, threshold }: Seen, policy: &AlarmPolicy) -> Option<Change> {
        self.peak = self.peak.max(score);
        if score <= threshold {
            self.below += 1;
            return (self.below >= policy.recover_after).then_some(Change::Recovered);
        }
        (self.below, self.until_ms, self.threshold) = (0, at_ms, threshold);
        let before = self.severity;
        self.severity = before.max(severity(score, threshold, policy));
        (self.severity > before).then_some(Change::Worsened)
    }

    fn event(&self, event: Change, Seen { at_ms, score, threshold }: Seen) -> Event {
        let Self { id, severity, since_ms, until_ms, peak, suppressed, .. } = *self;
        let (source, why) = (String::new(), Why::default());
        Event {
            id,
            event,
            severity,
            source,
            at_ms,
            since_ms,
            until_ms,
            score,
            peak,
            threshold,
            suppressed,
            why,
        }
    }
}

/// An alarm, as its events tell it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// Its number.
    pub id: u64,
    /// What happened to it last.
    pub event: Change,
    /// Whether it lasts.
    pub open: bool,
    /// How bad it was at its worst.
    pub severity: Severity,
    /// Whose records were unusual.
    pub source: String,
    /// Time of the first record above the threshold, in milliseconds since 1970.
    pub since_ms: u64,
    /// Time of the last one that an event knows of.
    pub until_ms: u64,
    /// Time of the record at which it was raised; missing when that event is no longer kept.
    pub raised_ms: Option<u64>,
    /// Time of the record at which it became critical, if it did not begin so.
    pub worsened_ms: Option<u64>,
    /// Time of the record at which it was over.
    pub recovered_ms: Option<u64>,
    /// The highest score that an event knows of.
    pub peak: f64,
    /// Scores above this were unusual when it was raised.
    pub threshold: f64,
    /// Alarms of this source that were not raised before this one.
    pub suppressed: u32,
    /// Why, at its worst.
    #[serde(flatten)]
    pub why: Why,
    /// What somebody decided, if somebody did.
    pub label: Option<Decision>,
}

/// The alarms of these events, which are in their order; one that is told twice counts once.
pub fn alarms(events: impl IntoIterator<Item = Event>) -> BTreeMap<u64, Alarm> {
    let mut alarms: BTreeMap<u64, Alarm> = BTreeMap::new();
    for event in events {
        let Event { id, event: change, severity, source, at_ms, since_ms, until_ms, peak, threshold, .. } =
            event;
        let alarm = alarms.entry(id).or_insert_with(|| Alarm {
            id,
            event: change,
            open: true,
            severity,
            source,
            since_ms,
            until_ms,
            raised_ms: None,
            worsened_ms: None,
            recovered_ms: None,
            peak,
            threshold,
            suppressed: event.suppressed,
            why: Why::default(),
            label: None,
        });
        alarm.event = change;
        alarm.open &= matches!(change, Change::Raised | Change::Worsened);
        alarm.severity = alarm.severity.max(severity);
        alarm.until_ms = alarm.until_ms.max(until_ms);
        alarm.peak = alarm.peak.max(peak);
        if !event.why.is_empty() {
            alarm.why = event.why;
        }
        match change {
            Change::Raised => alarm.raised_ms = Some(at_ms),
            Change::Worsened => alarm.worsened_ms = Some(at_ms),
            Change::Recovered => alarm.recovered_ms = Some(at_ms),
            Change::Lost => (),
        }
    }
    alarms
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, event, severity, source, since_ms, until_ms, peak, threshold, why, .. } = self;
        write!(f, "{id} {event} {severity} {source}: {since_ms} to {until_ms} ms, ")?;
        write!(f, "score up to {peak:.3} (threshold {threshold:.3}){why}")?;
        self.label.map_or(Ok(()), |decision| write!(f, "; {decision}"))
    }
}

#[cfg(test)]
pub(crate) mod samples {
    //! Events that nobody scored for.

    use super::*;

    /// Of an alarm from the first time to the last.
    pub(crate) fn event(
        id: u64,
        change: Change,
        source: &str,
        [since_ms, until_ms]: [u64; 2],
        peak: f64,
    ) -> Event {
        let (severity, threshold, suppressed, below) = (Severity::Warning, 1.0, 0, 0);
        let open = Open { id, severity, since_ms, until_ms, peak, threshold, suppressed, below };
        let event = open.event(change, Seen { at_ms: until_ms, score: peak, threshold });
        Event { source: source.to_owned(), ..event }
    }
}

#[cfg(test)]
mod tests;

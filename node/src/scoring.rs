//! Scoring as it comes: new records go through the model that the node keeps, and what is unusual becomes an alarm.
//!
//! The order is that of time for each source, and each record is scored once, also over a restart. Records that were there
//! before the first model are not scored: it was calibrated with them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use common::units::{Millis, Timestamp};
use ingest::record::TelemetryRecord;

use crate::alarms::{self, Decided, Log, State};
use crate::detect::alarm::{Change, Event, Seen, Why};
use crate::detect::drift;
use crate::detect::stream::SOURCES_MAX;
use crate::detect::{AlarmPolicy, Streams, Verdict};
use crate::drift::Watching;
use crate::kept::{Newest, RunNote};
use crate::telemetry::{Fresh, Telemetry};

/// Without an event, what was scored is noted this often: a node that is killed scores at most so much again, to the same
/// scores.
const NOTED: Millis = Millis(60_000);

/// Stages that look at several records go over all that are kept, and so are asked no more often.
const STAGED: Millis = Millis(10_000);

/// How far ahead of this machine's clock a record may be.
const AHEAD_MAX: Millis = Millis(24 * 3_600_000);

/// All that scoring knows.
pub struct Scoring {
    dir: PathBuf,
    policy: AlarmPolicy,
    newest: Newest,
    drift: Watching,
    streams: Option<Streams>,
    log: Log,
    state: State,
    /// What happened and is not yet written.
    events: Vec<Event>,
    /// When the latest look began.
    now: Timestamp,
    /// When the state was written last.
    noted: Timestamp,
    /// Records up to here were looked at.
    place: u64,
    /// When all of them were.
    staged_at: Timestamp,
    /// Which decisions are heeded, and the highest score of each source that was refuted.
    decided: Option<Decided>,
    refuted: BTreeMap<String, f64>,
    /// Sources that cannot be scored, and were told.
    told: BTreeSet<String>,
    scored: u64,
    late: u64,
}

impl Scoring {
    /// Opens what the folder has of alarms; nothing is scored before there is a model.
    ///
    /// # Errors
    ///
    /// Names the file and what is wrong with it.
    pub fn open(dir: &Path, policy: AlarmPolicy, newest: Newest, drift: Watching) -> Result<Self> {
        let (log, state) = Log::open(dir)?;
        let mut scoring = Self {
            dir: dir.to_owned(),
            policy,
            newest,
            drift,
            streams: None,
            log,
            state,
            events: Vec::new(),
            now: Timestamp::default(),
            noted: Timestamp::default(),
            place: 0,
            staged_at: Timestamp::default(),
            decided: None,
            refuted: BTreeMap::new(),
            told: BTreeSet::new(),
            scored: 0,
            late: 0,
        };
        scoring.heed(alarms::decided(dir))?;
        Ok(scoring)
    }

    /// Scores what is new. Telemetry is held only while records are taken from it.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be written; what was scored is then scored again by a node that starts again.
    pub fn look(&mut self, telemetry: &Mutex<Telemetry>, now: Timestamp) -> Result<()> {
        let decided = alarms::decided(&self.dir);
        if decided != self.decided {
            self.heed(decided)?;
        }
        self.now = now;
        if let Some((detector, note)) = self.newest.take() {
            self.streams = Some(Streams::new(detector)?);
            self.begin(telemetry, &note);
            tracing::info!(
                "records are scored by the model of run {} after {} rounds",
                note.run,
                note.rounds
            );
        }
        if self.streams.is_none() {
            return Ok(());
        }
        while let Some(fresh) = self.fresh(telemetry) {
            self.score_in_order(fresh);
        }
        let is_quiet = self.events.is_empty() && !self.drift.has_news();
        if is_quiet && now < self.noted + NOTED { Ok(()) } else { self.note(now) }
    }

    /// Makes durable what was scored, and tells how much that was: for who ends.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn close(&mut self, now: Timestamp) -> Result<()> {
        if self.streams.is_none() {
            return Ok(());
        }
        tracing::info!("{} records were scored; {} came too late for that", self.scored, self.late);
        self.note(now)
    }

    fn heed(&mut self, decided: Option<Decided>) -> Result<()> {
        // What cannot be read is told once; what was decided before holds until then.
        self.decided = decided;
        self.refuted = alarms::known(&self.dir)?.1.refuted();
        Ok(())
    }

    /// Makes durable what was scored and what came of it, and tells that.
    fn note(&mut self, now: Timestamp) -> Result<()> {
        self.drift.write()?;
        self.log.write(&mut self.state, &self.events)?;
        let events = std::mem::take(&mut self.events);
        for event in &events {
            match event.event {
                Change::Raised | Change::Worsened => tracing::warn!("{event}"),
                Change::Recovered | Change::Lost => tracing::info!("{event}"),
            }
        }
        self.noted = now;
        // What is known of a refuted alarm has grown.
        if events.is_empty() || self.refuted.is_empty() { Ok(()) } else { self.heed(self.decided) }
    }

    /// A new model sees of each source what its next score depends on, up to the last record that was scored; what came
    /// after that is scored.
    fn begin(&mut self, telemetry: &Mutex<Telemetry>, note: &RunNote) {
        let mut telemetry = telemetry.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = self.staged(&mut telemetry);
        let Some(streams) = &self.streams else { return };
        let history = sources.iter().map(|(source, all)| &all[..scored(&self.state, source, all)]);
        self.drift.begin(note, streams.detector(), history);
        let (seen, fresh) = parted(&self.state, &sources, streams.detector().run_up());
        drop(telemetry);
        let began = std::mem::replace(&mut self.state.began, true);
        for record in seen {
            if self.verdict(&record).is_some() && !began {
                self.state.watched(record.source()).0.scored_to_micros = record.at.0;
            }
        }
        self.score_in_order(fresh);
    }

    /// Records that were not scored, if there are any.
    fn fresh(&mut self, telemetry: &Mutex<Telemetry>) -> Option<Vec<TelemetryRecord>> {
        let mut telemetry = telemetry.lock().unwrap_or_else(PoisonError::into_inner);
        if !telemetry.is_settled() {
            let is_due = self.now >= self.staged_at + STAGED && telemetry.end() > self.place;
            return is_due.then(|| {
                let sources = self.staged(&mut telemetry);
                parted(&self.state, &sources, 0).1
            });
        }
        let Fresh { records, next, missed } = telemetry.since(self.place)?;
        self.place = next;
        if missed > 0 {
            tracing::warn!(
                "{missed} records were never scored: they made room for newer ones first; set `telemetry.records_max` higher"
            );
        }
        Some(records)
    }

    /// All records after the stages, by source and in the order of time.
    fn staged<'t>(&mut self, telemetry: &'t mut Telemetry) -> BTreeMap<&'t str, Vec<&'t TelemetryRecord>> {
        (self.place, self.staged_at) = (telemetry.end(), self.now);
        let is_settled = telemetry.is_settled();
        by_source(telemetry.records().0, is_settled)
    }

    fn score_in_order(&mut self, mut records: Vec<TelemetryRecord>) {
        records.sort_by_key(|record| record.at);
        let late = self.late;
        for record in records {
            match self.verdict(&record) {
                Some(Verdict::Late) => self.late += 1,
                Some(verdict) => self.watch(&record, verdict),
                None => (),
            }
        }
        if late == 0 && self.late > 0 {
            tracing::info!(
                "{} records are older than what was scored of their source, and are not scored; later ones are counted, \
                 and told at the end",
                self.late
            );
        }
    }

    /// `None` for a record that cannot be scored, which is told once for each source.
    fn verdict(&mut self, record: &TelemetryRecord) -> Option<Verdict> {
        let streams = self.streams.as_mut()?;
        let source = record.source();
        let reason = if record.at > self.now + AHEAD_MAX {
            // After it, none of its source would be scored until its time has come.
            format!(
                "a record of source `{source}` is more than a day ahead of this machine's clock, and is not scored"
            )
        } else {
            match streams.score(record) {
                Ok(verdict) => return Some(verdict),
                Err(error) => {
                    format!("{error}: it is not scored; the model needs all metrics that its run names")
                }
            }
        };
        if self.told.len() == SOURCES_MAX {
            self.told.clear();
        }
        if self.told.insert(source.to_owned()) {
            tracing::warn!("{reason}");
        }
        None
    }

    fn watch(&mut self, record: &TelemetryRecord, verdict: Verdict) {
        let Some(streams) = &self.streams else { return };
        let seen = drift::Seen { at: record.at, row: streams.row(), score: verdict.score() };
        self.drift.observe(seen);
        let source = record.source();
        let (watched, next_id, lost) = self.state.watched(source);
        self.events.extend(lost);
        watched.scored_to_micros = watched.scored_to_micros.max(record.at.0);
        let Some(score) = verdict.score() else { return };
        self.scored += 1;
        let calibrated = streams.detector().threshold().0;
        let threshold = self.refuted.get(source).map_or(calibrated, |refuted| calibrated.max(*refuted));
        let seen = Seen { at_ms: record.at.millis(), score, threshold };
        let Some(event) = watched.watch.observe(seen, &self.policy, next_id) else { return };
        let metrics = streams.detector().metrics().map(|name| &**name);
        let why = match event.event {
            Change::Raised | Change::Worsened => {
                let reasons = streams
                    .reasons(source)
                    .inspect_err(|error| tracing::warn!("{error}: an alarm without a reason"));
                Why::of(metrics, &reasons.unwrap_or_default(), self.policy.because_max)
            }
            Change::Recovered | Change::Lost => Why::default(),
        };
        self.events.push(Event { source: source.to_owned(), why, ..event });
    }
}

/// Of each source so many records before those that were not scored, and these.
fn parted(
    state: &State,
    sources: &BTreeMap<&str, Vec<&TelemetryRecord>>,
    run_up: usize,
) -> (Vec<TelemetryRecord>, Vec<TelemetryRecord>) {
    let (mut seen, mut fresh) = (Vec::new(), Vec::new());
    for (source, records) in sources {
        let to = scored(state, source, records);
        seen.extend(records[to.saturating_sub(run_up)..to].iter().copied().cloned());
        fresh.extend(records[to..].iter().copied().cloned());
    }
    (seen, fresh)
}

/// How many of a source's records, in the order of time, were scored or are older than the first model.
fn scored(state: &State, source: &str, records: &[&TelemetryRecord]) -> usize {
    match state.source(source).map(|watched| Timestamp(watched.scored_to_micros)) {
        Some(known) => records.partition_point(|record| record.at <= known),
        None if state.began => 0,
        None => records.len(),
    }
}

/// Records by source and in the order of time. Where later ones may change it, the newest of each waits.
fn by_source(records: &[TelemetryRecord], is_settled: bool) -> BTreeMap<&str, Vec<&TelemetryRecord>> {
    let mut sources: BTreeMap<&str, Vec<&TelemetryRecord>> = BTreeMap::new();
    for record in records {
        sources.entry(record.source()).or_default().push(record);
    }
    for records in sources.values_mut() {
        records.sort_by_key(|record| record.at);
        if !is_settled {
            records.pop();
        }
    }
    sources
}

#[cfg(test)]
mod tests;

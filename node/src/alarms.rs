//! Alarms on the disk, in the node's folder, for its owner alone. They never leave the machine, and are not sealed: they name
//! sources and metrics, and hold scores but no telemetry.
//!
//! ```text
//! alarms.jsonl         what happened, an event a line, appended and synced
//! alarms.old.jsonl     the events before these
//! alarms.state         which alarms last, up to which record each source was scored, and the number of the next alarm
//! alarms.labels        what people decided
//! alarms.lock          held while a decision is noted
//! ```
//!
//! The state is written before its events are appended, and holds them: what is missing in the file after a crash is
//! appended when it is opened again. So an event that was told is never lost, has the same number, and is there once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use common::units::Timestamp;
use edge::file::{folder_of, sync_names, write_private};
use serde::{Deserialize, Serialize};

use crate::detect::alarm::{Alarm, Change, Event, Watch, alarms};
use crate::detect::label::{Decision, Labels, Stretch};
use crate::detect::stream::SOURCES_MAX;

const EVENTS: &str = "alarms.jsonl";
const OLD_EVENTS: &str = "alarms.old.jsonl";
const STATE: &str = "alarms.state";
const LABELS: &str = "alarms.labels";
const TURN: &str = "alarms.lock";

/// Bytes of a file of events, after which the next one is begun: ten thousand events and more.
const EVENTS_BYTES_MAX: u64 = 8 << 20;

/// What a node that is started again goes on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Whether a record was ever scored here.
    pub began: bool,
    next_id: u64,
    sources: BTreeMap<String, Watched>,
    /// The events that this state is the first with.
    events: Vec<Event>,
}

/// What is known of a source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// Time of the last record that was scored, in microseconds since 1970.
    pub scored_to_micros: u64,
    /// Its alarms.
    pub watch: Watch,
}

impl Default for State {
    fn default() -> Self {
        Self { began: false, next_id: 1, sources: BTreeMap::new(), events: Vec::new() }
    }
}

impl State {
    /// A source that was scored before.
    pub fn source(&self, name: &str) -> Option<&Watched> {
        self.sources.get(name)
    }

    /// A source, the number of the next alarm, and what became of the source that had to make room.
    pub fn watched(&mut self, name: &str) -> (&mut Watched, &mut u64, Option<Event>) {
        let mut lost = None;
        if !self.sources.contains_key(name) {
            lost = self.make_room();
            self.sources.insert(name.to_owned(), Watched::default());
        }
        (self.sources.get_mut(name).expect("it was there, or was put there"), &mut self.next_id, lost)
    }

    fn make_room(&mut self) -> Option<Event> {
        if self.sources.len() < SOURCES_MAX {
            return None;
        }
        let longest = self.sources.iter().min_by_key(|(_, watched)| watched.scored_to_micros);
        let source = longest.map(|(name, _)| name.clone())?;
        let event = self.sources.remove(&source)?.watch.lose()?;
        Some(Event { source, ..event })
    }
}

/// The files of a node that runs.
pub struct Log {
    dir: PathBuf,
    file: File,
    bytes: u64,
}

impl Log {
    /// Opens the files of a folder, and goes on where a crash ended.
    ///
    /// # Errors
    ///
    /// Names the file and what to do.
    pub fn open(dir: &Path) -> Result<(Self, State)> {
        let path = dir.join(EVENTS);
        // A half-written last line is cut.
        let bytes = whole(&text(&path)?).len() as u64;
        let opened = append_to(&path).and_then(|file| file.set_len(bytes).map(|()| file));
        let file = opened.and_then(|file| sync_names(folder_of(&path)).map(|()| file));
        let mut log =
            Self { dir: dir.to_owned(), file: file.with_context(|| path.display().to_string())?, bytes };
        let known = events(dir)?;
        let mut state: State = parsed(&dir.join(STATE))?.unwrap_or_default();
        let told: BTreeSet<(u64, Change)> = known.iter().map(|event| (event.id, event.event)).collect();
        let missing = state.events.iter().filter(|event| !told.contains(&(event.id, event.event)));
        log.append(&missing.cloned().collect::<Vec<_>>())?;
        let newest = known.iter().map(|event| event.id).max().unwrap_or(0);
        state.next_id = state.next_id.max(newest + 1);
        Ok((log, state))
    }

    /// Makes a state durable, and then its events.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn write(&mut self, state: &mut State, events: &[Event]) -> Result<()> {
        state.events = events.to_vec();
        write_private(&self.dir.join(STATE), &serde_json::to_vec(state)?)?;
        self.append(events)
    }

    fn append(&mut self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for event in events {
            serde_json::to_writer(&mut lines, event)?;
            lines.push(b'\n');
        }
        let path = self.dir.join(EVENTS);
        let mut append = || -> std::io::Result<()> {
            if self.bytes > 0 && self.bytes + lines.len() as u64 > EVENTS_BYTES_MAX {
                fs::rename(&path, self.dir.join(OLD_EVENTS))?;
                (self.file, self.bytes) = (append_to(&path)?, 0);
                sync_names(folder_of(&path))?;
            }
            self.file.write_all(&lines)?;
            self.bytes += lines.len() as u64;
            self.file.sync_data()
        };
        append().with_context(|| path.display().to_string())
    }
}

/// What is known of the alarms of a folder, whether its node runs or not: all of them that events are kept of, with
/// what was decided; and all decisions.
///
/// # Errors
///
/// Names the file, and the line.
pub fn known(dir: &Path) -> Result<(BTreeMap<u64, Alarm>, Labels)> {
    let mut alarms = alarms(events(dir)?);
    let mut labels: Labels = parsed(&dir.join(LABELS))?.unwrap_or_default();
    labels.join(&mut alarms);
    Ok((alarms, labels))
}

/// What was confirmed by now: nothing is learned from these records.
///
/// # Errors
///
/// As [`known`].
pub fn confirmed(dir: &Path) -> Result<Vec<Stretch>> {
    Ok(known(dir)?.1.confirmed())
}

/// What is another one after each decision; cheap to ask for.
pub fn decided(dir: &Path) -> Option<Decided> {
    // Each decision is a new file.
    fs::metadata(dir.join(LABELS)).ok().map(|file| Decided(file.ino(), (file.mtime(), file.mtime_nsec())))
}

/// Which file the decisions are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided(u64, (i64, i64));

/// Notes a decision about an alarm; gives the one that stood before.
///
/// # Errors
///
/// When there is no such alarm, or names the file.
pub fn label(dir: &Path, id: u64, decision: Decision, now: Timestamp) -> Result<Option<Decision>> {
    let alarms = alarms(events(dir)?);
    let alarm =
        alarms.get(&id).with_context(|| format!("there is no alarm {id}; `node alarms` lists them"))?;
    let path = dir.join(LABELS);
    // Who decides at the same time waits.
    let turn = append_to(&dir.join(TURN)).and_then(|file| file.lock().map(|()| file));
    let _turn = turn.with_context(|| dir.join(TURN).display().to_string())?;
    let mut labels: Labels = parsed(&path)?.unwrap_or_default();
    let before = labels.set(alarm, decision, now.millis());
    write_private(&path, &serde_json::to_vec(&labels)?)?;
    Ok(before)
}

/// The events that are kept, in their order.
fn events(dir: &Path) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for name in [OLD_EVENTS, EVENTS] {
        let path = dir.join(name);
        for (index, line) in whole(&text(&path)?).lines().enumerate() {
            let event = serde_json::from_str(line);
            events.push(event.with_context(|| format!("{} line {}", path.display(), index + 1))?);
        }
    }
    Ok(events)
}

/// Up to the end of the last line that is whole.
fn whole(text: &str) -> &str {
    text.rfind('\n').map_or("", |end| &text[..=end])
}

fn append_to(path: &Path) -> std::io::Result<File> {
    fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Nothing, where there is no file.
fn text(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| path.display().to_string()),
    }
}

fn parsed<T: for<'t> Deserialize<'t>>(path: &Path) -> Result<Option<T>> {
    let text = text(path)?;
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(&text).map(Some).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::AlarmPolicy;
    use crate::detect::alarm::Seen;

    /// Scores one record, and makes what comes of it durable unless the power fails before.
    fn score(log: &mut Log, state: &mut State, source: &str, at_ms: u64, score: f64) -> Option<Event> {
        let policy = AlarmPolicy { raise_after: 1, recover_after: 1, silence_s: 0, ..AlarmPolicy::default() };
        let (watched, next_id, _) = state.watched(source);
        watched.scored_to_micros = at_ms * 1000;
        let event = watched.watch.observe(Seen { at_ms, score, threshold: 1.0 }, &policy, next_id);
        let event = event.map(|event| Event { source: source.to_owned(), ..event });
        log.write(state, event.as_slice()).unwrap();
        event
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_node_that_starts_again_goes_on_with_its_numbers_and_with_the_alarms_that_last() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, mut state) = Log::open(dir.path()).unwrap();
        assert!(!state.began && known(dir.path()).unwrap().0.is_empty());
        state.began = true;
        assert_eq!(score(&mut log, &mut state, "a", 1, 2.0).unwrap().id, 1);
        assert_eq!(score(&mut log, &mut state, "b", 1, 2.0).unwrap().id, 2);
        drop(log);
        let (mut log, mut again) = Log::open(dir.path()).unwrap();
        assert_eq!(again, state);
        assert!(again.source("a").unwrap().watch.is_open());
        assert_eq!(score(&mut log, &mut again, "a", 2, 0.0).unwrap().event, Change::Recovered);
        assert_eq!(score(&mut log, &mut again, "a", 3, 2.0).unwrap().id, 3);
        let (alarms, _) = known(dir.path()).unwrap();
        assert_eq!(alarms.values().map(|alarm| alarm.open).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!([EVENTS, STATE].map(|name| mode(&dir.path().join(name))), [0o600; 2]);
    }

    #[test]
    fn wherever_the_power_fails_an_event_is_there_once_and_its_number_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, mut state) = Log::open(dir.path()).unwrap();
        score(&mut log, &mut state, "a", 1, 2.0);
        let before = fs::read(dir.path().join(EVENTS)).unwrap();
        score(&mut log, &mut state, "a", 2, 0.0);
        let after = fs::read(dir.path().join(EVENTS)).unwrap();
        // The state was written, and any part of the line.
        for end in before.len()..=after.len() {
            fs::write(dir.path().join(EVENTS), &after[..end]).unwrap();
            let (_, again) = Log::open(dir.path()).unwrap();
            assert_eq!(fs::read(dir.path().join(EVENTS)).unwrap(), after, "{end}");
            assert_eq!(again, state);
        }
    }

    #[test]
    fn numbers_go_on_though_the_state_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, mut state) = Log::open(dir.path()).unwrap();
        score(&mut log, &mut state, "a", 1, 2.0);
        fs::remove_file(dir.path().join(STATE)).unwrap();
        let (mut log, mut state) = Log::open(dir.path()).unwrap();
        assert!(!state.began);
        assert_eq!(score(&mut log, &mut state, "a", 1, 2.0).unwrap().id, 2);
    }

    #[test]
    fn events_take_a_bounded_room_and_the_newest_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, mut state) = Log::open(dir.path()).unwrap();
        let event = score(&mut log, &mut state, "a", 1, 2.0).unwrap();
        let many: Vec<Event> = (0..2_000).map(|_| event.clone()).collect();
        let mut rotations = 0;
        while rotations < 3 {
            let before = log.bytes;
            log.append(&many).unwrap();
            rotations += usize::from(log.bytes < before);
        }
        let last = Event { id: 99, ..event };
        log.append(std::slice::from_ref(&last)).unwrap();
        let bytes = |name| fs::metadata(dir.path().join(name)).unwrap().len();
        assert!(bytes(EVENTS) <= EVENTS_BYTES_MAX && bytes(OLD_EVENTS) <= EVENTS_BYTES_MAX);
        assert_eq!(log.bytes, bytes(EVENTS));
        assert_eq!(events(dir.path()).unwrap().last(), Some(&last));
        assert_eq!(mode(&dir.path().join(OLD_EVENTS)), 0o600);
    }

    #[test]
    fn a_decision_is_noted_the_last_one_counts_and_an_unknown_alarm_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, mut state) = Log::open(dir.path()).unwrap();
        score(&mut log, &mut state, "a", 1, 2.0);
        let decide = |id, decision| label(dir.path(), id, decision, Timestamp::from_millis(5));
        let error = decide(2, Decision::Refuted).unwrap_err().to_string();
        assert_eq!(error, "there is no alarm 2; `node alarms` lists them");
        assert_eq!(decided(dir.path()), None);
        assert_eq!(decide(1, Decision::Refuted).unwrap(), None);
        let first = decided(dir.path());
        assert_eq!(known(dir.path()).unwrap().1.refuted().len(), 1);
        assert_eq!(decide(1, Decision::Confirmed).unwrap(), Some(Decision::Refuted));
        assert!(first.is_some() && first != decided(dir.path()));
        let (alarms, labels) = known(dir.path()).unwrap();
        assert_eq!((alarms[&1].label, labels.refuted().len()), (Some(Decision::Confirmed), 0));
        assert_eq!(confirmed(dir.path()).unwrap().len(), 1);
        assert_eq!(mode(&dir.path().join(LABELS)), 0o600);
    }

    #[test]
    fn the_source_that_was_scored_longest_ago_makes_room_and_its_alarm_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, mut state) = Log::open(dir.path()).unwrap();
        score(&mut log, &mut state, "first", 1, 2.0);
        for number in 1..SOURCES_MAX {
            state.watched(&format!("s{number}")).0.scored_to_micros = 5_000;
        }
        let (_, _, lost) = state.watched("one more");
        let lost = lost.unwrap();
        assert_eq!((lost.id, lost.event, &*lost.source), (1, Change::Lost, "first"));
        assert_eq!(state.sources.len(), SOURCES_MAX);
    }

    #[test]
    fn a_file_that_says_something_else_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(EVENTS), "{}\n").unwrap();
        let error = known(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("alarms.jsonl line 1"), "{error}");
    }
}

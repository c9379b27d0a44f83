//! How far each consumer of a spool is: kept on the disk, so that it goes on there after a restart.
//!
//! A file a consumer, replaced as a whole. It may be older than what the consumer did last, when a crash came
//! between: then entries are read once more, and their ids tell that they were.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::units::{Millis, Timestamp};

use super::recovery::list;
use super::{Position, SpoolError, io_error};
use crate::limits::{CONSUMER_BYTES_MAX, CONSUMERS_MAX};

/// The folder of the cursors, in that of the segments.
const FOLDER: &str = "cursors";

/// Where a consumer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// What lies before is done with.
    position: Position,
    /// When the last entry before it came; zero while there is none.
    received: Timestamp,
}

/// How far a consumer is behind what was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Bytes of segments that are still to be read.
    pub bytes: u64,
    /// Between the newest entry and the last one that is done with; `None` where none is yet.
    pub behind: Option<Millis>,
}

/// The cursors of one tenant.
#[derive(Clone, Debug)]
pub(super) struct Cursors {
    dir: PathBuf,
    marks: Arc<Mutex<BTreeMap<String, Mark>>>,
}

/// The place of one consumer, and its file.
#[derive(Debug)]
pub struct Cursor {
    cursors: Cursors,
    consumer: String,
    mark: Mark,
}

impl Cursors {
    /// Those in the folder of a tenant.
    pub(super) fn open(dir: &Path) -> Result<Self, SpoolError> {
        let dir = dir.join(FOLDER);
        fs::create_dir_all(&dir).map_err(io_error("make", &dir))?;
        let marks = Arc::new(Mutex::new(read_marks(&dir)?));
        Ok(Self { dir, marks })
    }

    pub(super) fn take(&self, consumer: &str) -> Result<Cursor, SpoolError> {
        if !is_consumer(consumer) {
            return Err(SpoolError::Cursor(self.dir.join(consumer.replace('/', "?"))));
        }
        let known = self.all().get(consumer).copied();
        let mut cursor =
            Cursor { cursors: self.clone(), consumer: consumer.to_owned(), mark: known.unwrap_or_default() };
        if known.is_none() {
            cursor.write(Mark::default())?;
        }
        Ok(cursor)
    }

    /// Where every consumer stands.
    pub(super) fn all(&self) -> BTreeMap<String, Mark> {
        self.lock().clone()
    }

    /// The segment before which nobody has anything to read; nothing may go while there is no consumer.
    pub(super) fn released(&self) -> u64 {
        self.lock().values().map(|mark| mark.position.segment).min().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cursor {
    /// Where its consumer goes on.
    pub fn position(&self) -> Position {
        self.mark.position
    }

    /// Everything before `position` is done with, and the last entry of it came at `received`. Never goes back.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] names the file; the cursor then stands where it did.
    pub fn advance(&mut self, position: Position, received: Timestamp) -> Result<(), SpoolError> {
        if position <= self.mark.position {
            return Ok(());
        }
        self.write(Mark { position, received })
    }

    /// Goes back, to read again what another consumer was to read.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] names the file; the cursor then stands where it did.
    pub fn rewind(&mut self, position: Position) -> Result<(), SpoolError> {
        if position >= self.mark.position {
            return Ok(());
        }
        self.write(Mark { position, ..self.mark })
    }

    /// There is no such consumer any more: nothing is kept for it.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] names the file.
    pub fn retire(self) -> Result<(), SpoolError> {
        let path = self.cursors.dir.join(&self.consumer);
        self.cursors.lock().remove(&self.consumer);
        fs::remove_file(&path).map_err(io_error("remove", &path))
    }

    /// The file is synced, its new name is not: after a crash it may be the one before, which is as good.
    fn write(&mut self, mark: Mark) -> Result<(), SpoolError> {
        let path = self.cursors.dir.join(&self.consumer);
        let new = self.cursors.dir.join(format!("{}.new", self.consumer));
        let Mark { position: Position { segment, frame, offset }, received } = mark;
        let text = format!("{segment} {frame} {offset} {}\n", received.0);
        let mut file = File::create(&new).map_err(io_error("make", &new))?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
        written.and_then(|()| fs::rename(&new, &path)).map_err(io_error("write", &path))?;
        self.cursors.lock().insert(self.consumer.clone(), mark);
        self.mark = mark;
        Ok(())
    }
}

/// How far each consumer of the segments in `dir` lags, when the newest entry came at `newest`.
pub(super) fn lags(dir: &Path, marks: &BTreeMap<String, Mark>, newest: Timestamp) -> BTreeMap<String, Lag> {
    let segments = list(dir).unwrap_or_default();
    let lag = |mark: &Mark| {
        let Position { segment, offset, .. } = mark.position;
        let unread: u64 = segments.range(segment..).map(|(_, bytes)| bytes).sum();
        let passed = if segments.contains_key(&segment) { offset } else { 0 };
        let bytes = unread.saturating_sub(passed);
        let received = Some(mark.received).filter(|received| *received > Timestamp::default());
        let since = |received| if bytes == 0 { 0 } else { newest.micros_since(received) / 1000 };
        let behind = received.map(|received| Millis(since(received)));
        Lag { bytes, behind }
    };
    marks.iter().map(|(consumer, mark)| (consumer.clone(), lag(mark))).collect()
}

/// The marks of a tenant whose folder this is.
pub(super) fn marks_in(dir: &Path) -> Result<BTreeMap<String, Mark>, SpoolError> {
    let dir = dir.join(FOLDER);
    if dir.is_dir() { read_marks(&dir) } else { Ok(BTreeMap::new()) }
}

fn read_marks(dir: &Path) -> Result<BTreeMap<String, Mark>, SpoolError> {
    let mut marks = BTreeMap::new();
    for file in fs::read_dir(dir).map_err(io_error("read", dir))?.take(CONSUMERS_MAX) {
        let path = file.map_err(io_error("read", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).filter(|name| is_consumer(name));
        // What another name has is no cursor: a new one that a crash left behind.
        let Some(name) = name else { continue };
        let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
        let mark = parse(&text).ok_or_else(|| SpoolError::Cursor(path.clone()))?;
        marks.insert(name.to_owned(), mark);
    }
    Ok(marks)
}

fn parse(text: &str) -> Option<Mark> {
    let numbers: Result<Vec<u64>, _> = text.strip_suffix('\n')?.split(' ').map(str::parse).collect();
    let [segment, frame, offset, received] = numbers.ok()?.try_into().ok()?;
    Some(Mark { position: Position { segment, frame, offset }, received: Timestamp(received) })
}

fn is_consumer(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=CONSUMER_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

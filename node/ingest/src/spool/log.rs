//! The files behind the writer: a batch goes to the newest segment in one write and one sync.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use common::crypto::FrameKey;
use common::crypto::bulk::Salt;
use common::units::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use tokio::sync::watch;

use super::entry::Entry;
use super::recovery::{path_of, recover};
use super::retention::{Bounds, Segment, surplus};
use super::{Config, Position, Refusal, SpoolError, SpoolKey, Status, io_error, segment};
use crate::limits::{COMMIT_BYTES_MAX, ENTRY_HEAD_BYTES_MAX};

/// The segments of a spool, the newest of them open.
#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    key: SpoolKey,
    config: Config,
    random: ChaCha20Rng,
    segments: BTreeMap<u64, Segment>,
    open: Option<Open>,
    end: watch::Sender<Position>,
    status: watch::Sender<Status>,
    /// Sealed frames of one batch; kept for the next.
    batch: Vec<u8>,
}

/// The segment that is written to.
#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    key: FrameKey,
    at: Position,
}

impl Log {
    pub(super) fn open(
        dir: &Path,
        key: SpoolKey,
        config: Config,
        random: ChaCha20Rng,
    ) -> Result<Self, SpoolError> {
        let segments = recover(dir, &key)?;
        let end = match segments.last_key_value() {
            // Everything that is there may be read: the next segment has another number.
            Some((&last, _)) => Position { segment: last + 1, frame: 0, offset: 0 },
            None => Position::default(),
        };
        let newest = segments.values().map(|segment| segment.newest).max().unwrap_or_default();
        let bytes = segments.values().map(|segment| segment.bytes).sum();
        let status = Status { bytes, segments: segments.len(), newest, ..Status::default() };
        let (end, status) = (watch::Sender::new(end), watch::Sender::new(status));
        Ok(Self {
            dir: dir.to_owned(),
            key,
            config,
            random,
            segments,
            open: None,
            end,
            status,
            batch: Vec::new(),
        })
    }

    pub(super) fn watch_end(&self) -> watch::Receiver<Position> {
        self.end.subscribe()
    }

    pub(super) fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Writes entries and syncs once. All have the same fate, but for those that there is no room for.
    /// The position of each is behind it.
    pub(super) fn commit<'e>(
        &mut self,
        entries: impl ExactSizeIterator<Item = &'e Entry>,
        released: u64,
    ) -> Vec<Result<Position, Refusal>> {
        let count = entries.len();
        let mut results = Vec::with_capacity(count);
        self.batch.clear();
        let mut newest = Timestamp::default();
        for entry in entries {
            newest = newest.max(entry.received);
            results.push(self.seal(entry, released));
        }
        let kept = results.iter().filter(|result| result.is_ok()).count();
        let written = if kept > 0 { self.write(newest) } else { Ok(()) };
        if let Err(error) = &written {
            let reason = error.to_string();
            let failed = results.iter_mut().filter(|result| result.is_ok());
            failed.for_each(|result| *result = Err(Refusal::Failed(reason.clone())));
        }
        self.tell(if written.is_ok() { kept } else { 0 }, count, newest);
        results
    }

    /// Adds an entry to the batch, where there is room for it.
    fn seal(&mut self, entry: &Entry, released: u64) -> Result<Position, Refusal> {
        let needed = (self.batch.len() + entry.body.len() + ENTRY_HEAD_BYTES_MAX) as u64;
        self.make_room(needed, entry.received, released)
            .map_err(|error| Refusal::Failed(error.to_string()))?;
        let bytes = self.bytes();
        if bytes + needed > self.config.bytes_max {
            return Err(Refusal::Full { bytes, max: self.config.bytes_max });
        }
        if self.open.is_none() {
            self.begin().map_err(|error| Refusal::Failed(error.to_string()))?;
        }
        let Some(open) = &mut self.open else { return Err(Refusal::Closing) };
        let before = self.batch.len();
        segment::put(&open.key, open.at.frame, entry, &mut self.batch);
        open.at.frame += 1;
        open.at.offset += (self.batch.len() - before) as u64;
        Ok(open.at)
    }

    fn write(&mut self, newest: Timestamp) -> Result<(), SpoolError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let written = open.file.write_all(&self.batch).map_err(io_error("write", &open.path));
        let written = written.and_then(|()| {
            if !self.config.sync {
                return Ok(());
            }
            open.file.sync_data().map_err(io_error("sync", &open.path))
        });
        let at = open.at;
        if written.is_err() {
            // What of it is on the disk is not known, and its numbers are used: go on in another segment.
            let whole = at.offset - self.batch.len() as u64;
            let _ = open.file.set_len(whole);
            self.open = None;
            return written;
        }
        if let Some(segment) = self.segments.get_mut(&at.segment) {
            *segment = Segment { bytes: at.offset, newest };
        }
        self.end.send_replace(at);
        if at.offset >= self.config.segment_bytes {
            self.open = None;
        }
        if self.batch.capacity() > 2 * COMMIT_BYTES_MAX {
            self.batch = Vec::new();
        }
        Ok(())
    }

    /// Begins a new segment, under a number that none has had.
    fn begin(&mut self) -> Result<(), SpoolError> {
        let last = self.segments.last_key_value().map(|(&last, _)| last);
        let number = last.map_or(0, |last| last + 1).max(self.end.borrow().segment);
        let path = path_of(&self.dir, number);
        let mut salt: Salt = [0; 24];
        self.random.fill_bytes(&mut salt);
        let (header, key) = segment::begin(&self.key, number, &salt);
        let mut file =
            File::options().append(true).create_new(true).open(&path).map_err(io_error("make", &path))?;
        let whole = file.write_all(&header).and_then(|()| file.sync_all());
        let whole = whole.and_then(|()| File::open(&self.dir)?.sync_all());
        if let Err(error) = whole {
            let _ = fs::remove_file(&path);
            return Err(io_error("write", &path)(error));
        }
        let bytes = header.len() as u64;
        self.segments.insert(number, Segment { bytes, newest: Timestamp::default() });
        self.open = Some(Open { file, path, key, at: Position { segment: number, frame: 0, offset: bytes } });
        Ok(())
    }

    fn make_room(&mut self, needed: u64, now: Timestamp, released: u64) -> Result<(), SpoolError> {
        let Config { bytes_max, .. } = self.config;
        let bounds = Bounds { bytes_max, keep: self.config.keep(), released };
        for number in surplus(&self.segments, &bounds, needed, now) {
            let path = path_of(&self.dir, number);
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
            self.segments.remove(&number);
        }
        Ok(())
    }

    /// Bytes of all segments.
    fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    fn tell(&self, kept: usize, count: usize, newest: Timestamp) {
        self.status.send_modify(|status| {
            status.bytes = self.bytes();
            status.segments = self.segments.len();
            status.accepted += kept as u64;
            status.refused += (count - kept) as u64;
            status.commits += u64::from(kept > 0);
            status.newest = status.newest.max(newest);
        });
    }
}

//! Reading a spool from any position on, while it is written or when nobody writes it.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use common::crypto::FrameKey;
use tokio::sync::watch;

use super::entry::Entry;
use super::recovery::{list, path_of, read_frame};
use super::segment::{self, HEADER_BYTES, LENGTH_BYTES, SpoolKey};
use super::{Position, SpoolError, io_error};

/// A place in a spool, and the file that it lies in.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    key: SpoolKey,
    at: Position,
    open: Option<Open>,
    /// Where the durable entries end, while the spool is being written.
    end: Option<watch::Receiver<Position>>,
    frame: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    input: BufReader<File>,
    key: FrameKey,
}

impl Reader {
    /// Reads a spool that no process writes: its torn tail is no entry.
    pub fn offline(dir: &Path, key: SpoolKey, from: Position) -> Self {
        Self::new(dir, key, from, None)
    }

    pub(super) fn new(
        dir: &Path,
        key: SpoolKey,
        from: Position,
        end: Option<watch::Receiver<Position>>,
    ) -> Self {
        Self { dir: dir.to_owned(), key, at: from, open: None, end, frame: Vec::new() }
    }

    /// The position behind the last entry that was read.
    pub fn position(&self) -> Position {
        self.at
    }

    /// Waits until there may be more than the last [`Self::next_entry`] found; false when the spool is closed.
    pub async fn wait(&mut self) -> bool {
        match &mut self.end {
            Some(end) => end.changed().await.is_ok(),
            None => false,
        }
    }

    /// The next entry; `None` when there is none yet.
    ///
    /// # Errors
    ///
    /// [`SpoolError`]. After [`SpoolError::Damaged`] and [`SpoolError::Header`] the next call reads on behind
    /// the damage.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, SpoolError> {
        loop {
            let end = self.end.as_mut().map(|end| *end.borrow_and_update());
            if end.is_some_and(|end| self.at >= end) {
                return Ok(None);
            }
            if self.open.is_none() && !self.open_segment()? {
                return Ok(None);
            }
            let Some(open) = &mut self.open else { continue };
            let frame = read_frame(&mut open.input, &mut self.frame).map_err(io_error("read", &open.path))?;
            let Some(bytes) = frame else {
                // The end of this file: what follows is in the next one, or not there yet.
                self.open = None;
                if self.follows(end)? {
                    self.at = Position { segment: self.at.segment + 1, frame: 0, offset: 0 };
                    continue;
                }
                return Ok(None);
            };
            let Position { frame, offset, .. } = self.at;
            self.at.frame += 1;
            self.at.offset += (LENGTH_BYTES + bytes) as u64;
            match segment::take(&open.key, frame, &mut self.frame) {
                Some(entry) => return Ok(Some(entry)),
                None => return Err(SpoolError::Damaged { path: open.path.clone(), offset, frame }),
            }
        }
    }

    /// Whether there is a segment after this one.
    fn follows(&self, end: Option<Position>) -> Result<bool, SpoolError> {
        match end {
            Some(end) => Ok(end.segment > self.at.segment),
            None => Ok(list(&self.dir)?.keys().any(|&number| number > self.at.segment)),
        }
    }

    /// Opens the segment of the position, or the next one that is there. False when there is none.
    fn open_segment(&mut self) -> Result<bool, SpoolError> {
        let listed = list(&self.dir)?;
        let Some((&number, _)) = listed.range(self.at.segment..).next() else { return Ok(false) };
        if number != self.at.segment || self.at.offset == 0 {
            self.at = Position { segment: number, frame: 0, offset: HEADER_BYTES as u64 };
        }
        let path = path_of(&self.dir, number);
        let file = File::open(&path).map_err(io_error("open", &path))?;
        let mut input = BufReader::with_capacity(1 << 18, file);
        let mut header = Vec::with_capacity(HEADER_BYTES);
        let read = (&mut input).take(HEADER_BYTES as u64).read_to_end(&mut header);
        read.map_err(io_error("read", &path))?;
        let key = match segment::open(&self.key, number, &header) {
            Ok(key) => key,
            Err(fault) => {
                self.at = Position { segment: number + 1, frame: 0, offset: 0 };
                return Err(SpoolError::Header { path, fault });
            }
        };
        input.seek(SeekFrom::Start(self.at.offset)).map_err(io_error("read", &path))?;
        self.open = Some(Open { path, input, key });
        Ok(true)
    }
}

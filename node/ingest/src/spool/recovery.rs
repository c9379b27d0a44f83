//! What a spool finds when it is opened: its segments, and the tail that a crash tore.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use common::units::Timestamp;

use super::retention::Segment;
use super::segment::{self, HEADER_BYTES, LENGTH_BYTES, SpoolKey};
use super::{SpoolError, io_error};

/// How the name of a segment file ends.
const ENDING: &str = ".spool";

/// The file of a segment.
pub(super) fn path_of(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:016x}{ENDING}"))
}

/// The number of a segment's file. The last number is none: what follows a segment has the next.
fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(ENDING).filter(|digits| digits.len() == 16)?;
    let is_written_so = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    u64::from_str_radix(digits, 16).ok().filter(|number| is_written_so && *number < u64::MAX)
}

/// The segments in a folder, by number, and the bytes of each.
pub(super) fn list(dir: &Path) -> Result<BTreeMap<u64, u64>, SpoolError> {
    let mut segments = BTreeMap::new();
    for file in fs::read_dir(dir).map_err(io_error("read", dir))? {
        let file = file.map_err(io_error("read", dir))?;
        let name = file.file_name();
        let Some(number) = name.to_str().and_then(number_of) else { continue };
        // One that another thread just removed is no segment any more.
        if let Ok(about) = file.metadata() {
            segments.insert(number, about.len());
        }
    }
    Ok(segments)
}

/// The segments of a folder as the writer goes on with them: the torn tail of the newest is cut off.
pub(super) fn recover(dir: &Path, key: &SpoolKey) -> Result<BTreeMap<u64, Segment>, SpoolError> {
    let mut segments = BTreeMap::new();
    let listed = list(dir)?;
    let last = listed.keys().next_back().copied();
    for (&number, &bytes) in &listed {
        let path = path_of(dir, number);
        let newest = modified(&path)?;
        let bytes = if Some(number) == last { cut_tail(&path, key, number)? } else { Some(bytes) };
        // A file that was not even begun held nothing.
        if let Some(bytes) = bytes {
            segments.insert(number, Segment { bytes, newest });
        }
    }
    Ok(segments)
}

/// When a file was last written: when its newest entry came, near enough for how long it is kept.
pub(super) fn modified(path: &Path) -> Result<Timestamp, SpoolError> {
    let modified = fs::metadata(path).and_then(|about| about.modified()).map_err(io_error("read", path))?;
    let since_epoch = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp(since_epoch.as_micros() as u64))
}

/// Cuts what lies behind the last frame that opens. `None` when there is not even a header.
fn cut_tail(path: &Path, key: &SpoolKey, number: u64) -> Result<Option<u64>, SpoolError> {
    let file = File::options().read(true).write(true).open(path).map_err(io_error("open", path))?;
    let bytes = file.metadata().map_err(io_error("read", path))?.len();
    if bytes < HEADER_BYTES as u64 {
        fs::remove_file(path).map_err(io_error("remove", path))?;
        return Ok(None);
    }
    let mut input = BufReader::with_capacity(1 << 20, &file);
    let mut header = [0; HEADER_BYTES];
    input.read_exact(&mut header).map_err(io_error("read", path))?;
    let key = segment::open(key, number, &header)
        .map_err(|fault| SpoolError::Header { path: path.to_owned(), fault })?;
    let (mut at, mut whole) = (HEADER_BYTES as u64, HEADER_BYTES as u64);
    let mut frame = Vec::new();
    for index in 0.. {
        let Some(length) = read_frame(&mut input, &mut frame).map_err(io_error("read", path))? else { break };
        at += (LENGTH_BYTES + length) as u64;
        if segment::take(&key, index, &mut frame).is_some() {
            whole = at;
        }
    }
    if whole < bytes {
        file.set_len(whole).and_then(|()| file.sync_all()).map_err(io_error("cut", path))?;
    }
    Ok(Some(whole))
}

/// Reads the sealed bytes of the next frame and tells how many; `None` where no whole frame is.
pub(super) fn read_frame(input: &mut impl Read, frame: &mut Vec<u8>) -> std::io::Result<Option<usize>> {
    let mut length = [0; LENGTH_BYTES];
    let mut read = 0;
    while read < LENGTH_BYTES {
        match input.read(&mut length[read..])? {
            0 => return Ok(None),
            more => read += more,
        }
    }
    let Some(bytes) = segment::frame_bytes(length) else { return Ok(None) };
    frame.clear();
    // Grows with what is there, not with what a damaged length claims.
    let read = input.take(bytes as u64).read_to_end(frame)?;
    Ok((read == bytes).then_some(bytes))
}

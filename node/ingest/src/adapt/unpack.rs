//! Unpacks gzip (RFC 1952) and zip (PKWARE APPNOTE 6.3.10), told by their first bytes, within a budget.

use std::io::Read;

use flate2::Crc;
use flate2::read::{DeflateDecoder, MultiGzDecoder};

use super::Fault;
use crate::content::is_gzip;
use crate::error::Shown;
use crate::limits::{
    ADAPT_PART_BYTES_MAX, ADAPT_PARTS_MAX, ADAPT_RATIO_FREE_BYTES, ADAPT_RATIO_MAX, ADAPT_UNPACKED_BYTES_MAX,
};

/// What the parts of one mail may still unpack to.
pub(super) struct Budget {
    left: usize,
}

/// What a part holds.
pub(super) enum Unpacked {
    /// It is not packed.
    Plain,
    /// One file.
    One(Vec<u8>),
    /// The files of an archive, each with its name.
    Many(Vec<Packed>),
}

/// A file of an archive: its name, and its content or why it cannot be unpacked.
pub(super) type Packed = (String, Result<Vec<u8>, Fault>);

impl Default for Budget {
    fn default() -> Self {
        Self { left: ADAPT_UNPACKED_BYTES_MAX }
    }
}

/// Unpacks one layer.
pub(super) fn unpack(bytes: &[u8], budget: &mut Budget) -> Result<Unpacked, Fault> {
    if is_gzip(bytes) == Some(true) {
        return budget.read(MultiGzDecoder::new(bytes), bytes.len()).map(Unpacked::One);
    }
    match bytes {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => zip(bytes, budget).map(Unpacked::Many),
        _ => Ok(Unpacked::Plain),
    }
}

impl Budget {
    /// Reads a stream of `packed` bytes to its end, as far as the limits let it.
    fn read(&mut self, stream: impl Read, packed: usize) -> Result<Vec<u8>, Fault> {
        let by_ratio = packed.saturating_mul(ADAPT_RATIO_MAX).max(ADAPT_RATIO_FREE_BYTES);
        let limits = [
            (by_ratio, Fault::Ratio),
            (ADAPT_PART_BYTES_MAX, Fault::PartTooLarge),
            (self.left, Fault::UnpacksTooLarge),
        ];
        let (max, fault) = limits.into_iter().min_by_key(|(max, _)| *max).expect("there are three");
        let mut out = Vec::new();
        stream
            .take(max as u64 + 1)
            .read_to_end(&mut out)
            .map_err(|error| Fault::Damaged(Shown::of(&error.to_string())))?;
        // What was thrown away counts too: it was work.
        self.left = self.left.saturating_sub(out.len());
        if out.len() > max { Err(fault) } else { Ok(out) }
    }
}

/// A little-endian field of a header, by its place.
fn field(bytes: &[u8], at: usize, length: usize) -> Result<usize, Fault> {
    let field = bytes.get(at..at + length).ok_or(Fault::DamagedZip("a header is cut short"))?;
    Ok(field.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte)))
}

/// The files of an archive, by its central directory (APPNOTE, sections 4.3.12 and 4.3.16).
fn zip(bytes: &[u8], budget: &mut Budget) -> Result<Vec<Packed>, Fault> {
    const END_BYTES: usize = 22;
    const COMMENT_BYTES_MAX: usize = 65_535;
    const ENTRY_BYTES: usize = 46;
    let from = bytes.len().saturating_sub(END_BYTES + COMMENT_BYTES_MAX);
    let end = bytes[from..].windows(4).rposition(|window| window == b"PK\x05\x06");
    let end = from + end.ok_or(Fault::DamagedZip("there is no directory: it is cut short"))?;
    let (count, mut at) = (field(bytes, end + 10, 2)?, field(bytes, end + 16, 4)?);
    if count > ADAPT_PARTS_MAX {
        return Err(Fault::TooManyParts);
    }
    let mut files = Vec::new();
    let mut packed_sum = 0;
    for _ in 0..count {
        if bytes.get(at..at + 4) != Some(b"PK\x01\x02") {
            return Err(Fault::DamagedZip("the directory is not where it should be"));
        }
        let lengths = [28, 30, 32].map(|place| field(bytes, at + place, 2));
        let [name, extra, comment] = lengths;
        let name_end = at + ENTRY_BYTES + name?;
        let name = bytes.get(at + ENTRY_BYTES..name_end).ok_or(Fault::DamagedZip("a name is cut short"))?;
        let name = String::from_utf8_lossy(name).into_owned();
        packed_sum += field(bytes, at + 20, 4)?;
        // Entries that share their bytes are how the densest bombs are made.
        if packed_sum > bytes.len() {
            return Err(Fault::DamagedZip("its files are larger than the archive"));
        }
        if name == "[Content_Types].xml" {
            return Err(Fault::Unsupported("an office document: export it as CSV"));
        }
        if !name.ends_with('/') {
            files.push((name, entry(bytes, at, budget)));
        }
        at = name_end + extra? + comment?;
    }
    Ok(files)
}

/// Unpacks the file whose directory entry is at `at`.
fn entry(bytes: &[u8], at: usize, budget: &mut Budget) -> Result<Vec<u8>, Fault> {
    const LOCAL_BYTES: usize = 30;
    let [flags, method] = [8, 10].map(|place| field(bytes, at + place, 2));
    let [crc, packed, unpacked, local] = [16, 20, 24, 42].map(|place| field(bytes, at + place, 4));
    let (packed, unpacked, local) = (packed?, unpacked?, local?);
    if flags? & 1 == 1 {
        return Err(Fault::Unsupported("an encrypted file"));
    }
    if [packed, unpacked, local].contains(&0xffff_ffff) {
        return Err(Fault::Unsupported("a zip64 file"));
    }
    if bytes.get(local..local + 4) != Some(b"PK\x03\x04") {
        return Err(Fault::DamagedZip("a file is not where the directory says"));
    }
    let start = local + LOCAL_BYTES + field(bytes, local + 26, 2)? + field(bytes, local + 28, 2)?;
    let content =
        bytes.get(start..start + packed).ok_or(Fault::DamagedZip("a file is larger than the archive"))?;
    let content = match method? {
        0 => budget.read(content, packed)?,
        8 => budget.read(DeflateDecoder::new(content), packed)?,
        _ => return Err(Fault::Unsupported("a compression other than deflate")),
    };
    if content.len() != unpacked {
        return Err(Fault::DamagedZip("a file has another size than the directory says"));
    }
    let mut sum = Crc::new();
    sum.update(&content);
    if sum.sum() as usize != crc? {
        return Err(Fault::DamagedZip("a file fails its checksum"));
    }
    Ok(content)
}

//! Bytes that several threads read at once, each at its own place.

use std::fs::File;
use std::io::{Error, ErrorKind};

/// Something that can be read at any offset.
pub(super) trait Source: Sync {
    /// Its size now.
    fn bytes(&self) -> Result<u64, Error>;

    /// Reads some bytes at `offset`; none at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error>;
}

impl Source for File {
    fn bytes(&self) -> Result<u64, Error> {
        Ok(self.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        std::os::windows::fs::FileExt::seek_read(self, buffer, offset)
    }
}

/// Fills `buffer` from `offset` on, as far as there are bytes.
pub(super) fn read_full(source: &impl Source, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read_at(offset + filled as u64, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
impl Source for Vec<u8> {
    fn bytes(&self) -> Result<u64, Error> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let rest = &self[(offset as usize).min(self.len())..];
        // Short reads are allowed, so they happen.
        let length = rest.len().min(buffer.len()).min(50_000);
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

//! The content of a file, unpacked when it is gzip: told by its first bytes, not by its name.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

use super::error::IngestError;

/// The first bytes of every gzip file (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Whether a file that starts with `head` is gzip; `None` when one byte is not enough to tell.
pub(super) fn is_gzip(head: &[u8]) -> Option<bool> {
    match head {
        [first] if *first == GZIP_MAGIC[0] => None,
        _ => Some(head.starts_with(&GZIP_MAGIC)),
    }
}

/// Unpacked bytes of a file. A read that fails carries the [`IngestError`] that names the file.
pub(super) struct Content<'a, R: Read> {
    file: &'a str,
    stream: Stream<R>,
    /// How much more may come out: against compression bombs.
    left: u64,
    unpacked_bytes_max: u64,
}

enum Stream<R: Read> {
    Plain(BufReader<R>),
    Gzip(Box<MultiGzDecoder<Counted<R>>>),
}

impl<'a, R: Read> Content<'a, R> {
    /// Looks at the first bytes of `file`.
    pub(super) fn new(file: &'a str, input: R, unpacked_bytes_max: u64) -> Result<Self, IngestError> {
        const READ_BYTES: usize = 64 * 1024;
        let mut input = BufReader::with_capacity(READ_BYTES, input);
        let head = input.fill_buf().map_err(|error| io_error(file, &error))?;
        let stream = if head.starts_with(&GZIP_MAGIC) {
            Stream::Gzip(Box::new(MultiGzDecoder::new(Counted { input, bytes: 0 })))
        } else {
            Stream::Plain(input)
        };
        Ok(Self { file, stream, left: unpacked_bytes_max, unpacked_bytes_max })
    }
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let file = || self.file.to_owned();
        let decoder = match &mut self.stream {
            Stream::Plain(input) => return input.read(buffer),
            Stream::Gzip(decoder) => decoder,
        };
        let read = decoder.read(buffer).map_err(|error| {
            let offset = decoder.get_ref().bytes;
            match error.kind() {
                ErrorKind::Interrupted => error,
                ErrorKind::UnexpectedEof => Error::other(IngestError::TruncatedGzip { file: file(), offset }),
                _ => {
                    let reason = error.to_string();
                    Error::other(IngestError::DamagedGzip { file: file(), offset, reason })
                }
            }
        })?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            let (max, unit) = (self.unpacked_bytes_max, "unpacked bytes");
            Error::other(IngestError::TooLarge { file: file(), max, unit })
        })?;
        Ok(read)
    }
}

/// Counts the compressed bytes that were used.
struct Counted<R> {
    input: BufReader<R>,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

impl<R: Read> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.input.consume(bytes);
    }
}

/// What a failed read of `file` means: the error that [`Content`] put in, or the operating system's.
pub(super) fn read_error(file: &str, error: Error) -> IngestError {
    error.downcast::<IngestError>().unwrap_or_else(|error| io_error(file, &error))
}

/// An error of the operating system about `file`.
pub(super) fn io_error(file: &str, error: &Error) -> IngestError {
    IngestError::Io { file: file.to_owned(), reason: error.to_string() }
}

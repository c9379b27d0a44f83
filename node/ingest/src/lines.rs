//! A file that is read line by line, whatever its lines are.

use std::io::{ErrorKind, Read};

use common::id::TenantId;
use common::model::MetricName;

use super::Ingested;
use crate::config::Format;
use crate::content::read_error;
use crate::csv::{Decoder, Position, READ_BYTES};
use crate::error::IngestError;
use crate::jsonl;
use crate::limits::LINE_BYTES_MAX;

/// What the lines of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Rows of CSV under a header.
    Csv,
    /// An object of JSON each.
    JsonLines,
}

/// A decoder of either.
pub(super) enum Lines<'a> {
    Csv(Decoder<'a>),
    Json(jsonl::Decoder<'a>),
}

impl Syntax {
    /// As the name of a file tells.
    pub fn of_name(name: &str) -> Self {
        if jsonl::is_json_lines(name) { Self::JsonLines } else { Self::Csv }
    }

    /// Starts at the beginning of `file`; as [`Decoder::new`].
    pub(super) fn decoder<'a>(
        self,
        file: &'a str,
        tenant: TenantId,
        format: &'a Format,
        required: Option<&'a [MetricName]>,
    ) -> Lines<'a> {
        match self {
            Self::Csv => Lines::Csv(Decoder::new(file, tenant, format, required)),
            Self::JsonLines => Lines::Json(jsonl::Decoder::new(file, tenant, format, required)),
        }
    }
}

impl Lines<'_> {
    /// Goes on at a position reached before.
    pub(super) fn resume(self, position: Position) -> Result<Self, IngestError> {
        match self {
            Self::Csv(decoder) => decoder.resume(position).map(Self::Csv),
            Self::Json(decoder) => Ok(Self::Json(decoder.resume(position))),
        }
    }

    pub(super) fn into_position(self) -> Position {
        match self {
            Self::Csv(decoder) => decoder.into_position(),
            Self::Json(decoder) => decoder.into_position(),
        }
    }

    /// Decodes all complete lines, and says how many bytes that was.
    pub(super) fn decode(&mut self, bytes: &[u8], out: &mut Ingested) -> Result<usize, IngestError> {
        match self {
            Self::Csv(decoder) => decoder.decode(bytes, out),
            Self::Json(decoder) => decoder.decode(bytes, out),
        }
    }

    /// Decodes the last line, which needs no line break.
    fn finish(&mut self, rest: &[u8], out: &mut Ingested) -> Result<(), IngestError> {
        match self {
            Self::Csv(decoder) => decoder.finish(rest, out),
            Self::Json(decoder) => decoder.finish(rest, out),
        }
    }

    /// Decodes a whole stream, which errors call `name`.
    ///
    /// # Errors
    ///
    /// As [`Decoder::finish`], and whatever kept the stream from being read.
    pub(super) fn decode_all(
        mut self,
        name: &str,
        mut stream: impl Read,
        out: &mut Ingested,
    ) -> Result<(), IngestError> {
        let mut buffer = vec![0; READ_BYTES + LINE_BYTES_MAX];
        let mut filled = 0;
        loop {
            match stream.read(&mut buffer[filled..]) {
                Ok(0) => return self.finish(&buffer[..filled], out),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(read_error(name, error)),
            }
            let used = self.decode(&buffer[..filled], out)?;
            buffer.copy_within(used..filled, 0);
            filled -= used;
        }
    }
}

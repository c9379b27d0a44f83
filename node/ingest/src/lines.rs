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

    /// Decodes the last lines; the last one needs no line break.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::RowFault;
    use crate::record::TENANT;

    #[test]
    fn a_line_of_a_hundred_megabytes_takes_no_memory_and_costs_itself_only() {
        for (syntax, first, last) in
            [(Syntax::Csv, "a\n1\n", "3\n"), (Syntax::JsonLines, "{\"a\":1}\n", "{\"a\":3}\n")]
        {
            let huge = std::io::repeat(b'x').take(100 << 20);
            let text = first.as_bytes().chain(huge).chain(&b"\n"[..]).chain(last.as_bytes());
            let (mut out, format) = (Ingested::default(), Format::default());
            syntax.decoder("a", TENANT, &format, None).decode_all("a", text, &mut out).unwrap();
            let found: Vec<_> =
                out.records.iter().map(|record| (record.at.millis(), record.values[0])).collect();
            assert_eq!(found, [(0, 1.0), (120_000, 3.0)], "{syntax:?}");
            assert_eq!((out.rejected_count, &out.rejected[0].fault), (1, &RowFault::TooLong));
        }
    }
}

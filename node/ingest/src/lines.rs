//! A file that is read line by line, whatever its lines are.

use std::io::Read;

use common::id::TenantId;
use common::model::MetricName;

use super::Ingested;
use crate::config::Format;
use crate::csv::{Decoder, Position, decode_all};
use crate::error::IngestError;
use crate::jsonl;

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

    /// Decodes a whole stream, which errors call `name`.
    pub(super) fn decode_all(
        self,
        name: &str,
        stream: impl Read,
        out: &mut Ingested,
    ) -> Result<(), IngestError> {
        match self {
            Self::Csv(decoder) => decode_all(name, stream, decoder, out),
            Self::Json(decoder) => jsonl::decode_all(name, stream, decoder, out),
        }
    }
}

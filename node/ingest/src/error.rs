//! What can be wrong with telemetry: one clear line that names the file, the line and the column.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits::{
    COLUMNS_MAX, LINE_BYTES_MAX, MAIL_BYTES_MAX, MAIL_HEADER_BYTES_MAX, MAIL_HYPHENS_MAX, MAIL_MULTIPARTS_MAX,
};

/// A source, or a file of it, that cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// The operating system could not open or read it.
    #[error("{file}: {reason}")]
    Io {
        /// The file or directory.
        file: String,
        /// What the operating system said.
        reason: String,
    },
    /// Nothing in it.
    #[error("{file}: the file is empty")]
    Empty {
        /// The file.
        file: String,
    },
    /// A header and nothing below it.
    #[error("{file}: there is a header but no row")]
    NoRows {
        /// The file.
        file: String,
    },
    /// A directory without a single file.
    #[error("{directory}: there is no file in this directory")]
    NoFiles {
        /// The directory.
        directory: String,
    },
    /// The header does not say what the columns are.
    #[error("{file}: line {line}: {fault}")]
    Header {
        /// The file.
        file: String,
        /// Its line, counted from 1.
        line: u64,
        /// What is wrong with it.
        fault: HeaderFault,
    },
    /// A row of a file in which every row counts (labels).
    #[error(transparent)]
    Row(#[from] RowError),
    /// The compressed data stops before its end.
    #[error("{file}: truncated gzip: the file ends at byte {offset}, inside the compressed data")]
    TruncatedGzip {
        /// The file.
        file: String,
        /// Compressed bytes that are there.
        offset: u64,
    },
    /// The compressed data is not gzip, or fails its checksum.
    #[error("{file}: damaged gzip at byte {offset}: {reason}")]
    DamagedGzip {
        /// The file.
        file: String,
        /// Compressed bytes read before it was noticed.
        offset: u64,
        /// What the decoder said.
        reason: String,
    },
    /// More than a limit allows.
    #[error("{file}: more than {max} {unit}")]
    TooLarge {
        /// The file or directory.
        file: String,
        /// The limit.
        max: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// A Parquet file that cannot be read.
    #[error("{file}: {reason}")]
    Parquet {
        /// The file.
        file: String,
        /// What is wrong with it, or with this build.
        reason: String,
    },
    /// A mail that is not read at all.
    #[error("{file}: {fault}")]
    Mail {
        /// The file.
        file: String,
        /// Why it is refused.
        fault: MailFault,
    },
    /// What of a mail is not used.
    #[error("{file}: {reason}")]
    MailPart {
        /// The file.
        file: String,
        /// Which part, and what is wrong with it.
        reason: String,
    },
    /// A part of what was pushed that holds nothing readable.
    #[error("{kind} of {source_name} received at {received_ms} ms: {reason}")]
    Unread {
        /// What it is.
        kind: &'static str,
        /// Who sent it.
        source_name: String,
        /// When, in Unix milliseconds.
        received_ms: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// What was pushed cannot be read from the disk.
    #[error("spool: {reason}")]
    Spool {
        /// Why.
        reason: String,
    },
    /// A large file that cannot be imported, or not be resumed.
    #[error("{file}: {fault}")]
    Import {
        /// The file.
        file: String,
        /// Why.
        fault: ImportFault,
    },
    /// An exporter that does not say what it measures.
    #[error("{url}: {reason}")]
    Scrape {
        /// Where it is.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The operating system does not tell this machine's metrics.
    #[error("host metrics: {reason}")]
    Host {
        /// What it said.
        reason: String,
    },
}

/// What is wrong with a header row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// Every cell is a number.
    #[error("this is a row of numbers; the first line must name the columns")]
    Numbers,
    /// A column without a name.
    #[error("column {0} has no name")]
    Unnamed(usize),
    /// A name that is there twice.
    #[error("column {0} is there twice")]
    Duplicate(Shown),
    /// A name over its limit.
    #[error("the name of column {0} is longer than {max} bytes", max = common::limits::NAME_BYTES_MAX)]
    NameTooLong(usize),
    /// More columns than a record may have metrics.
    #[error("{0} columns are more than the limit of {COLUMNS_MAX}")]
    TooManyColumns(usize),
    /// Only a timestamp.
    #[error("there is no column of a metric")]
    NoMetrics,
    /// The configured timestamp column is not there.
    #[error("there is no timestamp column {0}")]
    NoTimestamp(Shown),
    /// A column that must be there is not.
    #[error("there is no column {first}{}", More(*.others))]
    Missing {
        /// The first of the missing columns.
        first: Shown,
        /// How many more are missing.
        others: usize,
    },
    /// Bytes that are not text.
    #[error("the header is not UTF-8 text")]
    NotText,
    /// A line over its limit.
    #[error("the header is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// A quotation mark without its partner.
    #[error("a quotation mark is not closed")]
    OpenQuote,
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: line {line}{}: {fault}", At(.column.as_ref()))]
pub struct RowError {
    /// The file.
    pub file: String,
    /// The line on which it begins, counted from 1; the header is line 1.
    pub line: u64,
    /// The column, where one cell is to blame.
    pub column: Option<Shown>,
    /// What is wrong with it.
    pub fault: RowFault,
    /// Its bytes; a file that is kept by columns has none of a row.
    pub bytes: Option<RowBytes>,
}

/// Which bytes a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowBytes {
    /// Where the first one is, counted from 0 in the unpacked file.
    pub offset: u64,
    /// What they are, without showing them.
    pub hash: LineHash,
}

impl RowBytes {
    /// Of a row that begins at this byte of its file.
    pub fn of(offset: u64, raw: &[u8]) -> Option<Self> {
        Some(Self { offset, hash: LineHash::of(raw) })
    }
}

/// The first eight bytes of the BLAKE3 hash of a row as it stands in the file, without its last line feed;
/// of a row that is too long, of its first [`LINE_BYTES_MAX`] bytes. Shown as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineHash([u8; 8]);

impl LineHash {
    /// The hash of a row.
    pub fn of(raw: &[u8]) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::hash(raw).as_bytes()[..8]);
        Self(first)
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    /// Text where a number should be.
    #[error("{0} is not a number")]
    NotANumber(Shown),
    /// Infinite, or beyond the range of a 32-bit float.
    #[error("{0} is not a finite number")]
    NotFinite(Shown),
    /// Not a time.
    #[error("{0} is not a time (Unix seconds or milliseconds, or RFC 3339)")]
    NotATime(Shown),
    /// More or fewer cells than the header.
    #[error("{found} columns where the header has {expected}")]
    Columns {
        /// Cells in this row.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// Bytes that are not text.
    #[error("the line is not UTF-8 text")]
    NotText,
    /// A line over its limit.
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// A quotation mark without its partner.
    #[error("a quotation mark is not closed")]
    OpenQuote,
    /// Neither 0 nor 1.
    #[error("{0} is not a label (0 or 1)")]
    NotALabel(Shown),
    /// Not a row number.
    #[error("{0} is not a row number")]
    NotAnIndex(Shown),
    /// Not an object of JSON.
    #[error("{0} is no line of JSON")]
    NotJson(Shown),
    /// A member that must be there is not.
    #[error("there is no member {0}")]
    NoMember(Shown),
    /// A member that is there twice.
    #[error("{0} is there twice")]
    Twice(Shown),
    /// Nothing in it is a metric.
    #[error("there is no member that is a number")]
    NoMetrics,
    /// More than a record may have.
    #[error("{0} members are more than the limit of {max}", max = common::limits::METRICS_MAX)]
    TooManyMetrics(usize),
    /// A name over its limit.
    #[error("{0} is longer than {max} bytes", max = common::limits::NAME_BYTES_MAX)]
    NameTooLong(Shown),
    /// An interval that ends before it starts.
    #[error("the interval ends before it starts")]
    Backwards,
}

/// What is wrong with a row, without the row's content: what logs and sums are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// [`RowFault::NotANumber`].
    NotANumber,
    /// [`RowFault::NotFinite`].
    NotFinite,
    /// [`RowFault::NotATime`].
    NotATime,
    /// [`RowFault::Columns`].
    Columns,
    /// [`RowFault::NotText`].
    NotText,
    /// [`RowFault::TooLong`].
    TooLong,
    /// [`RowFault::OpenQuote`].
    OpenQuote,
    /// A fault of a file of labels.
    Label,
    /// [`RowFault::NotJson`].
    NotJson,
    /// Members of a line of JSON: none, too many, one twice, one missing, a name too long.
    Members,
}

impl RowFault {
    /// The fault without what was found.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotANumber(_) => Reason::NotANumber,
            Self::NotFinite(_) => Reason::NotFinite,
            Self::NotATime(_) => Reason::NotATime,
            Self::Columns { .. } => Reason::Columns,
            Self::NotText => Reason::NotText,
            Self::TooLong => Reason::TooLong,
            Self::OpenQuote => Reason::OpenQuote,
            Self::NotALabel(_) | Self::NotAnIndex(_) | Self::Backwards => Reason::Label,
            Self::NotJson(_) => Reason::NotJson,
            Self::NoMember(_)
            | Self::Twice(_)
            | Self::NoMetrics
            | Self::TooManyMetrics(_)
            | Self::NameTooLong(_) => Reason::Members,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "not a number",
            Self::NotFinite => "not finite",
            Self::NotATime => "not a time",
            Self::Columns => "wrong number of columns",
            Self::NotText => "not UTF-8",
            Self::TooLong => "too long",
            Self::OpenQuote => "quote not closed",
            Self::Label => "not a label",
            Self::NotJson => "not JSON",
            Self::Members => "wrong members",
        })
    }
}

/// Why a large file is not imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    /// Ranges of a compressed file cannot be read by themselves.
    #[error("gzip cannot be imported in ranges: unpack it first")]
    Gzip,
    /// The state of an import belongs to other content.
    #[error("the state to resume from belongs to another file, or to other columns, tenant or interval")]
    OtherFile,
    /// Somebody cut the file while it was read.
    #[error("the file became shorter while it was read, at byte {0}")]
    Shrunk(u64),
    /// Lines of the exceptions log that the state counts are gone.
    #[error("the exceptions log has {found} bytes, and the state to resume from counts {expected}")]
    LogLost {
        /// Bytes that are there.
        found: u64,
        /// Bytes that must be there.
        expected: u64,
    },
}

/// Why a mail is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailFault {
    /// Over the limit of size.
    #[error("this mail is larger than {MAIL_BYTES_MAX} bytes")]
    TooLarge,
    /// A part that does not end, or whose encoding is broken.
    #[error("attachment {0} is cut short or wrongly encoded")]
    Broken(Shown),
    /// Forwarded messages are not looked into.
    #[error("this mail holds another message, which is not read")]
    Nested,
    /// A shape that only an attack has.
    #[error(
        "this mail has more than {MAIL_HYPHENS_MAX} boundaries, more than {MAIL_MULTIPARTS_MAX} multiparts, or a \
         header over {MAIL_HEADER_BYTES_MAX} bytes"
    )]
    Unreasonable,
}

/// A piece of someone's input, short and without control characters, so that it cannot forge a log line.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// The first characters of a cell or a name.
    pub fn of(text: &str) -> Self {
        Self::of_pieces(&[text])
    }

    /// The first characters of a name that is in pieces.
    pub fn of_pieces(pieces: &[&str]) -> Self {
        const CHARACTERS_MAX: usize = 40;
        let mut chars = pieces.iter().flat_map(|piece| piece.chars());
        let mut shown: String = chars.by_ref().take(CHARACTERS_MAX).flat_map(char::escape_debug).collect();
        if chars.next().is_some() {
            shown.push('…');
        }
        Self(shown)
    }
}

impl Shown {
    /// The piece as it is shown, without the marks around it.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct At<'a>(Option<&'a Shown>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |column| write!(f, ", column {column}"))
    }
}

struct More(usize);

impl fmt::Display for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            others => write!(f, " (and {others} more are missing)"),
        }
    }
}

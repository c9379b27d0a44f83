//! Why a part of a mail is not used: one clear line that names the part and the place in it.

use std::fmt;

use crate::error::{MailFault, Shown};
use crate::limits::{
    ADAPT_PACK_DEPTH_MAX, ADAPT_PART_BYTES_MAX, ADAPT_PARTS_MAX, ADAPT_RATIO_MAX, ADAPT_TREE_DEPTH_MAX,
    ADAPT_UNPACKED_BYTES_MAX, LINE_BYTES_MAX,
};

/// A part that is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}{place}: {fault}")]
pub struct Reject {
    /// The part: its file name, or what it is.
    pub part: Shown,
    /// Where in it.
    pub place: Place,
    /// What is wrong.
    pub fault: Fault,
}

/// A place in a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// All of it.
    Whole,
    /// A line, counted from 1.
    Line(u64),
    /// A byte, counted from 0.
    Byte(u64),
    /// A record of fixed width, counted from 1.
    Record(u64),
}

/// What is wrong with a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The mail as a whole.
    #[error(transparent)]
    Mail(#[from] MailFault),
    /// More parts than are read.
    #[error("more than {ADAPT_PARTS_MAX} parts")]
    TooManyParts,
    /// Parts in parts in parts.
    #[error("parts are nested more than {0} deep")]
    TooDeep(usize),
    /// Cut short, or its transfer encoding is broken.
    #[error("cut short, or its transfer encoding is broken")]
    Broken,
    /// No content.
    #[error("there is nothing in it")]
    Empty,
    /// No adapter recognises it.
    #[error("no known format")]
    NotRecognised,
    /// Bytes that are not text, or not in the charset that is declared.
    #[error("this is no text in its charset")]
    NotText,
    /// Larger than is read.
    #[error("larger than {ADAPT_PART_BYTES_MAX} bytes")]
    PartTooLarge,
    /// A line over its limit.
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// All that a mail unpacks to.
    #[error("the mail unpacks to more than {ADAPT_UNPACKED_BYTES_MAX} bytes")]
    UnpacksTooLarge,
    /// A compression bomb.
    #[error("it unpacks to more than {ADAPT_RATIO_MAX} times its size")]
    Ratio,
    /// Archives in archives.
    #[error("packed more than {ADAPT_PACK_DEPTH_MAX} times")]
    PackedTooDeep,
    /// Compressed data that does not unpack.
    #[error("damaged compressed data: {0}")]
    Damaged(Shown),
    /// An archive whose directory does not hold.
    #[error("damaged zip: {0}")]
    DamagedZip(&'static str),
    /// An archive of a kind that is not read.
    #[error("not read: {0}")]
    Unsupported(&'static str),
    /// Not a single number.
    #[error("no value in it")]
    NoValues,
    /// More than is kept from one mail.
    #[error("more than {max} {unit}")]
    TooMany {
        /// The limit.
        max: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// A name over its limit.
    #[error("the name {0} is longer than {max} bytes", max = common::limits::NAME_BYTES_MAX)]
    NameTooLong(Shown),
    /// Not a time.
    #[error("{0} is not a time")]
    NotATime(Shown),
    /// Not a number, where only a number can be.
    #[error("{column}: {cell} is not a number")]
    NotANumber {
        /// The column.
        column: Shown,
        /// What is there.
        cell: Shown,
    },
    /// More or fewer cells than the header.
    #[error("{found} columns where the header has {expected}")]
    Columns {
        /// Cells in this row.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// A quotation mark without its partner.
    #[error("a quotation mark is not closed on its line")]
    OpenQuote,
    /// A name that is there twice.
    #[error("column {0} is there twice")]
    Duplicate(Shown),
    /// A header without names.
    #[error("the first line must name the columns")]
    NoHeader,
    /// Elements or objects in each other.
    #[error("nested more than {ADAPT_TREE_DEPTH_MAX} deep")]
    TreeTooDeep,
    /// What a parser of JSON or XML said.
    #[error("{0}")]
    Syntax(Shown),
    /// A document type declaration could define entities, which are how XML bombs are made.
    #[error("a document type declaration is not read")]
    DocType,
    /// An entity that XML does not know by itself.
    #[error("the entity {0} is not known")]
    Entity(Shown),
    /// A record of fixed width that is shorter.
    #[error("{found} bytes where a record has {expected}")]
    RecordLength {
        /// Bytes there are.
        found: usize,
        /// Bytes there should be.
        expected: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Line(line) => write!(f, ": line {line}"),
            Self::Byte(byte) => write!(f, ": byte {byte}"),
            Self::Record(record) => write!(f, ": record {record}"),
        }
    }
}

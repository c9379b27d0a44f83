//! Every maximum of the sources, with its reason.

use common::limits::METRICS_MAX;

/// Columns of a CSV file: all metrics of a record and a timestamp.
pub const COLUMNS_MAX: usize = METRICS_MAX + 1;

/// Bytes in one line: the most columns with sixty characters each.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Records held in memory at once: eight years of one a minute.
pub const RECORDS_MAX: usize = 1 << 22;

/// Values held in memory at once: half a gigabyte of 32-bit floats.
pub const VALUES_MAX: usize = 1 << 27;

/// Records after which one look at a directory stops; the next look goes on from there.
pub const LOOK_RECORDS: usize = 1 << 16;

/// Row errors that are kept with their text; the others are only counted.
pub const ROW_ERRORS_KEPT: usize = 20;

/// Bytes that a gzip file may unpack to. Unpacking is streamed, so this bounds time, not memory.
pub const UNPACKED_BYTES_MAX: u64 = 4 << 30;

/// Files in one directory.
pub const FILES_MAX: usize = 10_000;

/// Bytes in one mail: what mail servers commonly let through, less than which they refuse attachments.
pub const MAIL_BYTES_MAX: u64 = 32 << 20;

/// Bytes that a gzip attachment may unpack to: against compression bombs by mail.
pub const ATTACHMENT_UNPACKED_BYTES_MAX: u64 = 256 << 20;

/// CSV parts of one mail.
pub const CSV_PARTS_MAX: usize = 64;

/// Places in a mail where a boundary could be (two hyphens): bounds the parts its parser makes.
pub const MAIL_HYPHENS_MAX: usize = 1 << 16;

/// Bytes in one header block of a mail: parsing header parameters takes time that grows with the square
/// of their number.
pub const MAIL_HEADER_BYTES_MAX: usize = 64 * 1024;

/// Bytes of what one entry of a spool holds: a mail of the largest size, or an OTLP request as unpacked.
pub const ENTRY_BODY_BYTES_MAX: usize = 64 << 20;

/// Bytes of an entry before its body: id, tenant, kind, time, and a source's name.
pub const ENTRY_HEAD_BYTES_MAX: usize = 256;

/// Bytes of entries that wait for one commit of a spool; more would make each wait longer than it must.
pub const COMMIT_BYTES_MAX: usize = 8 << 20;

/// Entries that wait for a spool at once: more than there are connections.
pub const PENDING_ENTRIES_MAX: usize = 4096;

/// Ids of entries that are remembered, so that one sent again is known: 32 MB, hours of the busiest source.
pub const ENTRY_IDS_KEPT: usize = 1 << 20;

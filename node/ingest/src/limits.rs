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

/// Places in a mail where a boundary could be (two hyphens): bounds the parts its parser makes.
pub const MAIL_HYPHENS_MAX: usize = 1 << 16;

/// Multiparts of a mail. Its parser looks for the boundary of each, and where it is missing to the end of the mail:
/// thousands of them in a large mail would take it many minutes.
pub const MAIL_MULTIPARTS_MAX: usize = 64;

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

/// Tenants of one spool: each has a thread that writes and an open file.
pub const TENANTS_MAX: usize = 256;

/// Consumers of one tenant's entries: the pipeline, and each node that a bridge forwards to.
pub const CONSUMERS_MAX: usize = 4096;

/// Bytes of a consumer's name, which is a file's.
pub const CONSUMER_BYTES_MAX: usize = 100;

/// Labels of one source.
pub const LABELS_MAX: usize = 64;

/// Bytes of a source, of a label or of its value, when records are forwarded: sources may be paths.
pub const FORWARDED_TEXT_BYTES_MAX: usize = 4096;

/// Ids of entries that are remembered, so that one sent again is known: 32 MB, hours of the busiest source.
pub const ENTRY_IDS_KEPT: usize = 1 << 20;

/// Bytes of a command line with its CRLF: 512 (RFC 5321, section 4.5.3.1.4) and what parameters of MAIL add:
/// SIZE 26 (RFC 1870), BODY 17 (RFC 6152), SMTPUTF8 10 (RFC 6531), AUTH 500 (RFC 4954).
pub const SMTP_COMMAND_BYTES_MAX: usize = 512 + 26 + 17 + 10 + 500;

/// Bytes of a line of an AUTH exchange with its CRLF (RFC 4954, section 4).
pub const SMTP_AUTH_BYTES_MAX: usize = 12_288;

/// Bytes of a local part. RFC 5321 asks for 64 at least; a tenant with a long token takes more.
pub const SMTP_LOCAL_PART_BYTES_MAX: usize = 128;

/// Bytes of a domain (RFC 5321, section 4.5.3.1.2).
pub const SMTP_DOMAIN_BYTES_MAX: usize = 255;

/// Bytes of pipelined commands that wait while a mail is being stored; a peer that sends more is not read.
pub const SMTP_HELD_BYTES_MAX: usize = 64 * 1024;

/// Recipients of a mail: as many as RFC 5321, section 4.5.3.1.8, asks for at least.
pub const SMTP_RECIPIENTS_MAX: usize = 100;

/// Commands of a session: a thousand mails with a few recipients each, or one in chunks of 4 KiB.
pub const SMTP_COMMANDS_MAX: u32 = 10_000;

/// Refused commands of a session: a client that errs more often guesses tokens or speaks something else.
pub const SMTP_ERRORS_MAX: u32 = 20;

/// Characters of a reason that someone else wrote, in a reply of at most 512 bytes.
pub const SMTP_REASON_CHARS_MAX: usize = 200;

/// Bytes of a part by whose text it is recognised: past the styles that mail programs put before a table.
pub const ADAPT_HEAD_BYTES: usize = 64 * 1024;

/// Bytes of one part, unpacked: readers hold a part and what it means in memory at once.
pub const ADAPT_PART_BYTES_MAX: usize = 16 << 20;

/// Bytes that all packed parts of one mail unpack to: twice what a mail itself may be.
pub const ADAPT_UNPACKED_BYTES_MAX: usize = 64 << 20;

/// Times its own size that a packed part may unpack to, beyond [`ADAPT_RATIO_FREE_BYTES`]. Reports of
/// repeated lines reach a hundred; deflate ends at 1032.
pub const ADAPT_RATIO_MAX: usize = 200;

/// Bytes that a packed part may unpack to whatever its ratio: small, so no bomb.
pub const ADAPT_RATIO_FREE_BYTES: usize = 1 << 20;

/// Archives in archives: a zip of gzip files, once more packed by a gateway.
pub const ADAPT_PACK_DEPTH_MAX: usize = 3;

/// Parts that are read from one mail, with the files of its archives: a rack of machines, a file each.
pub const ADAPT_PARTS_MAX: usize = 256;

/// Multiparts in multiparts: mixed, related, alternative, and what a mailing list wraps around them.
pub const ADAPT_MULTIPART_DEPTH_MAX: usize = 8;

/// Readings from one mail: a week of one a minute from six machines.
pub const ADAPT_READINGS_MAX: usize = 1 << 16;

/// Values from one mail: about a hundred megabytes with their names.
pub const ADAPT_VALUES_MAX: usize = 1 << 20;

/// Elements or objects in each other: bounds the stack that walking them takes.
pub const ADAPT_TREE_DEPTH_MAX: usize = 32;

/// Tables in tables: mail programs lay out with a few.
pub const ADAPT_TABLE_DEPTH_MAX: usize = 16;

/// Bytes of a request over HTTP (OTLP, Prometheus), packed or not, unless configured otherwise. Decoded, the worst
/// request takes some seventy times as much memory, so few are decoded at once.
pub const HTTP_REQUEST_BYTES: usize = 16 << 20;

/// Requests of one listener that are decoded at once.
pub const HTTP_DECODING_MAX: usize = 2;

/// Bytes of requests of one listener in memory at once, all connections together: four of the largest size.
pub const HTTP_HELD_BYTES_MAX: usize = 4 * ENTRY_BODY_BYTES_MAX;

/// Columns of a Parquet file, with those that are no numbers.
pub const PARQUET_COLUMNS_MAX: usize = 4 * COLUMNS_MAX;

/// Rows of a Parquet file that are read from all columns at a time.
pub const PARQUET_BATCH_ROWS: usize = 4096;

/// Objects in each other in a line of JSON: their names are joined, and a metric's name is short.
pub const JSON_DEPTH_MAX: usize = 32;

/// Bytes of what an exporter says, unless configured otherwise: a hundred thousand samples.
pub const SCRAPE_BYTES: usize = 16 << 20;

/// Samples that an exporter may say: far more than the records of one time take in.
pub const SCRAPE_SAMPLES_MAX: usize = 1 << 17;

/// Labels of one of its samples; Prometheus itself is commonly set to thirty.
pub const SCRAPE_LABELS_MAX: usize = 64;

/// Bytes of the payload of an MQTT message, unless configured otherwise: devices send a few hundred.
pub const MQTT_MESSAGE_BYTES: usize = 1 << 20;

/// Bytes of MQTT messages that wait for the spool: two of the longest that may be configured, and more.
pub const MQTT_HELD_BYTES_MAX: usize = 2 * ENTRY_BODY_BYTES_MAX;

/// MQTT messages that are not acknowledged yet: brokers commonly send twenty, and the protocol 65,535.
pub const MQTT_UNACKNOWLEDGED_MAX: usize = 4096;

/// Bytes of a record's source that a resource or a device named: the longest host name (RFC 1035, section 2.3.4).
pub const SOURCE_BYTES_MAX: usize = 255;

/// Bytes of a syslog message; what is beyond is cut off, which RFC 5424, section 6.1, allows over 2048.
pub const SYSLOG_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of syslog messages in one entry: hundreds of messages share the cost of one commit.
pub const SYSLOG_ENTRY_BYTES_MAX: usize = 256 * 1024;

/// Digits of a message's length in octet counting (RFC 6587, section 3.4.1); a message of a gigabyte is an attack.
pub const SYSLOG_LENGTH_DIGITS_MAX: usize = 9;

/// Bytes of a large file that one thread reads at a stretch, unless asked otherwise: some tens of
/// milliseconds of work, so that handing it over costs nothing.
pub const IMPORT_RANGE_BYTES: u64 = 8 << 20;

/// Rows that are handed over at once: ten megabytes at most with their overhead, however short the rows.
pub const IMPORT_BATCH_ROWS: usize = 1 << 16;

/// Bytes of one entry of the spool that an import makes, about: small beside the room for entries that wait for
/// the disk, so that a batch need not wait for itself.
pub const IMPORT_ENTRY_BYTES: usize = 1 << 20;

/// Bytes at each end of a large file by which it is known again.
pub const IMPORT_IDENTITY_BYTES: u64 = 64 * 1024;

/// Line starts near a cut that are tried as the start of a record: more lines than a quoted cell has.
pub const IMPORT_GUESSES_MAX: usize = 32;

/// Seconds that a mail server may take to connect, or for one reply, when a report is sent.
pub const REPORT_TIMEOUT_S: u64 = 30;

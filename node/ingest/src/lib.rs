//! Where telemetry comes from: files, directories that grow, mails that are dropped into them, this host,
//! those who push (mail, OTLP, Prometheus remote write, syslog), exporters, and an MQTT broker.
//!
//! ```text
//! bytes > content (gzip?) > csv::Decoder > TelemetryRecord      decided without I/O; the edge opens files
//! bytes > content (gzip?) > jsonl::Decoder > TelemetryRecord    likewise
//! mail, pushed or in a file > adapt > adapt::Reading > TelemetryRecord               likewise
//! large file > import::Import > ranges in parallel > batches, in order, each with the state to resume from
//! listing > follow::Follow > reads to do                        decided without I/O
//! bytes > smtp::Session > replies, whole mails                   decided without I/O; the edge owns sockets
//! bytes > otlp::Request, syslog::Frames > spool > intake::read   likewise; what is in the spool is read later
//! sysinfo > host::Sample x 2 > TelemetryRecord                  rates: a pure function of two samples
//! exporter > prometheus::rates::Scrape x 2 > TelemetryRecord    likewise; the edge asks over HTTP
//! ```
//!
//! Policy: what is wrong with a file as a whole (no header, a metric missing, gzip cut short, nothing in it)
//! refuses the file; a bad row is left out, counted and reported. Nothing is left out silently.

pub mod adapt;
mod columnar;
mod config;
mod content;
pub mod csv;
pub mod directory;
pub mod error;
pub mod file;
pub mod follow;
pub mod forwarded;
mod gathered;
pub mod host;
pub mod import;
pub mod intake;
pub mod jsonl;
pub mod labels;
pub mod limits;
mod lines;
pub mod listen;
pub mod mqtt;
pub mod otlp;
pub mod prometheus;
pub mod record;
pub mod report;
pub mod scrape;
pub mod smtp;
pub mod spool;
pub mod syslog;
mod time;

use std::path::Path;

use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;

pub use self::config::{CsvSource, DirectorySource, Format, HostSource, Interval, PrometheusSource, Source};
pub use self::error::{IngestError, RowError};
pub use self::lines::Syntax;
pub use self::time::rfc3339;

use self::limits::{RECORDS_MAX, ROW_ERRORS_KEPT, VALUES_MAX};
use crate::record::TelemetryRecord;

/// What a source gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ingested {
    /// The records: file by file in the order of their names, row by row.
    pub records: Vec<TelemetryRecord>,
    /// The first of the rows that were left out.
    pub rejected: Vec<RowError>,
    /// All of the rows that were left out.
    pub rejected_count: u64,
    /// Files of a directory that were left out as a whole.
    pub refused: Vec<IngestError>,
}

impl Ingested {
    /// Takes over what one more file gave.
    fn absorb(&mut self, other: Self) {
        self.records.extend(other.records);
        self.rejected_count += other.rejected_count;
        self.rejected.extend(other.rejected);
        self.rejected.truncate(ROW_ERRORS_KEPT);
        self.refused.extend(other.refused);
    }
}

impl csv::Rows for Ingested {
    fn accept(&mut self, record: TelemetryRecord) -> Result<(), csv::Full> {
        if self.records.len() >= RECORDS_MAX {
            return Err(csv::Full { max: RECORDS_MAX as u64, unit: "rows" });
        }
        if (self.records.len() + 1).saturating_mul(record.values.len()) > VALUES_MAX {
            return Err(csv::Full { max: VALUES_MAX as u64, unit: "values" });
        }
        self.records.push(record);
        Ok(())
    }

    fn reject(&mut self, row: RowError) {
        self.rejected_count += 1;
        if self.rejected.len() < ROW_ERRORS_KEPT {
            self.rejected.push(row);
        }
    }
}

/// All records that `source` holds now, as those of `tenant`: for training. With `required`, each record has just these
/// metrics in this order. A host holds one record, its present state, without rates; so does an exporter, whose
/// metrics are its own.
///
/// To go on reading a directory as it grows, use [`directory::Follower`] from the start instead:
/// its first look gives these records too.
///
/// # Errors
///
/// [`IngestError`] when nothing of the source can be used. In a directory a file that cannot be used
/// does not keep the others from being read; it is in [`Ingested::refused`].
pub fn records(
    source: &Source,
    tenant: TenantId,
    now: Timestamp,
    required: Option<&[MetricName]>,
) -> Result<Ingested, IngestError> {
    let mut out = Ingested::default();
    match source {
        Source::Csv(csv) => file::read_file(&csv.path, tenant, &csv.format(), required, &mut out)?,
        Source::Jsonl(lines) => {
            let (syntax, format) = (Some(Syntax::JsonLines), lines.format());
            file::read_file_as(syntax, &lines.path, tenant, &format, required, &mut out)?;
        }
        Source::Directory(directory) => {
            directory_records(&directory.path, tenant, &directory.format(), required, &mut out)?;
        }
        Source::Prometheus(exporter) => out.absorb(scrape::Scraper::new(exporter, tenant)?.look(now)?),
        Source::Host(_) => out.records.push(host::Sampler::new(tenant, required)?.sample(now)),
    }
    Ok(out)
}

fn directory_records(
    path: &Path,
    tenant: TenantId,
    format: &Format,
    required: Option<&[MetricName]>,
    out: &mut Ingested,
) -> Result<(), IngestError> {
    let too_large =
        |max: usize, unit| IngestError::TooLarge { file: file::shown(path), max: max as u64, unit };
    let mut values = 0;
    for listed in directory::list(path)? {
        let before = out.records.len();
        if let Err(error) = file::read_file(&path.join(&listed.name), tenant, format, required, out) {
            out.refused.push(error);
        }
        values += out.records[before..].iter().map(|record| record.values.len()).sum::<usize>();
        if out.records.len() > RECORDS_MAX {
            return Err(too_large(RECORDS_MAX, "rows"));
        }
        if values > VALUES_MAX {
            return Err(too_large(VALUES_MAX, "values"));
        }
    }
    match (out.records.is_empty(), out.refused.first()) {
        (true, Some(first)) => Err(first.clone()),
        (true, None) if out.rejected_count == 0 => Err(IngestError::NoFiles { directory: file::shown(path) }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

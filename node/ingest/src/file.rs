//! One whole file: CSV or JSON lines, plain or gzip, Parquet, or a mail.

mod mail;

use std::fs::File;
use std::path::Path;

use common::id::TenantId;
use common::model::MetricName;

use super::content::{Content, io_error};
use super::error::IngestError;
use super::limits::UNPACKED_BYTES_MAX;
use super::lines::Syntax;
use super::{Format, Ingested, columnar};

/// Reads all records of a CSV file, plain or gzip, of JSON lines (named `*.jsonl` or `*.ndjson`, and `.gz`), of
/// Parquet (named `*.parquet`), or of a mail (named `*.eml`) in any format that [`adapt`](crate::adapt) knows.
///
/// # Errors
///
/// [`IngestError`] when the file as a whole cannot be used; then nothing of it is in `out`.
/// Rows, and parts of a mail, that had to be left out are reported in `out`.
pub fn read_file(
    path: &Path,
    tenant: TenantId,
    format: &Format,
    required: Option<&[MetricName]>,
    out: &mut Ingested,
) -> Result<(), IngestError> {
    read_file_as(None, path, tenant, format, required, out)
}

/// As [`read_file`], where it may be known what the lines are, whatever the file's name says.
pub(super) fn read_file_as(
    syntax: Option<Syntax>,
    path: &Path,
    tenant: TenantId,
    format: &Format,
    required: Option<&[MetricName]>,
    out: &mut Ingested,
) -> Result<(), IngestError> {
    let name = shown(path);
    let file = File::open(path).map_err(|error| io_error(&name, &error))?;
    let mut own = Ingested::default();
    if syntax.is_none() && columnar::is_parquet(path) {
        columnar::read(&name, file, tenant, format, required, &mut own)?;
    } else if syntax.is_none() && is_mail(path) {
        mail::read(&name, &file, tenant, format, required, &mut own)?;
    } else {
        let syntax = syntax.unwrap_or_else(|| Syntax::of_name(&name));
        let content = Content::new(&name, file, UNPACKED_BYTES_MAX)?;
        syntax.decoder(&name, tenant, format, required).decode_all(&name, content, &mut own)?;
    }
    out.absorb(own);
    Ok(())
}

/// Whether a file of this name is read as a mail.
pub(super) fn is_mail(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("eml"))
}

/// Whether a file of this name is read when it is complete, and not line by line as it grows.
pub(super) fn is_whole(path: &Path) -> bool {
    is_mail(path) || columnar::is_parquet(path)
}

/// A path as errors show it: on one line.
pub(super) fn shown(path: &Path) -> String {
    path.to_string_lossy()
        .chars()
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

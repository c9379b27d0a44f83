//! Parquet files: columns of numbers to records, a group of rows at a time. Read with the feature `parquet`.

#[cfg(feature = "parquet")]
mod columns;
#[cfg(feature = "parquet")]
mod rows;

use std::fs::File;
use std::path::Path;

use common::id::TenantId;
use common::model::MetricName;

use crate::Ingested;
use crate::config::Format;
use crate::error::IngestError;

/// Whether a file of this name is Parquet.
pub(super) fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

/// Reads all records of a file that errors and records call `name`.
///
/// # Errors
///
/// [`IngestError::Parquet`] says what is wrong with it; then what is in `out` is not to be used.
#[cfg(feature = "parquet")]
pub(super) fn read(
    name: &str,
    file: File,
    tenant: TenantId,
    format: &Format,
    required: Option<&[MetricName]>,
    out: &mut Ingested,
) -> Result<(), IngestError> {
    // The reader of a damaged file may panic (it expects what its writer promised): that costs this file only.
    let reading = std::panic::AssertUnwindSafe(|| rows::read(name, file, tenant, format, required, out));
    std::panic::catch_unwind(reading).unwrap_or_else(|_| {
        let reason = "the file is damaged: its reader gave up".to_owned();
        Err(IngestError::Parquet { file: name.to_owned(), reason })
    })
}

/// Refuses the file: its reader is not built in.
///
/// # Errors
///
/// Always.
#[cfg(not(feature = "parquet"))]
pub(super) fn read(
    name: &str,
    _file: File,
    _tenant: TenantId,
    _format: &Format,
    _required: Option<&[MetricName]>,
    _out: &mut Ingested,
) -> Result<(), IngestError> {
    let reason = "this build cannot read Parquet; build with --features parquet".to_owned();
    Err(IngestError::Parquet { file: name.to_owned(), reason })
}

#[cfg(test)]
mod tests;

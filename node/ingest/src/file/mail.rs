//! A mail in a file, read by [`adapt`](crate::adapt) like one that was pushed.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use common::id::TenantId;
use common::model::MetricName;
use common::units::Timestamp;

use crate::adapt::{self, Fault, Outcome, Reject};
use crate::content::io_error;
use crate::error::{IngestError, MailFault};
use crate::limits::MAIL_BYTES_MAX;
use crate::record::TelemetryRecord;
use crate::{Format, Ingested};

/// Reads all parts of a mail that can be read; the others are in [`Ingested::refused`].
///
/// # Errors
///
/// [`IngestError`] when there is not a single record. A mail that is cut short is refused whole: it may be
/// complete at the next look, and would be read twice.
pub(super) fn read(
    name: &str,
    file: &File,
    tenant: TenantId,
    format: &Format,
    required: Option<&[MetricName]>,
    out: &mut Ingested,
) -> Result<(), IngestError> {
    let fault = |error| io_error(name, &error);
    let mut mail = Vec::new();
    file.take(MAIL_BYTES_MAX + 1).read_to_end(&mut mail).map_err(fault)?;
    if mail.is_empty() {
        return Err(IngestError::Empty { file: name.to_owned() });
    }
    let written = file.metadata().and_then(|metadata| metadata.modified()).map_err(fault)?;
    let written = written.duration_since(UNIX_EPOCH).unwrap_or_default();
    let written = Timestamp(u64::try_from(written.as_micros()).unwrap_or_default());
    let outcome = adapt::read_saved_mail(&mail, written, format.timestamp_column.as_deref());
    keep(name, outcome, tenant, required, out)
}

fn keep(
    name: &str,
    outcome: Outcome,
    tenant: TenantId,
    required: Option<&[MetricName]>,
    out: &mut Ingested,
) -> Result<(), IngestError> {
    let Outcome { readings, rejects } = outcome;
    if let Some(cut) = rejects.iter().find(|reject| reject.fault == Fault::Broken) {
        let fault = MailFault::Broken(cut.part.clone());
        return Err(IngestError::Mail { file: name.to_owned(), fault });
    }
    let mut refused: Vec<IngestError> = rejects.into_iter().map(|reject| refusal(name, reject)).collect();
    let mut records = adapt::records(tenant, readings);
    if let Some(required) = required {
        let found = records.len();
        records = arranged(records, required);
        let without = found - records.len();
        if without > 0 {
            let reason = format!("{without} readings have no metric that is asked for");
            refused.push(IngestError::MailPart { file: name.to_owned(), reason });
        }
    }
    if records.is_empty() && !refused.is_empty() {
        return Err(refused.swap_remove(0));
    }
    out.records.append(&mut records);
    out.refused.append(&mut refused);
    Ok(())
}

fn refusal(name: &str, reject: Reject) -> IngestError {
    let file = name.to_owned();
    match reject.fault {
        Fault::Mail(fault) => IngestError::Mail { file, fault },
        _ => IngestError::MailPart { file, reason: reject.to_string() },
    }
}

/// The records with just these metrics in this order, NaN where one has them not; those with none of them are
/// left out.
fn arranged(records: Vec<TelemetryRecord>, required: &[MetricName]) -> Vec<TelemetryRecord> {
    let metrics: Arc<[MetricName]> = required.into();
    let arrange = |record: TelemetryRecord| {
        // Adapters name metrics in their order.
        let value = |metric| record.metrics.binary_search(metric).ok().map(|index| record.values[index]);
        let values: Vec<Option<f32>> = required.iter().map(value).collect();
        values.iter().any(Option::is_some).then(|| TelemetryRecord {
            values: values.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect(),
            metrics: Arc::clone(&metrics),
            ..record
        })
    };
    records.into_iter().filter_map(arrange).collect()
}

#[cfg(test)]
mod tests;

//! Records as a bridge forwards them to a node: bytes that name each source and each list of metrics once.
//!
//! ```text
//! groups (u32) | group ...
//! group   source | labels | metrics | rows (u32) | row ...
//! row     at (u64, microseconds) | one f32 a metric                          integers and floats little-endian
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use common::id::TenantId;
use common::limits::METRICS_MAX;
use common::model::MetricName;
use common::units::Timestamp;
use common::wire::{Fault, Input, List, Text, Wire, WireError};

use crate::limits::{FORWARDED_TEXT_BYTES_MAX, LABELS_MAX};
use crate::record::{Origin, TelemetryRecord};

type Name = Text<FORWARDED_TEXT_BYTES_MAX>;

/// Encodes records of one tenant. Names over their limits are cut, which no source makes.
pub fn encode(records: &[TelemetryRecord]) -> Vec<u8> {
    let same = |a: &TelemetryRecord, b: &TelemetryRecord| a.origin == b.origin && a.metrics == b.metrics;
    let mut out = Vec::new();
    (records.chunk_by(same).count() as u32).put(&mut out);
    for group in records.chunk_by(same) {
        let first = &group[0];
        name(first.source()).put(&mut out);
        let labels = first.origin.labels.iter().take(LABELS_MAX);
        (labels.len() as u32).put(&mut out);
        for (label, value) in labels {
            name(label).put(&mut out);
            name(value).put(&mut out);
        }
        (first.metrics.len() as u32).put(&mut out);
        first.metrics.iter().for_each(|metric| metric.put(&mut out));
        (group.len() as u32).put(&mut out);
        for record in group {
            record.at.put(&mut out);
            // A record has a value for each of its metrics; one that has not must not shift the others.
            let values = record.values.iter().copied().chain(std::iter::repeat(f32::NAN));
            values.take(first.metrics.len()).for_each(|value| value.put(&mut out));
        }
    }
    out
}

/// Cuts records into pieces of about so many bytes, when they are encoded, or of one record.
pub fn pieces(records: &[TelemetryRecord], bytes: usize) -> Vec<&[TelemetryRecord]> {
    let (mut pieces, mut from, mut filled) = (Vec::new(), 0, 0);
    for (index, record) in records.iter().enumerate() {
        let more = bytes_of(record);
        if filled > 0 && filled + more > bytes {
            pieces.push(&records[from..index]);
            (from, filled) = (index, 0);
        }
        filled += more;
    }
    if from < records.len() {
        pieces.push(&records[from..]);
    }
    pieces
}

/// About how many bytes a record takes when it is the first of its group.
fn bytes_of(record: &TelemetryRecord) -> usize {
    let metrics: usize = record.metrics.iter().map(|metric| metric.len() + 8).sum();
    let labels: usize = record.origin.labels.iter().map(|(label, value)| label.len() + value.len() + 8).sum();
    64 + record.source().len() + labels + metrics
}

/// Decodes records of `tenant`.
///
/// # Errors
///
/// [`WireError`] says where the bytes are wrong.
pub fn decode(bytes: &[u8], tenant: TenantId) -> Result<Vec<TelemetryRecord>, WireError> {
    let mut input = Input::new(bytes);
    let mut records = Vec::new();
    for _ in 0..u32::take(&mut input)? {
        group(&mut input, tenant, &mut records)?;
    }
    match input.rest() {
        [] => Ok(records),
        _ => Err(input.error(Fault::Trailing)),
    }
}

fn group(
    input: &mut Input<'_>,
    tenant: TenantId,
    records: &mut Vec<TelemetryRecord>,
) -> Result<(), WireError> {
    let source: Box<str> = Name::take(input)?.as_str().into();
    let mut labels = BTreeMap::new();
    let count = u32::take(input)? as usize;
    if count > LABELS_MAX {
        return Err(input.error(Fault::TooLong { max: LABELS_MAX }));
    }
    for _ in 0..count {
        let (label, value) = (Name::take(input)?, Name::take(input)?);
        labels.insert(label.as_str().into(), value.as_str().into());
    }
    let metrics: Arc<[MetricName]> = List::<MetricName, METRICS_MAX>::take(input)?.into_vec().into();
    let origin = Arc::new(Origin { tenant, source, labels });
    for _ in 0..u32::take(input)? {
        let at = Timestamp::take(input)?;
        let values = (0..metrics.len()).map(|_| f32::take(input)).collect::<Result<Vec<f32>, _>>()?;
        let (origin, metrics) = (Arc::clone(&origin), Arc::clone(&metrics));
        records.push(TelemetryRecord { origin, at, metrics, values });
    }
    Ok(())
}

fn name(text: &str) -> Name {
    let cut = &text[..text.floor_char_boundary(FORWARDED_TEXT_BYTES_MAX)];
    cut.try_into().expect("it was cut to the limit")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::TENANT;

    fn record(
        source: &str,
        label: Option<&str>,
        at: u64,
        metrics: &[&str],
        values: &[f32],
    ) -> TelemetryRecord {
        let labels = label.map(|value| ("rack".into(), value.into())).into_iter().collect();
        TelemetryRecord {
            origin: Arc::new(Origin { tenant: TENANT, source: source.into(), labels }),
            at: Timestamp(at),
            metrics: metrics.iter().map(|name| MetricName::try_from(*name).unwrap()).collect(),
            values: values.to_vec(),
        }
    }

    #[test]
    fn records_are_read_back_and_share_what_they_shared() {
        let records = [
            record("db-1", Some("A"), 1, &["cpu", "fan"], &[1.0, 2.0]),
            record("db-1", Some("A"), 2, &["cpu", "fan"], &[3.0, f32::INFINITY]),
            record("db-1", Some("B"), 3, &["cpu", "fan"], &[5.0, 6.0]),
            record("db-2", None, 4, &[], &[]),
        ];
        let bytes = encode(&records);
        let read = decode(&bytes, TENANT).unwrap();
        assert_eq!(read, records);
        assert!(
            Arc::ptr_eq(&read[0].origin, &read[1].origin) && Arc::ptr_eq(&read[0].metrics, &read[1].metrics)
        );
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut], TENANT).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn counts_that_the_input_cannot_hold_allocate_nothing() {
        let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(u32::MAX.to_le_bytes());
        assert!(decode(&bytes, TENANT).is_err());
        assert!(decode(&u32::MAX.to_le_bytes(), TENANT).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_records_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(records) = decode(&bytes, TENANT) {
                prop_assert!(records.len() * 8 <= bytes.len());
            }
        }
    }
}

//! Entries of the spool: bytes of every kind are read, the same each time. The first byte chooses the kind.
#![no_main]

use bytes::Bytes;
use common::id::TenantId;
use common::units::Timestamp;
use ingest::intake;
use ingest::spool::{Entry, EntryId, Kind};
use libfuzzer_sys::fuzz_target;

const KINDS: [Kind; 8] = [
    Kind::Mail,
    Kind::OtlpMetrics,
    Kind::OtlpLogs,
    Kind::OtlpTraces,
    Kind::Syslog,
    Kind::PrometheusWrite,
    Kind::Mqtt,
    Kind::Records,
];

fuzz_target!(|data: &[u8]| {
    let Some((&chosen, body)) = data.split_first() else { return };
    let (tenant, kind) = (TenantId([7; 16]), KINDS[usize::from(chosen % 8)]);
    let entry = Entry {
        id: EntryId::of_content(tenant, kind, "192.0.2.1", body),
        tenant,
        kind,
        received: Timestamp(1_400_100_000_000_000),
        source: "192.0.2.1".try_into().expect("it is short"),
        body: Bytes::copy_from_slice(body),
    };
    let read = intake::read(&entry);
    assert_eq!(format!("{read:?}"), format!("{:?}", intake::read(&entry)));
    for record in &read.records {
        assert!(record.origin.tenant == tenant && record.values.len() == record.metrics.len());
    }
    for reject in &read.rejects {
        let told = reject.to_string();
        assert!(told.len() < 1000 && !told.contains(char::is_control), "{told:?}");
    }
});

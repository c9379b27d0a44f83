//! Entries of the spool: bytes of every kind are read, the same each time. The first byte chooses the kind.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use common::id::TenantId;
use common::units::Timestamp;
use ingest::adapt::layout::{self, CodePage, Column, Layout, LayoutConfig};
use ingest::adapt::{Adapter, Pin, Pins};
use ingest::intake;
use ingest::spool::{Entry, EntryId, Kind};
use libfuzzer_sys::fuzz_target;

const KINDS: [Kind; 9] = [
    Kind::Mail,
    Kind::OtlpMetrics,
    Kind::OtlpLogs,
    Kind::OtlpTraces,
    Kind::Syslog,
    Kind::PrometheusWrite,
    Kind::Mqtt,
    Kind::Records,
    Kind::PinnedMail,
];

/// A mailbox for a format, and one for a layout.
static PINS: LazyLock<Pins> = LazyLock::new(|| {
    let column = |name: &str, start, kind| Column { name: name.to_owned(), start, length: 4, kind, scale: 0 };
    let config = LayoutConfig {
        code_page: CodePage::Cp037,
        record_bytes: Some(8),
        skip_first: 0,
        skip_containing: Vec::new(),
        columns: vec![column("host", 1, layout::Kind::Text), column("jobs", 5, layout::Kind::Binary)],
    };
    let layout = Pin::Layout(Layout::try_from(config).expect("its columns are inside"));
    let pairs = Pin::Format(Adapter::named("pairs").expect("it is one of the adapters"));
    [("l".to_owned(), layout), ("p".to_owned(), pairs)].into_iter().collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((&chosen, body)) = data.split_first() else { return };
    let (tenant, kind) = (TenantId([7; 16]), KINDS[usize::from(chosen.wrapping_sub(b'0')) % KINDS.len()]);
    let entry = Entry {
        id: EntryId::of_content(tenant, kind, "192.0.2.1", body),
        tenant,
        kind,
        received: Timestamp(1_400_100_000_000_000),
        source: "192.0.2.1".try_into().expect("it is short"),
        body: Bytes::copy_from_slice(body),
    };
    let read = intake::read(&entry, &PINS);
    assert_eq!(format!("{read:?}"), format!("{:?}", intake::read(&entry, &PINS)));
    for record in &read.records {
        assert!(record.origin.tenant == tenant && record.values.len() == record.metrics.len());
    }
    for reject in &read.rejects {
        let told = reject.to_string();
        assert!(told.len() < 1000 && !told.contains(char::is_control), "{told:?}");
    }
});

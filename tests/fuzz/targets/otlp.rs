//! OTLP requests in protobuf and JSON: what was read is written and read again as the same.
#![no_main]

use common::id::TenantId;
use common::units::Timestamp;
use ingest::otlp::{Encoding, Request, Signal};
use libfuzzer_sys::fuzz_target;

const RECEIVED: Timestamp = Timestamp(1_400_100_000_000_000);

fuzz_target!(|data: &[u8]| {
    for signal in [Signal::Metrics, Signal::Logs, Signal::Traces] {
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let Ok(request) = Request::decode(signal, encoding, data) else { continue };
            let source = request.source().unwrap_or("192.0.2.1");
            let outcome = request.records(TenantId([7; 16]), source, RECEIVED);
            let stored = request.encode();
            let again = Request::decode(signal, Encoding::Protobuf, &stored).expect("it was written so");
            let read = again.records(TenantId([7; 16]), source, RECEIVED);
            // NaN is not equal to itself; its text is.
            assert_eq!(format!("{read:?}"), format!("{outcome:?}"));
            let complete =
                |record: &ingest::record::TelemetryRecord| record.values.len() == record.metrics.len();
            assert!(outcome.records.iter().all(complete));
            assert!(outcome.rejected_count >= outcome.rejects.len() as u64);
        }
    }
});

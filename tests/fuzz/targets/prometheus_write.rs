//! Remote write of both versions: any bytes as they come, and any bytes that Snappy packed.
#![no_main]

use common::id::TenantId;
use common::units::Timestamp;
use ingest::prometheus::WriteRequest;
use libfuzzer_sys::fuzz_target;

/// What a request may unpack to.
const UNPACKED_BYTES_MAX: usize = 16 << 20;

fn read(packed: &[u8]) {
    let Ok(request) = WriteRequest::decode(packed, UNPACKED_BYTES_MAX) else { return };
    let written = request.written();
    let outcome = request.records(TenantId([7; 16]), "192.0.2.1", Timestamp(1_400_100_000_000_000));
    let values: usize = outcome.records.iter().map(|record| record.values.len()).sum();
    let told = written.samples + 3 * written.histograms;
    assert_eq!(values as u64 + outcome.rejected_count, told as u64, "nothing is left out silently");
    assert!(!request.is_empty() || told == 0);
}

fuzz_target!(|data: &[u8]| {
    read(data);
    read(&snap::raw::Encoder::new().compress_vec(data).expect("it is short"));
});

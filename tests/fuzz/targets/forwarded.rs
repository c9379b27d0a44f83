//! Records that a bridge forwarded: any bytes are refused, or are records that are written as the same.
#![no_main]

use common::id::TenantId;
use ingest::forwarded::{decode, encode};
use libfuzzer_sys::fuzz_target;

const TENANT: TenantId = TenantId([7; 16]);

fuzz_target!(|data: &[u8]| {
    let Ok(records) = decode(data, TENANT) else { return };
    let again = decode(&encode(&records), TENANT).expect("it was written so");
    // NaN is not equal to itself; its text is.
    assert_eq!(format!("{again:?}"), format!("{records:?}"));
});

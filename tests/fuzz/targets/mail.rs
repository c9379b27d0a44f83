//! Mails: any bytes give readings and reasons, the same each time, and readings that records can be made of.
#![no_main]

use common::id::TenantId;
use common::units::Timestamp;
use ingest::adapt;
use libfuzzer_sys::fuzz_target;

const RECEIVED: Timestamp = Timestamp(1_400_100_000_000_000);

fuzz_target!(|data: &[u8]| {
    let outcome = adapt::read_mail(data, RECEIVED, None);
    assert_eq!(adapt::read_mail(data, RECEIVED, None), outcome);
    adapt::read_saved_mail(data, RECEIVED, Some("time"));
    for reject in &outcome.rejects {
        let told = reject.to_string();
        assert!(told.len() < 1000 && !told.contains(char::is_control), "{told:?}");
    }
    for reading in &outcome.readings {
        assert!(!reading.values.is_empty() && reading.values.iter().all(|(_, value)| value.is_finite()));
        assert!(reading.values.is_sorted_by(|(one, _), (other, _)| one < other));
    }
    let count = outcome.readings.len();
    assert_eq!(adapt::records(TenantId([7; 16]), outcome.readings).len(), count);
});

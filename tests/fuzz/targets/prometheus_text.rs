//! The text of exporters, in both formats, and the rates of two scrapes (a zero byte parts them).
#![no_main]

use common::id::TenantId;
use common::units::Timestamp;
use ingest::prometheus::rates::{Scrape, records};
use ingest::prometheus::text::{Syntax, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (before, after) = match data.iter().position(|&byte| byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, data),
    };
    for syntax in [Syntax::Text, Syntax::OpenMetrics] {
        let scrape = |second: u64, text| {
            parse(text, syntax).map(|samples| Scrape { at: Timestamp(second * 1_000_000), samples })
        };
        let (before, after) = (scrape(1_400_100_000, before).ok(), scrape(1_400_100_015, after));
        let after = match after {
            Ok(after) => after,
            Err(fault) => {
                let told = fault.to_string();
                assert!(told.len() < 1000 && !told.contains(char::is_control), "{told:?}");
                continue;
            }
        };
        let outcome = records(before.as_ref(), &after, TenantId([7; 16]), "rack-1");
        let values: usize = outcome.records.iter().map(|record| record.values.len()).sum();
        assert!(values as u64 + outcome.rejected_count <= 3 * after.samples.len() as u64);
    }
});

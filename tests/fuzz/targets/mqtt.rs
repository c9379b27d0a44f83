//! MQTT messages: a pattern, a topic and a payload (lines of the input), and any stored bytes.
#![no_main]

use common::id::TenantId;
use common::units::Timestamp;
use ingest::mqtt::{Pattern, records, store, tells_time};
use libfuzzer_sys::fuzz_target;

const RECEIVED: Timestamp = Timestamp(1_400_100_000_000_000);

fn read(stored: &[u8]) {
    match records(stored, TenantId([7; 16]), "rack-1", RECEIVED) {
        Ok(outcome) => assert!(outcome.records.len() <= 1),
        Err(fault) => {
            let told = fault.to_string();
            assert!(told.len() < 1000 && !told.contains(char::is_control), "{told:?}");
        }
    }
}

fuzz_target!(|data: &[u8]| {
    read(data);
    let mut lines = data.splitn(3, |&byte| byte == b'\n');
    let [pattern, topic, payload] = [(); 3].map(|()| lines.next().unwrap_or_default());
    tells_time(payload);
    read(&store("t", None, payload));
    let (Ok(pattern), Ok(topic)) = (str::from_utf8(pattern), str::from_utf8(topic)) else { return };
    let Ok(pattern) = Pattern::try_from(pattern.to_owned()) else { return };
    assert!(!pattern.filter().contains(['{', '#']));
    if let Some(named) = pattern.named(topic) {
        assert!(!named.source.is_empty());
        read(&store(topic, named.metric, payload));
    }
});

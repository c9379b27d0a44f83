//! The adapters one by one: JSON, HTML, XML, Nagios, Zabbix, iDRAC, SNMP traps, syslog, separated cells, pairs.
#![no_main]

use common::units::Timestamp;
use ingest::adapt::{self, ADAPTERS, Part, Pin};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let part = Part {
        name: Some("report"),
        media_type: "text/plain",
        bytes: data,
        received: Timestamp(1_400_100_000_000_000),
        sender: "monitor@example.com",
        subject: "Problem: disk",
        time_column: None,
    };
    let chosen = adapt::recognise(&part).map(|adapter| adapter.name);
    let read = adapt::read_part(&part, None);
    for adapter in &ADAPTERS {
        let pinned = adapt::read_part(&part, Some(&Pin::Format(adapter)));
        if let Ok(readings) = &pinned {
            assert!(!readings.is_empty());
            let values = || readings.iter().flat_map(|reading| &reading.values);
            assert!(values().all(|(_, value)| value.is_finite()), "{}", adapter.name);
        }
        if chosen == Some(adapter.name) && read.is_ok() {
            assert_eq!(pinned, read);
        }
    }
});

use common::model::MetricName;
use proptest::prelude::*;

use super::*;
use crate::record::TENANT;

const RECEIVED: Timestamp = Timestamp(1_700_000_000_000_000);

fn pattern(text: &str) -> Result<Pattern, PatternError> {
    Pattern::try_from(text.to_owned())
}

/// The record of a message as a line.
fn line(metric: Option<&str>, payload: &str) -> String {
    let stored = store("plant/a/b", metric, payload.as_bytes());
    match records(&stored, TENANT, "a", RECEIVED) {
        Err(fault) => fault.to_string(),
        Ok(outcome) => {
            let Some(record) = outcome.records.first() else { return "nothing".into() };
            let pairs = record.metrics.iter().map(MetricName::as_str).zip(&record.values);
            let values: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {} {}", record.source(), record.at.millis(), values.join(" "))
        }
    }
}

#[test]
fn a_payload_is_a_number_an_object_or_pairs() {
    let cases = [
        (Some("temp"), "21.5", "a 1700000000000 temp=21.5"),
        (None, " 7\n", "a 1700000000000 value=7"),
        (Some("door"), "true", "a 1700000000000 door=1"),
        (None, r#"{"temp":21.5,"cpu":{"user":1},"unit":"C"}"#, "a 1700000000000 cpu.user=1 temp=21.5"),
        (Some("env"), r#"{"time":1600000000,"temp":1}"#, "a 1600000000000 env.temp=1"),
        (None, "temp=21.5 hum=40, ts=1600000000500;state=ok", "a 1600000000500 hum=40 temp=21.5"),
        (None, "", "nothing"),
        (Some("temp"), "nan", "a 1700000000000 temp=NaN"),
    ];
    for (metric, payload, expected) in cases {
        assert_eq!(line(metric, payload), expected, "{payload}");
    }
}

#[test]
fn a_payload_that_says_nothing_is_told_with_its_topic() {
    let cases = [
        ("on", "`on` is neither a number, nor an object of JSON, nor `key=value`"),
        ("[1,2]", "`[1` is neither"),
        ("{\"a\":", "the payload is no JSON: `EOF"),
        ("{\"a\":\"b\"}", "the payload holds no number"),
        ("a=1 time=noon", "`noon` is not a time"),
        ("=1", "`=1` is neither"),
    ];
    for (payload, expected) in cases {
        let told = line(None, payload);
        assert!(told.starts_with("topic `plant/a/b`: ") && told.contains(expected), "{told}");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    assert!(line(None, &deep).contains("more than 32 objects"), "{}", line(None, &deep));
    assert!(records(b"topic only", TENANT, "a", RECEIVED).is_err());
    assert!(records(b"t\0m\0\xff", TENANT, "a", RECEIVED).is_err());
}

#[test]
fn a_pattern_subscribes_to_what_it_reads() {
    let plant = pattern("plant/+/{source}/{metric}").unwrap();
    assert_eq!(plant.filter(), "plant/+/+/+");
    assert_eq!(plant.named("plant/7/rack-1/temp"), Some(Named { source: "rack-1", metric: Some("temp") }));
    for other in ["plant/7/rack-1", "plant/7/rack-1/temp/x", "other/7/rack-1/temp", "plant/7//temp", ""] {
        assert_eq!(plant.named(other), None, "{other}");
    }
    let whole = pattern("{source}").unwrap();
    assert_eq!(whole.named("rack-1"), Some(Named { source: "rack-1", metric: None }));
    for bad in [
        "",
        "a/b",
        "{source}/{source}",
        "{source}/{metric}/{metric}",
        "{source}/#",
        "a+/{source}",
        "{host}/{source}",
    ] {
        assert!(pattern(bad).is_err(), "{bad}");
    }
    assert!(pattern(&format!("{{source}}/{}", "a".repeat(1024))).is_err());
}

#[test]
fn only_what_tells_its_time_is_known_again() {
    assert!(tells_time(b"{\"ts\":1600000000,\"a\":1}") && tells_time(b"a=1 time=1600000000"));
    assert!(!tells_time(b"21.5") && !tells_time(b"{\"a\":1}") && !tells_time(b"\xff"));
}

proptest! {
    #[test]
    fn no_bytes_panic_and_the_same_bytes_give_the_same(stored in prop::collection::vec(any::<u8>(), 0..120), topic in "[a-z/+{}#]{0,30}") {
        let read = || format!("{:?}", records(&stored, TENANT, "a", RECEIVED));
        prop_assert_eq!(read(), read());
        if let Ok(pattern) = pattern(&topic) {
            let _ = pattern.named(&topic);
        }
    }
}

#[test]
fn many_values_below_one_long_name_take_no_more_than_they_are() {
    let leaves = (0..50_000).map(|number| format!("\"{number}\":1,")).collect::<Vec<_>>().concat();
    let payload = format!("{{\"{}\":{{{leaves}\"b\":2}}}}", "n".repeat(512 << 10));
    let outcome = records(&store("t", None, payload.as_bytes()), TENANT, "a", RECEIVED).unwrap();
    assert_eq!((outcome.records.len(), outcome.rejected_count), (0, 50_001), "25 gigabytes of names");
}

use common::model::MetricName;
use proptest::prelude::*;
use prost::Message as _;

use super::messages::*;
use super::*;
use crate::record::TENANT;
use crate::record::TelemetryRecord;

const RECEIVED: Timestamp = Timestamp(1_700_000_000_000_000);
/// 2024-01-01T00:00:30Z and half a second.
const NANOS: u64 = 1_704_067_230_500_000_000;

fn records(signal: Signal, json: &str) -> Outcome {
    let request = Request::decode(signal, Encoding::Json, json.as_bytes()).unwrap();
    let again = Request::decode(signal, Encoding::Protobuf, &request.encode()).unwrap();
    let outcome = request.records(TENANT, "192.0.2.1", RECEIVED);
    // Not equal as such: NaN is in some.
    assert_eq!(format!("{outcome:?}"), format!("{:?}", again.records(TENANT, "192.0.2.1", RECEIVED)));
    outcome
}

/// A record as a line.
fn line(record: &TelemetryRecord) -> String {
    let pairs = record.metrics.iter().map(MetricName::as_str).zip(&record.values);
    let values: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{} {} {}", record.source(), record.at.millis(), values.join(" "))
}

fn lines(outcome: &Outcome) -> Vec<String> {
    outcome.records.iter().map(line).collect()
}

fn metrics(resource: &str, metrics: &str) -> String {
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{resource}]}},"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#
    )
}

fn attribute(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)
}

#[test]
fn numbers_of_one_time_are_one_record_sorted_by_name() {
    let host = [attribute("service.name", "shop"), attribute("host.name", "rack-1")].join(",");
    let points = format!(
        r#"{{"name":"temperature","gauge":{{"dataPoints":[{{"timeUnixNano":"{NANOS}","asDouble":21.5}}]}}}},
           {{"name":"requests","sum":{{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[
             {{"timeUnixNano":{NANOS},"asInt":"7","attributes":[{},{}]}},
             {{"timeUnixNano":"{NANOS}","asInt":9}}]}}}}"#,
        attribute("zone", "b"),
        attribute("method", "get")
    );
    let outcome = records(Signal::Metrics, &metrics(&host, &points));
    assert_eq!(
        lines(&outcome),
        ["rack-1 1704067230500 requests=9 requests{method=get,zone=b}=7 temperature=21.5"]
    );
    assert_eq!(outcome.rejected_count, 0);
}

#[test]
fn a_resource_is_named_by_its_best_attribute_and_else_by_its_peer() {
    let point = r#"{"name":"x","gauge":{"dataPoints":[{"asInt":1}]}}"#;
    let of = |resource: &str| lines(&records(Signal::Metrics, &metrics(resource, point))).remove(0);
    let keys = ["service.name", "service.instance.id", "host.name"];
    let all = keys.map(|key| attribute(key, key)).to_vec();
    for count in 1..=3 {
        assert!(of(&all[..count].join(",")).starts_with(keys[count - 1]), "{count}");
    }
    assert_eq!(of(&attribute("host.name", "")), format!("192.0.2.1 {} x=1", RECEIVED.millis()));
    let long = "h".repeat(300);
    assert!(of(&attribute("host.name", &long)).starts_with(&format!("{} ", "h".repeat(255))));
}

#[test]
fn distributions_become_their_moments() {
    let time = format!(r#""timeUnixNano":"{NANOS}""#);
    let points = format!(
        r#"{{"name":"h","histogram":{{"dataPoints":[{{{time},"count":"4","sum":10,"min":1,"max":5,
              "bucketCounts":["1","3"],"explicitBounds":[2.0],"attributes":[{}]}},{{{time},"count":"0"}}]}}}},
           {{"name":"e","exponentialHistogram":{{"dataPoints":[{{{time},"count":"3","sum":6.5,"scale":2}}]}}}},
           {{"name":"s","summary":{{"dataPoints":[{{{time},"count":"2","sum":3}}]}}}}"#,
        attribute("k", "v")
    );
    let outcome = records(Signal::Metrics, &metrics("", &points));
    assert_eq!(
        lines(&outcome),
        ["192.0.2.1 1704067230500 e.count=3 e.sum=6.5 h.count=0 h.count{k=v}=4 h.max=NaN h.max{k=v}=5 \
          h.mean=NaN h.mean{k=v}=2.5 h.min=NaN h.min{k=v}=1 h.sum=NaN h.sum{k=v}=10 s.count=2 s.sum=3"]
    );
}

#[test]
fn what_was_not_measured_is_nan() {
    let points = [
        "\"asDouble\":\"NaN\"",
        "\"asDouble\":\"-Infinity\"",
        "\"asDouble\":1e300",
        "\"asInt\":5,\"flags\":1",
        "",
    ];
    for point in points {
        let metric = format!(r#"{{"name":"x","gauge":{{"dataPoints":[{{{point}}}]}}}}"#);
        let outcome = records(Signal::Metrics, &metrics("", &metric));
        assert!(outcome.records[0].values[0].is_nan(), "{point}");
    }
}

#[test]
fn what_cannot_be_a_value_is_left_out_and_told() {
    let long = "m".repeat(129);
    let points = format!(
        r#"{{"name":"{long}","gauge":{{"dataPoints":[{{"asInt":1}}]}}}},
           {{"name":"","gauge":{{"dataPoints":[{{"asInt":1}}]}}}},
           {{"name":"empty"}},
           {{"name":"x","gauge":{{"dataPoints":[{{"asInt":1}},{{"asInt":2}}]}}}}"#
    );
    let outcome = records(Signal::Metrics, &metrics("", &points));
    assert_eq!(lines(&outcome), [format!("192.0.2.1 {} x=1", RECEIVED.millis())]);
    let told: Vec<String> = outcome.rejects.iter().map(ToString::to_string).collect();
    let endings = ["is longer than 128 bytes", "has no name", "is of no known kind", "the first is kept"];
    assert_eq!((told.len(), outcome.rejected_count), (4, 4));
    assert!(told.iter().zip(endings).all(|(line, ending)| line.ends_with(ending)), "{told:?}");
}

#[test]
fn a_record_has_no_more_metrics_than_it_may() {
    let point = |number: usize| format!(r#"{{"name":"m{number}","gauge":{{"dataPoints":[{{"asInt":1}}]}}}}"#);
    let points: Vec<String> = (0..1100).map(point).collect();
    let outcome = records(Signal::Metrics, &metrics("", &points.join(",")));
    assert_eq!(outcome.records[0].metrics.len(), 1024);
    assert_eq!((outcome.rejected_count, outcome.rejects.len()), (76, 20));
}

#[test]
fn attributes_of_every_type_give_names_that_cannot_be_confused() {
    let point = |value: &str| {
        let metric = format!(
            r#"{{"name":"x","gauge":{{"dataPoints":[{{"asInt":1,"attributes":[{{"key":"k","value":{value}}}]}}]}}}}"#
        );
        records(Signal::Metrics, &metrics("", &metric)).records[0].metrics[0].as_str().to_owned()
    };
    let named = [
        (r#"{"stringValue":"a,b=c}"}"#, r"x{k=a\,b\=c\}}"),
        (r#"{"stringValue":"a\nb"}"#, r"x{k=a\nb}"),
        (r#"{"intValue":"-5"}"#, "x{k=-5}"),
        (r#"{"doubleValue":0.5}"#, "x{k=0.5}"),
        (r#"{"boolValue":true}"#, "x{k=true}"),
        (r#"{"bytesValue":"AQI="}"#, "x{k=0102}"),
        (r#"{"arrayValue":{"values":[{"intValue":1},{"stringValue":"b"}]}}"#, "x{k=[1,b]}"),
        (r#"{"kvlistValue":{"values":[{"key":"a","value":{"intValue":1}}]}}"#, "x{k={a=1}}"),
        ("{}", "x{k=}"),
        ("null", "x{k=}"),
    ];
    for (value, name) in named {
        assert_eq!(point(value), name, "{value}");
    }
}

#[test]
fn log_records_are_counted_by_severity_and_minute() {
    let log = |nanos: u64, rest: &str| format!(r#"{{"timeUnixNano":"{nanos}"{rest}}}"#);
    let logs = [
        format!(
            r#"{{"timeUnixNano":"{NANOS}","severityNumber":9,"body":{{"stringValue":"hello"}},"traceId":"5b8e"}}"#
        ),
        log(NANOS + 1, r#","severityNumber":12"#),
        log(NANOS, r#","severityText":"Error""#),
        log(NANOS + 60_000_000_000, r#","severityNumber":24"#),
        log(0, &format!(r#","observedTimeUnixNano":"{NANOS}""#)),
    ];
    let request = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, logs.join(","));
    let outcome = records(Signal::Logs, &request);
    assert_eq!(
        lines(&outcome),
        [
            "192.0.2.1 1704067200000 log.debug=0 log.error=1 log.fatal=0 log.info=2 log.trace=0 \
             log.unspecified=1 log.warn=0",
            "192.0.2.1 1704067260000 log.debug=0 log.error=0 log.fatal=1 log.info=0 log.trace=0 \
             log.unspecified=0 log.warn=0",
        ]
    );
    assert!(std::sync::Arc::ptr_eq(&outcome.records[0].metrics, &outcome.records[1].metrics));
}

#[test]
fn spans_of_a_name_are_counted_and_their_time_is_their_mean() {
    let span = |name: &str, millis: u64, code: u8| {
        format!(
            r#"{{"name":"{name}","kind":2,"startTimeUnixNano":"{NANOS}","endTimeUnixNano":"{}","status":{{"code":{code}}}}}"#,
            NANOS + millis * 1_000_000
        )
    };
    let spans = [span("get", 10, 0), span("get", 20, 2), span("put", 5, 1), span("", 1, 0)];
    let request = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","));
    let outcome = records(Signal::Traces, &request);
    assert_eq!(
        lines(&outcome),
        ["192.0.2.1 1704067200000 span.get.count=2 span.get.duration_ms=15 span.get.errors=1 \
          span.put.count=1 span.put.duration_ms=5 span.put.errors=0"]
    );
    assert_eq!(outcome.rejected_count, 1);
}

#[test]
fn json_that_is_wrong_anywhere_is_an_error_that_says_where() {
    let wrong = [
        "",
        "[]x",
        r#"{"resourceMetrics":5}"#,
        &metrics("", r#"{"name":"x","gauge":{"dataPoints":[{"timeUnixNano":"soon"}]}}"#),
        &metrics("", r#"{"name":"x","gauge":{"dataPoints":[{"asInt":"1.5"}]}}"#),
        &metrics("", r#"{"name":"x","histogram":{"dataPoints":[{"count":-1}]}}"#),
    ];
    for json in wrong {
        let fault = Request::decode(Signal::Metrics, Encoding::Json, json.as_bytes()).unwrap_err();
        assert!(fault.to_string().starts_with("not an OTLP request in JSON: line "), "{json}: {fault}");
    }
    let fine = r#"{"resourceMetrics":null,"somethingNew":[1,{}]}"#;
    assert!(Request::decode(Signal::Metrics, Encoding::Json, fine.as_bytes()).unwrap().is_empty());
}

/// Values nested in lists, as deep as told.
fn nested(depth: usize) -> AnyValue {
    (0..depth).fold(AnyValue { whole: Some(1), ..AnyValue::default() }, |value, _| AnyValue {
        list: Some(ArrayValue { values: vec![value] }),
        ..AnyValue::default()
    })
}

#[test]
fn values_nested_too_deep_are_refused_before_they_take_the_stack() {
    let request = |depth| MetricsRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: vec![KeyValue { key: "k".into(), value: Some(nested(depth)) }],
            }),
            scope_metrics: Vec::new(),
        }],
    };
    let decode =
        |depth| Request::decode(Signal::Metrics, Encoding::Protobuf, &request(depth).encode_to_vec()).is_ok();
    assert!(decode(20));
    assert!(!decode(2000));
    // What is stepped over takes no stack.
    let json = format!(r#"{{"somethingNew":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(Request::decode(Signal::Metrics, Encoding::Json, json.as_bytes()).is_ok());
}

#[test]
fn the_deepest_json_that_is_taken_can_be_read_from_the_spool() {
    let deepest = (0..100).rfind(|depth| {
        let (open, close) = (r#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}");
        let value = format!("{}{{}}{}", open.repeat(*depth), close.repeat(*depth));
        let point = format!(r#"{{"attributes":[{{"key":"k","value":{value}}}]}}"#);
        let json = metrics("", &format!(r#"{{"name":"x","gauge":{{"dataPoints":[{point}]}}}}"#));
        let request = Request::decode(Signal::Metrics, Encoding::Json, json.as_bytes());
        let read = |request: Request| Request::decode(Signal::Metrics, Encoding::Protobuf, &request.encode());
        request.map(|request| read(request).unwrap()).is_ok()
    });
    assert!(deepest.is_some_and(|depth| (20..99).contains(&depth)), "{deepest:?}");
}

#[test]
fn a_refusal_is_a_status_in_the_encoding_of_the_request() {
    let refused = |encoding| reply::refused(encoding, reply::Code::InvalidArgument, "no".to_owned());
    assert_eq!(refused(Encoding::Json), br#"{"code":3,"message":"no"}"#);
    assert_eq!(refused(Encoding::Protobuf), b"\x08\x03\x12\x02no");
    assert_eq!(
        (reply::accepted(Encoding::Protobuf), reply::accepted(Encoding::Json)),
        (&b""[..], &b"{}"[..])
    );
}

fn sample(signal: Signal) -> Vec<u8> {
    let json = match signal {
        Signal::Metrics => metrics(
            &attribute("host.name", "rack-1"),
            r#"{"name":"h","histogram":{"dataPoints":[{"count":"4","sum":10}]}},{"name":"x","sum":{"dataPoints":[{"asInt":1}]}}"#,
        ),
        Signal::Logs => {
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":9}]}]}]}"#.to_owned()
        }
        Signal::Traces => {
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"get","endTimeUnixNano":5}]}]}]}"#
                .to_owned()
        }
    };
    json.into_bytes()
}

proptest! {
    #[test]
    fn a_request_that_is_damaged_anywhere_never_panics(
        signal in prop_oneof![Just(Signal::Metrics), Just(Signal::Logs), Just(Signal::Traces)],
        encoding in prop_oneof![Just(Encoding::Protobuf), Just(Encoding::Json)],
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let json = sample(signal);
        let mut body = match encoding {
            Encoding::Json => json,
            Encoding::Protobuf => Request::decode(signal, Encoding::Json, &json).unwrap().encode(),
        };
        for (index, byte) in changes {
            let at = index.index(body.len());
            body[at] = byte;
        }
        body.truncate(cut.index(body.len()) + 1);
        if let Ok(request) = Request::decode(signal, encoding, &body) {
            let outcome = request.records(TENANT, "192.0.2.1", RECEIVED);
            prop_assert!(outcome.records.iter().all(|record| record.values.len() == record.metrics.len()));
        }
    }

    #[test]
    fn noise_never_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for signal in [Signal::Metrics, Signal::Logs, Signal::Traces] {
            for encoding in [Encoding::Protobuf, Encoding::Json] {
                if let Ok(request) = Request::decode(signal, encoding, &body) {
                    request.records(TENANT, "192.0.2.1", RECEIVED);
                }
            }
        }
    }
}

#[test]
fn millions_of_points_below_one_long_name_are_refused_at_once() {
    let name = "n".repeat(4 << 20);
    let data_points = vec![NumberPoint::default(); 1 << 20];
    let metric = Metric { name, gauge: Some(Numbers { data_points }), ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric] }];
    let resource_metrics = vec![ResourceMetrics { resource: None, scope_metrics }];
    let request = Request(Signals::Metrics(MetricsRequest { resource_metrics }));
    let outcome = request.records(TENANT, "192.0.2.1", RECEIVED);
    assert_eq!((outcome.records.len(), outcome.rejected_count), (0, 1 << 20), "four terabytes of copies");
    let told = outcome.rejects[0].to_string();
    assert!(told.contains(&format!("`{}…`", "n".repeat(40))), "{told}");
}

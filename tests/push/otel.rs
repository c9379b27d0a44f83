//! OpenTelemetry's own exporters.

use std::collections::BTreeMap;
use std::process::Command;

use harness::bridge::{Bridge, sums};
use harness::others::Need::{Npm, Program, Python};
use harness::others::{are_here, script, succeeds};
use serde_json::Value;

/// BLAKE3 of `s3cret`.
const TOKEN: &str = "82b79bc289738ff7fdab45bead62b77d7a6001f0c760b9a3d6ee80e2457d16f6";

/// What every exporter is told to send, as records have it.
const SENT: [(&str, f64); 11] = [
    ("room.temperature{room=a1}", 21.5),
    ("requests{code=200,method=GET}", 5.0),
    ("duration.count", 3.0),
    ("duration.sum", 90.0),
    ("duration.min", 10.0),
    ("duration.max", 60.0),
    ("duration.mean", 30.0),
    ("log.warn", 1.0),
    ("span.pay.count", 1.0),
    ("span.pay.duration_ms", 250.0),
    ("span.pay.errors", 1.0),
];

/// The minute in which the span ended, in milliseconds.
const SPAN_AT: u64 = 1_699_999_980_000;

/// Whoever shows the token may send.
fn otlp_bridge() -> Bridge {
    Bridge::new(1, |bridge| {
        let address = bridge.addresses[0].to_string();
        format!(
            "[otlp]\nlisten = [{address:?}]\ntenant = \"acme\"\n\
             tokens = [{{ tenant = \"acme\", blake3 = \"{TOKEN}\" }}]"
        )
    })
}

/// Runs an exporter, which is to show the token by the variable that the specification has for it.
fn export(bridge: &Bridge, command: &mut Command) {
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20s3cret");
    succeeds(command);
    assert!(!bridge.records().is_empty(), "it is told of a success: {}", bridge.log());
}

/// When the records that tell of a metric were measured, in milliseconds.
fn times(records: &[Value], metric: &str) -> Vec<u64> {
    let with = records.iter().filter(|record| record["values"][metric].is_number());
    with.filter_map(|record| record["at_ms"].as_u64()).collect()
}

fn check(bridge: &Bridge, sources: &[&str], since_ms: u64) {
    let expected: BTreeMap<String, f64> = sums(&SENT);
    for source in sources {
        assert_eq!(bridge.sums(source), expected, "{source}");
    }
    let records = bridge.records();
    assert_eq!(times(&records, "span.pay.count"), vec![SPAN_AT; sources.len()]);
    let measured = times(&records, "requests{code=200,method=GET}");
    let now_ms = edge::now().millis();
    assert!(measured.iter().all(|at| (since_ms..=now_ms).contains(at)), "{measured:?}");
}

#[test]
fn opentelemetry_for_python_exports_metrics_logs_and_spans() {
    let sdk = Python("opentelemetry.sdk", "opentelemetry-sdk");
    let exporter = Python("opentelemetry.exporter.otlp.proto.http", "opentelemetry-exporter-otlp-proto-http");
    if !are_here(&[sdk, exporter]) {
        return;
    }
    let bridge = otlp_bridge();
    let daemon = bridge.start();
    let since_ms = edge::now().millis();
    let url = format!("http://{}", bridge.addresses[0]);
    export(&bridge, Command::new("python3").arg(script("push/otel.py")).arg(url));
    assert!(daemon.stop(), "{}", bridge.log());
    check(&bridge, &["python"], since_ms);
}

#[test]
fn opentelemetry_for_node_exports_metrics_logs_and_spans_as_protobuf_and_as_json() {
    let packages = [
        "@opentelemetry/resources",
        "@opentelemetry/sdk-metrics",
        "@opentelemetry/sdk-logs",
        "@opentelemetry/sdk-trace-base",
        "@opentelemetry/exporter-metrics-otlp-proto",
        "@opentelemetry/exporter-logs-otlp-proto",
        "@opentelemetry/exporter-trace-otlp-proto",
        "@opentelemetry/exporter-metrics-otlp-http",
        "@opentelemetry/exporter-logs-otlp-http",
        "@opentelemetry/exporter-trace-otlp-http",
    ];
    let needs: Vec<_> = packages.map(Npm).into_iter().chain([Program("node", "nodejs")]).collect();
    if !are_here(&needs) {
        return;
    }
    let bridge = otlp_bridge();
    let daemon = bridge.start();
    let since_ms = edge::now().millis();
    let url = format!("http://{}", bridge.addresses[0]);
    for format in ["proto", "http"] {
        export(&bridge, Command::new("node").arg(script("push/otel.mjs")).args([&url, format]));
    }
    assert!(daemon.stop(), "{}", bridge.log());
    check(&bridge, &["node-proto", "node-http"], since_ms);
}

//! The messages of OTLP (opentelemetry-proto 1.x), as far as records are made of them.
//!
//! A `oneof` is written as its optional fields: the bytes and the JSON are the same, and JSON that is wrong
//! within one is an error, where a flattened enum would be read as absent.

use prost::Message;
use serde::Deserialize;

use super::json;

/// Messages whose JSON is their fields in lower camel case, each of which may be missing or null.
macro_rules! messages {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$attribute:meta])* $field:ident: $type:ty, )* } )*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Message, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(super) struct $name { $( $(#[$attribute])* pub(super) $field: $type, )* }
    )*};
}

messages! {
    /// `ExportMetricsServiceRequest`.
    MetricsRequest {
        #[prost(message, repeated, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        resource_metrics: Vec<ResourceMetrics>,
    }
    ResourceMetrics {
        #[prost(message, optional, tag = "1")]
        resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        #[serde(deserialize_with = "json::or_default")]
        scope_metrics: Vec<ScopeMetrics>,
    }
    ScopeMetrics {
        #[prost(message, repeated, tag = "2")]
        #[serde(deserialize_with = "json::or_default")]
        metrics: Vec<Metric>,
    }
    Metric {
        #[prost(string, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        name: String,
        #[prost(message, optional, tag = "5")]
        gauge: Option<Numbers>,
        #[prost(message, optional, tag = "7")]
        sum: Option<Numbers>,
        #[prost(message, optional, tag = "9")]
        histogram: Option<Histogram>,
        #[prost(message, optional, tag = "10")]
        exponential_histogram: Option<ExponentialHistogram>,
        #[prost(message, optional, tag = "11")]
        summary: Option<Summary>,
    }
    /// `Gauge` and `Sum`.
    Numbers {
        #[prost(message, repeated, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        data_points: Vec<NumberPoint>,
    }
    Histogram {
        #[prost(message, repeated, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        data_points: Vec<HistogramPoint>,
    }
    ExponentialHistogram {
        #[prost(message, repeated, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        data_points: Vec<ExponentialPoint>,
    }
    Summary {
        #[prost(message, repeated, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        data_points: Vec<SummaryPoint>,
    }
    NumberPoint {
        #[prost(message, repeated, tag = "7")]
        #[serde(deserialize_with = "json::or_default")]
        attributes: Vec<KeyValue>,
        #[prost(fixed64, tag = "3")]
        #[serde(deserialize_with = "json::number")]
        time_unix_nano: u64,
        #[prost(double, optional, tag = "4")]
        #[serde(deserialize_with = "json::optional_number")]
        as_double: Option<f64>,
        #[prost(sfixed64, optional, tag = "6")]
        #[serde(deserialize_with = "json::optional_number")]
        as_int: Option<i64>,
        #[prost(uint32, tag = "8")]
        #[serde(deserialize_with = "json::number")]
        flags: u32,
    }
    HistogramPoint {
        #[prost(message, repeated, tag = "9")]
        #[serde(deserialize_with = "json::or_default")]
        attributes: Vec<KeyValue>,
        #[prost(fixed64, tag = "3")]
        #[serde(deserialize_with = "json::number")]
        time_unix_nano: u64,
        #[prost(fixed64, tag = "4")]
        #[serde(deserialize_with = "json::number")]
        count: u64,
        #[prost(double, optional, tag = "5")]
        #[serde(deserialize_with = "json::optional_number")]
        sum: Option<f64>,
        #[prost(uint32, tag = "10")]
        #[serde(deserialize_with = "json::number")]
        flags: u32,
        #[prost(double, optional, tag = "11")]
        #[serde(deserialize_with = "json::optional_number")]
        min: Option<f64>,
        #[prost(double, optional, tag = "12")]
        #[serde(deserialize_with = "json::optional_number")]
        max: Option<f64>,
    }
    ExponentialPoint {
        #[prost(message, repeated, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        attributes: Vec<KeyValue>,
        #[prost(fixed64, tag = "3")]
        #[serde(deserialize_with = "json::number")]
        time_unix_nano: u64,
        #[prost(fixed64, tag = "4")]
        #[serde(deserialize_with = "json::number")]
        count: u64,
        #[prost(double, optional, tag = "5")]
        #[serde(deserialize_with = "json::optional_number")]
        sum: Option<f64>,
        #[prost(uint32, tag = "10")]
        #[serde(deserialize_with = "json::number")]
        flags: u32,
    }
    SummaryPoint {
        #[prost(message, repeated, tag = "7")]
        #[serde(deserialize_with = "json::or_default")]
        attributes: Vec<KeyValue>,
        #[prost(fixed64, tag = "3")]
        #[serde(deserialize_with = "json::number")]
        time_unix_nano: u64,
        #[prost(fixed64, tag = "4")]
        #[serde(deserialize_with = "json::number")]
        count: u64,
        #[prost(double, tag = "5")]
        #[serde(deserialize_with = "json::number")]
        sum: f64,
        #[prost(uint32, tag = "8")]
        #[serde(deserialize_with = "json::number")]
        flags: u32,
    }
    /// `ExportLogsServiceRequest`.
    LogsRequest {
        #[prost(message, repeated, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        resource_logs: Vec<ResourceLogs>,
    }
    ResourceLogs {
        #[prost(message, optional, tag = "1")]
        resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        #[serde(deserialize_with = "json::or_default")]
        scope_logs: Vec<ScopeLogs>,
    }
    ScopeLogs {
        #[prost(message, repeated, tag = "2")]
        #[serde(deserialize_with = "json::or_default")]
        log_records: Vec<LogRecord>,
    }
    LogRecord {
        #[prost(fixed64, tag = "1")]
        #[serde(deserialize_with = "json::number")]
        time_unix_nano: u64,
        #[prost(int32, tag = "2")]
        #[serde(deserialize_with = "json::number")]
        severity_number: i32,
        #[prost(string, tag = "3")]
        #[serde(deserialize_with = "json::or_default")]
        severity_text: String,
        #[prost(fixed64, tag = "11")]
        #[serde(deserialize_with = "json::number")]
        observed_time_unix_nano: u64,
    }
    /// `ExportTraceServiceRequest`.
    TracesRequest {
        #[prost(message, repeated, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        resource_spans: Vec<ResourceSpans>,
    }
    ResourceSpans {
        #[prost(message, optional, tag = "1")]
        resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        #[serde(deserialize_with = "json::or_default")]
        scope_spans: Vec<ScopeSpans>,
    }
    ScopeSpans {
        #[prost(message, repeated, tag = "2")]
        #[serde(deserialize_with = "json::or_default")]
        spans: Vec<Span>,
    }
    Span {
        #[prost(string, tag = "5")]
        #[serde(deserialize_with = "json::or_default")]
        name: String,
        #[prost(fixed64, tag = "7")]
        #[serde(deserialize_with = "json::number")]
        start_time_unix_nano: u64,
        #[prost(fixed64, tag = "8")]
        #[serde(deserialize_with = "json::number")]
        end_time_unix_nano: u64,
        #[prost(message, optional, tag = "15")]
        status: Option<SpanStatus>,
    }
    SpanStatus {
        #[prost(int32, tag = "3")]
        #[serde(deserialize_with = "json::number")]
        code: i32,
    }
    Resource {
        #[prost(message, repeated, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        attributes: Vec<KeyValue>,
    }
    KeyValue {
        #[prost(string, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        key: String,
        #[prost(message, optional, tag = "2")]
        value: Option<AnyValue>,
    }
    AnyValue {
        #[prost(string, optional, tag = "1")]
        #[serde(rename = "stringValue")]
        text: Option<String>,
        #[prost(bool, optional, tag = "2")]
        #[serde(rename = "boolValue")]
        flag: Option<bool>,
        #[prost(int64, optional, tag = "3")]
        #[serde(rename = "intValue", deserialize_with = "json::optional_number")]
        whole: Option<i64>,
        #[prost(double, optional, tag = "4")]
        #[serde(rename = "doubleValue", deserialize_with = "json::optional_number")]
        double: Option<f64>,
        #[prost(message, optional, tag = "5")]
        #[serde(rename = "arrayValue")]
        list: Option<ArrayValue>,
        #[prost(message, optional, tag = "6")]
        #[serde(rename = "kvlistValue")]
        map: Option<KeyValueList>,
        #[prost(bytes = "vec", optional, tag = "7")]
        #[serde(rename = "bytesValue", deserialize_with = "json::optional_base64")]
        bytes: Option<Vec<u8>>,
    }
    ArrayValue {
        #[prost(message, repeated, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        values: Vec<AnyValue>,
    }
    KeyValueList {
        #[prost(message, repeated, tag = "1")]
        #[serde(deserialize_with = "json::or_default")]
        values: Vec<KeyValue>,
    }
}

//! The messages of remote write, as far as records are made of them.
//!
//! `prometheus.WriteRequest` (v1) has fields 1 and 3, `io.prometheus.write.v2.Request` leaves 1 to 3 out and has
//! 4 and 5 (Remote-Write 2.0, "Protobuf Message"): one message reads both, and a stored request needs no version.

use prost::Message;

/// A request of either version.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Request {
    /// Of v1.
    #[prost(message, repeated, tag = "1")]
    pub(super) series: Vec<Series>,
    /// Of v2: what references point at.
    #[prost(string, repeated, tag = "4")]
    pub(super) symbols: Vec<String>,
    /// Of v2.
    #[prost(message, repeated, tag = "5")]
    pub(super) interned: Vec<Interned>,
}

/// `prometheus.TimeSeries`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Series {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    pub(super) histograms: Vec<Histogram>,
}

/// `io.prometheus.write.v2.TimeSeries`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Interned {
    /// Names and values in turn: places in `symbols`.
    #[prost(uint32, repeated, tag = "1")]
    pub(super) labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(super) histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Label {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    /// Unix milliseconds.
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}

/// A native histogram; the same in both versions.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(super) count_int: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(super) count_float: Option<f64>,
    #[prost(double, tag = "3")]
    pub(super) sum: f64,
    /// Unix milliseconds.
    #[prost(int64, tag = "15")]
    pub(super) timestamp: i64,
}

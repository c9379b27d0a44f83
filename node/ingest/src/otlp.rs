//! OTLP, the protocol of OpenTelemetry (OTLP specification 1.x): requests to records, without I/O.
//!
//! ```text
//! bytes > Request (protobuf or JSON) > metrics, logs, spans > Gathered, by source and time > TelemetryRecord
//! ```
//!
//! The spool keeps protobuf, so what came as JSON is decoded and encoded again. Only those fields are known
//! here that a record is made of; the others are stepped over.

mod json;
mod logs;
mod messages;
mod metrics;
mod names;
pub mod reply;
mod traces;

use common::id::TenantId;
use common::units::Timestamp;
use prost::Message;

pub use crate::gathered::{Outcome, Reject};

use self::messages::{LogsRequest, MetricsRequest, Resource, TracesRequest};
use crate::error::Shown;
use crate::gathered::Gathered;

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
    /// Spans.
    Traces,
}

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Binary protobuf.
    Protobuf,
    /// JSON with names in lower camel case and ids in hex.
    Json,
}

/// A request that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtlpFault {
    /// Not protobuf of this message.
    #[error("not an OTLP request in protobuf: {0}")]
    Protobuf(Shown),
    /// Not JSON of this message.
    #[error("not an OTLP request in JSON: line {line}, column {column}: {reason}")]
    Json {
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// What the decoder said.
        reason: Shown,
    },
}

/// An `Export*ServiceRequest`, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Request(Signals);

#[derive(Clone, Debug, PartialEq)]
enum Signals {
    Metrics(MetricsRequest),
    Logs(LogsRequest),
    Traces(TracesRequest),
}

impl Signal {
    /// The signal of a path (OTLP specification, "OTLP/HTTP Request").
    pub fn of_path(path: &str) -> Option<Self> {
        match path {
            "/v1/metrics" => Some(Self::Metrics),
            "/v1/logs" => Some(Self::Logs),
            "/v1/traces" => Some(Self::Traces),
            _ => None,
        }
    }
}

impl Request {
    /// Decodes a request.
    ///
    /// # Errors
    ///
    /// [`OtlpFault`] says what is wrong with the bytes.
    pub fn decode(signal: Signal, encoding: Encoding, body: &[u8]) -> Result<Self, OtlpFault> {
        let signals = match (signal, encoding) {
            (Signal::Metrics, Encoding::Protobuf) => Signals::Metrics(protobuf(body)?),
            (Signal::Logs, Encoding::Protobuf) => Signals::Logs(protobuf(body)?),
            (Signal::Traces, Encoding::Protobuf) => Signals::Traces(protobuf(body)?),
            (Signal::Metrics, Encoding::Json) => Signals::Metrics(json::read(body)?),
            (Signal::Logs, Encoding::Json) => Signals::Logs(json::read(body)?),
            (Signal::Traces, Encoding::Json) => Signals::Traces(json::read(body)?),
        };
        Ok(Self(signals))
    }

    /// The request in protobuf, with the fields that are known here.
    pub fn encode(&self) -> Vec<u8> {
        match &self.0 {
            Signals::Metrics(request) => request.encode_to_vec(),
            Signals::Logs(request) => request.encode_to_vec(),
            Signals::Traces(request) => request.encode_to_vec(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Signals::Metrics(request) => request.resource_metrics.is_empty(),
            Signals::Logs(request) => request.resource_logs.is_empty(),
            Signals::Traces(request) => request.resource_spans.is_empty(),
        }
    }

    /// What the first resource calls itself.
    pub fn source(&self) -> Option<&str> {
        let resource: Option<&Resource> = match &self.0 {
            Signals::Metrics(request) => {
                request.resource_metrics.first().and_then(|part| part.resource.as_ref())
            }
            Signals::Logs(request) => request.resource_logs.first().and_then(|part| part.resource.as_ref()),
            Signals::Traces(request) => {
                request.resource_spans.first().and_then(|part| part.resource.as_ref())
            }
        };
        names::source(resource)
    }

    /// The records of a request. What names no source is of `source`, what tells no time is of `received`.
    pub fn records(&self, tenant: TenantId, source: &str, received: Timestamp) -> Outcome {
        let mut out = Gathered::new(source, received);
        match &self.0 {
            Signals::Metrics(request) => metrics::gather(request, &mut out),
            Signals::Logs(request) => logs::gather(request, &mut out),
            Signals::Traces(request) => traces::gather(request, &mut out),
        }
        out.into_outcome(tenant)
    }
}

fn protobuf<M: Message + Default>(body: &[u8]) -> Result<M, OtlpFault> {
    M::decode(body).map_err(|error| OtlpFault::Protobuf(Shown::of(&error.to_string())))
}

#[cfg(test)]
mod tests;

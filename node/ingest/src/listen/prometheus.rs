//! Prometheus remote write over HTTP/1.1 (Remote-Write 1.0 and 2.0), around [`crate::prometheus::write`].
//!
//! A request is 204 when the spool has it. One that is broken is refused whole (400), and a sender does not
//! repeat it; 429 and 503 it repeats.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::watch;

use super::http::{self, Decoded, Fault, HttpListener, Protocol, is_packed, media_type};
use super::{Clock, HttpConfig, ListenError};
use crate::prometheus::{WriteFault, WriteRequest, Written};
use crate::spool::{Kind, Spool};

/// `[prometheus]`; see `node/samples/node.toml` for the meaning of each key.
pub type PrometheusConfig = HttpConfig;

/// Remote write over HTTP, listening; it ends its connections politely when the watch says so.
#[derive(Debug)]
pub struct PrometheusListener(HttpListener<RemoteWrite>);

impl PrometheusListener {
    /// Binds the listeners.
    ///
    /// # Errors
    ///
    /// [`ListenError`] names the address, the file or the key.
    pub fn bind(config: &PrometheusConfig, spool: Spool, clock: Clock) -> Result<Self, ListenError> {
        HttpListener::bind(config, spool, clock).map(Self)
    }

    /// Where it listens, in the order of the configuration: without TLS, with TLS.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.addresses()
    }

    /// Takes connections until `stop` turns true, then lets the open requests come to their end.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        self.0.serve(stop).await;
    }
}

/// What content types are understood, for those who sent another.
const TYPES: &str =
    "application/x-protobuf with proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request";

#[derive(Debug)]
struct RemoteWrite;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Protocol for RemoteWrite {
    const SECTION: &'static str = "prometheus";
    const PATHS: &'static [&'static str] = &["/api/v1/write"];
    type Call = ();
    type Written = Written;

    fn call(_path: &str, headers: &HeaderMap) -> Result<(), Fault> {
        version(headers).ok_or(Fault::ContentType(TYPES))?;
        match is_packed(headers, "snappy") {
            Some(true) => Ok(()),
            Some(false) | None => Err(Fault::ContentEncoding("snappy")),
        }
    }

    /// What is kept is the request as it came: packed it takes a small part of the room, and a sender that
    /// repeats it sends the same bytes.
    fn decode((): (), body: Bytes, max: usize) -> Result<Option<Decoded<Written>>, Fault> {
        let request = WriteRequest::decode(&body, max).map_err(|fault| match fault {
            WriteFault::TooLarge { max, .. } => Fault::UnpacksTooLarge(max),
            fault => Fault::Broken(fault.to_string()),
        })?;
        let written = request.written();
        // Each series may name a source of its own, so that the entry is of its peer.
        let decoded = Decoded { kind: Kind::PrometheusWrite, body, source: None, written };
        Ok(if request.is_empty() { None } else { Some(decoded) })
    }

    /// Version 2 tells what was written, which is nothing when it is refused (Remote-Write 2.0, "Required
    /// Written Response Headers"); without these headers its sender would take us for version 1.
    fn answer(headers: &HeaderMap, outcome: Result<Written, Fault>) -> Response<Full<Bytes>> {
        const TEXT: &str = "text/plain; charset=utf-8";
        let (mut response, written) = match outcome {
            Ok(written) => (http::response(StatusCode::NO_CONTENT, TEXT, Bytes::new()), written),
            Err(fault) => (fault.response(TEXT, fault.to_string().into_bytes()), Written::default()),
        };
        if version(headers) == Some(Version::Two) {
            let counts = [
                ("x-prometheus-remote-write-samples-written", written.samples),
                ("x-prometheus-remote-write-histograms-written", written.histograms),
                ("x-prometheus-remote-write-exemplars-written", 0),
            ];
            for (name, count) in counts {
                response.headers_mut().insert(name, HeaderValue::from(count));
            }
        }
        response
    }
}

/// Remote-Write 2.0, "Content-Type": without a parameter it is version 1.
fn version(headers: &HeaderMap) -> Option<Version> {
    let (media, parameters) = media_type(headers)?;
    let proto = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("proto="));
    match (media.as_str(), proto) {
        ("application/x-protobuf", None | Some("prometheus.writerequest")) => Some(Version::One),
        ("application/x-protobuf", Some("io.prometheus.write.v2.request")) => Some(Version::Two),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! OTLP over HTTP/1.1 (OTLP specification, "OTLP/HTTP"), around [`crate::otlp`].

mod answer;

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::HeaderMap;
use tokio::sync::watch;

use super::http::{Decoded, Fault, HttpListener, Protocol, gunzip, is_packed, media_type};
use super::{Clock, HttpConfig, ListenError};
use crate::otlp::{self, Encoding, Signal};
use crate::spool::{Kind, Spool};

/// `[otlp]`; see `node/samples/node.toml` for the meaning of each key.
pub type OtlpConfig = HttpConfig;

/// OTLP over HTTP, listening; it ends its connections politely when the watch says so.
#[derive(Debug)]
pub struct OtlpListener(HttpListener<Otlp>);

impl OtlpListener {
    /// Binds the listeners.
    ///
    /// # Errors
    ///
    /// [`ListenError`] names the address, the file or the key.
    pub fn bind(config: &OtlpConfig, spool: Spool, clock: Clock) -> Result<Self, ListenError> {
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

#[derive(Debug)]
struct Otlp;

/// How a request is written.
struct Call {
    signal: Signal,
    encoding: Encoding,
    is_gzip: bool,
}

impl Protocol for Otlp {
    const SECTION: &'static str = "otlp";
    const PATHS: &'static [&'static str] = &["/v1/metrics", "/v1/logs", "/v1/traces"];
    type Call = Call;
    type Written = ();

    fn call(path: &str, headers: &HeaderMap) -> Result<Call, Fault> {
        let signal = Signal::of_path(path).ok_or(Fault::NotFound(Self::PATHS))?;
        let types = Fault::ContentType("application/x-protobuf or application/json");
        let encoding = encoding(headers).ok_or(types)?;
        let is_gzip = is_packed(headers, "gzip").ok_or(Fault::ContentEncoding("gzip or identity"))?;
        Ok(Call { signal, encoding, is_gzip })
    }

    /// Writes JSON as protobuf.
    fn decode(call: Call, body: Bytes, max: usize) -> Result<Option<Decoded<()>>, Fault> {
        let body = match body {
            packed if call.is_gzip => gunzip(&packed, max)?,
            body if body.len() > max => return Err(Fault::UnpacksTooLarge(max)),
            body => body,
        };
        let request = otlp::Request::decode(call.signal, call.encoding, &body);
        let request = request.map_err(|fault| Fault::Broken(fault.to_string()))?;
        if request.is_empty() {
            return Ok(None);
        }
        let kind = match call.signal {
            Signal::Metrics => Kind::OtlpMetrics,
            Signal::Logs => Kind::OtlpLogs,
            Signal::Traces => Kind::OtlpTraces,
        };
        let source = request.source().map(str::to_owned);
        let body = match call.encoding {
            Encoding::Protobuf => body,
            Encoding::Json => Bytes::from(request.encode()),
        };
        Ok(Some(Decoded { kind, body, source, written: () }))
    }

    fn answer(headers: &HeaderMap, outcome: Result<(), Fault>) -> Response<Full<Bytes>> {
        answer::response(encoding(headers), outcome)
    }
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    match media_type(headers)?.0.as_str() {
        "application/x-protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! OTLP over HTTP/1.1 (OTLP specification, "OTLP/HTTP"): sockets and bodies around [`crate::otlp`].
//!
//! A request is answered with 200 when the spool has it, and not before. One that is sent again, because the
//! answer was lost, has the same id and is read once.

mod answer;
mod config;

use std::convert::Infallible;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::id::TenantId;
use common::limits::NAME_BYTES_MAX;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub use self::config::OtlpConfig;

use self::answer::{Fault, response};
use super::access::Access;
use super::connections::Connections;
use super::door::{Door, Guest};
use super::{Clock, ListenError, TlsConfig};
use crate::content::{self, Content};
use crate::error::IngestError;
use crate::limits::{OTLP_DECODING_MAX, OTLP_HELD_BYTES_MAX};
use crate::otlp::{self, Encoding, Signal};
use crate::spool::{Entry, EntryId, Kind, Spool};

/// The longest connection, however busy: a sender that drips bytes holds it no longer.
const CONNECTION: Duration = Duration::from_hours(1);

/// Bytes of the line and headers of a request.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// OTLP over HTTP, listening; it ends its connections politely when the watch says so.
#[derive(Debug)]
pub struct OtlpListener {
    shared: Arc<Shared>,
    doors: Vec<Door>,
    connections: Connections,
}

/// What all connections share.
struct Shared {
    spool: Spool,
    clock: Clock,
    access: Access,
    timeout: Duration,
    request_bytes_max: usize,
    unpacked_bytes_max: usize,
    /// One permit a byte of a body in memory.
    held: Semaphore,
    decoding: Semaphore,
}

/// Who sends.
#[derive(Clone, Copy)]
struct Peer {
    address: IpAddr,
    has_certificate: bool,
}

impl OtlpListener {
    /// Binds the listeners.
    ///
    /// # Errors
    ///
    /// [`ListenError`] names the address, the file or the key.
    pub fn bind(config: &OtlpConfig, spool: Spool, clock: Clock) -> Result<Self, ListenError> {
        config.check()?;
        let tls = config.tls.as_ref().map(TlsConfig::acceptor).transpose()?;
        let mut doors = Door::bind(&config.listen, None)?;
        doors.extend(Door::bind(&config.listen_tls, tls.as_ref())?);
        let shared = Arc::new(Shared {
            spool,
            clock,
            access: Access::new(&config.tenant, &config.trusted_networks, &config.tokens),
            timeout: Duration::from_secs(config.timeout_s),
            request_bytes_max: config.request_bytes_max,
            unpacked_bytes_max: config.unpacked_bytes_max,
            held: Semaphore::new(OTLP_HELD_BYTES_MAX),
            decoding: Semaphore::new(OTLP_DECODING_MAX),
        });
        let connections = Connections::new(config.connections_max, config.connections_per_source_max);
        Ok(Self { shared, doors, connections })
    }

    /// Where it listens, in the order of the configuration: without TLS, with TLS.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().filter_map(Door::address).collect()
    }

    /// Takes connections until `stop` turns true, then lets the open requests come to their end.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        let Self { shared, doors, connections } = self;
        let mut serving = JoinSet::new();
        for door in doors {
            let (shared, until) = (Arc::clone(&shared), stop.clone());
            let timeout = shared.timeout;
            let talk = move |guest| converse(guest, Arc::clone(&shared), until.clone());
            serving.spawn(door.serve(connections.clone(), timeout, stop.clone(), talk));
        }
        while serving.join_next().await.is_some() {}
    }
}

async fn converse(guest: Guest, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let peer = Peer { address: guest.address, has_certificate: guest.has_certificate };
    let timeout = shared.timeout;
    let serve = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.answer(peer, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(timeout).max_buf_size(HEADER_BYTES_MAX);
    let talk = async {
        let mut connection = pin!(builder.serve_connection(TokioIo::new(guest.stream), serve));
        tokio::select! {
            ended = connection.as_mut() => return ended,
            _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    };
    // Only this peer is told of what breaks its connection.
    let _ = tokio::time::timeout(CONNECTION, talk).await;
}

impl Shared {
    async fn answer(&self, peer: Peer, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let encoding = encoding(request.headers());
        response(encoding, self.take(peer, encoding, request).await)
    }

    async fn take(
        &self,
        peer: Peer,
        encoding: Option<Encoding>,
        request: Request<Incoming>,
    ) -> Result<(), Fault> {
        let signal = Signal::of_path(request.uri().path()).ok_or(Fault::NotFound)?;
        if request.method() != Method::POST {
            return Err(Fault::Method);
        }
        let token = bearer(request.headers());
        let tenant = self.access.tenant(peer.address, peer.has_certificate, token);
        let tenant = tenant.ok_or(Fault::Unauthenticated)?;
        let encoding = encoding.ok_or(Fault::ContentType)?;
        let is_gzip = match request.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => false,
            Some(value) if value.eq_ignore_ascii_case(b"gzip") => true,
            Some(_) => return Err(Fault::ContentEncoding),
        };
        let receiving = tokio::time::timeout(self.timeout, self.receive(request.into_body())).await;
        let (packed, held) = receiving.map_err(|_| Fault::TimedOut)??;
        let max = self.unpacked_bytes_max;
        let deciding = self.decoding.acquire().await.map_err(|error| Fault::Unread(error.to_string()))?;
        let read = move || {
            let body = if is_gzip { unpack(&packed, max)? } else { within(packed, max)? };
            decode(signal, encoding, body)
        };
        let read = tokio::task::spawn_blocking(read).await;
        let decoded = read.map_err(|error| Fault::Unread(error.to_string()))??;
        drop((deciding, held));
        let Some(decoded) = decoded else { return Ok(()) };
        self.spool.store(self.entry(tenant, signal, peer, decoded)?).await?;
        Ok(())
    }

    /// The body, and the permits for its bytes.
    async fn receive(
        &self,
        mut body: Incoming,
    ) -> Result<(Bytes, Option<tokio::sync::SemaphorePermit<'_>>), Fault> {
        let max = self.request_bytes_max;
        if body.size_hint().lower() > max as u64 {
            return Err(Fault::TooLarge(max));
        }
        let (mut bytes, mut held) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            // What is no data is a trailer, which says nothing here.
            let Ok(part) = frame.map_err(|_| Fault::CutShort)?.into_data() else { continue };
            if part.len() > max - bytes.len() {
                return Err(Fault::TooLarge(max));
            }
            let permit = self.held.try_acquire_many(part.len() as u32).map_err(|_| Fault::Crowded)?;
            match &mut held {
                None => held = Some(permit),
                Some(held) => held.merge(permit),
            }
            bytes.extend_from_slice(&part);
        }
        Ok((Bytes::from(bytes), held))
    }

    fn entry(&self, tenant: TenantId, signal: Signal, peer: Peer, decoded: Decoded) -> Result<Entry, Fault> {
        let kind = match signal {
            Signal::Metrics => Kind::OtlpMetrics,
            Signal::Logs => Kind::OtlpLogs,
            Signal::Traces => Kind::OtlpTraces,
        };
        let source = decoded.source.unwrap_or_else(|| peer.address.to_string());
        let source = &source[..source.floor_char_boundary(NAME_BYTES_MAX)];
        Ok(Entry {
            id: EntryId::of_content(tenant, kind, source, &decoded.body),
            tenant,
            kind,
            received: (self.clock.0)(),
            source: source.try_into().map_err(|_| Fault::Unread("its source has no name".to_owned()))?,
            body: decoded.body,
        })
    }
}

/// A request that can be stored.
struct Decoded {
    body: Bytes,
    source: Option<String>,
}

/// Checks that a request can be read, and writes JSON as protobuf; `None` when there is nothing in it.
fn decode(signal: Signal, encoding: Encoding, body: Bytes) -> Result<Option<Decoded>, Fault> {
    let request = otlp::Request::decode(signal, encoding, &body)?;
    if request.is_empty() {
        return Ok(None);
    }
    let source = request.source().map(str::to_owned);
    let body = match encoding {
        Encoding::Protobuf => body,
        Encoding::Json => Bytes::from(request.encode()),
    };
    Ok(Some(Decoded { body, source }))
}

fn within(body: Bytes, max: usize) -> Result<Bytes, Fault> {
    if body.len() > max { Err(Fault::UnpacksTooLarge(max)) } else { Ok(body) }
}

fn unpack(packed: &[u8], max: usize) -> Result<Bytes, Fault> {
    if content::is_gzip(packed) != Some(true) {
        return Err(Fault::Gzip("the body is not gzip, as its content encoding says".to_owned()));
    }
    let fault = |error: IngestError| match error {
        IngestError::TooLarge { .. } => Fault::UnpacksTooLarge(max),
        error => Fault::Gzip(error.to_string()),
    };
    let mut content = Content::new("body", packed, max as u64).map_err(fault)?;
    let mut unpacked = Vec::new();
    content.read_to_end(&mut unpacked).map_err(|error| fault(content::read_error("body", error)))?;
    Ok(Bytes::from(unpacked))
}

/// RFC 9110, section 8.3: parameters of the type say nothing here.
fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "application/x-protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

/// RFC 6750, section 2.1.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("spool", &self.spool).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

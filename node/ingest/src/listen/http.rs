//! Pushing over HTTP/1.1: sockets, access and bodies, the same for every protocol of that kind.
//!
//! A request is answered with success when the spool has it, and not before. One that is sent again, because
//! the answer was lost, has the same id and is read once.

mod config;
mod fault;

use std::convert::Infallible;
use std::io::Read;
use std::marker::PhantomData;
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
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::JoinSet;

pub use self::config::HttpConfig;
pub(super) use self::fault::{Fault, response};

use super::access::Access;
use super::connections::Connections;
use super::door::{Door, Guest};
use super::{Clock, ListenError, TlsConfig};
use crate::content::{self, Content};
use crate::error::IngestError;
use crate::limits::{HTTP_DECODING_MAX, HTTP_HELD_BYTES_MAX};
use crate::spool::{Entry, EntryId, Kind, Spool};

/// The longest connection, however busy: a sender that drips bytes holds it no longer.
const CONNECTION: Duration = Duration::from_hours(1);

/// Bytes of the line and headers of a request.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// What a protocol makes of requests and of what became of them.
pub(super) trait Protocol: Send + Sync + 'static {
    /// Its section in the configuration.
    const SECTION: &'static str;
    /// Where requests go.
    const PATHS: &'static [&'static str];
    /// How a request is to be read.
    type Call: Send + 'static;
    /// What the sender is told of a request that was taken.
    type Written: Default + Send + 'static;

    /// How a request is to be read, by its path and headers.
    fn call(path: &str, headers: &HeaderMap) -> Result<Self::Call, Fault>;

    /// Checks that a body can be read, and says what to keep of it; `None` when there is nothing in it.
    fn decode(
        call: Self::Call,
        body: Bytes,
        unpacked_bytes_max: usize,
    ) -> Result<Option<Decoded<Self::Written>>, Fault>;

    /// The answer to a request with these headers.
    fn answer(headers: &HeaderMap, outcome: Result<Self::Written, Fault>) -> Response<Full<Bytes>>;
}

/// A request that can be stored.
pub(super) struct Decoded<W> {
    pub(super) kind: Kind,
    pub(super) body: Bytes,
    /// What it calls itself; without that it is its peer's.
    pub(super) source: Option<String>,
    pub(super) written: W,
}

/// A protocol over HTTP, listening; it ends its connections politely when the watch says so.
#[derive(Debug)]
pub(super) struct HttpListener<P> {
    shared: Arc<Shared>,
    doors: Vec<Door>,
    connections: Connections,
    protocol: PhantomData<fn() -> P>,
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

impl<P: Protocol> HttpListener<P> {
    /// Binds the listeners.
    ///
    /// # Errors
    ///
    /// [`ListenError`] names the address, the file or the key.
    pub(super) fn bind(config: &HttpConfig, spool: Spool, clock: Clock) -> Result<Self, ListenError> {
        config.check(P::SECTION)?;
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
            held: Semaphore::new(HTTP_HELD_BYTES_MAX),
            decoding: Semaphore::new(HTTP_DECODING_MAX),
        });
        let connections = Connections::new(config.connections_max, config.connections_per_source_max);
        Ok(Self { shared, doors, connections, protocol: PhantomData })
    }

    /// Where it listens, in the order of the configuration: without TLS, with TLS.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().filter_map(Door::address).collect()
    }

    /// Takes connections until `stop` turns true, then lets the open requests come to their end.
    pub(super) async fn serve(self, stop: watch::Receiver<bool>) {
        let Self { shared, doors, connections, .. } = self;
        let mut serving = JoinSet::new();
        for door in doors {
            let (shared, until) = (Arc::clone(&shared), stop.clone());
            let timeout = shared.timeout;
            let talk = move |guest| converse::<P>(guest, Arc::clone(&shared), until.clone());
            serving.spawn(door.serve(connections.clone(), timeout, stop.clone(), talk));
        }
        while serving.join_next().await.is_some() {}
    }
}

async fn converse<P: Protocol>(guest: Guest, shared: Arc<Shared>, stop: watch::Receiver<bool>) {
    let peer = Peer { address: guest.address, has_certificate: guest.has_certificate };
    let timeout = shared.timeout;
    let serve = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let (head, body) = request.into_parts();
            let outcome = shared.take::<P>(peer, &head, body).await;
            Ok::<_, Infallible>(P::answer(&head.headers, outcome))
        }
    });
    talk(guest, timeout, stop, serve).await;
}

/// Answers the requests of one connection until `stop` turns true; a request's head may take `timeout` to come.
pub(super) async fn talk<S>(guest: Guest, timeout: Duration, mut stop: watch::Receiver<bool>, serve: S)
where
    S: Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible>,
{
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
    async fn take<P: Protocol>(&self, peer: Peer, head: &Parts, body: Incoming) -> Result<P::Written, Fault> {
        let path = head.uri.path();
        if !P::PATHS.contains(&path) {
            return Err(Fault::NotFound(P::PATHS));
        }
        if head.method != Method::POST {
            return Err(Fault::Method);
        }
        let token = bearer(&head.headers);
        let tenant = self.access.tenant(peer.address, peer.has_certificate, token);
        let tenant = tenant.ok_or(Fault::Unauthenticated)?;
        let call = P::call(path, &head.headers)?;
        let receiving = tokio::time::timeout(self.timeout, self.receive(body)).await;
        let (packed, held) = receiving.map_err(|_| Fault::TimedOut)??;
        let max = self.unpacked_bytes_max;
        let deciding = self.decoding.acquire().await.map_err(|error| Fault::Unread(error.to_string()))?;
        let read = tokio::task::spawn_blocking(move || P::decode(call, packed, max)).await;
        let decoded = read.map_err(|error| Fault::Unread(error.to_string()))??;
        drop((deciding, held));
        let Some(Decoded { kind, body, source, written }) = decoded else {
            return Ok(P::Written::default());
        };
        let source = source.unwrap_or_else(|| peer.address.to_string());
        self.spool.store(self.entry(tenant, kind, &source, body)?).await?;
        Ok(written)
    }

    /// The body, and the permits for its bytes.
    async fn receive(&self, mut body: Incoming) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Fault> {
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

    fn entry(&self, tenant: TenantId, kind: Kind, source: &str, body: Bytes) -> Result<Entry, Fault> {
        let source = &source[..source.floor_char_boundary(NAME_BYTES_MAX)];
        Ok(Entry {
            id: EntryId::of_content(tenant, kind, source, &body),
            tenant,
            kind,
            received: (self.clock.0)(),
            source: source.try_into().map_err(|_| Fault::Unread("its source has no name".to_owned()))?,
            body,
        })
    }
}

/// Unpacks gzip, never to more than `max` bytes.
pub(super) fn gunzip(packed: &[u8], max: usize) -> Result<Bytes, Fault> {
    if content::is_gzip(packed) != Some(true) {
        return Err(Fault::Broken("the body is not gzip, as its content encoding says".to_owned()));
    }
    let fault = |error: IngestError| match error {
        IngestError::TooLarge { .. } => Fault::UnpacksTooLarge(max),
        error => Fault::Broken(error.to_string()),
    };
    let mut content = Content::new("body", packed, max as u64).map_err(fault)?;
    let mut unpacked = Vec::new();
    content.read_to_end(&mut unpacked).map_err(|error| fault(content::read_error("body", error)))?;
    Ok(Bytes::from(unpacked))
}

/// The media type and what follows it (RFC 9110, section 8.3.1), in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
    let (media, parameters) = value.split_once(';').unwrap_or((&value, ""));
    Some((media.trim().to_owned(), parameters.trim().to_owned()))
}

/// Whether the body is packed as `coding`; `None` when it is packed otherwise.
pub(super) fn is_packed(headers: &HeaderMap, coding: &str) -> Option<bool> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Some(false),
        Some(value) if value.eq_ignore_ascii_case(coding.as_bytes()) => Some(true),
        Some(_) => None,
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

//! Asking an exporter of Prometheus for its metrics: one HTTP request, with a deadline for all of it.
//!
//! Every look connects anew: a minute lies between two, and an exporter that was restarted is met like any other.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::id::TenantId;
use common::units::Timestamp;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::{IngestError, Shown};
use crate::listen::tls_client;
use crate::prometheus::rates::{Scrape, records};
use crate::prometheus::target::Target;
use crate::prometheus::text::{Syntax, TextFault, parse};
use crate::{Ingested, PrometheusSource};

/// What is understood, the best first.
const TYPES: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// Bytes of the line and headers of an answer.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// One exporter, and what it said last.
#[derive(Debug)]
pub struct Scraper {
    asked: Arc<Asked>,
    tenant: TenantId,
    before: Option<Scrape>,
}

/// What one request needs.
struct Asked {
    target: Target,
    tls: Option<TlsConnector>,
    timeout: Duration,
    bytes_max: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("the answer is {0}")]
    Status(StatusCode),
    #[error("the answer is of type {0}, which is not read")]
    ContentType(Shown),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error(transparent)]
    Text(#[from] TextFault),
    #[error("{0}")]
    Request(String),
}

impl Scraper {
    /// Makes ready to ask; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// [`IngestError::Scrape`] when `https` has no file `ca`, or one that cannot be used.
    pub fn new(source: &PrometheusSource, tenant: TenantId) -> Result<Self, IngestError> {
        let target = source.url.clone();
        let fault = |reason: String| IngestError::Scrape { url: source.url.to_string(), reason };
        let tls = match (&source.ca, target.is_tls) {
            (_, false) => None,
            (None, true) => return Err(fault("`https` needs the key `ca`: a file in PEM".to_owned())),
            (Some(ca), true) => Some(tls_client(ca).map_err(|error| fault(error.to_string()))?.into()),
        };
        let timeout = Duration::from_micros(source.timeout_s.micros());
        let asked = Arc::new(Asked { target, tls, timeout, bytes_max: source.bytes_max });
        Ok(Self { asked, tenant, before: None })
    }

    /// Asks now, and waits for the answer as long as the configuration allows. The first look has no rates.
    ///
    /// # Errors
    ///
    /// [`IngestError::Scrape`] says why there is no answer that can be read.
    pub fn look(&mut self, now: Timestamp) -> Result<Ingested, IngestError> {
        let asked = Arc::clone(&self.asked);
        // A thread of its own: the caller may be on a runtime, within which none other can be entered.
        let answer = thread::scope(|scope| {
            let asking = scope.spawn(|| asked.ask());
            asking.join().unwrap_or_else(|_| Err(Fault::Request("reading it failed".to_owned())))
        });
        let url = || self.asked.target.to_string();
        let samples =
            answer.map_err(|fault| IngestError::Scrape { url: url(), reason: fault.to_string() })?;
        let scrape = Scrape { at: now, samples };
        let outcome = records(self.before.as_ref(), &scrape, self.tenant, &self.asked.target.host);
        self.before = Some(scrape);
        let refused = outcome.rejects.first().map(|first| {
            let others = outcome.rejected_count - 1;
            let reason = if others == 0 { first.to_string() } else { format!("{first} (and {others} more)") };
            IngestError::Scrape { url: url(), reason }
        });
        let refused = refused.into_iter().collect();
        Ok(Ingested { records: outcome.records, refused, ..Ingested::default() })
    }
}

impl Asked {
    fn ask(&self) -> Result<Vec<crate::prometheus::text::Sample>, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let deadline = async { tokio::time::timeout(self.timeout, self.answer()).await };
        let answer = runtime.block_on(deadline);
        // A name that is still being looked up is not waited for.
        runtime.shutdown_background();
        let (syntax, text) = answer.map_err(|_| Fault::TimedOut(self.timeout))??;
        Ok(parse(&text, syntax)?)
    }

    async fn answer(&self) -> Result<(Syntax, Vec<u8>), Fault> {
        let Target { host, port, .. } = &self.target;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return self.talk(stream).await };
        let name = host.clone().try_into().map_err(|error| Fault::Request(format!("{host}: {error}")))?;
        self.talk(tls.connect(name, stream).await?).await
    }

    async fn talk<S>(&self, stream: S) -> Result<(Syntax, Vec<u8>), Fault>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut builder = http1::Builder::new();
        let builder = builder.max_buf_size(HEADER_BYTES_MAX);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::get(&self.target.path)
            .header(HOST, self.target.authority())
            .header(ACCEPT, TYPES)
            .body(Empty::<Bytes>::new())
            .map_err(|error| Fault::Request(error.to_string()))?;
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(Fault::Status(response.status()));
        }
        let syntax = syntax(response.headers())?;
        Ok((syntax, self.body(response).await?))
    }

    async fn body(&self, response: Response<hyper::body::Incoming>) -> Result<Vec<u8>, Fault> {
        let (mut body, mut text) = (response.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            // What is no data is a trailer, which says nothing here.
            let Ok(part) = frame?.into_data() else { continue };
            if part.len() > self.bytes_max - text.len() {
                return Err(Fault::TooLarge(self.bytes_max));
            }
            text.extend_from_slice(&part);
        }
        Ok(text)
    }
}

/// Exporters that say nothing of the type write text.
fn syntax(headers: &HeaderMap) -> Result<Syntax, Fault> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Syntax::Text) };
    let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    match value.split(';').next().unwrap_or_default().trim() {
        "application/openmetrics-text" => Ok(Syntax::OpenMetrics),
        "text/plain" => Ok(Syntax::Text),
        other => Err(Fault::ContentType(Shown::of(other))),
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("target", &self.target).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

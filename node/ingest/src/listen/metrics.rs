//! How the spool stands, for a Prometheus server that asks: `GET /metrics` over HTTP/1.1, in its text format 0.0.4.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::{Display, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::id::TenantId;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connections::Connections;
use super::door::Door;
use super::http::{response, talk};
use super::{ListenError, require};
use crate::spool::{Lag, Spool, Status};

/// `[metrics]`; see `node/samples/node.toml` for the meaning of each key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Addresses for HTTP. Whoever reaches them reads tenants and amounts, no telemetry.
    pub listen: Vec<SocketAddr>,
}

/// Connections at once: a few servers ask, once in a while.
const CONNECTIONS_MAX: usize = 16;

/// How long a request may take to come.
const TIMEOUT: Duration = Duration::from_secs(10);

const PATH: &str = "/metrics";

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers questions about a spool until the watch says stop.
#[derive(Debug)]
pub struct MetricsListener {
    spool: Spool,
    names: Arc<BTreeMap<TenantId, String>>,
    doors: Vec<Door>,
}

impl MetricsListener {
    /// Binds the listeners. Tenants without a name are called by their ids.
    ///
    /// # Errors
    ///
    /// [`ListenError`] names the address or the key.
    pub fn bind(
        config: &MetricsConfig,
        spool: Spool,
        names: BTreeMap<TenantId, String>,
    ) -> Result<Self, ListenError> {
        require(&[(!config.listen.is_empty(), "metrics.listen", "is empty")])?;
        Ok(Self { spool, names: Arc::new(names), doors: Door::bind(&config.listen, None)? })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().filter_map(Door::address).collect()
    }

    /// Answers until `stop` turns true.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        let Self { spool, names, doors } = self;
        let connections = Connections::new(CONNECTIONS_MAX, CONNECTIONS_MAX);
        let mut serving = JoinSet::new();
        for door in doors {
            let (spool, names, until) = (spool.clone(), Arc::clone(&names), stop.clone());
            let converse = move |guest: super::door::Guest| {
                let (spool, names) = (spool.clone(), Arc::clone(&names));
                let serve = service_fn(move |request| {
                    let (spool, names) = (spool.clone(), Arc::clone(&names));
                    async move { Ok::<_, Infallible>(answer(&request, spool, names).await) }
                });
                talk(guest, TIMEOUT, until.clone(), serve)
            };
            serving.spawn(door.serve(connections.clone(), TIMEOUT, stop.clone(), converse));
        }
        while serving.join_next().await.is_some() {}
    }
}

async fn answer(
    request: &Request<Incoming>,
    spool: Spool,
    names: Arc<BTreeMap<TenantId, String>>,
) -> Response<Full<Bytes>> {
    if request.uri().path() != PATH {
        return response(StatusCode::NOT_FOUND, TEXT, Bytes::from_static(b"metrics are at /metrics\n"));
    }
    if request.method() != Method::GET {
        return response(StatusCode::METHOD_NOT_ALLOWED, TEXT, Bytes::from_static(b"ask with GET\n"));
    }
    // How far consumers are behind is told by the sizes of files.
    let telling = tokio::task::spawn_blocking(move || {
        let standing = |(id, of): (&TenantId, &crate::spool::TenantSpool)| {
            let name = names.get(id).cloned().unwrap_or_else(|| id.to_string());
            (name, of.status(), of.lags())
        };
        exposition(&spool.tenants().iter().map(standing).collect::<Vec<_>>())
    });
    match telling.await {
        Ok(text) => response(StatusCode::OK, TEXT, Bytes::from(text)),
        Err(_) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, Bytes::new()),
    }
}

/// A metric of each tenant: name, type, help, value.
type Row = (&'static str, &'static str, &'static str, fn(&Status) -> f64);

const ROWS: [Row; 6] = [
    ("starling_spool_bytes", "gauge", "Bytes of all segments.", |status| status.bytes as f64),
    ("starling_spool_segments", "gauge", "Segment files.", |status| status.segments as f64),
    ("starling_spool_accepted_total", "counter", "Entries accepted.", |status| status.accepted as f64),
    ("starling_spool_refused_total", "counter", "Entries refused.", |status| status.refused as f64),
    ("starling_spool_syncs_total", "counter", "Syncs of the disk.", |status| status.commits as f64),
    ("starling_spool_newest_timestamp_seconds", "gauge", "When the newest entry came.", |status| {
        status.newest.0 as f64 / 1e6
    }),
];

fn exposition(tenants: &[(String, Status, BTreeMap<String, Lag>)]) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in ROWS {
        head(&mut text, name, kind, help);
        for (tenant, status, _) in tenants {
            line(&mut text, name, &[("tenant", tenant)], value(status));
        }
    }
    head(&mut text, "starling_spool_lag_bytes", "gauge", "Bytes that a consumer has still to read.");
    let lags = || tenants.iter().flat_map(|(tenant, _, lags)| lags.iter().map(move |lag| (tenant, lag)));
    for (tenant, (consumer, lag)) in lags() {
        let labels = [("tenant", &**tenant), ("consumer", &**consumer)];
        line(&mut text, "starling_spool_lag_bytes", &labels, lag.bytes);
    }
    let help = "From the last entry that a consumer is done with to the newest one.";
    head(&mut text, "starling_spool_lag_seconds", "gauge", help);
    for (tenant, (consumer, lag)) in lags() {
        if let Some(behind) = lag.behind {
            let labels = [("tenant", &**tenant), ("consumer", &**consumer)];
            line(&mut text, "starling_spool_lag_seconds", &labels, behind.0 as f64 / 1e3);
        }
    }
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) {
    let escape = |label: &str| label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> =
        labels.iter().map(|(key, label)| format!("{key}=\"{}\"", escape(label))).collect();
    let _ = writeln!(text, "{name}{{{}}} {value}", labels.join(","));
}

#[cfg(test)]
mod tests;

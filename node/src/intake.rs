//! Sources that push into this node: its spool, and the listeners in front of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use common::crypto::{CustodyError, Identity};
use common::id::TenantId;
use common::known::Known;
use forward::bridge::Bridge;
use forward::feed::Feeds;
use forward::receiver::Receiver;
use forward::routes::Routes;
use ingest::adapt::Pins;
use ingest::listen::metrics::MetricsListener;
use ingest::listen::mqtt::{MqttSubscriber, Notice};
use ingest::listen::otlp::OtlpListener;
use ingest::listen::prometheus::PrometheusListener;
use ingest::listen::smtp::{SmtpBridge, SmtpConfig};
use ingest::listen::syslog::SyslogListener;
use ingest::listen::{Clock, Lost, Report};
use ingest::spool::Spool;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::NodeConfig;
use crate::folder;

/// The list of bridges that may forward telemetry to a node.
const BRIDGES: &str = "allowed-bridges";

/// The list of nodes that a bridge may forward to.
const NODES: &str = "forward-nodes";

/// What becomes of what is taken in.
#[derive(Clone, Debug)]
pub enum Role {
    /// It is learned from here, by this node.
    Node(Identity),
    /// It is forwarded to the nodes that own it.
    Bridge,
}

/// How long open sessions may take to come to their end.
const GOODBYE: Duration = Duration::from_secs(5);

/// The spool of a node, and its listeners at work.
#[derive(Debug)]
pub struct Intake {
    spool: Spool,
    pins: Pins,
    stop: watch::Sender<bool>,
    listening: JoinSet<()>,
    unsigned: mpsc::Receiver<CustodyError>,
}

/// The folder of a node's spool.
pub fn spool_dir(dir: &Path) -> PathBuf {
    dir.join("spool")
}

/// How the mail to the mailboxes of a configuration is read.
///
/// # Errors
///
/// Names the file that is no layout.
pub fn pins(config: &NodeConfig) -> Result<Pins> {
    Ok(config.smtp.as_ref().map(SmtpConfig::pins).transpose()?.unwrap_or_default())
}

impl Intake {
    /// Opens the spool and begins to listen; `None` when the configuration asks for nothing of this.
    ///
    /// # Errors
    ///
    /// When the spool or a bridge's key cannot be opened, or an address cannot be had.
    pub async fn start(dir: &Path, config: &NodeConfig, role: Role) -> Result<Option<Self>> {
        let NodeConfig { smtp, otlp, prometheus, mqtt, syslog, metrics, forward, .. } = config;
        let node = match role {
            Role::Node(identity) => Some(identity),
            Role::Bridge => None,
        };
        let bridges = if node.is_some() { folder::known(dir, BRIDGES)? } else { Known::new() };
        let forward = forward.as_ref().filter(|_| node.is_none());
        let wanted = [
            smtp.is_some(),
            otlp.is_some(),
            prometheus.is_some(),
            mqtt.is_some(),
            syslog.is_some(),
            metrics.is_some(),
            forward.is_some(),
            !bridges.is_empty(),
            // What was imported waits there, whatever is configured.
            node.is_some() && spool_dir(dir).is_dir(),
        ];
        if !wanted.contains(&true) {
            return Ok(None);
        }
        let identity = node.clone().map_or_else(|| folder::identity(dir, config), Ok)?;
        let key = folder::spool_key(dir, &*folder::vault(dir, config, &identity)?)?;
        let spool = Spool::open(&spool_dir(dir), key, config.spool, edge::entropy()?)?;
        let pins = pins(config).with_context(|| place(dir))?;
        let (stop, stopped) = watch::channel(false);
        let mut listening = listen(dir, config, &spool, &stopped).await?;
        let (stopping, unsigned) = mpsc::channel(1);
        if let Some(identity) = node.filter(|_| !bridges.is_empty()) {
            let tenant = TenantId::of_name(&config.tenant);
            let receiver = Receiver {
                identity,
                suite: config.suite,
                dds: config.dds.clone(),
                tenant,
                bridges,
                spool: spool.tenant(tenant)?,
                window: config.transfer.window_chunks,
            };
            listening.spawn(tell_end(receiver.run(stopped.clone()), stopping.clone()));
        }
        if let Some(forward) = forward {
            let nodes = folder::known(dir, NODES)?;
            let routes = Routes::new(forward, &nodes).with_context(|| place(dir))?;
            let feeds = Feeds::open(&spool, routes, pins.clone())?;
            let suite = config.suite;
            let bridge = Bridge { identity, suite, dds: config.dds.clone(), nodes, feeds };
            listening.spawn(tell_end(bridge.run(stopped), stopping));
        }
        Ok(Some(Self { spool, pins, stop, listening, unsigned }))
    }

    /// The spool.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// How what is in it is read.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Why forwarding had to end, once nothing can be signed any more. Safe to cancel.
    pub async fn unsigned(&mut self) -> CustodyError {
        match self.unsigned.recv().await {
            Some(error) => error,
            // Nothing is forwarded here, or it ended for another reason.
            None => std::future::pending().await,
        }
    }

    /// Lets open sessions come to their end, and closes the spool.
    pub async fn stop(self) {
        let Self { spool, stop, mut listening, .. } = self;
        // Nobody listens any more when the listeners have ended.
        let _ = stop.send(true);
        let ending = async { while listening.join_next().await.is_some() {} };
        if tokio::time::timeout(GOODBYE, ending).await.is_err() {
            tracing::warn!(
                "some senders did not end their sessions; what they did not finish they send again"
            );
        }
        let status = spool.status();
        tracing::info!(
            accepted = status.accepted,
            refused = status.refused,
            syncs = status.commits,
            "spool closed"
        );
    }
}

fn place(dir: &Path) -> String {
    dir.join("node.toml").display().to_string()
}

/// Begins to listen for all that is configured, each listener as a task of its own.
async fn listen(
    dir: &Path,
    config: &NodeConfig,
    spool: &Spool,
    stopped: &watch::Receiver<bool>,
) -> Result<JoinSet<()>> {
    let NodeConfig { smtp, otlp, prometheus, mqtt, syslog, metrics, .. } = config;
    let (clock, place) = (Clock(edge::now), || place(dir));
    let mut listening = JoinSet::new();
    if let Some(config) = smtp {
        let bridge = SmtpBridge::bind(config, spool.clone(), clock).with_context(place)?;
        tell("SMTP", &bridge.addresses());
        listening.spawn(bridge.serve(stopped.clone()));
    }
    if let Some(config) = otlp {
        let listener = OtlpListener::bind(config, spool.clone(), clock).with_context(place)?;
        tell("OTLP", &listener.addresses());
        listening.spawn(listener.serve(stopped.clone()));
    }
    if let Some(config) = prometheus {
        let listener = PrometheusListener::bind(config, spool.clone(), clock).with_context(place)?;
        tell("Prometheus remote write", &listener.addresses());
        listening.spawn(listener.serve(stopped.clone()));
    }
    if let Some(config) = mqtt {
        let (notice, report, random) = (Notice(tell_mqtt), Report(tell_mqtt_lost), edge::entropy()?);
        let subscriber = MqttSubscriber::new(config, spool.clone(), clock, notice, report, random);
        listening.spawn(subscriber.with_context(place)?.serve(stopped.clone()));
    }
    if let Some(config) = syslog {
        let (report, random) = (Report(tell_syslog_lost), edge::entropy()?);
        let listener = SyslogListener::bind(config, spool.clone(), clock, report, random).await;
        let listener = listener.with_context(place)?;
        tell("syslog", &listener.addresses());
        listening.spawn(listener.serve(stopped.clone()));
    }
    if let Some(asked) = metrics {
        let names = config.tenants().map(|name| (TenantId::of_name(name), name.to_owned())).collect();
        let listener = MetricsListener::bind(asked, spool.clone(), names).with_context(place)?;
        tell("questions about the spool", &listener.addresses());
        listening.spawn(listener.serve(stopped.clone()));
    }
    Ok(listening)
}

async fn tell_end(work: impl Future<Output = Result<()>>, stopping: mpsc::Sender<CustodyError>) {
    if let Err(error) = work.await {
        tracing::error!("{error:#}");
        if let Ok(unsigned) = error.downcast() {
            // Whoever does not wait for it ends by itself.
            let _ = stopping.try_send(unsigned);
        }
    }
}

fn tell(protocol: &str, addresses: &[SocketAddr]) {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    tracing::info!(addresses = addresses.join(" "), "taking in {protocol}");
}

fn tell_mqtt(told: &str) {
    tracing::warn!("MQTT: {told}");
}

fn tell_mqtt_lost(lost: &Lost) {
    tracing::warn!("MQTT: {lost}");
}

fn tell_syslog_lost(lost: &Lost) {
    tracing::warn!("syslog: {lost}");
}

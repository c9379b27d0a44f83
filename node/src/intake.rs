//! Sources that push into this node: its spool, and the listeners in front of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use ingest::listen::Clock;
use ingest::listen::smtp::SmtpBridge;
use ingest::spool::Spool;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::NodeConfig;
use crate::folder;

/// How long open sessions may take to come to their end.
const GOODBYE: Duration = Duration::from_secs(5);

/// The spool of a node, and its listeners at work.
#[derive(Debug)]
pub struct Intake {
    spool: Spool,
    stop: watch::Sender<bool>,
    listening: JoinHandle<()>,
}

/// The folder of a node's spool.
pub fn spool_dir(dir: &Path) -> PathBuf {
    dir.join("spool")
}

impl Intake {
    /// Opens the spool and begins to listen; `None` when the configuration asks for no listener.
    ///
    /// # Errors
    ///
    /// When the spool cannot be opened, or an address cannot be had.
    pub async fn start(dir: &Path, config: &NodeConfig) -> Result<Option<Self>> {
        let Some(smtp) = &config.smtp else { return Ok(None) };
        let mut random = edge::entropy()?;
        let key = folder::spool_key(dir, &mut random)?;
        let spool = Spool::open(&spool_dir(dir), key, config.spool, random)?;
        let bridge = SmtpBridge::bind(smtp, spool.clone(), Clock(edge::now)).await;
        let bridge = bridge.with_context(|| dir.join("node.toml").display().to_string())?;
        let addresses: Vec<String> = bridge.addresses().iter().map(ToString::to_string).collect();
        tracing::info!(smtp = addresses.join(" "), "taking in mail");
        let (stop, stopped) = watch::channel(false);
        let listening = tokio::spawn(bridge.serve(stopped));
        Ok(Some(Self { spool, stop, listening }))
    }

    /// The spool.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Lets open sessions come to their end, and closes the spool.
    pub async fn stop(self) {
        let Self { spool, stop, listening } = self;
        // Nobody listens any more when the listeners have ended.
        let _ = stop.send(true);
        if tokio::time::timeout(GOODBYE, listening).await.is_err() {
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

//! `node smtp-bridge`.

use std::path::Path;

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::folder::Folder;
use crate::intake::{Intake, Role};

pub(super) fn execute(dir: &Path) -> Result<()> {
    edge::log_to_stderr();
    let config = Folder::config(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let Some(intake) = Intake::start(dir, &config, Role::Bridge).await? else {
            bail!(
                "{}: no section such as [smtp] or [otlp]: there is nothing to listen for",
                dir.join("node.toml").display()
            );
        };
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        tracing::info!("stopping");
        intake.stop().await;
        Ok(())
    })
}

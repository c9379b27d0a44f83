//! `node smtp-bridge`.

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail};
use edge::Stop;

use crate::folder::Folder;
use crate::intake::{Intake, Role};

pub(super) fn execute(dir: &Path) -> Result<()> {
    edge::log_to_stderr();
    edge::keep_secrets().context("core dumps cannot be forbidden")?;
    let config = Folder::config(dir)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build()?;
    runtime.block_on(async {
        let mut stop = Stop::listen()?;
        let Some(mut intake) = Intake::start(dir, &config, Role::Bridge).await? else {
            bail!(
                "{}: no section such as [smtp] or [otlp]: there is nothing to listen for",
                dir.join("node.toml").display()
            );
        };
        let ended = tokio::select! {
            () = stop.asked() => Ok(()),
            unsigned = intake.unsigned() => Err(unsigned.into()),
        };
        tracing::info!("stopping");
        intake.stop().await;
        ended
    })
}

/// Threads that serve connections. On two cores one is enough: the other core has the spool's writer and those
/// who decode, and a second thread only adds a hand-over to each mail (`cargo bench-ingest`).
fn workers() -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    (cores / 2).clamp(1, 2)
}

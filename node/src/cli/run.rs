//! `node run`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::driver;
use crate::folder::Folder;
use crate::telemetry::Telemetry;
use crate::telemetry_trainer::TelemetryTrainer;

pub(super) fn execute(dir: &Path) -> Result<()> {
    driver::log_to_stderr();
    let folder = Folder::open(dir)?;
    if folder.config.sources.is_empty() {
        bail!(
            "{}: no [[source]]: a node without telemetry has nothing to learn from",
            dir.join("node.toml").display()
        );
    }
    let telemetry = Arc::new(Mutex::new(Telemetry::open(&folder.config)?));
    let config = &folder.config;
    let trainer = TelemetryTrainer::new(
        &config.name,
        folder.dir.clone(),
        config.preparation,
        Arc::clone(&telemetry),
        driver::now,
    );
    let every = Duration::from_millis(config.telemetry.poll_ms);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let ingest = tokio::spawn(look_every(telemetry, every));
        let ended = driver::run(folder, trainer).await;
        ingest.abort();
        ended
    })
}

/// Looks at the sources now and then, so that live metrics are measured and files are read while they grow.
async fn look_every(telemetry: Arc<Mutex<Telemetry>>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let telemetry = Arc::clone(&telemetry);
        let look = move || telemetry.lock().unwrap_or_else(PoisonError::into_inner).look(driver::now());
        for note in tokio::task::spawn_blocking(look).await.unwrap_or_default() {
            tracing::warn!("{note}");
        }
    }
}

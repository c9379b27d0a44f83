//! `node run`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use common::id::TenantId;

use crate::driver::{self, Ended};
use crate::folder::Folder;
use crate::intake::{Intake, Role};
use crate::telemetry::Telemetry;
use crate::telemetry_trainer::TelemetryTrainer;

pub(super) fn execute(dir: &Path) -> Result<()> {
    edge::log_to_stderr();
    edge::keep_secrets().context("core dumps cannot be forbidden")?;
    while run(dir)? == Ended::Succeeded {
        custody::succeed(dir)?;
        tracing::info!("this node goes on under the next key of its folder");
    }
    Ok(())
}

/// Takes part with the key that the folder has.
fn run(dir: &Path) -> Result<Ended> {
    let folder = Folder::open(dir)?;
    let place = || dir.join("node.toml").display().to_string();
    if folder.config.forward.is_some() {
        bail!("{}: [forward] is for `node smtp-bridge`: a node learns from what it takes in", place());
    }
    let telemetry = Arc::new(Mutex::new(Telemetry::open(&folder.config)?));
    let config = &folder.config;
    let trainer = TelemetryTrainer::new(
        &config.name,
        (folder.dir.clone(), Arc::clone(&folder.vault)),
        config.preparation,
        Arc::clone(&telemetry),
        edge::now,
    );
    let every = Duration::from_millis(config.telemetry.poll_ms);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let intake = Intake::start(&folder.dir, &folder.config, Role::Node(folder.identity.clone())).await?;
        if intake.is_none() && folder.config.sources.is_empty() {
            bail!(
                "{}: no [[source]], no listener, no `allowed-bridges`: a node without telemetry has nothing to learn from",
                place()
            );
        }
        if let Some(intake) = &intake {
            let spool = intake.spool().tenant(TenantId::of_name(&folder.config.tenant))?;
            let pins = intake.pins().clone();
            telemetry.lock().unwrap_or_else(PoisonError::into_inner).follow_spool(&spool, pins)?;
        }
        let looking = tokio::spawn(look_every(Arc::clone(&telemetry), every));
        let ended = Box::pin(driver::run(folder, trainer)).await;
        looking.abort();
        if let Some(intake) = intake {
            intake.stop().await;
        }
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
        let look = move || telemetry.lock().unwrap_or_else(PoisonError::into_inner).look(edge::now());
        for note in tokio::task::spawn_blocking(look).await.unwrap_or_default() {
            tracing::warn!("{note}");
        }
    }
}

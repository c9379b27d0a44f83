//! `node run`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use common::id::TenantId;
use edge::Stop;

use crate::drift::{Drifted, Watching};
use crate::driver::{self, Ended};
use crate::folder::Folder;
use crate::intake::{Intake, Role};
use crate::kept::{self, Kept, Newest};
use crate::scoring::Scoring;
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
    let newest = Newest::default();
    let mut trainer = TelemetryTrainer::new(
        &config.name,
        (folder.dir.clone(), Arc::clone(&folder.vault)),
        config.preparation,
        (Arc::clone(&telemetry), newest.clone()),
        edge::now,
    );
    if let Some(kept) = kept_before(&folder) {
        trainer = trainer.going_on(kept);
    }
    let drifted = Drifted::default();
    let scoring = scoring(&folder, newest, drifted.clone()).map(|scoring| Arc::new(Mutex::new(scoring)));
    let every = Duration::from_millis(config.telemetry.poll_ms);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut stop = Stop::listen()?;
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
        let looking = tokio::spawn(look_every(Arc::clone(&telemetry), scoring.clone(), every));
        let ended = Box::pin(driver::run(folder, trainer, drifted, &mut stop)).await;
        looking.abort();
        if let Some(scoring) = scoring {
            let closed = scoring.lock().unwrap_or_else(PoisonError::into_inner).close(edge::now());
            closed.unwrap_or_else(|error| tracing::warn!("{error:#}: what was scored last is scored again"));
        }
        if let Some(intake) = intake {
            intake.stop().await;
        }
        ended
    })
}

/// The model that was kept, if there is one that can be read.
fn kept_before(folder: &Folder) -> Option<Kept> {
    if !kept::is_there(&folder.dir) {
        return None;
    }
    let warn = |error: &anyhow::Error| {
        tracing::warn!("{error:#}: records are scored when the next run has left a model");
    };
    kept::read(&folder.dir, &folder.vault).inspect_err(warn).ok()
}

/// What scores records while they come, by the model that was kept; a node whose alarms cannot be kept goes on without.
fn scoring(folder: &Folder, newest: Newest, drifted: Drifted) -> Option<Scoring> {
    let dir = &folder.dir;
    let drift = Watching::open(dir, Arc::clone(&folder.vault), folder.config.drift, drifted);
    let opened = drift.and_then(|drift| Scoring::open(dir, folder.config.alarms, newest, drift));
    opened
        .inspect_err(|error| {
            tracing::error!("{error:#}: no record is scored; move the file away and start the node again");
        })
        .ok()
}

/// Looks at the sources now and then, so that live metrics are measured and files are read while they grow, and scores
/// what is new.
async fn look_every(telemetry: Arc<Mutex<Telemetry>>, scoring: Option<Arc<Mutex<Scoring>>>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut last_fault = String::new();
    loop {
        ticks.tick().await;
        let (telemetry, scoring) = (Arc::clone(&telemetry), scoring.clone());
        let look = move || {
            let now = edge::now();
            let notes = telemetry.lock().unwrap_or_else(PoisonError::into_inner).look(now);
            for note in notes {
                tracing::warn!("{note}");
            }
            let scoring =
                scoring.as_ref().map(|scoring| scoring.lock().unwrap_or_else(PoisonError::into_inner));
            scoring.map_or(Ok(()), |mut scoring| scoring.look(&telemetry, now))
        };
        let looked = tokio::task::spawn_blocking(look).await.unwrap_or_else(|error| Err(error.into()));
        let fault = looked.err().map(|error| format!("{error:#}")).unwrap_or_default();
        // A fault that lasts is told once.
        if !fault.is_empty() && fault != last_fault {
            tracing::error!("scoring: {fault}; rounds go on, and the next look tries again");
        }
        last_fault = fault;
    }
}

//! `node drift`: whether telemetry is still what the model was calibrated with.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use edge::{Format, print_one};

use crate::detect::drift::Standing;
use crate::drift;
use crate::folder::Folder;

#[derive(Args)]
pub(super) struct Drift {
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn execute(dir: &Path, options: &Drift) -> Result<()> {
    let config = Folder::config(dir)?;
    let policy = config.drift;
    let watch = drift::read(dir, &*Folder::vault(dir, &config)?)?.filter(|_| !policy.is_off()).context(
        "drift is not watched here: that begins when `node run` keeps a model, unless `drift.false_alarm_rate` is 0",
    )?;
    let standing = watch.standing(&policy);
    print_one(options.format, &standing, || lines(&standing))?;
    Ok(())
}

/// How it stands; then what was told, or else what speaks most for it.
fn lines(standing: &Standing) -> Vec<String> {
    let evidence = || standing.evidence.iter().map(|moved| format!("  {moved}")).collect();
    let more = standing.drift.as_ref().map_or_else(evidence, |drift| vec![drift.to_string()]);
    [standing.to_string()].into_iter().chain(more).collect()
}

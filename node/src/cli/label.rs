//! `node label ID confirmed|refuted`: what somebody decided about an alarm.

use std::path::Path;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::alarms;
use crate::detect::label;

#[derive(Args)]
pub(super) struct Label {
    /// The alarm, as `node alarms` lists it.
    id: u64,
    /// What is true of it.
    #[arg(value_enum)]
    decision: Decision,
}

#[derive(Clone, Copy, ValueEnum)]
enum Decision {
    /// It was a fault: its records are left out of training and calibration.
    Confirmed,
    /// Nothing was wrong: scores up to its highest one are no alarm of its source any more.
    Refuted,
}

pub(super) fn execute(dir: &Path, options: &Label) -> Result<()> {
    let decision = match options.decision {
        Decision::Confirmed => label::Decision::Confirmed,
        Decision::Refuted => label::Decision::Refuted,
    };
    let before = alarms::label(dir, options.id, decision, edge::now())?;
    let instead = before.filter(|before| *before != decision);
    let instead = instead.map_or_else(String::new, |before| format!(", and not {before} any more"));
    eprintln!("alarm {} is {decision}{instead}; a running node heeds it at its next look", options.id);
    Ok(())
}

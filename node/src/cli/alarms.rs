//! `node alarms`: what was unusual while this node ran.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use edge::{Format, Listing};

use crate::alarms;

#[derive(Args)]
pub(super) struct Alarms {
    /// Only those that last.
    #[arg(long)]
    open: bool,
    /// How to print them.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn execute(dir: &Path, options: &Alarms) -> Result<()> {
    let (alarms, _) = alarms::known(dir)?;
    let mut list = Listing::begin(options.format);
    for alarm in alarms.values().filter(|alarm| alarm.open || !options.open) {
        list.item(alarm, || vec![alarm.to_string()])?;
    }
    list.end();
    Ok(())
}

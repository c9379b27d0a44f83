//! `coordinator tenant shred`.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Subcommand;
use edge::{now, print_one};

use super::exit::Exit;
use super::printing::How;
use crate::folder::{Folder, OPEN, SEALED};
use crate::store::Held;
use crate::view::tenant::ShreddedTenant;

#[derive(Subcommand)]
pub(super) enum TenantCommand {
    /// Make everything that this folder holds of a tenant unreadable for good, by destroying the one key of it.
    Shred {
        /// The tenant's name.
        tenant: String,
        /// Do not ask for the name again.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        how: How,
    },
}

pub(super) fn execute(dir: &Path, command: &TenantCommand) -> Result<ExitCode> {
    let TenantCommand::Shred { tenant, yes, how } = command;
    custody::refuse_shredded(dir)?;
    let own = Folder::config(dir)?.tenant;
    ensure!(*tenant == own, "{}: this folder is of the tenant `{own}`, not of `{tenant}`", dir.display());
    // Held to the end: a coordinator that has it open would go on with the key in its memory.
    let _held = Held::of_folder(dir)?;
    let there = |names: &[&str]| -> Vec<String> {
        names.iter().filter(|name| dir.join(name).exists()).map(|name| (*name).to_owned()).collect()
    };
    let shredded = ShreddedTenant {
        dry_run: how.dry_run,
        tenant: own,
        unreadable: there(&SEALED),
        readable: there(&OPEN),
    };
    if !how.dry_run {
        ensure!(*yes || is_meant(tenant)?, "another name was typed: nothing was changed");
        custody::shred(dir, tenant, now())?;
    }
    print_one(how.printing.format, &shredded, || shredded.lines())?;
    Ok(Exit::Done.into())
}

/// Whether the name is typed once more.
fn is_meant(tenant: &str) -> Result<bool> {
    eprintln!("nothing brings the data of tenant {tenant} back. Its name again, to go on:");
    let mut typed = String::new();
    io::stdin().read_line(&mut typed)?;
    Ok(typed.trim() == tenant)
}

//! `node spool`.

use std::path::Path;

use anyhow::Result;
use clap::{Args, Subcommand};
use common::id::TenantId;
use common::units::Timestamp;
use edge::{Format, Listing};
use ingest::adapt::Pins;
use ingest::limits::ENTRY_IDS_KEPT;
use ingest::record::TelemetryRecord;
use ingest::spool::{self, Lag, Position, Reader, SpoolKey, Standing, Unique, tenant_dir};
use serde::Serialize;

use crate::folder::{Folder, spool_key};
use crate::intake::{self, spool_dir};

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the records of what was accepted, each once, and tell on stderr what could not be read.
    Records {
        /// How to print them.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print how much is there, and how far each consumer is behind.
    Status {
        /// How to print it.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// One record, as it is printed.
#[derive(Serialize)]
struct Shown<'r> {
    tenant: &'r str,
    source: &'r str,
    at_ms: u64,
    values: serde_json::Map<String, serde_json::Value>,
}

/// How the entries of a tenant stand, as it is printed.
#[derive(Serialize)]
struct Stands<'s> {
    tenant: &'s str,
    bytes: u64,
    files: usize,
    newest_ms: u64,
    consumers: Vec<Lagging>,
}

#[derive(Serialize)]
struct Lagging {
    consumer: String,
    /// Still to be read.
    bytes: u64,
    /// From the last entry that is done with to the newest one.
    behind_ms: Option<u64>,
}

pub(super) fn execute(dir: &Path, options: &Options) -> Result<()> {
    // The folder has a configuration, or it is not a node's.
    let config = Folder::config(dir)?;
    let (own, pins) = (&config.tenant, intake::pins(&config)?);
    let spool = spool_dir(dir);
    let tenants = if spool.is_dir() { spool::tenants(&spool)? } else { Vec::new() };
    let (Command::Records { format } | Command::Status { format }) = options.command;
    let mut list = Listing::begin(format);
    for tenant in tenants {
        // An id cannot be turned into a name, but for the one name that we know.
        let name = if tenant == TenantId::of_name(own) { own.clone() } else { tenant.to_string() };
        match options.command {
            Command::Records { .. } => {
                let key = spool_key(dir, &*Folder::vault(dir, &config)?)?;
                records(&spool, SpoolKey { key, tenant }, (&name, &pins), &mut list)?;
            }
            Command::Status { .. } => status(&spool, tenant, &name, &mut list)?,
        }
    }
    list.end();
    Ok(())
}

fn records(spool: &Path, key: SpoolKey, (name, pins): (&str, &Pins), list: &mut Listing) -> Result<()> {
    let mut reader = Reader::offline(&tenant_dir(spool, key.tenant), key, Position::default());
    let mut unique = Unique::remembering(ENTRY_IDS_KEPT);
    loop {
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(()),
            Err(error) => {
                eprintln!("node: {error}");
                continue;
            }
        };
        if !unique.insert(entry.id) {
            continue;
        }
        let read = ingest::intake::read(&entry, pins);
        read.rejects.iter().for_each(|reject| eprintln!("node: {reject}"));
        read.records.iter().try_for_each(|record| show(name, record, list))?;
    }
}

fn status(spool: &Path, tenant: TenantId, name: &str, list: &mut Listing) -> Result<()> {
    let Standing { bytes, segments, newest, lags } = spool::standing(spool, tenant)?;
    let behind = |(consumer, lag): (&String, &Lag)| Lagging {
        consumer: consumer.clone(),
        bytes: lag.bytes,
        behind_ms: lag.behind.map(|behind| behind.0),
    };
    let consumers: Vec<Lagging> = lags.iter().map(behind).collect();
    let stands = Stands { tenant: name, bytes, files: segments, newest_ms: newest.millis(), consumers };
    list.item(&stands, || {
        let mut lines = vec![format!("{name}: {bytes} bytes in {segments} files")];
        for Lagging { consumer, bytes, behind_ms } in &stands.consumers {
            let behind =
                behind_ms.map_or("nothing read yet".to_owned(), |behind_ms| format!("{behind_ms} ms behind"));
            lines.push(format!("  {consumer}: {bytes} bytes to read, {behind}"));
        }
        lines
    })
}

fn show(tenant: &str, record: &TelemetryRecord, list: &mut Listing) -> Result<()> {
    let Timestamp(at_us) = record.at;
    let pairs = || record.metrics.iter().zip(&record.values);
    let values = pairs().map(|(metric, value)| (metric.as_str().to_owned(), (*value).into())).collect();
    list.item(&Shown { tenant, source: record.source(), at_ms: at_us / 1000, values }, || {
        let values: Vec<String> =
            pairs().map(|(metric, value)| format!("{}={value}", metric.as_str())).collect();
        vec![format!("{} {} {}", at_us / 1000, record.source(), values.join(" "))]
    })
}

//! `node spool`.

use std::path::Path;

use anyhow::Result;
use clap::{Args, Subcommand};
use common::units::Timestamp;
use edge::{Format, json_line, print_lines};
use ingest::limits::ENTRY_IDS_KEPT;
use ingest::record::TelemetryRecord;
use ingest::spool::{Position, Reader, Unique};
use serde::Serialize;

use crate::folder::{Folder, spool_key};
use crate::intake::spool_dir;

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
}

/// One record, as it is printed.
#[derive(Serialize)]
struct Shown<'r> {
    source: &'r str,
    at_ms: u64,
    values: serde_json::Map<String, serde_json::Value>,
}

pub(super) fn execute(dir: &Path, options: &Options) -> Result<()> {
    let Command::Records { format } = &options.command;
    // The folder has a configuration, or it is not a node's.
    Folder::config(dir)?;
    let key = spool_key(dir, &mut edge::entropy()?)?;
    let mut reader = Reader::offline(&spool_dir(dir), key, Position::default());
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
        let read = ingest::intake::read(&entry);
        read.rejects.iter().for_each(|reject| eprintln!("node: {reject}"));
        let lines: Result<Vec<String>> = read.records.iter().map(|record| line(record, *format)).collect();
        print_lines(&lines?);
    }
}

fn line(record: &TelemetryRecord, format: Format) -> Result<String> {
    let Timestamp(at_us) = record.at;
    let pairs = || record.metrics.iter().zip(&record.values);
    Ok(match format {
        Format::Json => {
            let values =
                pairs().map(|(metric, value)| (metric.as_str().to_owned(), (*value).into())).collect();
            json_line(&Shown { source: record.source(), at_ms: at_us / 1000, values })?
        }
        Format::Text => {
            let values: Vec<String> =
                pairs().map(|(metric, value)| format!("{}={value}", metric.as_str())).collect();
            format!("{} {} {}", at_us / 1000, record.source(), values.join(" "))
        }
    })
}

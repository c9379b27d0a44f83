//! How fast is telemetry taken in, and how does that compare?
//!
//! Mail: Postfix's `smtp-source` sends to the bridge, to Postfix's own `smtp-sink`, which throws every mail away,
//! and to aiosmtpd, which does the same. OTLP: requests over HTTP into the spool of the bridge. CSV: one pass of
//! the decoder, and imports in ranges. Prints a table, or JSON lines.

mod bodies;
mod csv;
mod imports;
mod large;
mod otlp;
mod rows;
mod screen;
mod servers;
mod smtp;
mod stalled;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use edge::Format;
use screen::Screen;

/// Returns memory to the system sooner than the default allocator, as in the two programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures how fast telemetry is taken in. Mail needs `smtp-source` and `smtp-sink` (package `postfix`).
#[derive(Parser)]
#[command(name = "bench-ingest")]
struct Options {
    /// Only this; without it, all but the large CSV.
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Mails for each figure of many senders; one sender sends a tenth of them.
    #[arg(long, default_value_t = 20_000)]
    mails: u32,
    /// Bytes of a mail.
    #[arg(long, default_value_t = 1000)]
    mail_bytes: u32,
    /// Data points for each figure of OTLP.
    #[arg(long, default_value_t = 10_000_000)]
    points: u64,
    /// Bytes of the CSV file: 300 MB unless given, 2 GB with `--only large-csv`.
    #[arg(long)]
    bytes: Option<u64>,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Mail.
    Smtp,
    /// OTLP over HTTP.
    Otlp,
    /// CSV: the decoder, and imports.
    Csv,
    /// A large CSV with broken lines: imported by one thread, by two, and killed and resumed three times. Fails
    /// when one of them differs from what was written.
    LargeCsv,
}

fn main() -> ExitCode {
    if let Some(code) = servers::play_a_part().or_else(imports::play_a_part) {
        return code;
    }
    examples::ending("bench-ingest", measure(&Options::parse()))
}

fn measure(options: &Options) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let screen = Screen::new(options.format);
    let all = [Only::Smtp, Only::Otlp, Only::Csv];
    for only in options.only.map_or(all.to_vec(), |only| vec![only]) {
        measure_one(only, dir.path(), options, &screen)?;
    }
    screen.end();
    Ok(())
}

fn measure_one(only: Only, dir: &Path, options: &Options, screen: &Screen) -> Result<()> {
    match only {
        Only::Smtp => smtp::measure(dir, (options.mails, options.mail_bytes), screen),
        Only::Otlp => otlp::measure(dir, options.points, screen),
        Only::Csv => csv::measure(dir, options.bytes.unwrap_or(300_000_000), screen),
        Only::LargeCsv => large::measure(dir, options.bytes.unwrap_or(2_000_000_000), screen),
    }
}

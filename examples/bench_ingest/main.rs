//! How many mails a second does the bridge take in, and how does that compare?
//!
//! Postfix's `smtp-source` sends to the bridge, to Postfix's own `smtp-sink`, which throws every mail away,
//! and to aiosmtpd, which does the same. Prints a table, or JSON lines.

mod servers;
mod stalled;

use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Parser;
use edge::Format;
use examples::usage::rss_peak_mb;
use serde::Serialize;
use servers::{Server, System};

/// Returns memory to the system sooner than the default allocator, as in the two programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures how fast mail is taken in. Needs `smtp-source` and `smtp-sink` (package `postfix`).
#[derive(Parser)]
#[command(name = "bench-ingest")]
struct Options {
    /// Mails for each figure of many senders; one sender sends a tenth of them.
    #[arg(long, default_value_t = 20_000)]
    mails: u32,
    /// Bytes of a mail.
    #[arg(long, default_value_t = 1000)]
    mail_bytes: u32,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One line of the result.
#[derive(Debug, Serialize)]
struct Figure {
    source: &'static str,
    case: String,
    system: &'static str,
    per_s: f64,
    rss_mb: f64,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, case, system, per_s, rss_mb } = self;
        write!(f, "{source:<8} {case:<26} {system:<12} {per_s:>10.0} {rss_mb:>8.0}")
    }
}

fn main() -> ExitCode {
    if let Some(code) = servers::play_a_part() {
        return code;
    }
    let options = Options::parse();
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-ingest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn measure(options: &Options) -> Result<()> {
    let dir = tempfile::tempdir()?;
    if options.format == Format::Text {
        println!("source   case                       system          per s   RSS MB");
    }
    let show = |figure: Figure| -> Result<()> {
        match options.format {
            Format::Text => println!("{figure}"),
            Format::Json => println!("{}", serde_json::to_string(&figure)?),
        }
        Ok(())
    };
    for senders in [200, 50, 10, 1] {
        let mails = if senders == 1 { options.mails / 10 } else { options.mails };
        for system in System::ALL {
            let Some(server) = Server::start(system, &dir.path().join(format!("{system:?}-{senders}")))?
            else {
                continue;
            };
            let per_s = send(&server, senders, mails, options.mail_bytes)?;
            let rss_mb = rss_peak_mb(server.process())?;
            show(Figure {
                source: "smtp",
                case: format!("{senders} senders"),
                system: system.name(),
                per_s,
                rss_mb,
            })?;
        }
    }
    let per_s = syncs_per_s(dir.path())?;
    show(Figure {
        source: "disk",
        case: "append 1 kB and fdatasync".into(),
        system: "-",
        per_s,
        rss_mb: 0.0,
    })?;
    let server = Server::start(System::Starling, &dir.path().join("stalled"))?.context("the bridge")?;
    let stalled = stalled::senders(server.address(), 500)?;
    let rss_mb = rss_peak_mb(server.process())?;
    let case = format!("{} stalled senders", stalled.len());
    show(Figure { source: "smtp", case, system: System::Starling.name(), per_s: 0.0, rss_mb })
}

/// Mails a second that `smtp-source` gets rid of, from its start to its end.
fn send(server: &Server, senders: u32, mails: u32, mail_bytes: u32) -> Result<f64> {
    let began = edge::now();
    let output = Command::new("smtp-source")
        .args(["-f", "load@example.com", "-t", "telemetry@bridge.example.com"])
        .args(["-s", &senders.to_string(), "-m", &mails.to_string(), "-l", &mail_bytes.to_string()])
        .arg(format!("inet:{}", server.address()))
        .stdin(Stdio::null())
        .output()
        .context("cannot run `smtp-source`; the package `postfix` has it")?;
    let took_s = edge::now().micros_since(began) as f64 / 1e6;
    if !output.status.success() {
        bail!("smtp-source: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(f64::from(mails) / took_s)
}

/// What the disk of this folder does by itself: the ceiling for one sender who waits for each mail.
fn syncs_per_s(dir: &Path) -> Result<f64> {
    use std::io::Write;
    const SYNCS: u32 = 500;
    let mut file = std::fs::File::create(dir.join("syncs"))?;
    let began = edge::now();
    for _ in 0..SYNCS {
        file.write_all(&[7; 1000])?;
        file.sync_data()?;
    }
    Ok(f64::from(SYNCS) / (edge::now().micros_since(began) as f64 / 1e6))
}

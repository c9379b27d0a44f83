//! The `node` command.

mod alarms;
mod drift;
mod evaluate;
mod import;
mod join;
mod label;
mod pipeline;
mod run;
mod score;
mod smtp_bridge;
mod spool;
mod starter;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use common::crypto::{PublicIdentity, Suite};
use common::id::TenantId;
use edge::print_lines;
use ingest::record::TelemetryRecord;
use ingest::{CsvSource, Interval, Source};

use crate::folder::Folder;
use starter::Starter;

#[derive(Parser)]
#[command(
    name = "node",
    version,
    about = "Ingests telemetry, trains in federated rounds, and scores new telemetry.",
    after_help = exit_codes()
)]
struct Cli {
    /// The node's folder: configuration, identity and the model it keeps.
    #[arg(long, global = true, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a folder with an identity and a starter configuration.
    Init(Box<Init>),
    /// Join a coordinator with the token that it gave: makes the folder if there is none, and asks to be let in.
    Join(Box<join::Join>),
    /// Take in telemetry and take part in rounds until SIGTERM or Ctrl-C.
    Run,
    /// Take in what is mailed and pushed until SIGTERM or Ctrl-C, forward it where [forward] says, and never train.
    SmtpBridge,
    /// Look into the spool of what was accepted.
    Spool(spool::Options),
    /// Put a very large CSV file into the spool, while `node run` is not running; after a kill, go on.
    Import(import::Import),
    /// Show the stages that records go through, and what they make of a file.
    Pipeline(pipeline::Options),
    /// Make the key that is to take the place of this node's, while the node goes on with the one that it has.
    Rotate,
    /// Score telemetry with the model that this node keeps.
    Score(score::Score),
    /// List the alarms that `node run` raised.
    Alarms(alarms::Alarms),
    /// Tell whether telemetry is still what the kept model was calibrated with.
    Drift(drift::Drift),
    /// Note that an alarm was a fault, or was none: training and thresholds heed it.
    Label(label::Label),
    /// Compare the kept model with one trained on this node alone, on labelled telemetry.
    Evaluate(evaluate::Evaluate),
}

#[derive(Args)]
struct Init {
    /// The operator's public key: `operator.pub` of the coordinator's folder.
    #[arg(long, value_name = "FILE")]
    operator: PathBuf,
    /// The node's name.
    #[arg(long, default_value = "node-1")]
    name: String,
    /// Whose telemetry this is.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// DDS domain, 0 to 231.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=i64::from(dds::DOMAIN_MAX)))]
    domain: u16,
    /// Address of a network interface to use; may be repeated. Without one, all of them.
    #[arg(long = "interface", value_name = "ADDRESS")]
    interfaces: Vec<IpAddr>,
    #[command(flatten)]
    custody: custody::Options,
}

/// How the rows of a file get their time.
#[derive(Args)]
struct RowTimes {
    /// The column that holds the time; without it, records are `--interval-s` apart.
    #[arg(long, value_name = "NAME")]
    timestamp_column: Option<String>,
    /// Seconds between two records of a file without timestamps.
    #[arg(long, default_value_t = 60.0)]
    interval_s: f64,
}

impl RowTimes {
    fn format(&self) -> Result<ingest::Format> {
        let interval_s = Interval::try_from(self.interval_s).context("--interval-s")?;
        Ok(ingest::Format { timestamp_column: self.timestamp_column.clone(), interval_s })
    }
}

fn exit_codes() -> String {
    let custody = format!("{} {}", custody::EXIT, custody::EXIT_MEANING);
    let waits = format!("{} {}", join::EXIT_WAITING, join::EXIT_WAITING_MEANING);
    format!("Exit codes: 0 done; 1 failed, the reason is on stderr; 2 wrong usage; {waits}; {custody}.")
}

/// Runs the command; the whole program but for the allocator.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match execute(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("node: {error:#}");
            match &error {
                error if custody::is_cause(error) => custody::EXIT.into(),
                error if error.is::<join::StillWaiting>() => join::EXIT_WAITING.into(),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn execute(cli: &Cli) -> Result<()> {
    let dir = cli.dir.as_path();
    match &cli.command {
        Command::Init(options) => init(dir, options),
        Command::Join(options) => join::execute(dir, options),
        Command::Run => run::execute(dir),
        Command::SmtpBridge => smtp_bridge::execute(dir),
        Command::Spool(options) => spool::execute(dir, options),
        Command::Import(options) => import::execute(dir, options),
        Command::Pipeline(options) => pipeline::execute(dir, options),
        Command::Rotate => rotate(dir),
        Command::Score(options) => score::execute(dir, options),
        Command::Alarms(options) => alarms::execute(dir, options),
        Command::Drift(options) => drift::execute(dir, options),
        Command::Label(options) => label::execute(dir, options),
        Command::Evaluate(options) => evaluate::execute(dir, options),
    }
}

fn init(dir: &Path, options: &Init) -> Result<()> {
    let key = std::fs::read_to_string(&options.operator);
    let key = key.with_context(|| options.operator.display().to_string())?;
    let operator: PublicIdentity =
        key.trim().parse().with_context(|| options.operator.display().to_string())?;
    let custody = options.custody.config();
    let starter = Starter {
        name: &options.name,
        tenant: &options.tenant,
        domain: options.domain,
        suite: Suite::default(),
        interfaces: &options.interfaces,
        custody: &custody,
    };
    let config = starter.config();
    let identity = Folder::init(dir, &config, &custody, &operator, &mut edge::entropy()?)?;
    eprintln!(
        "next: choose sources in {}; where the operator's key is, run `coordinator node approve` with:",
        dir.join("node.toml").display()
    );
    print_lines(&[format!("{} {}", options.name, identity.public())]);
    Ok(())
}

/// Makes the next key, or takes the one that was made; both keys say that it is the next.
fn rotate(dir: &Path) -> Result<()> {
    let succession = Folder::make_next(dir)?;
    eprintln!(
        "next: where the operator's key is, run `coordinator node rotate` with this; `node run` takes the key when the \
         roster has it"
    );
    print_lines(&[succession.to_string()]);
    Ok(())
}

/// A bar on a terminal; nothing elsewhere.
fn progress_bar(length: u64, what: &'static str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(length);
    let style = indicatif::ProgressStyle::with_template("{msg} {bar:30} {percent} % {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// All records of a file; rows that were left out are told on stderr.
fn read(file: &Path, tenant: TenantId, times: &RowTimes) -> Result<Vec<TelemetryRecord>> {
    let ingest::Format { timestamp_column, interval_s } = times.format()?;
    let source = Source::Csv(CsvSource { path: file.to_owned(), timestamp_column, interval_s });
    let ingested = ingest::records(&source, tenant, edge::now(), None)?;
    report_rejected(&ingested);
    Ok(ingested.records)
}

/// Tells on stderr what of a source was left out.
fn report_rejected(ingested: &ingest::Ingested) {
    ingested.refused.iter().for_each(|error| eprintln!("node: {error}"));
    ingested.rejected.iter().for_each(|error| eprintln!("node: {error}"));
    let untold = ingested.rejected_count - ingested.rejected.len() as u64;
    if untold > 0 {
        eprintln!("node: {untold} more rows were left out");
    }
}

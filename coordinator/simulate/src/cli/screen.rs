//! What the command shows: a line a round, and a bar where a terminal is.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use coordinator::round::{RoundOutcome, RoundRecord};
use edge::{Format, print_one};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::spent::{Done, Spent};
use crate::population::Measured;

/// Notes that are told; more are counted.
const NOTES_TOLD: usize = 10;

/// Where a run is shown.
pub(super) struct Screen {
    format: Format,
    rounds: u32,
    bar: ProgressBar,
}

/// Notes on stderr, of which only the first are told.
#[derive(Default)]
pub(super) struct Notes(AtomicUsize);

/// A round, for programs.
#[derive(Serialize)]
struct RoundLine {
    round: u32,
    clients: usize,
    samples: u64,
    loss: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_loss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
}

/// A round that ended without a model, for programs.
#[derive(Serialize)]
struct AbortedLine<'r> {
    round: u32,
    aborted: &'r str,
}

/// The whole run, for programs.
#[derive(Serialize)]
pub(super) struct Ending {
    model_hash: String,
    rounds: u32,
    clients: u64,
    threads: usize,
    /// Without measuring.
    seconds: f64,
    measuring_seconds: f64,
    clients_per_s: f64,
    clients_per_cpu_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_loss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<PathBuf>,
}

impl Notes {
    /// Tells one, unless there were many.
    pub(super) fn tell(&self, note: &str) {
        if self.0.fetch_add(1, Ordering::Relaxed) < NOTES_TOLD {
            eprintln!("coordinator-simulate: {note}");
        }
    }

    /// Tells how many were not told.
    pub(super) fn end(&self) {
        let more = self.0.load(Ordering::Relaxed).saturating_sub(NOTES_TOLD);
        if more > 0 {
            eprintln!("coordinator-simulate: {more} more notes like these");
        }
    }
}

impl Ending {
    /// How a run ended, and where its model is kept.
    pub(super) fn new(done: &Done, threads: usize, model: Option<PathBuf>) -> Result<Self> {
        let Spent { wall_s, cpu_s } = done.rounds_cost()?;
        let clients = done.clients as f64;
        Ok(Self {
            model_hash: done.model.to_string(),
            rounds: done.rounds,
            clients: done.clients,
            threads,
            seconds: wall_s,
            measuring_seconds: done.measuring.wall_s,
            clients_per_s: clients / wall_s,
            clients_per_cpu_s: clients / cpu_s,
            test_loss: done.measured.map(|measured| measured.loss),
            accuracy: done.measured.and_then(|measured| measured.accuracy),
            model,
        })
    }
}

impl Screen {
    /// A run of so many rounds, in which so many nodes are trained.
    pub(super) fn new(format: Format, rounds: u32, clients: u64) -> Self {
        let shown = format == Format::Text && std::io::stdout().is_terminal();
        let bar = if shown { ProgressBar::new(clients) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{bar:30} {percent} % {per_sec} {eta} left {msg}");
        Self { format, rounds, bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())) }
    }

    /// Rounds of the run.
    pub(super) fn rounds(&self) -> u32 {
        self.rounds
    }

    /// A node was trained.
    pub(super) fn step(&self) {
        self.bar.inc(1);
    }

    /// Prints something where the bar is not in the way.
    pub(super) fn above(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// A round is done.
    pub(super) fn round(&self, record: &RoundRecord, measured: Option<Measured>) -> Result<()> {
        let line = RoundLine {
            round: record.round.0,
            clients: record.reports().count(),
            samples: record.weight_total(),
            loss: record.loss(),
            test_loss: measured.map(|measured| measured.loss),
            accuracy: measured.and_then(|measured| measured.accuracy),
        };
        let RoundLine { round, clients, samples, loss, test_loss, accuracy } = &line;
        let text = || {
            let test = test_loss.map_or(String::new(), |loss| format!("  test loss {loss:.4}"));
            let told = accuracy.map_or(String::new(), |share| format!("  accuracy {:.2} %", share * 100.0));
            format!(
                "round {round:>4}/{}  {clients} clients  {samples} samples  loss {loss:.4}{test}{told}",
                self.rounds
            )
        };
        self.tell(text, &line)
    }

    /// An attempt at a round ended without a model.
    pub(super) fn aborted(&self, record: &RoundRecord) -> Result<()> {
        let RoundOutcome::Aborted(why) = &record.outcome else { return Ok(()) };
        let line = AbortedLine { round: record.round.0, aborted: why.as_str() };
        self.tell(
            || format!("round {:>4}/{}  ended without a model: {why}", record.round, self.rounds),
            &line,
        )
    }

    /// The run is over.
    pub(super) fn end(&self, ending: &Ending) -> Result<()> {
        self.bar.finish_and_clear();
        let Ending {
            model_hash, rounds, clients, threads, seconds, clients_per_s, clients_per_cpu_s, ..
        } = ending;
        let text = || {
            let kept = ending
                .model
                .as_ref()
                .map_or(String::new(), |path| format!("\nmodel kept in {}", path.display()));
            format!(
                "{rounds} rounds, {clients} clients in {seconds:.1} s on {threads} threads: {clients_per_s:.0} a second, \
                 {clients_per_cpu_s:.0} a CPU-second\nmodel {model_hash}{kept}"
            )
        };
        self.print(text, ending)
    }

    /// Tells of a round: programs that want one document hear of the end only.
    fn tell(&self, text: impl FnOnce() -> String, line: &impl Serialize) -> Result<()> {
        if self.format == Format::Json { Ok(()) } else { self.print(text, line) }
    }

    fn print(&self, text: impl FnOnce() -> String, line: &impl Serialize) -> Result<()> {
        self.bar.suspend(|| print_one(self.format, line, || vec![text()]))
    }
}

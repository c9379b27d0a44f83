//! The `coordinator-simulate` command.

mod nodes;
mod screen;
mod spent;

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use common::model::ParameterVector;
use coordinator::config::RunConfig;
use coordinator::round::{RoundOutcome, RoundRecord};
use coordinator::store::About;
use coordinator::store::models::write_plain;
use edge::Format;

use crate::crew::Crew;
use crate::federation::Federation;
use crate::population::Population;
use screen::{Ending, Notes, Screen};
use spent::{Done, Spent};

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed, the reason is on stderr; 2 wrong usage; 3 all rounds are done, but `--until` was not reached.";

/// What a run that did not come as far as it should ends with.
const NOT_REACHED: u8 = 3;

/// Runs a federation of virtual nodes in this process: the same rounds, training and strategies as with real nodes.
///
/// Nodes learn from telemetry (`--telemetry`), from images (`--images`), or, without either, from examples that are made
/// up for the task of the run.
#[derive(Parser)]
#[command(name = "coordinator-simulate", version, after_help = EXIT_CODES)]
struct Options {
    /// The run's configuration, as for `coordinator run start`. Its deadlines are not waited for.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    nodes: nodes::Choice,
    /// How likely a selected node fails in a round.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    fail_rate: f64,
    /// Threads that train; by default as many as the machine runs at once.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Every how many rounds the model is measured on what no node trained on; 0 for never.
    #[arg(long, value_name = "ROUNDS", default_value_t = 1)]
    evaluate_every: u32,
    /// End as soon as a measured model tells this share of the classes.
    #[arg(long, value_name = "ACCURACY", value_parser = share)]
    until: Option<f64>,
    /// A folder to keep the last model in.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// `jsonl` prints one object a round, and one at the end; `json` that one alone.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn share(word: &str) -> Result<f64, String> {
    let share: Option<f64> = word.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to 1".to_owned())
}

/// Runs the command; the whole program but for the allocator.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let options = match Options::try_parse_from(args) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    match execute(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("coordinator-simulate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(options: &Options) -> Result<ExitCode> {
    let named = || options.config.display().to_string();
    let text = std::fs::read_to_string(&options.config).with_context(named)?;
    let config = RunConfig::parse(&text).with_context(named)?;
    let notes = Notes::default();
    let (population, ids, candidates) =
        nodes::gather(&options.nodes, &config, &mut |note| notes.tell(&note))?;
    let (found, minimum) = (ids.len(), config.cohort.minimum);
    ensure!(
        found >= minimum as usize,
        "{found} nodes are too few: `cohort.minimum` of {} is {minimum}",
        named()
    );
    let mut federation = Federation::new(&config, ids, candidates, options.fail_rate)?;
    let threads =
        options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let clients = u64::from(config.rounds) * u64::from(config.cohort.goal).min(found as u64);
    let screen = Screen::new(options.format, config.rounds, clients);
    let on_node = |node: usize, refusal: Option<String>| {
        screen.step();
        if let Some(why) = refusal {
            screen.above(|| notes.tell(&format!("{}: {why}", population.names()[node])));
        }
    };
    let mut trial = Trial { options, population: &population, screen: &screen, done: Done::begin()? };
    Crew::new(threads)
        .run(&mut federation, &population, &on_node, &mut |record, model| trial.on_round(record, model))?;
    let done = trial.done;
    let kept = options.output.as_ref().map(|dir| keep(dir, &federation)).transpose()?;
    screen.end(&Ending::new(&done, threads, kept)?)?;
    notes.end();
    let reached = options.until.is_none() || done.has(options.until);
    Ok(if reached { ExitCode::SUCCESS } else { ExitCode::from(NOT_REACHED) })
}

/// A run that is followed.
struct Trial<'t> {
    options: &'t Options,
    population: &'t Population,
    screen: &'t Screen,
    done: Done,
}

impl Trial<'_> {
    /// Measures and shows a round, and says whether to go on.
    fn on_round(&mut self, record: &RoundRecord, model: &ParameterVector) -> Result<ControlFlow<()>> {
        let RoundOutcome::Committed(made) = &record.outcome else {
            self.screen.aborted(record)?;
            return Ok(ControlFlow::Continue(()));
        };
        self.done.rounds = record.round.0;
        self.done.clients += record.reports().count() as u64;
        self.done.model = made.model;
        let every = self.options.evaluate_every;
        let mut measured = None;
        if every > 0 && (record.round.0.is_multiple_of(every) || record.round.0 == self.screen.rounds()) {
            let before = Spent::so_far()?;
            measured = self.population.measure(model)?;
            self.done.measuring += Spent::so_far()? - before;
            self.done.measured = measured.or(self.done.measured);
        }
        self.screen.round(record, measured)?;
        let enough = self.options.until.is_some() && self.done.has(self.options.until);
        Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// Keeps the newest model as a coordinator exports it, in a file that has its hash for a name.
fn keep(dir: &Path, federation: &Federation) -> Result<PathBuf> {
    let about = About { round: federation.rounds_done(), task: &federation.plan().task };
    let model = federation.model();
    Ok(write_plain(dir, &about, model.schema(), model.values())?.1)
}

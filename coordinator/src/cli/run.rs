//! `coordinator run`: everything about runs.

mod diff;
mod explain;
mod follow;
mod order;
mod screen;
mod text;
mod watch;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use common::known;
use edge::{Format, Listing, print_one};

pub(super) use text::members;

use super::asked;
use super::exit::Exit;
use super::printing::{How, Printing};
use crate::control::RunOrder;

#[derive(Subcommand)]
pub(super) enum RunCommand {
    /// Start a run on the coordinator that serves this folder; prints its id.
    Start {
        /// The run's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        changes: Changes,
        /// Asked again with the same key and configuration, the run is told of that was started then.
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Stop working on a run until it is resumed; the round going on is given up.
    Pause(Which),
    /// Go on with a paused run, from its newest model.
    Resume(Which),
    /// End a run for good; its models stay.
    Stop(Which),
    /// Add rounds to a run that goes on, is paused, or is finished; a finished one goes on.
    Extend {
        #[command(flatten)]
        which: Which,
        /// How many rounds more.
        #[arg(long, value_name = "N")]
        rounds: NonZeroU32,
    },
    /// Follow a run until it ends. `jsonl` prints an object each time something changed, `json` the last one.
    Watch {
        /// Id (or its start) or name of the run; not needed when only one goes on, or when none does: then the newest.
        run: Option<String>,
        #[command(flatten)]
        printing: Printing,
    },
    /// Wait in silence until a run ends or is paused; the exit code tells which.
    Wait {
        /// Id (or its start) or name of the run; not needed when only one goes on, or when none does: then the newest.
        run: Option<String>,
        /// Give up after this time: `90s`, `10m`, `2h`.
        #[arg(long, value_name = "TIME", value_parser = edge::duration)]
        timeout: Option<Duration>,
    },
    /// Show how a run stands now.
    Status {
        /// Id (or its start) or name of the run; not needed when only one goes on, or when none does: then the newest.
        run: Option<String>,
        #[command(flatten)]
        printing: Printing,
    },
    /// List all runs.
    List {
        #[command(flatten)]
        printing: Printing,
    },
    /// Tell of a round who took part, who did not and why, and what it did to the model.
    Explain {
        /// Id (or its start) or name of the run.
        run: String,
        /// The round, from 1.
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        round: u32,
        #[command(flatten)]
        printing: Printing,
    },
    /// Show in which keys the configurations of two runs differ, and their results side by side.
    Diff {
        /// Id (or its start) or name of a run.
        a: String,
        /// The same of another.
        b: String,
        #[command(flatten)]
        printing: Printing,
    },
}

/// What the command line says beside the configuration, and over it.
#[derive(Args)]
pub(super) struct Changes {
    /// Only nodes with this label, as the roster gives it; may be repeated.
    #[arg(long, value_name = "LABEL=VALUE", value_parser = label)]
    select: Vec<(String, String)>,
    /// Begin with this model: an alias, a hash (or its start), or a run's id or name.
    #[arg(long, value_name = "MODEL")]
    from: Option<String>,
    /// Evaluate this model on all nodes and train nothing: how wrong it is there, and what newcomers measure by.
    #[arg(long, value_name = "MODEL", conflicts_with = "from")]
    evaluate: Option<String>,
}

/// A run, for which something is done.
#[derive(Args)]
pub(super) struct Which {
    /// Id (or its start) or name of the run.
    run: String,
    #[command(flatten)]
    how: How,
}

pub(super) async fn execute(dir: &Path, command: &RunCommand) -> Result<ExitCode> {
    match command {
        RunCommand::Start { config, changes, idempotency_key, how } => {
            order::start(dir, (config, changes), idempotency_key.as_deref(), *how).await
        }
        RunCommand::Pause(Which { run, how }) => {
            order::order(dir, RunOrder::Pause { run: run.clone() }, *how).await
        }
        RunCommand::Resume(Which { run, how }) => {
            order::order(dir, RunOrder::Resume { run: run.clone() }, *how).await
        }
        RunCommand::Stop(Which { run, how }) => {
            order::order(dir, RunOrder::Stop { run: run.clone() }, *how).await
        }
        RunCommand::Extend { which: Which { run, how }, rounds } => {
            order::order(dir, RunOrder::Extend { run: run.clone(), rounds: *rounds }, *how).await
        }
        RunCommand::Watch { run, printing } => watch::execute(dir, run.as_deref(), printing.format).await,
        RunCommand::Wait { run, timeout } => follow::wait(dir, run.as_deref(), *timeout).await,
        RunCommand::Status { run, printing } => status(dir, run.as_deref(), printing.format).await,
        RunCommand::List { printing } => list(dir, printing.format).await,
        RunCommand::Explain { run, round, printing } => {
            explain::execute(dir, run, *round, printing.format).await
        }
        RunCommand::Diff { a, b, printing } => diff::execute(dir, a, b, printing.format).await,
    }
}

pub(super) fn label(word: &str) -> Result<(String, String), String> {
    known::label(word).ok_or_else(|| "a label is written name=value".to_owned())
}

async fn list(dir: &Path, format: Format) -> Result<ExitCode> {
    let mut list = Listing::begin(format);
    for run in &asked::view(dir).await?.runs {
        list.item(run, || vec![text::listed(run)])?;
    }
    list.end();
    Ok(Exit::Done.into())
}

async fn status(dir: &Path, run: Option<&str>, format: Format) -> Result<ExitCode> {
    let view = asked::view(dir).await?;
    let run = asked::pick(&view, run)?;
    print_one(format, run, || text::status(run))?;
    Ok(Exit::Done.into())
}

//! `coordinator run start | pause | resume | stop | watch | list`.

use std::fmt::Write;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use common::known;
use edge::{Format, json_line, print_lines};

use crate::config;
use crate::control::{Client, Reply, Request, RunOrder};
use crate::view::{RunStatus, RunView};

/// What a failed run ends `run watch` with.
const RUN_FAILED: u8 = 3;

#[derive(Subcommand)]
pub(super) enum RunCommand {
    /// Start a run on the coordinator that serves this folder; prints its id.
    Start {
        /// The run's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only nodes with this label, as `allowed-nodes` gives it; may be repeated.
        #[arg(long, value_name = "LABEL=VALUE", value_parser = label)]
        select: Vec<(String, String)>,
        /// Begin with this model: an alias, a hash (or its start), or a run's id or name.
        #[arg(long, value_name = "MODEL")]
        from: Option<String>,
        /// How to print the result.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Stop working on a run until it is resumed; the round going on is given up.
    Pause(Which),
    /// Go on with a paused run, from its newest model.
    Resume(Which),
    /// End a run for good; its models stay.
    Stop(Which),
    /// Follow a run until it ends.
    Watch {
        /// Id (or its start) or name of the run; the newest when not given.
        run: Option<String>,
        /// `json` prints one object each time something changed.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// List all runs.
    List {
        /// How to print the list.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

/// A run, for which something is done.
#[derive(Args)]
pub(super) struct Which {
    /// Id (or its start) or name of the run.
    run: String,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) async fn execute(dir: &Path, command: &RunCommand) -> Result<ExitCode> {
    match command {
        RunCommand::Pause(Which { run, format }) => {
            order(dir, RunOrder::Pause { run: run.clone() }, *format).await
        }
        RunCommand::Resume(Which { run, format }) => {
            order(dir, RunOrder::Resume { run: run.clone() }, *format).await
        }
        RunCommand::Stop(Which { run, format }) => {
            order(dir, RunOrder::Stop { run: run.clone() }, *format).await
        }
        RunCommand::Start { config, select, from, format } => {
            start(dir, config, (select, from.as_deref()), *format).await
        }
        RunCommand::Watch { run, format } => watch(dir, run.as_deref(), *format).await,
        RunCommand::List { format } => list(dir, *format).await,
    }
}

fn label(word: &str) -> Result<(String, String), String> {
    known::label(word).ok_or_else(|| "a label is written name=value".to_owned())
}

async fn start(
    dir: &Path,
    file: &Path,
    (select, from): (&[(String, String)], Option<&str>),
    format: Format,
) -> Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let text = config::selecting(text, select)
        .and_then(|text| config::beginning(text, from))
        .with_context(|| file.display().to_string())?;
    let client = super::ask(dir, &Request::Run(RunOrder::Start { config: text })).await?;
    done(client, format).await.with_context(|| file.display().to_string())
}

/// Has something done with a run.
async fn order(dir: &Path, order: RunOrder, format: Format) -> Result<ExitCode> {
    done(super::ask(dir, &Request::Run(order)).await?, format).await
}

/// Prints the id of the run with which it was done.
async fn done(mut client: Client, format: Format) -> Result<ExitCode> {
    let Some(Reply::Done { run }) = client.next().await? else {
        bail!("the coordinator ended before it answered")
    };
    let line = match format {
        Format::Text => run,
        Format::Json => json_line(&serde_json::json!({ "run": run }))?,
    };
    print_lines(&[line]);
    Ok(ExitCode::SUCCESS)
}

async fn list(dir: &Path, format: Format) -> Result<ExitCode> {
    let view = super::view(dir).await?;
    let mut lines = Vec::new();
    for run in &view.runs {
        lines.push(match format {
            Format::Json => json_line(run)?,
            Format::Text => {
                let model = run.model.as_deref().map_or("-", |model| &model[..12.min(model.len())]);
                let status = format!("{:?}", run.status).to_lowercase();
                format!(
                    "{}  {status:<9} {:>3}/{:<3} {model:<12}  {}",
                    run.run, run.rounds_done, run.rounds, run.name
                )
            }
        });
    }
    print_lines(&lines);
    Ok(ExitCode::SUCCESS)
}

async fn watch(dir: &Path, wanted: Option<&str>, format: Format) -> Result<ExitCode> {
    let mut client = super::ask(dir, &Request::Watch).await?;
    let mut screen = Screen::default();
    while let Some(Reply::View(view)) = client.next().await? {
        let Some(run) = view.run(wanted) else {
            bail!("no run `{}`; `coordinator run list` shows them", wanted.unwrap_or(""))
        };
        match format {
            Format::Json => print_lines(&[json_line(run)?]),
            Format::Text => screen.show(run),
        }
        match run.status {
            RunStatus::Running | RunStatus::Paused => (),
            RunStatus::Finished => return Ok(ExitCode::SUCCESS),
            RunStatus::Failed => return Ok(ExitCode::from(RUN_FAILED)),
        }
    }
    bail!("the coordinator ended before the run did")
}

/// What was printed last: a terminal is redrawn in place, a pipe gets each new line once.
#[derive(Default)]
struct Screen {
    live_lines: usize,
    rounds_shown: u32,
    last: String,
}

impl Screen {
    fn show(&mut self, run: &RunView) {
        let mut text = String::new();
        if self.live_lines > 0 {
            let _ = write!(text, "\x1b[{}A\x1b[J", self.live_lines);
        }
        for round in run.history.iter().filter(|round| round.round > self.rounds_shown) {
            let _ = writeln!(
                text,
                "round {:>3}/{}  {} updates  loss {:.5}  {:.0} ms  model {}",
                round.round,
                run.rounds,
                round.updates,
                round.loss,
                round.wall_ms,
                &round.model[..12.min(round.model.len())]
            );
        }
        self.rounds_shown = run.rounds_done;
        let live = describe(run);
        if std::io::stdout().is_terminal() {
            self.live_lines = live.lines().count();
            text.push_str(&live);
        } else if run.status != RunStatus::Running && live != self.last {
            text.push_str(&live);
            self.last = live;
        }
        print_lines(&text.lines().map(str::to_owned).collect::<Vec<_>>());
    }
}

fn describe(run: &RunView) -> String {
    let mut text = String::new();
    let _ = match (run.status, &run.current) {
        (RunStatus::Finished, _) => {
            writeln!(text, "run {} finished: model {}", run.run, run.model.as_deref().unwrap_or("-"))
        }
        (RunStatus::Failed, _) => {
            writeln!(text, "run {} failed: {}", run.run, run.reason.as_deref().unwrap_or("unknown"))
        }
        (RunStatus::Paused, _) => {
            writeln!(text, "run {} is paused after {} of {} rounds", run.run, run.rounds_done, run.rounds)
        }
        (RunStatus::Running, None) => writeln!(text, "run {} begins", run.run),
        (RunStatus::Running, Some(now)) => writeln!(
            text,
            "round {:>3}/{}  {}  {} of {} updates (at least {})  {} s left",
            now.round,
            run.rounds,
            now.phase,
            now.updates,
            now.goal,
            now.minimum,
            now.deadline_ms / 1000
        ),
    };
    for (name, member) in run.current.iter().flat_map(|now| &now.cohort) {
        let loss = member.loss.map_or(String::new(), |loss| format!("  loss {loss:.5}"));
        let _ = writeln!(
            text,
            "  {name:<24} {:<12} {:>3} %  {} B{loss}",
            member.state, member.progress, member.bytes
        );
    }
    text
}

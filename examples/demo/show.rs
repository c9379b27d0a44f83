//! The demo from beginning to end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use common::units::Timestamp;
use edge::{Format, Listing};
use tokio::signal::unix::{SignalKind, signal};

use super::args::Args;
use super::federation::{self, COMMAND, COORDINATOR};
use super::machines::Machines;
use super::processes::{self, Daemon, Programs, Role};
use super::report::{self, Report};
use super::screen::{Screen, print_lines};
use super::table::{self, RunLine};
use super::{quality, watch};

/// A folder with this file was made by a demo, and may be replaced by one.
const MARK: &str = ".starling-demo";

/// Runs the demo; the whole program but for the allocator.
pub(crate) fn main(args: &Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let shown = runtime.context("no runtime").and_then(|runtime| runtime.block_on(guarded(args)));
    examples::ending("demo", shown)
}

/// Shows the demo; whatever happens, no program that it started stays behind.
async fn guarded(args: &Args) -> Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut daemons = Vec::new();
    let shown = tokio::select! {
        shown = show(args, &mut daemons) => shown,
        _ = interrupted.recv() => Err(anyhow::anyhow!("interrupted")),
        _ = terminated.recv() => Err(anyhow::anyhow!("terminated")),
    };
    let ended = processes::end(&mut daemons).await;
    shown.and(ended)
}

async fn show(args: &Args, daemons: &mut Vec<Daemon>) -> Result<()> {
    let began = edge::now();
    let mut screen = Screen::new(args.format);
    let home = make_home(&args.output)?;
    let machines = find_machines(args, &home, &screen)?;

    let programs = Programs::new(home.clone())?;
    let count = machines.all.len();
    screen.step(&format!(
        "Keys and configuration for one coordinator and {count} nodes, in {}",
        home.display()
    ));
    federation::prepare(&programs, &machines).await?;
    screen.step(&format!(
        "Starting {} processes; every message is signed, models and updates are sealed",
        count + 1
    ));
    federation::serve(&programs, &machines, daemons).await?;
    let run_id = federation::start_run(&programs, args, &machines).await?;
    screen.step(&format!("Run {run_id}: {} rounds", args.rounds()));
    let run = watch::follow(&programs, &run_id, &mut screen, daemons).await?;
    screen.run_ended();
    federation::wait_kept(&programs, &machines, &run_id, daemons).await?;
    processes::end(daemons).await?;

    let model = home.join("model.safetensors");
    let export = ["model", "export", "--output", "model.safetensors"];
    programs.ask(Role::Coordinator, COORDINATOR, export, COMMAND).await?;
    screen.step("Judging each node's model on labelled telemetry that came later");
    let verdicts = quality::judge(&programs, args, &machines, &screen).await?;

    let wall_s = seconds_since(began);
    let model_hash = run.model.clone().context("the run has no model")?;
    let line = RunLine { rounds: run.rounds_done, model_hash, wall_s };
    let page = home.join("report.html");
    let report = Report {
        source: args
            .data
            .as_ref()
            .map_or_else(|| format!("a made-up fleet, seed {}", args.seed), |dir| dir.display().to_string()),
        seed: args.seed,
        metrics: &machines.metrics,
        run: &run,
        verdicts: &verdicts,
        model: model.display().to_string(),
        wall_s,
    };
    fs::write(&page, report::html(&report)).with_context(|| page.display().to_string())?;
    tell(args.format, &verdicts, &line, &model, &page)
}

fn tell(
    format: Format,
    verdicts: &[quality::Verdict],
    run: &RunLine,
    model: &Path,
    page: &Path,
) -> Result<()> {
    match format {
        Format::Json | Format::Jsonl => table::json(Listing::begin(format), verdicts, run)?,
        Format::Text => {
            print_lines([String::new()]);
            print_lines(table::text(verdicts));
            print_lines([
                String::new(),
                format!(
                    "  model   {}  (hash {})",
                    model.display(),
                    &run.model_hash[..run.model_hash.len().min(12)]
                ),
                format!("  report  {}", page.display()),
                format!("  {} rounds and all else took {:.1} s", run.rounds, run.wall_s),
            ]);
        }
    }
    Ok(())
}

fn find_machines(args: &Args, home: &Path, screen: &Screen) -> Result<Machines> {
    let Some(data) = &args.data else {
        let machines = Machines::make(args.seed, usize::from(args.nodes), &home.join("fleet"))?;
        let metrics = machines.metrics.len();
        screen.step(&format!(
            "A fleet of {} machines out of seed {}: {metrics} metrics, {} days to learn from, {} days with faults",
            machines.all.len(),
            args.seed,
            examples::fleet::TRAINING_DAYS,
            examples::fleet::TEST_DAYS
        ));
        return Ok(machines);
    };
    let machines = Machines::read(data)?;
    screen.step(&format!(
        "{} machines in {}: {} metrics",
        machines.all.len(),
        data.display(),
        machines.metrics.len()
    ));
    Ok(machines)
}

/// Makes an empty folder; one that an older demo made is replaced, and no other is touched.
fn make_home(dir: &Path) -> Result<PathBuf> {
    let shown = || dir.display().to_string();
    let is_empty = fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    if dir.join(MARK).is_file() {
        fs::remove_dir_all(dir).with_context(shown)?;
    } else if dir.exists() && !is_empty {
        bail!("{} is not a demo's folder and stays as it is; choose another --output", dir.display());
    }
    fs::create_dir_all(dir).with_context(shown)?;
    fs::write(dir.join(MARK), "").with_context(shown)?;
    dir.canonicalize().with_context(shown)
}

fn seconds_since(began: Timestamp) -> f64 {
    let now = edge::now();
    (now.micros_since(began) as f64 / 1e5).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_folder_of_an_older_demo_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let home = make_home(&dir.path().join("out")).unwrap();
        fs::write(home.join("old"), "").unwrap();
        assert!(!make_home(&home).unwrap().join("old").exists());
        fs::remove_file(home.join(MARK)).unwrap();
        fs::write(home.join("precious"), "").unwrap();
        let error = make_home(&home).unwrap_err().to_string();
        assert!(error.contains("is not a demo's folder"), "{error}");
        assert!(home.join("precious").exists());
    }
}

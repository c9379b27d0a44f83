//! Following a run: what `coordinator run watch --format jsonl` prints, line by line.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use coordinator::view::{RunStatus, RunView};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::interval;

use super::federation::COORDINATOR;
use super::processes::{Daemon, Programs, Role, check_alive};
use super::screen::Screen;

/// Between two looks at whether all programs are alive.
const LOOK: Duration = Duration::from_millis(500);

/// Shows a run until it is finished, and returns its last state.
///
/// # Errors
///
/// When the run failed, a program ended early, or the view cannot be read.
pub(crate) async fn follow(
    programs: &Programs,
    run: &str,
    screen: &mut Screen,
    daemons: &mut [Daemon],
) -> Result<RunView> {
    let mut watch =
        programs.follow(Role::Coordinator, COORDINATOR, &["run", "watch", run, "--format", "jsonl"])?;
    let _leash = watch.stdin.take();
    let mut lines = BufReader::new(watch.stdout.take().context("the watch has no output")?).lines();
    let mut looks = interval(LOOK);
    let mut last: Option<RunView> = None;
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => {
                    let view = serde_json::from_str(&line).context("the view of the run cannot be read")?;
                    screen.run(&view);
                    last = Some(view);
                }
                None => break,
            },
            _ = looks.tick() => check_alive(daemons)?,
        }
    }
    let mut said = String::new();
    if let Some(mut stderr) = watch.stderr.take() {
        stderr.read_to_string(&mut said).await?;
    }
    watch.wait().await?;
    match last {
        Some(view) if view.status == RunStatus::Finished => Ok(view),
        Some(RunView { reason: Some(reason), .. }) => {
            bail!(
                "the run failed: {reason}; the nodes' logs are in {}",
                programs.home().join("nodes").display()
            )
        }
        _ => bail!("the run cannot be followed: {}", said.lines().last().unwrap_or("no word of it")),
    }
}

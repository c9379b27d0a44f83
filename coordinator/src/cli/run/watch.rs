//! `coordinator run watch`: a run as it goes on, live on a terminal, in plain lines elsewhere.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use common::units::Timestamp;
use console::Term;
use edge::{Format, now, print_lines, print_one};
use tokio::signal::unix::{SignalKind, signal};

use super::follow::{Followed, ending};
use super::screen::{self, Size};
use super::text;
use crate::cli::exit::Exit;
use crate::view::{NodeView, RunStatus, RunView};

/// The live view is drawn this often: its countdown goes on between two views.
const REDRAW: Duration = Duration::from_millis(250);

/// Rounds that are told of when the live view begins.
const ROUNDS_BEFORE: usize = 5;

pub(super) async fn execute(dir: &Path, run: Option<&str>, format: Format) -> Result<ExitCode> {
    let followed = Followed::begin(dir, run).await?;
    let exit = match format {
        Format::Text if std::io::stdout().is_terminal() => live(followed).await,
        Format::Text => plain(followed).await,
        Format::Json | Format::Jsonl => objects(followed, format).await,
    };
    Ok(exit?.into())
}

/// An object each time something changed, or the last one.
async fn objects(mut followed: Followed<'_>, format: Format) -> Result<Exit> {
    loop {
        let (run, _) = followed.next().await?;
        let end = ending(run.status);
        if format == Format::Jsonl || end.is_some() {
            print_one(format, &run, Vec::new)?;
        }
        if let Some(exit) = end {
            return Ok(exit);
        }
    }
}

/// Each round as it is done, and how the run stands when it does not go on.
async fn plain(mut followed: Followed<'_>) -> Result<Exit> {
    let (mut rounds_shown, mut last) = (0, Vec::new());
    loop {
        let (run, _) = followed.next().await?;
        let new = run.history.iter().filter(|round| round.round > rounds_shown);
        print_lines(&new.map(|round| text::committed(&run, round)).collect::<Vec<_>>());
        rounds_shown = run.rounds_done;
        let standing = if run.status == RunStatus::Running { Vec::new() } else { text::standing(&run) };
        if standing != last {
            print_lines(&standing);
            last = standing;
        }
        if let Some(exit) = ending(run.status) {
            return Ok(exit);
        }
    }
}

/// What is known of the run, drawn in place until it ends. Ctrl-C ends the view, not the run.
async fn live(mut followed: Followed<'_>) -> Result<Exit> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut redraw = tokio::time::interval(REDRAW);
    let (mut run, mut nodes) = followed.next().await?;
    let mut told = now();
    let mut drawing = Drawing::begin(&run)?;
    loop {
        if let Some(exit) = ending(run.status) {
            drawing.draw(&run, &nodes, told)?;
            print_lines(&text::standing(&run));
            return Ok(exit);
        }
        tokio::select! {
            view = followed.next() => {
                (run, nodes) = view?;
                told = now();
            }
            _ = redraw.tick() => drawing.draw(&run, &nodes, told)?,
            _ = interrupt.recv() => {
                drop(drawing);
                eprintln!("run {} goes on; `coordinator run watch` shows it again, `run stop` ends it", run.run);
                return Ok(Exit::Interrupted);
            }
        }
    }
}

/// The last lines of a terminal, which are drawn again and again. The cursor comes back when it is dropped.
struct Drawing {
    term: Term,
    rounds_shown: u32,
    lines: usize,
}

impl Drawing {
    fn begin(run: &RunView) -> Result<Self> {
        let term = Term::buffered_stdout();
        term.hide_cursor()?;
        let before = run.history.iter().rev().nth(ROUNDS_BEFORE).map_or(0, |round| round.round);
        Ok(Self { term, rounds_shown: before, lines: 0 })
    }

    /// Rounds that are done stay above; what is drawn in place is below.
    fn draw(&mut self, run: &RunView, nodes: &[NodeView], told: Timestamp) -> Result<()> {
        let (height, width) = self.term.size();
        // The last row is the cursor's; a line as wide as the terminal would wrap.
        let size = Size { width: usize::from(width).max(2) - 1, height: usize::from(height).max(2) - 1 };
        let new = run.history.iter().filter(|round| round.round > self.rounds_shown);
        let done: Vec<String> = new.map(|round| text::committed(run, round)).collect();
        let lines = screen::lines(run, nodes, size, now().since(told));
        self.term.clear_last_lines(self.lines)?;
        let all: Vec<&str> = done.iter().chain(&lines).map(String::as_str).collect();
        self.term.write_line(&all.join("\n"))?;
        // All at once, so that nothing is seen half drawn.
        self.term.flush()?;
        (self.rounds_shown, self.lines) = (run.rounds_done, lines.len());
        Ok(())
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        // A terminal that is gone needs no cursor.
        let _ = self.term.show_cursor().and_then(|()| self.term.flush());
    }
}

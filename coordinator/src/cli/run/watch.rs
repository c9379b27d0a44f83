//! `coordinator run watch`: a run as it goes on.

use std::path::Path;
use std::process::ExitCode;

use std::io::IsTerminal;

use anyhow::Result;
use edge::{Format, print_lines, print_one};

use super::follow::{Followed, ending};
use super::text;
use crate::view::{RunStatus, RunView};

pub(super) async fn execute(dir: &Path, run: Option<&str>, format: Format) -> Result<ExitCode> {
    let mut followed = Followed::begin(dir, run).await?;
    let mut screen = Screen::default();
    loop {
        let (run, _) = followed.next().await?;
        let end = ending(run.status);
        match format {
            Format::Jsonl => print_one(format, &run, Vec::new)?,
            Format::Json if end.is_some() => print_one(format, &run, Vec::new)?,
            Format::Json => (),
            Format::Text => screen.show(&run),
        }
        if let Some(exit) = end {
            return Ok(exit.into());
        }
    }
}

/// What was printed last: a terminal is redrawn in place, a pipe gets each new line once.
#[derive(Default)]
struct Screen {
    live_lines: usize,
    rounds_shown: u32,
    last: Vec<String>,
}

impl Screen {
    fn show(&mut self, run: &RunView) {
        let mut lines = Vec::new();
        if self.live_lines > 0 {
            lines.push(format!("\x1b[{}A\x1b[J", self.live_lines));
        }
        let new = run.history.iter().filter(|round| round.round > self.rounds_shown);
        lines.extend(new.map(|round| text::committed(run, round)));
        self.rounds_shown = run.rounds_done;
        let live = text::standing(run);
        if std::io::stdout().is_terminal() {
            self.live_lines = live.len();
            lines.extend(live);
        } else if run.status != RunStatus::Running && live != self.last {
            lines.extend(live.clone());
            self.last = live;
        }
        print_lines(&lines);
    }
}

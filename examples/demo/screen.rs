//! Live progress: bars on a terminal, a line for each step elsewhere, nothing for programs.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

use coordinator::view::{CurrentRound, RunView};
use edge::Format;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::table::bytes;

/// Where progress is shown.
pub(crate) enum Screen {
    /// A terminal.
    Bars(Bars),
    /// A pipe or a file.
    Lines {
        /// Rounds told of.
        rounds: u32,
    },
    /// Nobody looks.
    Silent,
}

/// What is shown of the run on a terminal.
pub(crate) struct Bars {
    all: MultiProgress,
    round: ProgressBar,
    nodes: BTreeMap<String, ProgressBar>,
    rounds: u32,
}

impl Screen {
    /// The screen for a format: bars need a terminal to be redrawn on.
    pub(crate) fn new(format: Format) -> Self {
        match format {
            Format::Json | Format::Jsonl => Self::Silent,
            Format::Text if std::io::stdout().is_terminal() && std::io::stderr().is_terminal() => {
                let (all, round) = (MultiProgress::new(), ProgressBar::hidden());
                Self::Bars(Bars { all, round, nodes: BTreeMap::new(), rounds: 0 })
            }
            Format::Text => Self::Lines { rounds: 0 },
        }
    }

    /// Tells of a step.
    pub(crate) fn step(&self, text: &str) {
        if !matches!(self, Self::Silent) {
            print_lines([text]);
        }
    }

    /// Shows the state of the run.
    pub(crate) fn run(&mut self, run: &RunView) {
        match self {
            Self::Bars(bars) => bars.show(run),
            Self::Lines { rounds } => {
                let new = run.history.iter().filter(|round| round.round > *rounds);
                print_lines(new.map(|round| committed(run.rounds, round)));
                *rounds = run.rounds_done;
            }
            Self::Silent => (),
        }
    }

    /// Takes the run's bars away; its rounds stay.
    pub(crate) fn run_ended(&mut self) {
        if let Self::Bars(bars) = self {
            bars.nodes.values().chain([&bars.round]).for_each(ProgressBar::finish_and_clear);
        }
    }

    /// A bar for work on all machines.
    pub(crate) fn work(&self, what: &'static str, machines: usize) -> ProgressBar {
        if !matches!(self, Self::Bars(_)) {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(machines as u64).with_style(style("  {msg} {bar:24} {pos} of {len}"));
        bar.set_message(what);
        bar.tick();
        bar
    }
}

impl Bars {
    fn show(&mut self, run: &RunView) {
        for round in run.history.iter().filter(|round| round.round > self.rounds) {
            // A terminal that went away has seen enough.
            let _ = self.all.println(committed(run.rounds, round));
        }
        self.rounds = run.rounds_done;
        if self.round.is_hidden() {
            let bar = ProgressBar::new(u64::from(run.rounds));
            self.round = self.all.add(bar.with_style(style("  round {pos}/{len} {bar:24} {msg}")));
        }
        let Some(now) = &run.current else { return };
        self.round.set_position(u64::from(now.round));
        let CurrentRound { phase, updates, goal, deadline_ms, .. } = now;
        let left = deadline_ms.div_ceil(1000);
        self.round.set_message(format!("{phase}, {updates} of {goal} updates, {left} s left"));
        for (name, member) in &now.cohort {
            let add =
                || self.all.add(ProgressBar::new(100).with_style(style("    {prefix:14} {bar:20} {msg}")));
            let bar = self.nodes.entry(name.clone()).or_insert_with(add);
            bar.set_prefix(name.clone());
            bar.set_position(u64::from(member.progress));
            let loss = member.loss.map_or(String::new(), |loss| format!(", loss {loss:.4}"));
            bar.set_message(format!("{}, {}{loss}", member.state, bytes(member.bytes)));
        }
    }
}

fn committed(rounds: u32, round: &coordinator::view::RoundView) -> String {
    let carried = round.bytes.map_or(String::new(), |count| format!(", {}", bytes(count)));
    format!(
        "  round {:>2}/{rounds}  loss {:.4}  {} updates in {:.0} ms{carried}",
        round.round, round.loss, round.updates, round.wall_ms
    )
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸─")
}

/// Prints lines; a reader that closed the pipe has seen enough.
pub(crate) fn print_lines<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) {
    let mut out = std::io::stdout().lock();
    let _ = lines.into_iter().try_for_each(|line| writeln!(out, "{}", line.as_ref()));
    let _ = out.flush();
}

//! The figures on stdout, and how far it is on stderr.

use std::fmt;

use anyhow::Result;
use edge::Format;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Where the result is shown; how far it is only on a terminal.
pub(crate) struct Screen {
    format: Format,
    bar: ProgressBar,
}

impl Screen {
    pub(crate) fn new(format: Format, steps: usize) -> Self {
        let style = ProgressStyle::with_template("{elapsed:>4} {bar:24} {pos}/{len} {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { format, bar: ProgressBar::new(steps as u64).with_style(style) }
    }

    /// The first line of a table, for people.
    pub(crate) fn head(&self, line: &str) {
        if self.format == Format::Text {
            self.print(line);
        }
    }

    /// A step begins.
    pub(crate) fn begin(&self, what: String) {
        self.bar.set_message(what);
    }

    /// A step is over.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// A line of the result.
    pub(crate) fn show(&self, line: &(impl fmt::Display + Serialize)) -> Result<()> {
        self.print(&match self.format {
            Format::Text => line.to_string(),
            Format::Json => serde_json::to_string(line)?,
        });
        Ok(())
    }

    /// A word about what is not in the result.
    pub(crate) fn note(&self, error: &anyhow::Error) {
        self.bar.suspend(|| eprintln!("bench-transfer: {error:#}"));
    }

    #[expect(clippy::print_stdout, reason = "the table is the result")]
    fn print(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

//! Results on stdout, for people or for programs.

use std::io::Write;

use anyhow::{Context, Result};
use clap::ValueEnum;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Prints lines. A reader that closed the pipe has seen enough.
pub fn print_lines(lines: &[String]) {
    let mut out = std::io::stdout().lock();
    let _ = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
    let _ = out.flush();
}

/// A value as one line of JSON.
///
/// # Errors
///
/// When it has no form in JSON.
pub fn json_line(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).context("cannot print as JSON")
}

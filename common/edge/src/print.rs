//! Results on stdout, for people or for programs.

use std::io::{BufWriter, Stdout, Write};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document; a list is an array.
    Json,
    /// For programs: one JSON object a line, each as soon as it is known.
    Jsonl,
}

/// Prints lines. A reader that closed the pipe has seen enough.
pub fn print_lines(lines: &[String]) {
    let mut out = std::io::stdout().lock();
    let _ = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
    let _ = out.flush();
}

/// Prints one result: the lines that people read, or one JSON object.
///
/// # Errors
///
/// When it has no form in JSON.
pub fn print_one(format: Format, result: &impl Serialize, text: impl FnOnce() -> Vec<String>) -> Result<()> {
    match format {
        Format::Text => print_lines(&text()),
        Format::Json | Format::Jsonl => print_lines(&[json_line(result)?]),
    }
    Ok(())
}

/// A list that is printed item by item and never held: lines for people, one JSON array, or a JSON object a line.
#[derive(Debug)]
pub struct Listing<W: Write = Stdout> {
    format: Format,
    is_empty: bool,
    out: BufWriter<W>,
}

impl Listing {
    /// A list on stdout without an item so far.
    pub fn begin(format: Format) -> Self {
        Self::on(std::io::stdout(), format)
    }
}

impl<W: Write> Listing<W> {
    /// A list on something else than stdout.
    pub fn on(out: W, format: Format) -> Self {
        Self { format, is_empty: true, out: BufWriter::new(out) }
    }

    /// Prints an item; people may read several lines of it, or none.
    ///
    /// # Errors
    ///
    /// When it has no form in JSON.
    pub fn item(&mut self, item: &impl Serialize, text: impl FnOnce() -> Vec<String>) -> Result<()> {
        let is_first = std::mem::replace(&mut self.is_empty, false);
        match self.format {
            Format::Text => self.remark(text),
            Format::Jsonl => self.put(&format!("{}\n", json_line(item)?)),
            Format::Json => {
                let before = if is_first { "[" } else { ",\n" };
                self.put(&format!("{before}{}", json_line(item)?));
            }
        }
        Ok(())
    }

    /// Lines for people only: a heading, or what is said at the end.
    pub fn remark(&mut self, text: impl FnOnce() -> Vec<String>) {
        if self.format == Format::Text {
            for line in text() {
                self.put(&format!("{line}\n"));
            }
        }
    }

    /// What was printed so far reaches its reader.
    pub fn flush(&mut self) {
        // As in `print_lines`.
        let _ = self.out.flush();
    }

    /// Prints what a list ends with.
    pub fn end(mut self) {
        match (self.format, self.is_empty) {
            (Format::Json, true) => self.put("[]\n"),
            (Format::Json, false) => self.put("]\n"),
            (Format::Text | Format::Jsonl, _) => (),
        }
        self.flush();
    }

    fn put(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
    }
}

fn json_line(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).context("cannot print as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(format: Format, items: &[u32]) -> String {
        let mut out = Vec::new();
        let mut list = Listing::on(&mut out, format);
        for item in items {
            list.item(item, || vec![format!("no. {item}")]).unwrap();
        }
        list.remark(|| vec!["done".to_owned()]);
        list.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_list_is_lines_for_people_one_array_or_an_object_a_line() {
        assert_eq!(listed(Format::Text, &[1, 2]), "no. 1\nno. 2\ndone\n");
        assert_eq!(listed(Format::Json, &[1, 2]), "[1,\n2]\n");
        assert_eq!(listed(Format::Jsonl, &[1, 2]), "1\n2\n");
    }

    #[test]
    fn a_list_without_an_item_is_an_empty_array_or_nothing() {
        assert_eq!(listed(Format::Json, &[]), "[]\n");
        assert_eq!(listed(Format::Jsonl, &[]), "");
    }
}

//! The figures on stdout, and how far it is on stderr.

use std::cell::RefCell;
use std::fmt;

use anyhow::Result;
use edge::{Format, Listing};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use serde::Serialize;

/// Where the result is shown; how far it is only on a terminal.
pub(crate) struct Screen {
    result: RefCell<Listing>,
    bar: ProgressBar,
}

impl Screen {
    pub(crate) fn new(format: Format, steps: usize) -> Self {
        let style = ProgressStyle::with_template("{elapsed:>4} {bar:24} {pos}/{len} {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(steps as u64).with_style(style).with_finish(ProgressFinish::AndClear);
        Self { result: Listing::begin(format).into(), bar }
    }

    /// The first line of a table, for people.
    pub(crate) fn head(&self, line: &str) {
        self.print(|result| result.remark(|| vec![line.to_owned()]));
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
        self.print(|result| result.item(line, || vec![line.to_string()]))
    }

    /// The result is whole.
    pub(crate) fn end(self) {
        self.result.into_inner().end();
    }

    /// A word about what is not in the result.
    pub(crate) fn note(&self, error: &anyhow::Error) {
        self.bar.suspend(|| eprintln!("bench-transfer: {error:#}"));
    }

    fn print<T>(&self, print: impl FnOnce(&mut Listing) -> T) -> T {
        let mut result = self.result.borrow_mut();
        self.bar.suspend(|| {
            let printed = print(&mut result);
            result.flush();
            printed
        })
    }
}

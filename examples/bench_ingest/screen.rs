//! The figures on stdout, and how far it is on stderr.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use edge::{Format, Listing};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use serde::Serialize;

/// One line of the result.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) source: &'static str,
    pub(crate) case: String,
    pub(crate) system: &'static str,
    /// What is counted: mails, data points, megabytes.
    pub(crate) unit: &'static str,
    pub(crate) per_s: f64,
    /// For each second of CPU that the side that takes in has used, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) per_cpu_s: Option<f64>,
    pub(crate) rss_mb: f64,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, case, system, unit, per_s, per_cpu_s, rss_mb } = self;
        let per_cpu_s = per_cpu_s.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}"));
        write!(f, "{source:<6} {case:<32} {system:<10} {unit:<7} {per_s:>9.0} {per_cpu_s:>9} {rss_mb:>7.0}")
    }
}

/// Where the result is shown; how far it is only on a terminal.
pub(crate) struct Screen {
    result: Mutex<Listing>,
    bar: ProgressBar,
}

impl Screen {
    pub(crate) fn new(format: Format) -> Self {
        let mut result = Listing::begin(format);
        let heading =
            "source case                             system     unit        per s per CPU s  RSS MB";
        result.remark(|| vec![heading.to_owned()]);
        result.flush();
        let style = ProgressStyle::with_template("{elapsed:>4} {msg} {bar:24} {percent} %");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(100).with_style(style).with_finish(ProgressFinish::AndClear);
        Self { result: result.into(), bar }
    }

    /// Something begins that has `length` steps.
    pub(crate) fn begin(&self, what: impl Into<String>, length: u64) {
        self.bar.reset();
        self.bar.set_length(length);
        self.bar.set_message(what.into());
    }

    /// So many of its steps are done.
    pub(crate) fn at(&self, position: u64) {
        self.bar.set_position(position);
    }

    pub(crate) fn show(&self, line: &(impl fmt::Display + Serialize)) -> anyhow::Result<()> {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        self.bar.suspend(|| {
            let shown = result.item(line, || vec![line.to_string()]);
            result.flush();
            shown
        })
    }

    /// The result is whole.
    pub(crate) fn end(self) {
        self.result.into_inner().unwrap_or_else(PoisonError::into_inner).end();
    }
}

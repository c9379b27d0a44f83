//! CSV: one pass of the decoder, and imports in ranges.

use std::path::Path;

use anyhow::{Result, bail};

use crate::imports::{Done, Running, Work};
use crate::rows::{self, Shape};
use crate::screen::{Figure, Screen};

/// Measures with a file of `bytes` plain rows.
pub(crate) fn measure(dir: &Path, bytes: u64, screen: &Screen) -> Result<()> {
    let path = dir.join("plain.csv");
    let written = rows::write(&path, bytes, Shape::Plain, screen)?;
    let works = [
        ("one pass of the decoder", Work::Decode),
        ("import, 1 thread", Work::Count(1)),
        ("import, 2 threads", Work::Count(2)),
    ];
    for (case, work) in works {
        screen.begin(format!("csv: {case}"), written.bytes);
        let done = Running::start(&path, &work)?.wait(screen)?;
        if (done.accepted, done.lines) != (written.accepted, written.lines) {
            bail!("{case}: {} rows of {}: {:?}", done.accepted, written.accepted, done.rejected);
        }
        screen.show(&figure(case.to_owned(), &done))?;
    }
    Ok(std::fs::remove_file(path)?)
}

/// The rate of a process.
pub(crate) fn figure(case: String, done: &Done) -> Figure {
    let megabytes = (done.bytes - done.from) as f64 / 1e6;
    Figure {
        source: "csv",
        case,
        system: "starling",
        unit: "MB",
        per_s: megabytes / done.seconds,
        per_cpu_s: Some(megabytes / done.cpu_s),
        rss_mb: done.rss_mb,
    }
}

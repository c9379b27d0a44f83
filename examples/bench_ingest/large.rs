//! A large CSV file with broken lines, imported in three ways: each must give what was written, in its order.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use ingest::error::Reason;
use serde::Serialize;

use crate::csv::figure;
use crate::imports::{self, Done, RECORD_BYTES, Running, Work, exceptions_in, records_in};
use crate::rows::{self, Shape, Written};
use crate::screen::{Figure, Screen};

/// A way to import: its name, its threads, and where it is killed: percent of the file, and after which step of
/// a batch (the records, the log, the state).
type Way = (&'static str, usize, &'static [(u64, u32)]);

const WAYS: [Way; 3] = [
    ("1 thread", 1, &[]),
    ("2 threads", 2, &[]),
    ("2 threads, killed 3 times", 2, &[(25, 1), (50, 2), (75, 3)]),
];

/// One way, and what came of it.
#[derive(Debug, Serialize)]
struct Outcome {
    #[serde(flatten)]
    figure: Figure,
    lines: u64,
    accepted: u64,
    rejected: BTreeMap<Reason, u64>,
    /// Records that were written and cut off again, because a kill came before their state.
    surplus: u64,
    /// What is in the file of the records.
    #[serde(flatten)]
    kept: Kept,
    /// The first digits of BLAKE3 of the exceptions log.
    exceptions: String,
    /// All of it is as it was written.
    same: bool,
}

/// What the records on the disk are.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Kept {
    records: u64,
    /// Records that are not later than all before: kept twice, or out of order.
    repeated: u64,
    /// The first digits of BLAKE3 of all of them.
    hash: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { figure, lines, accepted, rejected, surplus, kept, exceptions, same } = self;
        let reasons: Vec<String> =
            rejected.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let rejected: u64 = rejected.values().sum();
        let verdict = if *same { "as written" } else { "NOT AS WRITTEN" };
        write!(
            f,
            "{figure}\n  {lines} lines: {accepted} accepted + {rejected} rejected = {} rows ({})\n  \
             {} records kept ({surplus} cut off), {} of them twice, {}, log {exceptions}: {verdict}",
            accepted + rejected,
            reasons.join(", "),
            kept.records,
            kept.repeated,
            kept.hash,
        )
    }
}

/// Measures with a file of `bytes`; fails when something is lost, there twice or otherwise not as written.
pub(crate) fn measure(dir: &Path, bytes: u64, screen: &Screen) -> Result<()> {
    // The file, and the records of one import.
    let (needed, free) = (bytes / 10 * 18, free_bytes(dir)?);
    if free < needed {
        bail!("{} has {} MB free, and {} are needed", dir.display(), free / 1_000_000, needed / 1_000_000);
    }
    let path = dir.join("large.csv");
    let written = rows::write(&path, bytes, Shape::Broken, screen)?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (case, workers, kills) in WAYS {
        let into = dir.join("imported");
        fs::create_dir(&into)?;
        let work = Work::Keep(workers, into.clone());
        let mut surplus = 0;
        for &(percent, steps) in kills {
            screen.begin(format!("{case}: to be killed at {percent} %"), written.bytes);
            Running::start(&path, &work)?.kill(written.bytes / 100 * percent, steps, screen)?;
            surplus += imports::surplus(&into)?;
        }
        screen.begin(case, written.bytes);
        let done = Running::start(&path, &work)?.wait(screen)?;
        let kept = kept(&into, written.bytes, screen)?;
        let log = fs::read(exceptions_in(&into))?;
        let exceptions = rows::digits(&blake3::hash(&log));
        let first = outcomes.first().map(|outcome| &outcome.exceptions);
        let logged = rows::line_count(&log);
        let same = is_as_written(&done, &kept, &written)
            && logged == done.rejected.values().sum::<u64>()
            && (done.from == 0) == kills.is_empty()
            && first.is_none_or(|first| *first == exceptions);
        let figure = figure(format!("{} MB, {case}", written.bytes / 1_000_000), &done);
        let Done { lines, accepted, rejected, .. } = done;
        let outcome = Outcome { figure, lines, accepted, rejected, surplus, kept, exceptions, same };
        screen.show(&outcome)?;
        outcomes.push(outcome);
        fs::remove_dir_all(into)?;
    }
    if outcomes.iter().any(|outcome| !outcome.same) {
        bail!("what was kept is not what was written: {written:?}");
    }
    Ok(())
}

fn is_as_written(done: &Done, kept: &Kept, written: &Written) -> bool {
    let Kept { records, repeated, hash } = kept;
    (done.bytes, done.lines, done.accepted) == (written.bytes, written.lines, written.accepted)
        && done.rejected == written.rejected
        && (*records, *repeated) == (written.accepted, 0)
        && *hash == written.records
}

/// Reads the records: each begins with its time, and each is of another second.
fn kept(dir: &Path, file_bytes: u64, screen: &Screen) -> Result<Kept> {
    let mut file = File::open(records_in(dir))?;
    let total = file.metadata()?.len();
    if total % RECORD_BYTES as u64 != 0 {
        bail!("{total} bytes of records are no whole number of them");
    }
    screen.begin("reading what was kept", file_bytes);
    let (mut hasher, mut kept, mut latest) = (blake3::Hasher::new(), Kept::default(), 0);
    let mut buffer = vec![0; RECORD_BYTES << 14];
    while kept.records * (RECORD_BYTES as u64) < total {
        let left = total - kept.records * RECORD_BYTES as u64;
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let part = &mut buffer[..part];
        file.read_exact(part)?;
        hasher.update(part);
        for record in part.chunks_exact(RECORD_BYTES) {
            let at = u64::from_le_bytes(*record.first_chunk().context("a time")?);
            kept.repeated += u64::from(at <= latest);
            latest = latest.max(at);
            kept.records += 1;
        }
        screen.at(file_bytes - left * file_bytes / total);
    }
    kept.hash = rows::digits(&hasher.finalize());
    Ok(kept)
}

/// What the disk of this folder has left, as `df` (POSIX) tells it.
fn free_bytes(dir: &Path) -> Result<u64> {
    let output = Command::new("df").arg("-Pk").arg(dir).output().context("df")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let kibibytes = text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3));
    Ok(kibibytes.context("df says nothing")?.parse::<u64>()? * 1024)
}

//! Imports, each in a process of its own: what it used is measured, and it can be killed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStdout, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use common::id::TenantId;
use common::units::Timestamp;
use examples::usage::{cpu_s, rss_peak_mb};
use ingest::csv::{Decoder, Full, Rows};
use ingest::error::Reason;
use ingest::import::{Batch, Exceptions, Import, State};
use ingest::record::TelemetryRecord;
use ingest::{Format, RowError};
use serde::{Deserialize, Serialize};

use crate::rows::{self, METRICS, TIME};
use crate::screen::Screen;

/// What the first argument is in a process that imports.
const IMPORT: &str = "__import";

const TENANT: TenantId = TenantId([7; 16]);

/// What one process does with a file.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// One pass of the decoder over the file in memory.
    Decode,
    /// An import by so many threads; its records are counted.
    Count(usize),
    /// An import by so many threads into a folder, where it goes on after a kill.
    Keep(usize, PathBuf),
}

/// What came of it, and what it took.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    /// Where in the file it began.
    pub(crate) from: u64,
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: BTreeMap<Reason, u64>,
    pub(crate) seconds: f64,
    pub(crate) cpu_s: f64,
    pub(crate) rss_mb: f64,
}

/// An import at work.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

/// The time in microseconds and the bits of each value: the same for the same record.
pub(crate) fn put_record(out: &mut Vec<u8>, micros: u64, values: &[f32]) {
    out.extend_from_slice(&micros.to_le_bytes());
    for value in values {
        let value = if value.is_nan() { f32::NAN } else { *value };
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

/// Bytes of a record in the file that [`Work::Keep`] makes.
pub(crate) const RECORD_BYTES: usize = 8 + 4 * METRICS;

/// The file of the records in a folder.
pub(crate) fn records_in(dir: &Path) -> PathBuf {
    dir.join("records")
}

/// The exceptions log in a folder.
pub(crate) fn exceptions_in(dir: &Path) -> PathBuf {
    dir.join("exceptions.jsonl")
}

impl Running {
    /// Starts it.
    pub(crate) fn start(file: &Path, work: &Work) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(IMPORT).arg(file);
        match work {
            Work::Decode => (),
            Work::Count(workers) => _ = command.arg(workers.to_string()),
            Work::Keep(workers, dir) => _ = command.arg(workers.to_string()).arg(dir),
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Self { child, lines })
    }

    /// Waits until it is done.
    pub(crate) fn wait(mut self, screen: &Screen) -> Result<Done> {
        while let Some(line) = self.line()? {
            if line.starts_with('{') {
                self.child.wait()?;
                return Ok(serde_json::from_str(&line)?);
            }
            screen.at(line.parse().context("how far an import is")?);
        }
        bail!("an import ended: {}", self.child.wait()?)
    }

    /// Kills it when it has told `steps` times that it is at byte `at`.
    pub(crate) fn kill(mut self, at: u64, mut steps: u32, screen: &Screen) -> Result<()> {
        while let Some(line) = self.line()? {
            let bytes = line.parse().context("an import that ends before it is killed")?;
            screen.at(bytes);
            steps -= u32::from(bytes >= at);
            if steps == 0 {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(());
            }
        }
        bail!("an import ended: {}", self.child.wait()?)
    }

    fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim().to_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Imports, if the first argument says so.
pub(crate) fn play_a_part() -> Option<ExitCode> {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (part, args) = args.split_first()?;
    if part != IMPORT {
        return None;
    }
    Some(examples::ending("bench-ingest", run(args)))
}

fn run(args: &[OsString]) -> Result<()> {
    let format = Format { timestamp_column: Some(TIME.into()), ..Format::default() };
    let done = match args {
        [file] => decode(Path::new(file), &format)?,
        [file, workers, dir @ ..] => {
            let metrics = rows::metrics()?;
            let workers: NonZeroUsize = workers.to_str().context("a number")?.parse()?;
            let import = Import { required: Some(&metrics), workers, ..Import::new(TENANT, &format) };
            let mut kept = dir.first().map(|dir| Kept::open(Path::new(dir))).transpose()?;
            let from = kept.as_ref().and_then(|kept| kept.from.clone()).map(|from| from.state);
            let from_bytes = from.as_ref().map_or(0, State::bytes);
            let (before_s, began) = (cpu_s(process::id())?, edge::now());
            let state = import.run(Path::new(file), from, |batch| -> Result<()> {
                match &mut kept {
                    Some(kept) => kept.keep(&batch),
                    None => say(&batch.state.bytes()),
                }
            })?;
            Done { from: from_bytes, ..done(&state, before_s, began)? }
        }
        [] => bail!("no file"),
    };
    say(&serde_json::to_string(&done)?)
}

#[expect(clippy::print_stdout, reason = "the process that started this one reads it")]
fn say(what: &impl std::fmt::Display) -> Result<()> {
    println!("{what}");
    Ok(std::io::stdout().flush()?)
}

fn done(state: &State, before_s: f64, began: Timestamp) -> Result<Done> {
    Ok(Done {
        from: 0,
        bytes: state.bytes(),
        lines: state.lines(),
        accepted: state.accepted(),
        rejected: state.rejected().clone(),
        seconds: edge::now().micros_since(began) as f64 / 1e6,
        cpu_s: cpu_s(process::id())? - before_s,
        rss_mb: rss_peak_mb(process::id())?,
    })
}

/// What a decoder gave, counted.
impl Rows for Done {
    fn accept(&mut self, _: TelemetryRecord) -> Result<(), Full> {
        self.accepted += 1;
        Ok(())
    }

    fn reject(&mut self, row: RowError) {
        *self.rejected.entry(row.fault.reason()).or_default() += 1;
    }
}

fn decode(file: &Path, format: &Format) -> Result<Done> {
    let text = fs::read(file)?;
    let mut done = Done::default();
    let (before_s, began) = (cpu_s(process::id())?, edge::now());
    let mut decoder = Decoder::new("memory", TENANT, format, None);
    let used = decoder.decode(&text, &mut done)?;
    decoder.finish(&text[used..], &mut done)?;
    done.seconds = edge::now().micros_since(began) as f64 / 1e6;
    done.cpu_s = cpu_s(process::id())? - before_s;
    let position = decoder.into_position();
    (done.bytes, done.lines) = (position.bytes, position.lines);
    done.rss_mb = rss_peak_mb(process::id())?;
    Ok(done)
}

/// How far an import has come, and where its records end.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reached {
    state: State,
    records_bytes: u64,
}

fn reached(dir: &Path) -> Result<Option<Reached>> {
    match fs::read(dir.join("state")) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Records that a killed import wrote, and whose state it did not.
pub(crate) fn surplus(dir: &Path) -> Result<u64> {
    let whole = reached(dir)?.map_or(0, |reached| reached.records_bytes);
    Ok((fs::metadata(records_in(dir))?.len() - whole) / RECORD_BYTES as u64)
}

/// Keeps the records of an import, its log and its state: the state is the last, and whole or not there.
struct Kept {
    dir: PathBuf,
    from: Option<Reached>,
    records: File,
    records_bytes: u64,
    exceptions: Exceptions,
    buffer: Vec<u8>,
}

impl Kept {
    /// Cuts off what was written after the last state.
    fn open(dir: &Path) -> Result<Self> {
        let from = reached(dir)?;
        let records_bytes = from.as_ref().map_or(0, |from| from.records_bytes);
        let mut records = File::options().write(true).create(true).truncate(false).open(records_in(dir))?;
        records.set_len(records_bytes)?;
        records.seek(SeekFrom::End(0))?;
        let log_bytes = from.as_ref().map_or(0, |from| from.state.exceptions_bytes());
        let exceptions = Exceptions::open(&exceptions_in(dir), log_bytes)?;
        Ok(Self { dir: dir.to_owned(), from, records, records_bytes, exceptions, buffer: Vec::new() })
    }

    /// Tells after each step how far it is, so that it can be killed between any two.
    fn keep(&mut self, batch: &Batch) -> Result<()> {
        self.buffer.clear();
        for record in &batch.records {
            put_record(&mut self.buffer, record.at.0, &record.values);
        }
        self.records.write_all(&self.buffer)?;
        say(&batch.state.bytes())?;
        self.records.sync_data()?;
        self.exceptions.append(&batch.exceptions)?;
        say(&batch.state.bytes())?;
        self.records_bytes += self.buffer.len() as u64;
        let reached = Reached { state: batch.state.clone(), records_bytes: self.records_bytes };
        let new = self.dir.join("state.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&reached)?)?;
        file.sync_data()?;
        fs::rename(new, self.dir.join("state"))?;
        say(&batch.state.bytes())
    }
}

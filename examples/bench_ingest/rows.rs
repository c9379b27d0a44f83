//! A CSV file of telemetry, and what must come of it: known from the writing, not from the reading.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use common::model::MetricName;
use ingest::error::Reason;
use ingest::limits::LINE_BYTES_MAX;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::imports::put_record;
use crate::screen::Screen;

/// Metrics of a row.
pub(crate) const METRICS: usize = 20;

/// The column with the time of a row.
pub(crate) const TIME: &str = "time";

/// One row of so many is broken.
const BROKEN_EVERY: u64 = 1000;

/// Texts of cells that are made beforehand, to be chosen by 12 bits.
const CELLS: usize = 1 << 12;

/// What the rows are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Numbers only.
    Plain,
    /// One row of a thousand is broken, in one of eight ways; a hundredth has a text of two lines in quotation
    /// marks; some lines are blank.
    Broken,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    /// Line breaks.
    pub(crate) lines: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: BTreeMap<Reason, u64>,
    /// BLAKE3 of all records, as [`put_record`] writes them.
    pub(crate) records: String,
}

/// The metrics, in the order of their columns.
pub(crate) fn metrics() -> Result<Vec<MetricName>> {
    (0..METRICS).map(|index| Ok(MetricName::try_from(&*format!("m{index}"))?)).collect()
}

/// Writes rows until there are `bytes`.
pub(crate) fn write(path: &Path, bytes: u64, shape: Shape, screen: &Screen) -> Result<Written> {
    screen.begin(format!("writing {} MB", bytes / 1_000_000), bytes);
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let cells = cells(&mut random);
    let mut out = BufWriter::new(File::create(path).with_context(|| path.display().to_string())?);
    let (mut written, mut records) = (Written::default(), blake3::Hasher::new());
    let mut row = header(shape);
    let (mut record, mut number) = (Vec::new(), 0_u64);
    loop {
        out.write_all(&row)?;
        written.bytes += row.len() as u64;
        written.lines += line_count(&row);
        if record.len() > 1 << 20 || written.bytes >= bytes {
            records.update(&record);
            record.clear();
            screen.at(written.bytes);
        }
        if written.bytes >= bytes {
            break;
        }
        row.clear();
        let unix_s = 1_700_000_000 + number;
        if shape == Shape::Broken && number % BROKEN_EVERY == BROKEN_EVERY / 2 {
            let reason = put_broken(&mut row, number / BROKEN_EVERY, unix_s);
            *written.rejected.entry(reason).or_default() += 1;
        } else {
            let values = put_row(&mut row, unix_s, &cells, &mut random);
            put_record(&mut record, unix_s * 1_000_000, &values);
            row.extend_from_slice(ending(shape, number));
            written.accepted += 1;
        }
        number += 1;
    }
    out.into_inner()?.sync_all()?;
    written.records = digits(&records.finalize());
    Ok(written)
}

/// Line breaks.
pub(crate) fn line_count(text: &[u8]) -> u64 {
    text.split(|byte| *byte == b'\n').count() as u64 - 1
}

/// The first digits of a hash.
pub(crate) fn digits(hash: &blake3::Hash) -> String {
    hash.to_hex().chars().take(16).collect()
}

fn header(shape: Shape) -> Vec<u8> {
    let metrics: Vec<String> = (0..METRICS).map(|index| format!("m{index}")).collect();
    let note = if shape == Shape::Broken { ",note" } else { "" };
    format!("{TIME},{}{note}\n", metrics.join(",")).into_bytes()
}

/// Numbers of 4 to 6 decimals and their values; a few are missing or written otherwise.
fn cells(random: &mut impl Rng) -> Vec<(String, f32)> {
    let mut cell = |index: usize| {
        let number = f64::from(random.next_u32() % 20_000_000) / 1e5 - 50.0;
        let text = match index % 256 {
            0 => String::new(),
            1 => format!("{number:.3e}"),
            2 => format!(" {number:.2}"),
            _ => format!("{number:.*}", 4 + index % 3),
        };
        let value = text.trim().parse().unwrap_or(f32::NAN);
        (text, value)
    };
    (0..CELLS).map(&mut cell).collect()
}

fn put_row(row: &mut Vec<u8>, unix_s: u64, cells: &[(String, f32)], random: &mut impl Rng) -> [f32; METRICS] {
    let mut values = [f32::NAN; METRICS];
    row.extend_from_slice(unix_s.to_string().as_bytes());
    for five in values.chunks_mut(5) {
        let mut bits = random.next_u64();
        for value in five {
            let (text, number) = &cells[bits as usize % CELLS];
            bits /= CELLS as u64;
            row.push(b',');
            row.extend_from_slice(text.as_bytes());
            *value = *number;
        }
    }
    values
}

/// What follows the numbers of a row.
fn ending(shape: Shape, number: u64) -> &'static [u8] {
    match number {
        _ if shape == Shape::Plain => b"\n",
        _ if number.is_multiple_of(97) => b",\"two\nlines, one \"\"row\"\"\"\n",
        _ if number.is_multiple_of(1009) => b",\r\n \n\n",
        _ => b",\n",
    }
}

/// A row that must be left out, and why.
fn put_broken(row: &mut Vec<u8>, kind: u64, unix_s: u64) -> Reason {
    let cells = ",1.5".repeat(METRICS - 1);
    let (text, reason) = match kind % 8 {
        0 => (format!("{unix_s},1,2"), Reason::Columns),
        1 => (format!("{unix_s}{cells},1,,9"), Reason::Columns),
        2 => (format!("{unix_s},x{cells},"), Reason::NotANumber),
        3 => (format!("{unix_s},-1e99{cells},"), Reason::NotFinite),
        4 => (format!("noon,1{cells},"), Reason::NotATime),
        5 => (format!("{unix_s},1{cells},\"six"), Reason::OpenQuote),
        6 => (format!("{unix_s},1{cells},?"), Reason::NotText),
        _ => ("9".repeat(LINE_BYTES_MAX + 1), Reason::TooLong),
    };
    row.extend_from_slice(text.as_bytes());
    if reason == Reason::NotText {
        row.pop();
        row.push(0xff);
    }
    row.push(b'\n');
    reason
}

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;

use common::units::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::Ingested;
use crate::csv::{Decoder, Full, Rows};
use crate::error::{LineHash, Reason, RowBytes};
use crate::limits::LINE_BYTES_MAX;
use crate::record::TENANT;
use crate::spool::{Entry, Unique};

/// What a sink kept.
#[derive(Clone, Debug, Default)]
struct Kept {
    records: Vec<TelemetryRecord>,
    rejected: Vec<RowError>,
    exceptions: Vec<u8>,
    states: Vec<State>,
}

impl Kept {
    fn keep(&mut self, batch: Batch) {
        self.records.extend(batch.records);
        self.rejected.extend(batch.rejected);
        self.exceptions.extend(batch.exceptions);
        self.states.push(batch.state);
    }

    fn sink(&mut self) -> impl FnMut(Batch) -> Result<(), IngestError> {
        |batch| {
            self.keep(batch);
            Ok(())
        }
    }

    /// NaN is not equal to itself; its text is.
    fn rows(&self) -> (String, &[RowError]) {
        (format!("{:?}", self.records), &self.rejected)
    }
}

impl Rows for Kept {
    fn accept(&mut self, record: TelemetryRecord) -> Result<(), Full> {
        self.records.push(record);
        Ok(())
    }

    fn reject(&mut self, row: RowError) {
        self.rejected.push(row);
    }
}

fn import(format: &Format, workers: usize, range_bytes: u64) -> Import<'_> {
    let (workers, range_bytes) = (workers.try_into().unwrap(), range_bytes.try_into().unwrap());
    Import { workers, range_bytes, ..Import::new(TENANT, format) }
}

/// One pass of the decoder over the whole text.
fn sequential(text: &[u8], format: &Format) -> (Kept, u64, u64) {
    let mut kept = Kept::default();
    let mut decoder = Decoder::new("a.csv", TENANT, format, None);
    let _ = decoder.finish(text, &mut kept);
    let position = decoder.position();
    (kept, position.lines, position.rows)
}

fn imported(text: &Vec<u8>, format: &Format, workers: usize, range_bytes: u64) -> (Kept, State) {
    let mut kept = Kept::default();
    let done = import(format, workers, range_bytes).run_on("a.csv", text, None, kept.sink());
    let last = kept.states.last().cloned().or(done.ok());
    let state = last.unwrap_or_else(|| State::new(String::new()));
    (kept, state)
}

fn assert_same(text: &Vec<u8>, format: &Format, workers: usize, range_bytes: u64) {
    let (expected, line_count, rows) = sequential(text, format);
    let (kept, state) = imported(text, format, workers, range_bytes);
    assert_eq!(kept.rows(), expected.rows());
    assert_eq!((state.lines(), state.rows(), state.bytes()), (line_count, rows, text.len() as u64));
    assert_eq!(state.accepted() + state.rejected().values().sum::<u64>(), rows);
    assert_eq!(state.exceptions_bytes(), lines(&expected.rejected).len() as u64);
    assert!(state.is_finished());
    let (_, one) = imported(text, format, 1, u64::MAX);
    assert_eq!(state, one, "the state does not tell how it was reached");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_text_cut_anywhere_gives_what_one_pass_gives(
        text in "[a1,.\"\n\r]{0,120}",
        workers in 1_usize..4,
        range_bytes in 1_u64..40,
    ) {
        assert_same(&["a,b\n", &text].concat().into_bytes(), &Format::default(), workers, range_bytes);
    }

    #[test]
    fn quoted_texts_cut_anywhere_give_what_one_pass_gives(
        rows in vec("[0-9]{1,2},(\"(x\n|\n|,|\"\"|1,2\n){0,4}\"|[0-9]|\"|\"\n)(\n|\r\n)", 0..20),
        workers in 2_usize..4,
        range_bytes in 1_u64..60,
    ) {
        assert_same(&format!("a,b\n{}", rows.concat()).into_bytes(), &Format::default(), workers, range_bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn lines_over_the_limit_and_far_quotes_give_what_one_pass_gives(
        pieces in vec(0_usize..7, 1..9),
        workers in 2_usize..4,
        range_bytes in 10_000_u64..200_000,
    ) {
        let (long, short) = ("9".repeat(LINE_BYTES_MAX + 9), "1,2\n".repeat(LINE_BYTES_MAX / 4 - 9));
        let all = ["\"", "\n", "1,\"", "\",2\n", "1,2\n", &long, &short];
        let text = pieces.into_iter().fold("a,b\n".to_owned(), |text, piece| text + all[piece]);
        assert_same(&text.into_bytes(), &Format::default(), workers, range_bytes);
    }
}

/// Rows of a minute each; every thousandth is broken, in one of five ways.
fn telemetry(rows: usize) -> (String, usize) {
    let mut text = String::from("time,cpu,memory,disk,fan,note\n");
    let mut broken = 0;
    for row in 0..rows {
        let (time, value) = (1_700_000_000 + row * 60, row as f64 / 7.0 % 100.0);
        if row % 1000 == 500 {
            broken += 1;
            text += ["1,2\n", "1,x,3,4,5,\n", "1,2,3,4,5,\"six\n", "noon,2,3,4,5,\n", "1,1e99,3,4,5,\n"]
                [row / 1000 % 5];
            continue;
        }
        let note = if row % 97 == 0 { "\"two\nlines, one \"\"row\"\"\"" } else { "" };
        writeln!(text, "{time},{value:.4},{:.6},,-{value:.5},{note}", value / 100.0).unwrap();
    }
    (text, broken)
}

#[test]
fn a_large_file_in_parallel_killed_half_way_loses_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, log) = (folder.path().join("large.csv"), folder.path().join("exceptions.jsonl"));
    let (text, broken) = telemetry(500_000);
    std::fs::write(&path, &text).unwrap();
    assert!(text.len() > 20_000_000);
    let format = Format { timestamp_column: Some("time".into()), ..Format::default() };
    let required = ["cpu", "fan"].map(|name| MetricName::try_from(name).unwrap());
    let import = Import { required: Some(&required), ..import(&format, 2, 1 << 20) };
    let mut one = Kept::default();
    let state = Import { workers: NonZeroUsize::MIN, ..import.clone() }.run(&path, None, one.sink());
    let state = state.unwrap();
    assert_eq!((state.rows(), one.rejected.len()), (500_000, broken));
    assert_eq!(one.records.len() + one.rejected.len(), 500_000);
    assert_eq!(state.lines() as usize, text.lines().count());

    let mut kept = Kept::default();
    let killed = import.run(&path, None, |batch| -> Result<(), Box<dyn Error>> {
        let mut log = Exceptions::open(&log, kept.exceptions.len() as u64)?;
        log.append(&batch.exceptions)?;
        if batch.state.bytes() > text.len() as u64 / 2 {
            return Err("killed after the log and before the state".into());
        }
        kept.keep(batch);
        Ok(())
    });
    assert!(killed.is_err());
    let stored: State =
        serde_json::from_str(&serde_json::to_string(kept.states.last().unwrap()).unwrap()).unwrap();
    let mut exceptions = Exceptions::open(&log, stored.exceptions_bytes()).unwrap();
    let resumed = import.run(&path, Some(stored), |batch| {
        exceptions.append(&batch.exceptions)?;
        kept.keep(batch);
        Ok::<(), IngestError>(())
    });
    assert_eq!(resumed.unwrap(), state);
    assert_eq!(kept.rows(), one.rows());
    let written = std::fs::read_to_string(&log).unwrap();
    assert_eq!(written.lines().count(), broken);
    assert!(!written.contains("noon"), "the log does not show what the rows hold");
    let again = import
        .run(&path, Some(state.clone()), |_| Err::<(), _>(IngestError::Spool { reason: "called".into() }));
    assert_eq!(again.unwrap(), state, "a finished import has nothing to do");
}

#[test]
fn an_import_killed_at_any_batch_goes_on_from_there() {
    let (text, _) = telemetry(60);
    let text = text.replace("1,2\n", "1,\"\n").into_bytes();
    let format = Format::default();
    let (whole, state) = imported(&text, &format, 1, 100);
    let batches = whole.states.len();
    assert!(batches > 20);
    for kill in 0..batches {
        let mut kept = Kept::default();
        let import = import(&format, 1 + kill % 3, 100);
        let _ = import.run_on("a.csv", &text, None, |batch| {
            if kept.states.len() == kill {
                return Err(IngestError::Spool { reason: "killed".into() });
            }
            kept.keep(batch);
            Ok(())
        });
        let from = kept.states.last().cloned();
        let end = import.run_on("a.csv", &text, from, kept.sink()).unwrap();
        assert_eq!((end, kept.rows()), (state.clone(), whole.rows()), "killed at batch {kill}");
        assert_eq!(kept.states, whole.states, "the batches are the same as without a kill");
        assert_eq!(kept.exceptions, whole.exceptions);
    }
}

#[test]
fn entries_that_are_stored_twice_around_a_kill_are_read_once() {
    let (text, _) = telemetry(60);
    let (text, format) = (text.into_bytes(), Format::default());
    let mut whole = Vec::new();
    let keep_all = |batch: Batch| {
        whole.extend(entries(&batch, Timestamp(1)));
        Ok::<(), IngestError>(())
    };
    import(&format, 1, 100).run_on("a.csv", &text, None, keep_all).unwrap();
    assert!(whole.len() > 20);
    for kill in 0..20 {
        let (mut stored, mut unique) = (Vec::new(), Unique::remembering(1000));
        let (mut batches, mut state) = (0, None);
        let import = import(&format, 1 + kill % 3, 100);
        let store = |batch: Batch| {
            stored.extend(entries(&batch, Timestamp(2)));
            if batches == kill {
                return Err(IngestError::Spool { reason: "killed before the state was kept".into() });
            }
            (batches, state) = (batches + 1, Some(batch.state));
            Ok(())
        };
        let killed = import.run_on("a.csv", &text, None, store);
        assert!(killed.is_err());
        let store = |batch: Batch| {
            stored.extend(entries(&batch, Timestamp(3)));
            Ok::<(), IngestError>(())
        };
        import.run_on("a.csv", &text, state, store).unwrap();
        assert!(stored.len() > whole.len());
        stored.retain(|entry| unique.insert(entry.id));
        let bodies = |entries: &[Entry]| entries.iter().map(|entry| entry.body.clone()).collect::<Vec<_>>();
        assert_eq!(bodies(&stored), bodies(&whole), "killed at batch {kill}");
    }
}

/// A header, a row, a line of a hundred megabytes, and a row; in no more memory than its ends.
struct LongLine;

const LONG: u64 = 100_000_000;
const HEAD: &[u8] = b"a\n1\n";
const TAIL: &[u8] = b"\n2\n";

impl Source for LongLine {
    fn bytes(&self) -> Result<u64, std::io::Error> {
        Ok(HEAD.len() as u64 + LONG + TAIL.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, std::io::Error> {
        let tail = HEAD.len() as u64 + LONG;
        let (length, fill) = match offset {
            0..4 => (4 - offset, &HEAD[offset as usize..]),
            _ if offset < tail => (tail - offset, &b""[..]),
            _ => (tail + TAIL.len() as u64 - offset, &TAIL[(offset - tail) as usize..]),
        };
        let length = buffer.len().min(length as usize);
        if fill.is_empty() {
            buffer[..length].fill(b'9');
        } else {
            buffer[..length].copy_from_slice(&fill[..length]);
        }
        Ok(length)
    }
}

#[test]
fn a_line_of_a_hundred_megabytes_is_one_reject() {
    let format = Format::default();
    for workers in [1, 3] {
        let mut kept = Kept::default();
        let import = import(&format, workers, 8 << 20);
        let state = import.run_on("a.csv", &LongLine, None, kept.sink()).unwrap();
        assert_eq!(kept.records.iter().map(|record| record.values[0]).collect::<Vec<_>>(), [1.0, 2.0]);
        assert_eq!(kept.records[1].at.0, 120_000_000, "the long line is row 1");
        assert_eq!(kept.rejected.len(), 1);
        assert_eq!(kept.rejected[0].to_string(), "a.csv: line 3: the line is longer than 65536 bytes");
        assert_eq!(
            kept.rejected[0].bytes.unwrap(),
            RowBytes { offset: 4, hash: LineHash::of(&vec![b'9'; LINE_BYTES_MAX]) }
        );
        assert_eq!((state.lines(), state.rejected()[&Reason::TooLong]), (4, 1));
    }
}

#[test]
fn what_cannot_be_imported_or_resumed_is_refused_by_name() {
    let format = Format::default();
    let import = import(&format, 2, 10);
    let error = |text: &[u8], from: Option<State>| {
        import.run_on("a.csv", &text.to_vec(), from, |_| Ok::<(), IngestError>(())).unwrap_err().to_string()
    };
    assert_eq!(error(b"", None), "a.csv: the file is empty");
    assert_eq!(error(b"a,b\n", None), "a.csv: there is a header but no row");
    assert_eq!(
        error(b"1,2\n3,4\n", None),
        "a.csv: line 1: this is a row of numbers; the first line must name the columns"
    );
    assert_eq!(error(&[0x1f, 0x8b, 8], None), "a.csv: gzip cannot be imported in ranges: unpack it first");
    let (_, state) = imported(&b"a\n1\n".to_vec(), &format, 1, 10);
    let other =
        "a.csv: the state to resume from belongs to another file, or to other columns, tenant or interval";
    assert_eq!(error(b"a\n2\n", Some(state.clone())), other);
    let timed = Format { timestamp_column: Some("a".into()), ..Format::default() };
    let read_otherwise = Import { format: &timed, ..import.clone() };
    let refused =
        read_otherwise.run_on("a.csv", &b"a\n1\n".to_vec(), Some(state), |_| Ok::<(), IngestError>(()));
    assert_eq!(refused.unwrap_err().to_string(), other);
}

#[test]
fn the_log_names_the_place_and_hides_the_row() {
    let mut out = Ingested::default();
    let format = Format::default();
    let text = b"cpu\n\"secret\nvalue\"\n\xff\n";
    Decoder::new("a \"b\".csv", TENANT, &format, None).finish(text, &mut out).unwrap();
    let log = String::from_utf8(lines(&out.rejected)).unwrap();
    let hash = LineHash::of(b"\"secret\nvalue\"");
    let first = format!(
        "{{\"file\":\"a \\\"b\\\".csv\",\"offset\":4,\"line\":2,\"column\":\"cpu\",\"reason\":\"not_a_number\",\"hash\":\"{hash}\"}}"
    );
    assert_eq!(log.lines().next(), Some(&*first));
    assert!(log.lines().nth(1).unwrap().contains("\"offset\":19,\"line\":4,\"reason\":\"not_text\""));
}

#[test]
fn a_log_that_lost_lines_is_refused_and_one_with_too_many_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exceptions.jsonl");
    File::create(&path).unwrap().write_all(b"one\ntwo\n").unwrap();
    let lost = Exceptions::open(&path, 9).unwrap_err().to_string();
    assert!(lost.ends_with("the exceptions log has 8 bytes, and the state to resume from counts 9"));
    Exceptions::open(&path, 4).unwrap().append(b"three\n").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"one\nthree\n");
}

//! The bad inputs that every source must survive with one clear line, and real data.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::labels::{read_labels, read_segments};
use super::*;
use crate::record::TENANT;

fn csv(path: &Path) -> Source {
    Source::Csv(CsvSource { path: path.to_owned(), timestamp_column: None, interval_s: Interval::default() })
}

fn directory(path: &Path) -> Source {
    Source::Directory(DirectorySource {
        path: path.to_owned(),
        timestamp_column: None,
        interval_s: Interval::default(),
    })
}

fn read(source: &Source) -> Result<Ingested, IngestError> {
    records(source, TENANT, Timestamp(0), None)
}

/// What is said of a file with this content: its refusal, or its rows that were left out.
fn said_of(name: &str, content: &[u8]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, content).unwrap();
    let prefix = format!("{}/", directory.path().display());
    let lines = match read(&csv(&path)) {
        Ok(out) => out.rejected.iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    };
    lines.into_iter().map(|line| line.replace(&prefix, "")).collect()
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn each_bad_input_gives_one_clear_line_that_names_file_and_line() {
    let packed = gzip("cpu,fan\n1,2\n");
    let mut damaged = packed.clone();
    damaged[packed.len() - 6] ^= 1;
    assert_eq!(
        said_of("a.csv", b"cpu,fan\n1,2\n1,2,3\n4,5\n"),
        ["a.csv: line 3: 3 columns where the header has 2"]
    );
    assert_eq!(said_of("a.csv", b"cpu,fan\n1,low\n"), ["a.csv: line 2, column `fan`: `low` is not a number"]);
    assert_eq!(said_of("a.csv", b"cpu,fan\n1,NaN\n"), [""; 0], "a missing value is not a fault");
    assert_eq!(
        said_of("a.csv", b"cpu,fan\n1,inf\n"),
        ["a.csv: line 2, column `fan`: `inf` is not a finite number"]
    );
    assert_eq!(
        said_of("a.csv.gz", &packed[..packed.len() - 9]),
        [format!(
            "a.csv.gz: truncated gzip: the file ends at byte {}, inside the compressed data",
            packed.len() - 9
        )]
    );
    assert_eq!(
        said_of("a.csv.gz", &damaged),
        [format!(
            "a.csv.gz: damaged gzip at byte {}: corrupt gzip stream does not have a matching checksum",
            packed.len()
        )]
    );
    assert_eq!(said_of("a.csv", b""), ["a.csv: the file is empty"]);
    assert_eq!(said_of("a.csv", b"\xff\xfec\0p\0u\0\n"), ["a.csv: line 1: the header is not UTF-8 text"]);
}

#[test]
fn a_file_that_is_missing_is_named() {
    let error = read(&csv(Path::new("no/such.csv"))).unwrap_err();
    assert_eq!(error.to_string(), "no/such.csv: No such file or directory (os error 2)");
}

#[test]
fn gzip_is_told_by_content_and_may_have_several_members() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.csv");
    fs::write(&path, [gzip("cpu\n1\n"), gzip("2\n")].concat()).unwrap();
    let values: Vec<f32> = read(&csv(&path)).unwrap().records.iter().map(|record| record.values[0]).collect();
    assert_eq!(values, [1.0, 2.0]);
}

#[test]
fn a_directory_gives_all_files_in_order_and_reports_the_bad_ones() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        read(&directory(folder.path())).unwrap_err().to_string(),
        format!("{}: there is no file in this directory", folder.path().display())
    );
    fs::write(folder.path().join("b.csv"), "cpu\n2").unwrap();
    fs::write(folder.path().join("a.csv"), gzip("cpu\n1\n")).unwrap();
    fs::write(folder.path().join("c.csv"), &gzip("cpu\n1\n")[..15]).unwrap();
    let out = read(&directory(folder.path())).unwrap();
    let values: Vec<f32> = out.records.iter().map(|record| record.values[0]).collect();
    assert_eq!((values, out.refused.len()), (vec![1.0, 2.0], 1));
    fs::remove_file(folder.path().join("a.csv")).unwrap();
    fs::remove_file(folder.path().join("b.csv")).unwrap();
    assert!(matches!(read(&directory(folder.path())), Err(IngestError::TruncatedGzip { .. })));
}

#[test]
fn the_host_is_a_source_like_the_others() {
    let out = records(&Source::Host(HostSource::default()), TENANT, Timestamp(7), None).unwrap();
    assert_eq!((out.records.len(), out.records[0].at), (1, Timestamp(7)));
}

#[test]
fn a_real_data_set_is_read_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/asd/omi-1");
    if !folder.is_dir() {
        println!("skipped: the data set {} is not here", folder.display());
        return;
    }
    let out = read(&csv(&folder.join("train.csv.gz"))).unwrap();
    assert_eq!((out.records.len(), out.records[0].values.len()), (8640, 19));
    assert_eq!((out.rejected_count, out.records[1].values[0]), (0, 0.48));
    let labels = read_labels(&folder.join("test_label.csv.gz")).unwrap();
    let segments = read_segments(&folder.join("interpretation.csv")).unwrap();
    assert_eq!(labels.len(), 4320);
    assert!(
        segments
            .iter()
            .all(|segment| { labels[segment.start..=segment.end_inclusive].iter().all(|label| *label) })
    );
}

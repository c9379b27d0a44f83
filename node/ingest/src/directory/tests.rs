use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::record::TENANT;

fn follower(directory: &TempDir) -> Follower {
    Follower::new(directory.path(), TENANT, Format::default(), None, Follow::default())
}

fn append(directory: &TempDir, name: &str, bytes: &[u8]) {
    let path = directory.path().join(name);
    File::options().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// The first value of each new record.
fn look(follower: &mut Follower) -> Vec<f32> {
    follower.look().unwrap().records.iter().map(|record| record.values[0]).collect()
}

/// The files refused at this look, without the name of the directory.
fn refused(follower: &mut Follower, directory: &TempDir) -> Vec<String> {
    let prefix = format!("{}/", directory.path().display());
    follower.look().unwrap().refused.iter().map(|error| error.to_string().replace(&prefix, "")).collect()
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn new_files_and_appended_lines_are_read_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut follower = follower(&directory);
    assert!(look(&mut follower).is_empty());
    append(&directory, "b.csv", b"cpu\n1\n2\n");
    append(&directory, ".hidden.csv", b"cpu\n9\n");
    append(&directory, "c.csv.tmp", b"cpu\n9\n");
    assert_eq!(look(&mut follower), [1.0, 2.0]);
    assert!(look(&mut follower).is_empty());
    append(&directory, "a.csv", b"cpu\n3\n");
    append(&directory, "b.csv", b"4\n");
    assert_eq!(look(&mut follower), [4.0, 3.0], "a file that goes on comes before a new one");
}

#[test]
fn json_lines_are_followed_as_they_grow_and_read_packed() {
    let directory = tempfile::tempdir().unwrap();
    let mut follower = follower(&directory);
    append(&directory, "a.jsonl", b"{\"cpu\":1}\n{\"cpu\":");
    append(&directory, "b.ndjson.gz", &gzip("{\"fan\":7}\n"));
    assert_eq!(look(&mut follower), [1.0, 7.0]);
    append(&directory, "a.jsonl", b"2}\n");
    assert_eq!(look(&mut follower), [2.0]);
    let mut restarted =
        Follower::new(directory.path(), TENANT, Format::default(), None, follower.follow().clone());
    append(&directory, "a.jsonl", b"{\"fan\":3}\n");
    assert_eq!(look(&mut restarted), [3.0]);
    append(&directory, "plain.log", b"{\"cpu\":4}\n");
    let mut told = Follower::new(
        &directory.path().join("plain.log"),
        TENANT,
        Format::default(),
        None,
        Follow::default(),
    )
    .of(Syntax::JsonLines);
    assert_eq!(look(&mut told), [4.0]);
}

#[test]
fn a_half_written_line_is_left_until_it_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let mut follower = follower(&directory);
    append(&directory, "a.csv", b"cp");
    assert!(look(&mut follower).is_empty());
    append(&directory, "a.csv", b"u\n1\n2");
    assert_eq!(look(&mut follower), [1.0]);
    append(&directory, "a.csv", b"3\nx");
    assert_eq!(look(&mut follower), [23.0]);
    append(&directory, "a.csv", b"\n");
    let out = follower.look().unwrap();
    assert_eq!((out.rejected_count, out.rejected[0].line), (1, 4));
}

#[test]
fn a_rotated_file_is_read_to_its_end_and_its_successor_from_its_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut follower = follower(&directory);
    append(&directory, "a.csv", b"cpu\n1\n");
    assert_eq!(look(&mut follower), [1.0]);
    append(&directory, "a.csv", b"2\n");
    fs::rename(directory.path().join("a.csv"), directory.path().join("a.csv.1")).unwrap();
    append(&directory, "a.csv", b"cpu\n3\n");
    assert_eq!(look(&mut follower), [2.0, 3.0]);
}

#[test]
fn a_truncated_or_rewritten_file_is_read_from_its_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut follower = follower(&directory);
    let path = directory.path().join("a.csv");
    fs::write(&path, "cpu\n1\n2\n").unwrap();
    assert_eq!(look(&mut follower), [1.0, 2.0]);
    fs::write(&path, "cpu\n5\n").unwrap();
    assert_eq!(look(&mut follower), [5.0]);
    // Longer than before, but with other bytes where the reading stopped.
    fs::write(&path, "cpu\n6\n7\n8\n").unwrap();
    assert_eq!(look(&mut follower), [6.0, 7.0, 8.0]);
}

#[test]
fn a_restarted_follower_neither_loses_nor_repeats_a_row() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = follower(&directory);
    append(&directory, "a.csv", b"cpu\n1\n2\n3");
    assert_eq!(look(&mut first), [1.0, 2.0]);
    let stored = serde_json::to_string(first.follow()).unwrap();
    append(&directory, "a.csv", b"\n4\n");
    let follow = serde_json::from_str(&stored).unwrap();
    let mut second = Follower::new(directory.path(), TENANT, Format::default(), None, follow);
    assert_eq!(look(&mut second), [3.0, 4.0]);
}

#[test]
fn a_gzip_file_is_read_when_it_is_complete_whatever_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let mut follower = follower(&directory);
    let packed = gzip("cpu\n1\n2\n");
    append(&directory, "a.csv", &packed[..1]);
    assert!(look(&mut follower).is_empty());
    append(&directory, "a.csv", &packed[1..20]);
    assert_eq!(refused(&mut follower, &directory), [""; 0], "it may still grow");
    assert_eq!(
        refused(&mut follower, &directory),
        ["a.csv: truncated gzip: the file ends at byte 20, inside the compressed data"]
    );
    assert_eq!(refused(&mut follower, &directory), [""; 0], "reported once");
    append(&directory, "a.csv", &packed[20..]);
    assert_eq!(look(&mut follower), [1.0, 2.0]);
    assert!(look(&mut follower).is_empty());
}

#[test]
fn a_mail_is_read_when_it_stopped_growing() {
    let directory = tempfile::tempdir().unwrap();
    let mut follower = follower(&directory);
    append(&directory, "a.eml", b"From: a@b.example\nContent-Type: text/csv\n\ncpu\n1\n");
    assert!(look(&mut follower).is_empty());
    assert_eq!(look(&mut follower), [1.0]);
    assert!(look(&mut follower).is_empty());
}

#[test]
fn a_bad_file_is_reported_once_and_keeps_no_other_from_being_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut follower = follower(&directory);
    append(&directory, "a.csv", b"1,2,3\n");
    append(&directory, "b.csv", b"cpu\n1\n");
    let out = follower.look().unwrap();
    assert_eq!((out.records.len(), out.refused.len()), (1, 1));
    append(&directory, "a.csv", b"4,5,6\n");
    assert_eq!(refused(&mut follower, &directory), [""; 0]);
    fs::write(directory.path().join("a.csv"), "a\n1").unwrap();
    fs::write(directory.path().join("a.csv"), "a\n").unwrap();
    assert_eq!(refused(&mut follower, &directory), [""; 0]);
    append(&directory, "a.csv", b"7\n");
    assert_eq!(look(&mut follower), [7.0], "a file that was replaced has a new chance");
}

#[test]
fn a_very_long_file_is_read_in_several_looks() {
    let directory = tempfile::tempdir().unwrap();
    let mut follower = follower(&directory);
    let rows: usize = 300_000;
    append(&directory, "a.csv", format!("cpu\n{}", "1\n".repeat(rows)).as_bytes());
    let looks: Vec<usize> = std::iter::repeat_with(|| look(&mut follower).len()).take(4).collect();
    assert_eq!(looks.iter().sum::<usize>(), rows);
    assert!(looks[0] >= LOOK_RECORDS && looks[0] < rows && looks[3] == 0, "records a look: {looks:?}");
}

#[test]
fn one_file_can_be_followed_and_a_missing_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    append(&directory, "a.csv", b"cpu\n1\n");
    append(&directory, "b.csv", b"cpu\n2\n");
    let mut one =
        Follower::new(&directory.path().join("b.csv"), TENANT, Format::default(), None, Follow::default());
    assert_eq!(look(&mut one), [2.0]);
    let missing = directory.path().join("missing");
    let error =
        Follower::new(&missing, TENANT, Format::default(), None, Follow::default()).look().unwrap_err();
    assert_eq!(error.to_string(), format!("{}: No such file or directory (os error 2)", missing.display()));
}

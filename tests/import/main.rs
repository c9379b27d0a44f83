//! `node import` as an operator runs it: killed at any moment and started again, each row counts once.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use harness::bridge::Bridge;
use harness::programs::{Daemon, are_built, complaint, run, wait_until};
use serde_json::Value;

const ROWS: u64 = 300_000;

/// The first row's time, in seconds.
const FIRST: u64 = 1_700_000_000;

/// Every thousandth row has no number where one should be.
fn is_broken(row: u64) -> bool {
    row % 1000 == 7
}

fn telemetry() -> String {
    let mut text = String::from("time,cpu,memory\n");
    for row in 0..ROWS {
        let cpu = if is_broken(row) { "n.a.".to_owned() } else { format!("0.{:06}", row % 1_000_000) };
        writeln!(text, "{},{cpu},{}", FIRST + row, row % 97).unwrap();
    }
    text
}

/// How far the import says that it is.
fn progress(folder: &Path) -> u64 {
    let files = fs::read_dir(folder.join("imports")).into_iter().flatten().flatten();
    let mut paths = files.map(|file| file.path());
    let path = paths.find(|path| path.extension().is_some_and(|extension| extension == "json"));
    let text = path.and_then(|path| fs::read(path).ok()).unwrap_or_default();
    let kept: Value = serde_json::from_slice(&text).unwrap_or_default();
    kept["state"]["position"]["bytes"].as_u64().unwrap_or_default()
}

#[test]
fn an_import_that_is_killed_again_and_again_loses_and_repeats_no_row() {
    if !are_built() {
        return;
    }
    let place = Bridge::new(0, |_| String::new());
    let (folder, log) = (place.file("node"), place.file("log"));
    let file = place.write("large.csv", &telemetry()).display().to_string();
    let dir = folder.display().to_string();
    let import =
        ["--dir", &dir, "import", &file, "--timestamp-column", "time", "--workers", "2", "--format", "json"];

    let mut kills = 0;
    loop {
        let before = progress(&folder);
        let mut daemon = Daemon::start("node", &import, &log);
        let mut has_ended = false;
        wait_until(
            || {
                has_ended = !daemon.is_running();
                has_ended || progress(&folder) > before
            },
            || fs::read_to_string(&log).unwrap_or_default(),
        );
        // Dropping it is SIGKILL.
        drop(daemon);
        if has_ended {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 3, "{kills} kills: the file is too small to be killed in");

    let again = run("node", &import);
    let summary: Value = serde_json::from_slice(&again.stdout).unwrap();
    let broken = (0..ROWS).filter(|row| is_broken(*row)).count() as u64;
    assert_eq!((summary["rows"].as_u64(), summary["accepted"].as_u64()), (Some(ROWS), Some(ROWS - broken)));
    assert_eq!(summary["rejected"]["not_a_number"].as_u64(), Some(broken));
    let told = String::from_utf8(again.stderr).unwrap();
    let log = told.trim().rsplit(' ').next().unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(log.lines().count() as u64, broken);
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((first["line"].as_u64(), first["reason"].as_str()), (Some(9), Some("not_a_number")));

    let mut times: BTreeMap<u64, u32> = BTreeMap::new();
    for record in place.records() {
        *times.entry(record["at_ms"].as_u64().unwrap() / 1000 - FIRST).or_default() += 1;
    }
    let expected: BTreeMap<u64, u32> = (0..ROWS).filter(|row| !is_broken(*row)).map(|row| (row, 1)).collect();
    assert!(times == expected, "{} times, {} expected", times.len(), expected.len());
}

#[test]
fn a_packed_file_is_refused_with_what_to_do() {
    if !are_built() {
        return;
    }
    let place = Bridge::new(0, |_| String::new());
    let (dir, file) = (place.file("node").display().to_string(), place.file("a.csv.gz"));
    fs::write(&file, b"\x1f\x8b\x08\x00rest").unwrap();
    let told = complaint(&run("node", &["--dir", &dir, "import", &file.display().to_string()]));
    assert!(told.ends_with("a.csv.gz: gzip cannot be imported in ranges: unpack it first"), "{told}");
}

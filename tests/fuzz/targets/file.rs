//! Files as sources: CSV and JSON lines, gzip or not, mails with CSV in them, labels. The first byte chooses.
#![no_main]

use std::sync::LazyLock;

use common::id::TenantId;
use ingest::file::read_file;
use ingest::labels::{read_labels, read_segments};
use ingest::{Format, Ingested};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a folder for files"));

const NAMES: [&str; 4] = ["a.csv", "a.jsonl", "a.eml", "labels.csv"];

fuzz_target!(|data: &[u8]| {
    let Some((&chosen, content)) = data.split_first() else { return };
    let path = FOLDER.path().join(NAMES[usize::from(chosen % 4)]);
    std::fs::write(&path, content).expect("a file of the test");
    if path.ends_with("labels.csv") {
        let _ = (read_labels(&path), read_segments(&path));
        return;
    }
    let mut out = Ingested::default();
    match read_file(&path, TenantId([7; 16]), &Format::default(), None, &mut out) {
        Ok(()) => assert!(out.rejected.len() as u64 <= out.rejected_count),
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() < 1000 && !told.contains(char::is_control), "{told:?}");
            assert!(out.records.is_empty(), "nothing of a file that is refused is used");
        }
    }
});

//! A file that grows: what is read of it, look by look, is what is read of the whole.
//!
//! The first byte chooses the lines, the second how long the pieces are in which the file grows.
#![no_main]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::LazyLock;

use common::id::TenantId;
use ingest::directory::Follower;
use ingest::file::read_file;
use ingest::follow::Follow;
use ingest::{Format, Ingested};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const TENANT: TenantId = TenantId([7; 16]);

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a folder for files"));

fuzz_target!(|data: &[u8]| {
    let Some((&[chosen, length], content)) = data.split_first_chunk() else { return };
    if content.starts_with(&[0x1f]) {
        return;
    }
    let path = FOLDER.path().join(["a.csv", "a.jsonl"][usize::from(chosen % 2)]);
    File::create(&path).expect("a file of the test");
    let mut follower = Follower::new(&path, TENANT, Format::default(), None, Follow::default());
    let mut followed = Vec::new();
    for piece in content.chunks((usize::from(length) + 1).max(content.len() / 20)) {
        let mut file = OpenOptions::new().append(true).open(&path).expect("a file of the test");
        file.write_all(piece).expect("a file of the test");
        let looked = follower.look().expect("the folder is there");
        followed.extend(looked.records);
    }
    let mut whole = Ingested::default();
    if read_file(&path, TENANT, &Format::default(), None, &mut whole).is_err() {
        return;
    }
    // A last line without an end, or a quote that may still be closed, is waited for.
    let complete = content.ends_with(b"\n") && !content.contains(&b'"');
    assert!(followed.len() <= whole.records.len());
    assert!(!complete || followed.len() == whole.records.len());
    whole.records.truncate(followed.len());
    assert_eq!(format!("{followed:?}"), format!("{:?}", whole.records));
});

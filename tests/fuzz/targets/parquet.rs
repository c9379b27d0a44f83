//! Parquet files: any bytes are refused or read, in bounded memory. Its reader may panic, which is caught.
#![no_main]

use std::panic;
use std::sync::LazyLock;

use common::id::TenantId;
use ingest::file::read_file;
use ingest::{Format, Ingested};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a folder for files"));

fuzz_target!(
    init: panic::set_hook(Box::new(|_| ())),
    |data: &[u8]| {
        let path = FOLDER.path().join("a.parquet");
        std::fs::write(&path, data).expect("a file of the test");
        let mut out = Ingested::default();
        if read_file(&path, TenantId([7; 16]), &Format::default(), None, &mut out).is_err() {
            assert!(out.records.is_empty(), "nothing of a file that is refused is used");
        }
    }
);

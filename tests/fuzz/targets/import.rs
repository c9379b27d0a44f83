//! Large files: an import in ranges, by several threads, killed and resumed, gives what one pass gives.
#![no_main]

use std::sync::LazyLock;

use common::id::TenantId;
use ingest::Format;
use ingest::csv::{Decoder, Full, Rows};
use ingest::error::{IngestError, RowError};
use ingest::import::{Import, State};
use ingest::record::TelemetryRecord;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const TENANT: TenantId = TenantId([7; 16]);

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a folder for files"));

/// What came out, in its order.
#[derive(Debug, Default)]
struct Kept {
    records: Vec<TelemetryRecord>,
    rejected: Vec<RowError>,
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

fuzz_target!(|data: &[u8]| {
    let Some((&[threads, range, kill], content)) = data.split_first_chunk() else { return };
    if content.starts_with(&[0x1f, 0x8b]) {
        return;
    }
    let path = FOLDER.path().join("a.csv");
    std::fs::write(&path, content).expect("a file of the test");
    let name = path.to_string_lossy();
    let format = Format::default();
    let mut one = Kept::default();
    let finished = Decoder::new(&name, TENANT, &format, None).finish(content, &mut one);
    let import = Import {
        workers: (usize::from(threads % 3) + 1).try_into().expect("one at least"),
        range_bytes: (u64::from(range) + 1).try_into().expect("one at least"),
        ..Import::new(TENANT, &format)
    };
    let (mut kept, mut last, mut left) = (Kept::default(), None::<State>, usize::from(kill % 8));
    let mut imported = Err(IngestError::Spool { reason: "killed".to_owned() });
    for _ in 0..2 {
        imported = import.run(&path, last.clone(), |batch| {
            if left == 0 {
                left = usize::MAX;
                return Err(IngestError::Spool { reason: "killed".to_owned() });
            }
            left -= 1;
            kept.records.extend(batch.records);
            kept.rejected.extend(batch.rejected);
            last = Some(batch.state);
            Ok(())
        });
    }
    assert_eq!(imported.is_ok(), finished.is_ok(), "{imported:?} {finished:?}");
    assert_eq!(format!("{kept:?}"), format!("{one:?}"));
});

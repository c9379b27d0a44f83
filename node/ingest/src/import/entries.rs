//! What an import puts into the spool.

use common::limits::NAME_BYTES_MAX;
use common::units::Timestamp;

use super::Batch;
use crate::forwarded;
use crate::limits::IMPORT_ENTRY_BYTES;
use crate::spool::{Entry, EntryId, Kind};

/// The records of a batch as entries. A batch that is imported again, because the import was killed before its
/// state was kept, gives the same entries with the same ids, and each is read once.
pub fn entries(batch: &Batch, received: Timestamp) -> Vec<Entry> {
    let (identity, end) = (batch.state.identity(), batch.state.bytes());
    let pieces = forwarded::pieces(&batch.records, IMPORT_ENTRY_BYTES).into_iter();
    let entry = |(number, records): (u32, _)| {
        let origin = &batch.records[0].origin;
        let source = &origin.source[..origin.source.floor_char_boundary(NAME_BYTES_MAX)];
        let what = format!("{identity} {end} {number}");
        Entry {
            id: EntryId::of_content(origin.tenant, Kind::Records, source, what.as_bytes()),
            tenant: origin.tenant,
            kind: Kind::Records,
            received,
            source: source.try_into().expect("it was cut to the limit"),
            body: forwarded::encode(records).into(),
        }
    };
    (0..).zip(pieces).map(entry).collect()
}

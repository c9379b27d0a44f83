//! One accepted entry, split by who owns its records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::id::NodeId;
use ingest::adapt::Pins;
use ingest::forwarded;
use ingest::record::{Origin, TelemetryRecord};
use ingest::spool::{Entry, EntryId, Kind};
use ingest::{IngestError, intake};

use crate::limits::PART_BYTES;
use crate::routes::Routes;

/// What an entry is to each node.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// The parts of each node, in order.
    pub(crate) parts: BTreeMap<NodeId, Vec<Entry>>,
    /// What of the entry could not be read.
    pub(crate) rejects: Vec<IngestError>,
}

/// Reads an entry and splits its records. The same entry, routes and pins give the same parts, always; but for times
/// that it does not say, so does the same mail that another bridge accepted, and its parts have the same ids.
pub(crate) fn share(entry: &Entry, routes: &Routes, pins: &Pins) -> Shares {
    let read = intake::read(entry, pins);
    let mut owned: BTreeMap<NodeId, Vec<TelemetryRecord>> = BTreeMap::new();
    // Records of one source stand together, most of the time.
    let mut last: Option<(NodeId, Arc<Origin>)> = None;
    for record in read.records {
        let owner = match &last {
            Some((owner, origin)) if Arc::ptr_eq(origin, &record.origin) => Some(*owner),
            _ => routes.owner(entry.tenant, record.source()),
        };
        let Some(owner) = owner else { continue };
        last = Some((owner, Arc::clone(&record.origin)));
        owned.entry(owner).or_default().push(record);
    }
    let parts = owned.into_iter().map(|(node, records)| (node, parts(entry, node, &records))).collect();
    Shares { parts, rejects: read.rejects }
}

fn parts(entry: &Entry, node: NodeId, records: &[TelemetryRecord]) -> Vec<Entry> {
    let pieces = forwarded::pieces(records, PART_BYTES).into_iter();
    (0..).zip(pieces).map(|(number, records)| part(entry, node, number, records)).collect()
}

/// What makes a part is the entry, the node, its number, and of which sources it has records: under other routes
/// a node may own more of them.
fn part(entry: &Entry, node: NodeId, number: u32, records: &[TelemetryRecord]) -> Entry {
    let mut what = [&node.0[..], &number.to_le_bytes()].concat();
    let sources: BTreeSet<&str> = records.iter().map(TelemetryRecord::source).collect();
    for source in sources {
        what.extend((source.len() as u32).to_le_bytes());
        what.extend(source.as_bytes());
    }
    Entry {
        id: EntryId::of_part(entry.id, &what),
        tenant: entry.tenant,
        kind: Kind::Records,
        received: entry.received,
        source: entry.source.clone(),
        body: forwarded::encode(records).into(),
    }
}

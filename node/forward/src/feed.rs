//! What of a spool is still to be sent to each node, read once for all that are up to date.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::id::{NodeId, TenantId};
use common::units::{Millis, Timestamp};
use ingest::adapt::Pins;
use ingest::spool::{Cursor, Entry, Position, Reader, Spool, SpoolError, TenantSpool};

use crate::limits::{BATCH_BYTES, BATCH_PARTS_MAX, ROUTED_BYTES_MAX};
use crate::routes::Routes;
use crate::share::share;

/// How the cursor of a node is called: this, and the node's id.
const CONSUMER: &str = "to-";

/// The cursor of a node that gets nothing moves this often at most: each move is a write to the disk.
const PASS: Millis = Millis(1000);

/// A place in a spool, and when the entry before it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Behind an entry.
    pub position: Position,
    /// When that entry came.
    pub received: Timestamp,
}

/// What is sent to a node at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Parts of entries, in order.
    pub parts: Vec<Entry>,
    /// Up to where the node has everything then; `None` when it ends inside the first entry.
    pub mark: Option<Mark>,
}

/// All that is to be forwarded.
#[derive(Debug)]
pub struct Feeds {
    how: How,
    tenants: BTreeMap<TenantId, Tenant>,
    notes: Vec<String>,
}

/// How an entry is read and split.
#[derive(Debug)]
struct How {
    routes: Routes,
    pins: Pins,
}

#[derive(Debug)]
struct Tenant {
    spool: TenantSpool,
    reader: Reader,
    /// Entries that were read and split, by where they begin.
    routed: BTreeMap<Position, Routed>,
    routed_bytes: usize,
    /// Behind the last entry whose faults were told.
    told: Position,
    nodes: BTreeMap<NodeId, Feed>,
}

#[derive(Debug)]
struct Routed {
    mark: Mark,
    parts: BTreeMap<NodeId, Vec<Entry>>,
    bytes: usize,
}

/// One node's way through the spool.
#[derive(Debug)]
struct Feed {
    cursor: Cursor,
    /// Behind the last entry that is queued.
    at: Position,
    /// Parts to send; the last one of an entry has its mark, an entry without a part only that.
    queue: VecDeque<(Option<Entry>, Option<Mark>)>,
    pass_at: Timestamp,
}

impl Feeds {
    /// Goes on where the cursors stand; mail is read as its mailboxes are pinned. When the routes are others than
    /// before, what was meant for a node that is not there any more is read again by the rest.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] names the file.
    pub fn open(spool: &Spool, routes: Routes, pins: Pins) -> Result<Self, SpoolError> {
        let open = |tenant| Ok((tenant, Tenant::open(spool.tenant(tenant)?, &routes.nodes(tenant))?));
        let tenants = routes.tenants().map(open).collect::<Result<_, SpoolError>>()?;
        Ok(Self { how: How { routes, pins }, tenants, notes: Vec::new() })
    }

    /// The logs that are read.
    pub fn spools(&self) -> impl Iterator<Item = &TenantSpool> {
        self.tenants.values().map(|tenant| &tenant.spool)
    }

    /// Who gets something, and of which tenant.
    pub fn owners(&self) -> Vec<(TenantId, NodeId)> {
        let of = |(id, tenant): (&TenantId, &Tenant)| -> Vec<_> {
            tenant.nodes.keys().map(|node| (*id, *node)).collect()
        };
        self.tenants.iter().flat_map(of).collect()
    }

    /// The next batch for a node, when there is one.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] names the file that cannot be read, or the cursor that cannot be moved.
    pub fn next_batch(
        &mut self,
        tenant: TenantId,
        node: NodeId,
        now: Timestamp,
    ) -> Result<Option<Batch>, SpoolError> {
        let Self { how, tenants, notes } = self;
        let Some(tenant) = tenants.get_mut(&tenant) else { return Ok(None) };
        let Some(mut feed) = tenant.nodes.remove(&node) else { return Ok(None) };
        let batch = tenant.fill(&mut feed, node, how, notes).and_then(|()| feed.take(now));
        tenant.nodes.insert(node, feed);
        batch
    }

    /// A node has everything up to here.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] names the cursor that cannot be moved; it is moved with the next batch.
    pub fn delivered(&mut self, tenant: TenantId, node: NodeId, mark: Mark) -> Result<(), SpoolError> {
        let feed = self.tenants.get_mut(&tenant).and_then(|tenant| tenant.nodes.get_mut(&node));
        feed.map_or(Ok(()), |feed| feed.cursor.advance(mark.position, mark.received))
    }

    /// What an operator should know since the last call: what could not be read.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}

impl Tenant {
    fn open(spool: TenantSpool, nodes: &BTreeSet<NodeId>) -> Result<Self, SpoolError> {
        let names: BTreeMap<String, NodeId> =
            nodes.iter().map(|node| (format!("{CONSUMER}{node}"), *node)).collect();
        let before: Vec<String> =
            spool.lags().into_keys().filter(|name| name.starts_with(CONSUMER)).collect();
        let cursors = before.iter().map(|name| spool.cursor(name)).collect::<Result<Vec<Cursor>, _>>()?;
        let oldest = cursors.iter().map(Cursor::position).min().unwrap_or_default();
        let (kept, gone): (Vec<_>, Vec<_>) =
            before.iter().zip(cursors).partition(|(name, _)| names.contains_key(*name));
        let resume = gone.iter().map(|(_, cursor)| cursor.position()).min();
        let mut feeds = BTreeMap::new();
        for (name, node) in &names {
            let mut cursor = spool.cursor(name)?;
            if kept.iter().all(|(known, _)| *known != name) {
                cursor.advance(oldest, Timestamp::default())?;
            }
            if let Some(resume) = resume {
                cursor.rewind(resume)?;
            }
            let (at, queue) = (cursor.position(), VecDeque::new());
            feeds.insert(*node, Feed { cursor, at, queue, pass_at: Timestamp::default() });
        }
        // Only now: until the others stand where it stood, its cursor keeps what it had to read.
        for (_, cursor) in gone {
            cursor.retire()?;
        }
        let (reader, routed, told) = (spool.reader(oldest), BTreeMap::new(), Position::default());
        Ok(Self { spool, reader, routed, routed_bytes: 0, told, nodes: feeds })
    }

    /// Queues entries until a batch is full or the spool has no more.
    fn fill(
        &mut self,
        feed: &mut Feed,
        node: NodeId,
        how: &How,
        notes: &mut Vec<String>,
    ) -> Result<(), SpoolError> {
        while feed.queued_bytes() < BATCH_BYTES && feed.queue.len() < BATCH_PARTS_MAX {
            let Some(routed) = self.routed(feed.at, how, notes)? else { return Ok(()) };
            feed.at = routed.mark.position;
            let parts = routed.parts.get(&node).map_or(&[][..], Vec::as_slice);
            feed.queue.extend(parts.iter().map(|part| (Some(part.clone()), None)));
            match feed.queue.back_mut() {
                Some((Some(_), mark)) if !parts.is_empty() => *mark = Some(routed.mark),
                Some((None, mark)) => *mark = Some(routed.mark),
                _ => feed.queue.push_back((None, Some(routed.mark))),
            }
        }
        Ok(())
    }

    /// The entry that begins here, split; `None` at the end of the spool.
    fn routed(
        &mut self,
        at: Position,
        how: &How,
        notes: &mut Vec<String>,
    ) -> Result<Option<&Routed>, SpoolError> {
        if !self.routed.contains_key(&at) {
            if self.reader.position() != at {
                self.reader = self.spool.reader(at);
            }
            let entry = loop {
                match self.reader.next_entry() {
                    Ok(Some(entry)) => break entry,
                    Ok(None) => return Ok(None),
                    Err(error @ (SpoolError::Damaged { .. } | SpoolError::Header { .. })) => {
                        notes.push(error.to_string());
                    }
                    Err(error) => return Err(error),
                }
            };
            let shares = share(&entry, &how.routes, &how.pins);
            let mark = Mark { position: self.reader.position(), received: entry.received };
            if mark.position > self.told {
                self.told = mark.position;
                notes.extend(shares.rejects.iter().map(ToString::to_string));
            }
            let bytes = shares.parts.values().flatten().map(|part| part.body.len()).sum::<usize>() + 256;
            self.routed_bytes += bytes;
            self.routed.insert(at, Routed { mark, parts: shares.parts, bytes });
            self.forget(at);
        }
        Ok(self.routed.get(&at))
    }

    /// The oldest make room, but not this one.
    fn forget(&mut self, keep: Position) {
        while self.routed_bytes > ROUTED_BYTES_MAX {
            let Some(&oldest) = self.routed.keys().find(|at| **at != keep) else { return };
            let gone = self.routed.remove(&oldest);
            self.routed_bytes -= gone.map_or(0, |routed| routed.bytes);
        }
    }
}

impl Feed {
    fn queued_bytes(&self) -> usize {
        self.queue.iter().filter_map(|(part, _)| part.as_ref()).map(|part| part.body.len()).sum()
    }

    /// Takes a batch from the queue; passes over what is not for this node.
    fn take(&mut self, now: Timestamp) -> Result<Option<Batch>, SpoolError> {
        let mut batch = Batch { parts: Vec::new(), mark: None };
        let mut bytes = 0;
        while bytes < BATCH_BYTES && batch.parts.len() < BATCH_PARTS_MAX {
            let Some((part, mark)) = self.queue.pop_front() else { break };
            batch.mark = mark.or(batch.mark);
            bytes += part.as_ref().map_or(0, |part| part.body.len());
            batch.parts.extend(part);
        }
        if !batch.parts.is_empty() {
            return Ok(Some(batch));
        }
        match batch.mark {
            Some(mark) if now >= self.pass_at => {
                self.pass_at = now + PASS;
                self.cursor.advance(mark.position, mark.received)?;
            }
            // Looked at again a little later.
            Some(mark) => self.queue.push_front((None, Some(mark))),
            None => (),
        }
        Ok(None)
    }
}

//! Every maximum of forwarding, with its reason.

/// Bytes of one part of an entry, about: small beside a batch, so that batches fill evenly.
pub const PART_BYTES: usize = 512 * 1024;

/// Bytes after which a batch takes no further part. A batch costs two signatures and a key exchange, which are
/// then nothing beside its sealing; and a loss costs chunks, not batches.
pub const BATCH_BYTES: usize = 4 << 20;

/// Bytes of the largest batch that a node takes: a full one, and a last part of the longest record.
pub const BATCH_BYTES_MAX: usize = BATCH_BYTES + 2 * PART_BYTES + (1 << 20);

/// Parts of a batch: a part has some bytes of head, so many small ones must not make a batch slow to store.
pub const BATCH_PARTS_MAX: usize = 4096;

/// Bytes of routed entries that a bridge keeps in memory for nodes that read the same ones.
pub const ROUTED_BYTES_MAX: usize = 64 << 20;

/// Bridges of one node.
pub const BRIDGES_MAX: usize = 64;

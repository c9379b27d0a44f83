//! The topics of a domain. What their bodies mean is the business of `common::message`.
//!
//! Models and updates, receipts for models and receipts for updates, nodes and coordinator each have a
//! topic of their own: so no node is woken by what only the coordinator reads. The four before the last are between
//! bridges, which forward telemetry, and the nodes that own it.

use crate::{Qos, Topic};

/// Bytes in a control message: `common::limits::MESSAGE_BYTES_MAX`.
const MESSAGE: usize = 1 << 20;

/// Bytes in a presence, most of them a key package's and those of what its node does.
const PRESENCE_BYTES: usize = 4096;

/// Bytes in a receipt.
const SMALL: usize = 2048;

/// Bytes in a sealed chunk: `common::limits::CHUNK_SEALED_BYTES`.
const CHUNK: usize = 3 * (16 * 1024 + 16);

/// Bytes in what a relay tells of itself: names and counts of 64 peers.
const STATUS: usize = 16 * 1024;

/// Bytes of the key (blob, index) of a chunk.
const CHUNK_KEY: usize = 36;

/// What the coordinator asks, by run. A late joiner needs nothing else: twice as many runs are kept as usually go on, and
/// who missed the announcement of one is reminded.
pub const ANNOUNCE: Topic =
    Topic::new("announce", "starling::Announce", 16, MESSAGE, Qos::State { keys: 16 });

/// The coordinator's hello, by coordinator.
pub const HELLO: Topic = Topic::new("hello", "starling::Hello", 32, MESSAGE, Qos::State { keys: 1 });

/// Who belongs to a tenant, by tenant: a text that its operator signed (`common::roster`).
pub const ROSTER: Topic = Topic::new("roster", "starling::Roster", 16, MESSAGE, Qos::State { keys: 1 });

/// Certificates of nodes, by node: X.509, signed by the coordinator. Each node takes its own.
pub const CERTIFICATE: Topic =
    Topic::new("certificate", "starling::Certificate", 32, SMALL, Qos::Message { samples: 256 });

/// Nodes' hellos and what they are doing, by node. Only the coordinator reads it.
pub const PRESENCE: Topic =
    Topic::new("presence", "starling::Presence", 32, PRESENCE_BYTES, Qos::State { keys: 1 });

/// Pieces of models, by blob and index. Every node reads it.
pub const MODEL_CHUNK: Topic = Topic::new(
    "model_chunk",
    "starling::ModelChunk",
    CHUNK_KEY,
    CHUNK,
    Qos::Chunk { unread: 128, unsent: 64 },
);

/// Pieces of updates, by blob and index. Only the coordinator reads it.
pub const UPDATE_CHUNK: Topic = Topic::new(
    "update_chunk",
    "starling::UpdateChunk",
    CHUNK_KEY,
    CHUNK,
    Qos::Chunk { unread: 128, unsent: 64 },
);

/// What a node has of a model, by blob and node. Only the coordinator reads it.
pub const MODEL_RECEIPT: Topic =
    Topic::new("model_receipt", "starling::ModelReceipt", 64, SMALL, Qos::Chunk { unread: 256, unsent: 256 });

/// What the coordinator has of an update, by blob and node. Every node reads it; each receipt goes to one.
pub const UPDATE_RECEIPT: Topic = Topic::new(
    "update_receipt",
    "starling::UpdateReceipt",
    64,
    SMALL,
    Qos::Chunk { unread: 256, unsent: 256 },
);

/// Facts about runs, by coordinator, for any number of watchers.
pub const EVENT: Topic = Topic::new("event", "starling::Event", 32, MESSAGE, Qos::Message { samples: 256 });

/// Hellos of nodes that take telemetry from bridges, by node. Bridges read it.
pub const INTAKE: Topic =
    Topic::new("intake", "starling::Intake", 32, PRESENCE_BYTES, Qos::State { keys: 1 });

/// Hellos of bridges, by bridge. The nodes they forward to read it.
pub const BRIDGE: Topic = Topic::new("bridge", "starling::Bridge", 32, MESSAGE, Qos::State { keys: 1 });

/// Pieces of telemetry from a bridge to one node, by blob and index.
pub const RECORD_CHUNK: Topic = Topic::new(
    "record_chunk",
    "starling::RecordChunk",
    CHUNK_KEY,
    CHUNK,
    Qos::Chunk { unread: 128, unsent: 64 },
);

/// What a node has of a bridge's telemetry, by blob and node.
pub const RECORD_RECEIPT: Topic = Topic::new(
    "record_receipt",
    "starling::RecordReceipt",
    64,
    SMALL,
    Qos::Chunk { unread: 256, unsent: 256 },
);

/// What a relay tells of itself, by relay. A participant that writes it is a relay, and no other relay carries on
/// what it writes; it is the first writer that a relay makes.
pub const RELAY: Topic = Topic::new("relay", "starling::Relay", 32, STATUS, Qos::State { keys: 1 });

/// All of them.
pub const ALL: [Topic; 15] = [
    ANNOUNCE,
    HELLO,
    ROSTER,
    CERTIFICATE,
    PRESENCE,
    MODEL_CHUNK,
    UPDATE_CHUNK,
    MODEL_RECEIPT,
    UPDATE_RECEIPT,
    EVENT,
    INTAKE,
    BRIDGE,
    RECORD_CHUNK,
    RECORD_RECEIPT,
    RELAY,
];

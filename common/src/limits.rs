//! Every maximum, with its reason. What is over a limit is refused where it enters.

/// Plaintext bytes in one AEAD record (C2SP chunked-encryption uses 16 KiB).
pub const RECORD_PLAIN_BYTES: usize = 16 * 1024;

/// Bytes that the AEAD tag adds to each record.
pub const RECORD_TAG_BYTES: usize = 16;

/// Records in one chunk: three is the most that fits a UDP datagram (65,507 bytes) with RTPS headers.
pub const CHUNK_RECORDS: usize = 3;

/// Plaintext bytes in a full chunk.
pub const CHUNK_PLAIN_BYTES: usize = CHUNK_RECORDS * RECORD_PLAIN_BYTES;

/// Sealed bytes in a full chunk.
pub const CHUNK_SEALED_BYTES: usize = CHUNK_RECORDS * (RECORD_PLAIN_BYTES + RECORD_TAG_BYTES);

/// In place of a chunk's index: the piece is the blob's manifest, which offers it to its reader.
pub const OFFER_INDEX: u32 = u32::MAX;

/// Plaintext bytes in one blob: a model of 256 million parameters. Bounds what a peer can make us allocate.
pub const BLOB_BYTES_MAX: u64 = 1 << 30;

/// Parameters in one model; four bytes each, so that the values alone stay within [`BLOB_BYTES_MAX`].
pub const PARAMETERS_MAX: u64 = 200_000_000;

/// Parameters in one model whose nodes keep a control variate: it travels beside the model, in the same blob.
pub const CONTROLLED_PARAMETERS_MAX: u64 = PARAMETERS_MAX / 2;

/// Named tensors in one model.
pub const TENSORS_MAX: usize = 4096;

/// Dimensions of one tensor.
pub const DIMENSIONS_MAX: usize = 8;

/// Bytes in a name: of a tensor, a metric, a node, a run, a tenant, a start.
pub const NAME_BYTES_MAX: usize = 128;

/// Metrics in one telemetry record.
pub const METRICS_MAX: usize = 1024;

/// Nodes in one cohort. With [`WEIGHT_MAX`] and the fixed-point range of a delta it keeps
/// the exact sum inside 63 bits (see `coordinator::strategy::mean`).
pub const COHORT_MAX: usize = 4096;

/// Nodes in one cohort, and on the list of nodes, of a fleet whose suite is X-Wing. It wraps a root in 1,217 bytes and not
/// in 129, and one announcement, within [`MESSAGE_BYTES_MAX`], holds those of all.
pub const X_WING_COHORT_MAX: usize = 800;

/// The largest weight of one update, in samples. A node with more samples weighs this much.
pub const WEIGHT_MAX: u64 = 1 << 20;

/// Bytes in one control message (announcement, receipt, presence, event). An announcement to a full
/// cohort is the largest: about 130 bytes a member.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Runs that a node works on at once, and so the works in its presence: as many as a coordinator has going on. Presence
/// stays within 4 KiB with as many, and with a key of any suite.
pub const WORKS_MAX: usize = 64;

/// Bytes in a configuration file or one request on the control socket.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a request to join, from whoever reaches the port: four times those of the longest name with labels of a usual
/// length.
pub const JOIN_REQUEST_BYTES_MAX: usize = 8 * 1024;

/// Bytes of the answer: a roster is the most of it.
pub const JOIN_ANSWER_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 4096;

/// Past steps that a forecaster sees: a day of minutes, and more. What an LSTM computes grows with them, but not its
/// parameters.
pub const PAST_STEPS_MAX: u32 = 2048;

/// Steps ahead that a model foresees: as for those that it sees.
pub const HORIZON_STEPS_MAX: u32 = PAST_STEPS_MAX;

/// Tokens of a coordinator that may still be used.
pub const TOKENS_MAX: usize = 256;

/// Nodes that wait for their operator's approval: as many as tokens, one for each.
pub const APPLICANTS_MAX: usize = TOKENS_MAX;

/// How long the certificate of a node is good unless its coordinator is told otherwise, in seconds: seven days.
pub const CERTIFICATE_LIFETIME_S: u64 = 7 * 24 * 3600;

/// Bytes of a pattern of names: twice those of a metric's name.
pub const GLOB_BYTES_MAX: usize = 256;

const _: () = assert!(CHUNK_SEALED_BYTES + 1024 < 65_507, "a chunk and its headers fit one datagram");
const _: () =
    assert!(X_WING_COHORT_MAX * 1217 + 8192 < MESSAGE_BYTES_MAX, "a full cohort's roots fit one message");
const _: () = assert!(PARAMETERS_MAX * 4 < BLOB_BYTES_MAX, "a full model fits one blob");

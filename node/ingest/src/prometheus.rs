//! Prometheus: remote write, and the text that exporters are scraped for. Bytes to records, without I/O.
//!
//! ```text
//! pushed    Snappy > WriteRequest (v1 or v2) > series > Gathered, by source and time > TelemetryRecord
//! ```
//!
//! Remote write does not tell a counter from a gauge (v1 never does, v2 may): values are taken as they are.

mod messages;
mod names;
pub mod write;

pub use self::write::{WriteFault, WriteRequest, Written};

//! Prometheus: remote write, and the text that exporters are scraped for. Bytes to records, without I/O.
//!
//! ```text
//! pushed    Snappy > WriteRequest (v1 or v2) > series ┐
//! scraped   text > samples with their types > rates     ┴> Gathered, by source and time > TelemetryRecord
//! ```
//!
//! Remote write does not tell a counter from a gauge (v1 never does, v2 may): values are taken as they are. An
//! exporter says what is a counter, and there are two scrapes to tell how fast it grows.

mod messages;
mod names;
pub mod rates;
pub mod target;
pub mod text;
pub mod write;

pub use self::write::{WriteFault, WriteRequest, Written};

//! From a bridge to the nodes that own what it accepted: telemetry is sealed to one node, and a bridge's cursor
//! moves when that node has it on its disk.
//!
//! ```text
//! BRIDGE  spool > feed (records, split by routes) > outbox (seal, offer, send, wait for the receipt) > DDS
//! NODE    DDS > inbox (believe, open) > spool, synced > receipt > the bridge's cursor moves
//! ```
//!
//! *Who owns a source* is a pure function of its tenant and name ([`routes`]): two bridges with the same routes
//! send a source to the same node, so they can stand side by side as equal targets of one mail domain.
//!
//! *Nothing is lost, and a record counts once.* A node that is away has a cursor that stands still: what is
//! meant for it stays in the spool. What is sent twice, because a receipt or a bridge was lost, has the same ids,
//! and the node reads one of each.
//!
//! [`dispatch`] and [`inbox`] are state machines without I/O; [`bridge`] and [`receiver`] are their drivers.

pub mod batch;
pub mod bridge;
pub mod dispatch;
pub mod feed;
pub mod inbox;
pub mod limits;
pub mod outbox;
pub mod receiver;
pub mod routes;
mod share;

#[cfg(test)]
mod tests;

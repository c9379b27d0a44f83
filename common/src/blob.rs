//! Moving a large sealed value: which chunks are here, which are missing, what to send next.
//!
//! Chunks travel best effort. The receiver tells what it has in receipts, and only those drive
//! sending: a receipt moves the window, names the gaps, and ends the transfer when all is here.

mod have;
mod incoming;
mod outgoing;

pub use have::{Gaps, Have};
pub use incoming::{Arrival, Incoming};
pub use outgoing::{Outgoing, Send};

use crate::units::Millis;

/// A receiver of an unfinished blob that gets no chunk for this long says so in a receipt.
/// Doubled with each receipt that stays without an answer, up to [`STALL_MAX`].
pub const STALL: Millis = Millis(40);

/// The longest wait between two receipts of a stalled transfer.
pub const STALL_MAX: Millis = Millis(500);

/// A reader that a sender has not heard for this long no longer holds the window back.
pub const LAG: Millis = Millis(100);

/// A chunk is not repeated to the same reader sooner than this: its receipt may be on the way.
pub const REPEAT: Millis = Millis(5);

/// A reader that is silent this long after the last chunk is sent that chunk again; doubled each time,
/// up to [`PROBE_MAX`].
pub const PROBE: Millis = Millis(200);

/// The longest wait between two probes.
pub const PROBE_MAX: Millis = Millis(3000);

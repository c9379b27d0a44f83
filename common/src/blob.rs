//! Moving a large sealed value: which chunks are here, which are missing, what to send next.
//!
//! Chunks travel best effort. The receiver tells what it has in receipts, and only those drive
//! sending: a receipt moves the window, names the gaps, and ends the transfer when all is here.

mod have;
mod incoming;
mod outgoing;
mod reception;
mod sent;
mod smoothed;
mod window;

pub use have::{Gaps, Have};
pub use incoming::{Arrival, Incoming};
pub use outgoing::{Outgoing, Send};

use crate::units::Millis;

/// How a transfer stands at its receiver, and how much more may come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many chunks may be unconfirmed.
    pub window: u32,
    /// Nothing came for a while: chunks after the last that arrived are lost too.
    pub stalled: bool,
    /// What is here.
    pub gaps: Gaps,
}

crate::wire_fields!(Standing { window, stalled, gaps });

/// Two receipts that only name gaps are at least this far apart.
pub const RECEIPT_PACE: Millis = Millis(1);

/// A receiver of an unfinished blob that gets no chunk says so in a receipt when the pause is unusual by those
/// before it, but not sooner than this, nor later than [`PAUSE_MAX`]. Doubled with each receipt that stays without an
/// answer, up to [`STALL_MAX`].
pub const STALL: Millis = Millis(5);

/// The longest pause between two chunks that can be usual: on a line that carries less than half a megabit a second.
pub const PAUSE_MAX: Millis = Millis(1000);

/// The wait for the first chunk, before any pause is known.
pub const STALL_FIRST: Millis = Millis(20);

/// The longest wait between two receipts of a stalled transfer.
pub const STALL_MAX: Millis = Millis(200);

/// A reader that a sender has not heard for this long, or for four round trips, no longer holds the window back.
pub const LAG: Millis = Millis(100);

/// A chunk is not repeated to the same reader sooner than this: its receipt may be on the way.
pub const REPEAT: Millis = Millis(5);

/// What one of several readers lost waits this long for the others to say whether they lost it as well.
pub const HOLD: Millis = Millis(10);

/// A reader that is silent this long after the last chunk is sent that chunk again; doubled each time,
/// up to [`PROBE_MAX`].
pub const PROBE: Millis = Millis(200);

/// The longest wait between two probes.
pub const PROBE_MAX: Millis = Millis(3000);

#[cfg(test)]
mod tests;

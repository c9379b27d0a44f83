//! The clock.

use std::time::{SystemTime, UNIX_EPOCH};

use common::units::Timestamp;

/// The time now: the only place where the clock is read. Drivers hand it to everything else.
#[expect(clippy::disallowed_methods, reason = "drivers hand time to everything else")]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_micros() as u64)
}

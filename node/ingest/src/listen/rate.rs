//! How often a source may: a token bucket for each.

use std::collections::BTreeMap;
use std::net::IpAddr;

use common::units::Timestamp;

/// Sources that are remembered. One that is forgotten begins with a full bucket.
const SOURCES_MAX: usize = 4096;

/// The buckets of all sources of one listener.
#[derive(Debug)]
pub(super) struct Rates {
    per_minute: u32,
    buckets: BTreeMap<IpAddr, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Millionths of what one message takes.
    level: u64,
    at: Timestamp,
}

/// What one message takes.
const MESSAGE: u64 = 1_000_000;

impl Rates {
    /// Lets each source have `per_minute` messages a minute, and as many at once.
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute, buckets: BTreeMap::new() }
    }

    /// Whether `source` may send one more message now; then it is counted.
    pub(super) fn admit(&mut self, source: IpAddr, now: Timestamp) -> bool {
        let full = u64::from(self.per_minute) * MESSAGE;
        if !self.buckets.contains_key(&source) && self.buckets.len() >= SOURCES_MAX {
            // Those who were silent for a minute have a full bucket anyway; if nobody was, all begin anew.
            self.buckets.retain(|_, bucket| now.micros_since(bucket.at) < 60_000_000);
            if self.buckets.len() >= SOURCES_MAX {
                self.buckets.clear();
            }
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket { level: full, at: now });
        // Microseconds times messages a minute, over sixty, are millionths of messages.
        let gained = now.micros_since(bucket.at).saturating_mul(u64::from(self.per_minute)) / 60;
        bucket.level = bucket.level.saturating_add(gained).min(full);
        bucket.at = bucket.at.max(now);
        let admitted = bucket.level >= MESSAGE;
        if admitted {
            bucket.level -= MESSAGE;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn at(millis: u64) -> Timestamp {
        Timestamp(1_000_000_000 + millis * 1000)
    }

    #[test]
    fn a_source_has_a_minutes_worth_at_once_and_then_its_rate() {
        let mut rates = Rates::new(60);
        let burst = (0..100).filter(|_| rates.admit(ONE, at(0))).count();
        assert_eq!(burst, 60);
        assert!(!rates.admit(ONE, at(999)));
        assert!(rates.admit(ONE, at(1000)));
        assert!(!rates.admit(ONE, at(1001)));
    }

    #[test]
    fn another_source_is_not_held_back_and_the_memory_is_bounded() {
        let mut rates = Rates::new(1);
        for number in 0..20_000_u32 {
            assert!(rates.admit(IpAddr::V4(Ipv4Addr::from_bits(number)), at(u64::from(number))));
            assert!(rates.buckets.len() <= SOURCES_MAX);
        }
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut rates = Rates::new(1);
        assert!(rates.admit(ONE, at(60_000)));
        assert!(!rates.admit(ONE, at(0)));
        assert!(!rates.admit(ONE, at(60_000)));
        assert!(rates.admit(ONE, at(120_000)));
    }
}

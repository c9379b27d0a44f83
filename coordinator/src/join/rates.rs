//! How often requests may cost an operation with a key: by where they come from, and all together.

use core::net::IpAddr;
use std::collections::BTreeMap;

use common::units::{Millis, Timestamp};

/// Requests of one source at once; a rack behind one address comes together.
const SOURCE_BURST: u64 = 60;

/// One source may come again after this time, once it has used up its burst.
const SOURCE_EVERY: Millis = Millis(1000);

/// Requests of all sources at once.
const BURST: u64 = 200;

/// Of all sources one more after this time: 20 a second, each some 0.3 ms of a core.
const EVERY: Millis = Millis(50);

/// Sources that are remembered; the one that was quiet for longest makes room.
const SOURCES_MAX: usize = 1024;

/// What was used up of each source's share, and of all.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    all: Bucket,
    sources: BTreeMap<IpAddr, Bucket>,
}

/// Filled by each request, and emptied by time (a virtual scheduling algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// When it will be empty.
    empty: Timestamp,
}

impl Bucket {
    /// Whether one more fits; then it is in.
    fn fill(&mut self, every: Millis, burst: u64, now: Timestamp) -> bool {
        let empty = self.empty.max(now);
        let fits = empty.since(now).0 < every.0 * burst;
        if fits {
            self.empty = empty + every;
        }
        fits
    }
}

impl Rates {
    /// Whether a request of this source may be opened now.
    pub fn admit(&mut self, source: IpAddr, now: Timestamp) -> bool {
        let source = network(source);
        if !self.sources.contains_key(&source) {
            self.sources.retain(|_, bucket| bucket.empty > now);
            let quiet = self.sources.iter().min_by_key(|(_, bucket)| bucket.empty).map(|(source, _)| *source);
            if let Some(quiet) = quiet.filter(|_| self.sources.len() >= SOURCES_MAX) {
                self.sources.remove(&quiet);
            }
        }
        let share = self.sources.entry(source).or_default();
        share.fill(SOURCE_EVERY, SOURCE_BURST, now) && self.all.fill(EVERY, BURST, now)
    }
}

/// Who has one IPv6 address has the other 2⁶⁴ of its network.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    fn v4(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn one_source_has_its_share_and_another_one_still_has_its_own() {
        let mut rates = Rates::default();
        let admitted = (0..1000).filter(|_| rates.admit(v4(1), NOW)).count() as u64;
        assert_eq!(admitted, SOURCE_BURST);
        assert!(rates.admit(v4(2), NOW));
        let later = NOW + SOURCE_EVERY;
        assert!(rates.admit(v4(1), later) && !rates.admit(v4(1), later));
    }

    #[test]
    fn all_sources_together_have_a_share_and_take_bounded_memory() {
        let mut rates = Rates::default();
        let admitted = (0..5000).filter(|source| rates.admit(v4(*source), NOW)).count() as u64;
        assert_eq!((admitted, rates.sources.len()), (BURST, SOURCES_MAX));
        assert!(rates.admit(v4(9999), NOW + EVERY));
        let long = NOW + Millis(3_600_000);
        assert!(rates.admit(v4(1), long));
        assert_eq!(rates.sources.len(), 1, "who was quiet is forgotten");
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let mut rates = Rates::default();
        let address = |host: u128| IpAddr::V6((0x2001_0db8_u128 << 96 | host).into());
        let admitted = (0..1000).filter(|host| rates.admit(address(*host), NOW)).count() as u64;
        assert_eq!(admitted, SOURCE_BURST);
        assert!(rates.admit(address(1 << 64), NOW));
    }
}

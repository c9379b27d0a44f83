//! Until when the certificates of members are good. Who is heard is given the next one before his ends; who let it end is
//! not let in, until an operator renews it.

use std::collections::{BTreeMap, BTreeSet};

use common::id::NodeId;
use common::limits::CERTIFICATE_LIFETIME_S;
use common::units::{Millis, Timestamp};

/// Certificates are issued at least this far apart: the key may be in a token, and the loop waits for it.
const APART: Millis = Millis(50);

/// A node that does not show its certificate is sent another one after this long.
const AGAIN: Millis = Millis(10_000);

/// The certificates of members.
#[derive(Debug)]
pub struct Leases {
    lifetime: Millis,
    until: BTreeMap<NodeId, Timestamp>,
    /// Those that an operator renews.
    renewed: BTreeSet<NodeId>,
    next_at: Timestamp,
}

impl Leases {
    /// New certificates are good for so long; those that were issued, until then.
    pub fn new(lifetime: Millis, until: BTreeMap<NodeId, Timestamp>) -> Self {
        Self { lifetime, until, renewed: BTreeSet::new(), next_at: Timestamp::default() }
    }

    /// Until when a node's newest certificate is good; `None` when it was issued none.
    pub fn until(&self, node: NodeId) -> Option<Timestamp> {
        self.until.get(&node).copied()
    }

    /// When a node's certificate ended, if it did.
    pub fn expired(&self, node: NodeId, now: Timestamp) -> Option<Timestamp> {
        self.until(node).filter(|until| *until <= now)
    }

    /// Until when the next certificate is good of a node that shows one which is good until then; `None` while it needs
    /// none. It counts as issued.
    pub fn grant(&mut self, node: NodeId, shown: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let Millis(lifetime) = self.lifetime;
        let issued = self.until(node).map_or(Timestamp::default(), |Timestamp(until)| {
            Timestamp(until.saturating_sub(lifetime.saturating_mul(1000)))
        });
        let ends_soon = shown <= now + Millis(lifetime / 3);
        let was_sent = now < issued + Millis(AGAIN.0.min(lifetime / 4));
        if now < self.next_at || !self.renewed.contains(&node) && (!ends_soon || was_sent) {
            return None;
        }
        // To the second, as certificates have it.
        let until = Timestamp((now + self.lifetime).0 / 1_000_000 * 1_000_000);
        self.next_at = now + APART;
        self.renewed.remove(&node);
        self.until.insert(node, until);
        Some(until)
    }

    /// An operator wants that a node has another certificate, even if its last one ended.
    pub fn renew(&mut self, node: NodeId) {
        self.until.remove(&node);
        self.renewed.insert(node);
    }
}

impl Default for Leases {
    fn default() -> Self {
        Self::new(Millis(CERTIFICATE_LIFETIME_S * 1000), BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Millis = Millis(CERTIFICATE_LIFETIME_S * 1000);
    const NODE: NodeId = NodeId([1; 32]);
    const OTHER: NodeId = NodeId([2; 32]);
    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
    const DAY: u64 = 24 * 3_600_000;

    fn leases() -> Leases {
        Leases::new(LIFETIME, BTreeMap::new())
    }

    #[test]
    fn a_certificate_is_followed_by_another_in_the_last_third_of_its_time() {
        let mut leases = leases();
        let first = leases.grant(NODE, Timestamp::default(), NOW).unwrap();
        assert_eq!(first, NOW + LIFETIME);
        for day in 0..5 {
            assert_eq!(leases.grant(NODE, first, NOW + Millis(day * DAY)), None, "day {day}");
        }
        let later = NOW + Millis(5 * DAY);
        assert_eq!(leases.grant(NODE, first, later), Some(later + LIFETIME));
        assert_eq!(leases.expired(NODE, later + LIFETIME), Some(later + LIFETIME));
        assert_eq!((leases.expired(NODE, later), leases.expired(OTHER, later)), (None, None));
    }

    #[test]
    fn a_node_that_does_not_show_its_certificate_is_sent_another_one_but_not_at_once() {
        let mut leases = leases();
        leases.grant(NODE, Timestamp::default(), NOW).unwrap();
        for after in [APART, Millis(AGAIN.0 - 1000)] {
            assert_eq!(leases.grant(NODE, Timestamp::default(), NOW + after), None, "{after}");
        }
        assert!(leases.grant(NODE, Timestamp::default(), NOW + AGAIN).is_some());
    }

    #[test]
    fn certificates_are_issued_one_by_one_and_a_short_one_in_time() {
        let mut leases = Leases::new(Millis(9_000), BTreeMap::new());
        let first = leases.grant(NODE, Timestamp::default(), NOW).unwrap();
        assert_eq!(leases.grant(OTHER, Timestamp::default(), NOW), None);
        assert!(leases.grant(OTHER, Timestamp::default(), NOW + APART).is_some());
        assert!(leases.grant(NODE, first, NOW + Millis(7_000)).is_some());
    }

    #[test]
    fn who_let_it_end_is_renewed_by_an_operator_alone() {
        let mut leases = Leases::new(LIFETIME, [(NODE, NOW)].into());
        assert_eq!(leases.expired(NODE, NOW), Some(NOW));
        leases.renew(NODE);
        assert_eq!(leases.expired(NODE, NOW), None);
        // One that is good still is renewed as well.
        assert!(leases.grant(NODE, NOW + LIFETIME, NOW).is_some());
        assert_eq!(leases.grant(NODE, NOW + LIFETIME, NOW + Millis(DAY)), None);
    }
}

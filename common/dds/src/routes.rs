//! Where directed samples go when a relay stands between the writer and their reader.
//!
//! A peer's signed hello tells the address of its reader. Behind a relay that reader does not exist in this domain,
//! and the hello was written here by the relay: so what is for the peer goes to the relay's reader of the same topic,
//! and the relay at the other end writes it to all that read there.
//!
//! Who wrote a hello here is not authenticated. Whoever can send to the domain can have directed samples go to itself,
//! by writing a hello before the relay does; that loses them, as it could anyway, and opens and forges nothing.

use std::collections::BTreeMap;

use crate::discovered::prefix_of;
use crate::participant::Participant;
use crate::reader::ReaderAddress;
use crate::topic::Topic;

/// Addresses behind relays that are remembered; when there are more, hellos teach them again within a second.
const ROUTES_MAX: usize = 16_384;

/// The readers that stand for those that are not in this domain.
#[derive(Debug, Default)]
pub struct Routes {
    /// Told address > the reader of the participant that wrote the hello here.
    via: BTreeMap<ReaderAddress, ReaderAddress>,
}

impl Routes {
    /// Takes what a believed hello told: `writer` wrote it here, and its signer reads `topic` at `told`.
    ///
    /// A reader that this domain knows is written to directly, whoever wrote the hello.
    pub fn on_hello(&mut self, domain: &Participant, topic: &Topic, told: ReaderAddress, writer: [u8; 16]) {
        let find = || {
            if domain.has_discovered(told) { None } else { domain.reader_of(topic, prefix_of(writer)) }
        };
        self.learn(told, writer, find);
    }

    /// Where to write what is for the reader at `told`.
    pub fn to(&self, told: ReaderAddress) -> ReaderAddress {
        self.via.get(&told).copied().unwrap_or(told)
    }

    /// `find` is asked only for what is not known yet: it goes through all that is discovered.
    fn learn(&mut self, told: ReaderAddress, writer: [u8; 16], find: impl FnOnce() -> Option<ReaderAddress>) {
        if prefix_of(told.0) == prefix_of(writer) {
            self.via.remove(&told);
            return;
        }
        if self.via.get(&told).is_some_and(|via| prefix_of(via.0) == prefix_of(writer)) {
            return;
        }
        match find() {
            Some(via) => {
                if self.via.len() >= ROUTES_MAX {
                    self.via.clear();
                }
                self.via.insert(told, via);
            }
            None => drop(self.via.remove(&told)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guid(participant: u8, entity: u8) -> [u8; 16] {
        let mut guid = [participant; 16];
        guid[12..].fill(entity);
        guid
    }

    #[test]
    fn a_peer_that_wrote_its_own_hello_is_written_to_directly() {
        let mut routes = Routes::default();
        let told = ReaderAddress(guid(1, 7));
        routes.learn(told, guid(1, 3), || unreachable!("nothing is looked for"));
        assert_eq!(routes.to(told), told);
    }

    #[test]
    fn what_is_for_a_peer_behind_a_relay_goes_to_the_relay_and_follows_it() {
        let mut routes = Routes::default();
        let (told, relay, other) =
            (ReaderAddress(guid(1, 7)), ReaderAddress(guid(2, 9)), ReaderAddress(guid(3, 9)));
        routes.learn(told, guid(2, 3), || None);
        assert_eq!(routes.to(told), told, "the relay's reader is not discovered yet");
        routes.learn(told, guid(2, 3), || Some(relay));
        assert_eq!(routes.to(told), relay);
        routes.learn(told, guid(2, 3), || unreachable!("it is known"));
        // The relay was started again; then the peer moved into this domain.
        routes.learn(told, guid(3, 3), || Some(other));
        assert_eq!(routes.to(told), other);
        routes.learn(told, guid(1, 3), || unreachable!("nothing is looked for"));
        assert_eq!(routes.to(told), told);
    }

    #[test]
    fn routes_are_bounded_and_learned_again() {
        let mut routes = Routes::default();
        let relay = ReaderAddress(guid(2, 9));
        for peer in 0..=ROUTES_MAX as u32 {
            let mut told = [0; 16];
            told[..4].copy_from_slice(&peer.to_le_bytes());
            told[4] = 1;
            routes.learn(ReaderAddress(told), guid(2, 3), || Some(relay));
            assert_eq!(routes.to(ReaderAddress(told)), relay);
        }
        assert!(routes.via.len() <= ROUTES_MAX);
    }
}

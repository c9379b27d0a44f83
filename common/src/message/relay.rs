//! What a relay tells of itself, for operators.

use crate::limits::NAME_BYTES_MAX;
use crate::units::Timestamp;
use crate::wire::{List, Text};

/// Relays that one relay is connected to: its status fits a sample, and a star of more sites is rather a tree.
pub const PEERS_MAX: usize = 64;

/// A relay is there. Signed with its own key, which only its peers know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayStatus {
    /// When, by the relay's clock.
    pub at: Timestamp,
    /// Its name for people.
    pub name: Text<NAME_BYTES_MAX>,
    /// The relays at other sites that it may be connected to.
    pub peers: List<RelayPeer, PEERS_MAX>,
}

/// A relay at another site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayPeer {
    /// Its name, as the teller's operator wrote it down.
    pub name: Text<NAME_BYTES_MAX>,
    /// Whether it is connected now.
    pub is_connected: bool,
    /// Samples sent to it since the teller started.
    pub samples: u64,
    /// Bytes of keys and bodies sent to it since then.
    pub bytes: u64,
    /// Samples meant for it that were dropped since then, because the connection was slower than the site.
    pub dropped: u64,
}

crate::wire_fields!(RelayStatus { at, name, peers });
crate::wire_fields!(RelayPeer { name, is_connected, samples, bytes, dropped });

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};

    #[test]
    fn the_longest_status_fits_a_sample_of_its_topic() {
        let name: Text<NAME_BYTES_MAX> = "n".repeat(NAME_BYTES_MAX).as_str().try_into().unwrap();
        let peer = RelayPeer {
            name: name.clone(),
            is_connected: true,
            samples: u64::MAX,
            bytes: u64::MAX,
            dropped: u64::MAX,
        };
        let peers = vec![peer; PEERS_MAX].try_into().unwrap();
        let status = RelayStatus { at: Timestamp(1), name, peers };
        let bytes = encode(&status);
        assert!(bytes.len() + 32 + 64 <= 16 * 1024, "{} bytes", bytes.len());
        assert_eq!(decode(&bytes), Ok(status));
    }
}

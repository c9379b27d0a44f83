//! What can go wrong here, always with the domain, interface, topic or writer it happened on.

use std::net::IpAddr;

use rustdds::dds::CreateError;

use crate::participant::DOMAIN_MAX;

/// Why something on DDS failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DdsError {
    /// The domain would need UDP ports that do not exist.
    #[error("domain {0} is over {DOMAIN_MAX}, the last one whose ports exist")]
    Domain(u16),

    /// The interface is not one of this host's IPv4 addresses (RustDDS sends over IPv4 only).
    #[error("interface {address} cannot be used: {source}")]
    Interface {
        /// As configured.
        address: IpAddr,
        /// What the operating system said when a socket was bound to it.
        source: std::io::Error,
    },

    /// A peer is not an IPv4 address (RustDDS sends over IPv4 only).
    #[error("peer {0} cannot be reached: only IPv4 is supported")]
    Peer(IpAddr),

    /// Peers are reached by unicast, but RustDDS would send to a multicast group wherever an interface has one.
    #[error(
        "peers need interfaces without multicast, but {name} ({address}) has it: `ip link set dev {name} multicast off`, or leave `peers` out"
    )]
    Multicast {
        /// The interface's address.
        address: IpAddr,
        /// Its name.
        name: String,
    },

    /// The sockets or threads of a participant could not be made.
    #[error("no participant in domain {domain}: {source}")]
    Participant {
        /// The domain it was to join.
        domain: u16,
        /// As RustDDS says it.
        source: CreateError,
    },

    /// A reader or writer could not be made.
    #[error("no reader or writer for topic {topic}: {source}")]
    Endpoint {
        /// The topic it was for.
        topic: &'static str,
        /// As RustDDS says it.
        source: CreateError,
    },

    /// The key to be written has not the length that the topic says.
    #[error("a key of topic {topic} has {want} bytes, not {got}")]
    Key {
        /// The topic written to.
        topic: &'static str,
        /// Bytes in the key given.
        got: usize,
        /// Bytes in every key of this topic.
        want: usize,
    },

    /// The body to be written is longer than the topic allows.
    #[error("a body of topic {topic} has at most {max} bytes, not {got}")]
    Body {
        /// The topic written to.
        topic: &'static str,
        /// Bytes in the body given.
        got: usize,
        /// The most that the topic allows.
        max: usize,
    },

    /// Nothing was written: too many samples wait for the acknowledgement of some reader. This is normal for
    /// some milliseconds after a reader joins; write again later.
    #[error("topic {topic} is busy: its readers have not acknowledged enough samples")]
    Busy {
        /// The topic written to.
        topic: &'static str,
    },

    /// The participant is broken or gone; only a new one helps.
    #[error("topic {topic} has failed: {reason}")]
    Failed {
        /// The topic read or written.
        topic: &'static str,
        /// As RustDDS says it.
        reason: String,
    },

    /// A peer sent something that is not a sample of this topic. It was dropped; the reader reads on.
    #[error("writer {writer:02x?} sent a bad sample to topic {topic}: {reason}")]
    Malformed {
        /// The topic read.
        topic: &'static str,
        /// The GUID of the writer that sent it.
        writer: [u8; 16],
        /// What was wrong with it.
        reason: Malformed,
    },
}

/// Why bytes are not a sample of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not one of the two little-endian plain encodings (X-Types 1.3, table 60).
    #[error("it is not in plain little-endian CDR")]
    Encoding,
    /// Shorter than its key and length field.
    #[error("it ends after {0} bytes, before its body")]
    Short(usize),
    /// The length field says more than is there.
    #[error("its body of {said} bytes has only {there}")]
    Truncated {
        /// Bytes announced.
        said: usize,
        /// Bytes present.
        there: usize,
    },
    /// The body is longer than the topic allows.
    #[error("its body of {said} bytes is over the limit of {max}")]
    Long {
        /// Bytes announced.
        said: usize,
        /// The most that the topic allows.
        max: usize,
    },
    /// More bytes follow the body than alignment explains.
    #[error("{0} bytes follow its body")]
    Trailing(usize),
}

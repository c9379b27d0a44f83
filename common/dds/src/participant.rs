//! Joining a domain.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustdds::dds::CreateError;
use rustdds::{
    DomainParticipant, DomainParticipantBuilder, Publisher, QosPolicies, RTPSEntity, Subscriber, TopicKind,
};

use crate::acknowledgement::Announced;
use crate::attendant::{Attendant, check_peers};
use crate::cdr::{Decoded, RawRead};
use crate::error::DdsError;
use crate::introduction::Introduced;
use crate::ports::free_number;
use crate::reader::Reader;
use crate::succession::{Origin, Succession};
use crate::topic::Topic;
use crate::writer::Writer;

/// The last domain in which all 120 participants of a host have ports (RTPS 2.5, section 9.6.2.3).
pub const DOMAIN_MAX: u16 = 231;

/// Where to join.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The domain, at most [`DOMAIN_MAX`]. Participants of different domains do not hear each other.
    pub domain: u16,
    /// The addresses of the interfaces to use; none for all. Only `127.0.0.1` gives the large datagrams of
    /// loopback, and keeps the domain to this host.
    pub interfaces: Vec<IpAddr>,
    /// Hosts to be introduced to, where the network carries no multicast. One side of two is enough: nodes name
    /// their coordinator's host.
    #[serde(default)]
    pub peers: Vec<IpAddr>,
}

/// A place in a domain: sockets and two threads. All its readers and writers end when it is dropped, and its
/// peers are told.
pub struct Participant {
    // Dropped in this order: what speaks for it, then itself; the third watches it go.
    _attendant: Option<Attendant>,
    pub(crate) inner: DomainParticipant,
    _departure: Departure,
    publisher: Publisher,
    subscriber: Subscriber,
    announced: Arc<Announced>,
}

/// Sees to it that a participant ends on the thread that drops it.
///
/// The discovery thread of RustDDS borrows its own participant for each announcement. If the owner lets go in that
/// moment, the thread is left with the last reference: it tries to join itself, panics, and no peer is told
/// that the participant has gone.
struct Departure(Publisher);

impl Drop for Departure {
    fn drop(&mut self) {
        for _ in 0..BORROWED_MAX {
            // Present means that the borrower had it, and that we have it now as well.
            let Some(borrowed) = self.0.participant() else { return };
            std::thread::park_timeout(BORROWED);
            drop(borrowed);
        }
    }
}

/// How long an announcement borrows the participant, generously; RustDDS has no event for its end.
const BORROWED: Duration = Duration::from_millis(2);
/// Then something else holds it, and waiting longer does not help.
const BORROWED_MAX: usize = 100;

impl Participant {
    /// Joins the domain. Blocks for some milliseconds; several participants can live in one process.
    ///
    /// # Errors
    ///
    /// [`DdsError::Domain`], [`DdsError::Interface`], [`DdsError::Peer`] and [`DdsError::Multicast`] when the
    /// configuration does not fit this host,
    /// [`DdsError::Participant`] when sockets or threads cannot be had.
    pub fn new(config: &Config) -> Result<Self, DdsError> {
        let domain = config.domain;
        if domain > DOMAIN_MAX {
            return Err(DdsError::Domain(domain));
        }
        for address in &config.interfaces {
            check_interface(*address)?;
        }
        let peers = check_peers(&config.peers, &config.interfaces)?;
        let no_participant = |source| DdsError::Participant { domain, source };
        let inner = build(config).map_err(no_participant)?;
        let publisher = inner.create_publisher(&QosPolicies::qos_none()).map_err(no_participant)?;
        let subscriber = inner.create_subscriber(&QosPolicies::qos_none()).map_err(no_participant)?;
        let announced = Arc::new(Announced::default());
        let introduced =
            Introduced { guid: inner.guid().to_bytes(), domain, participant: inner.participant_id() };
        let loopback = !config.interfaces.is_empty() && config.interfaces.iter().all(IpAddr::is_loopback);
        let attendant = (loopback || !peers.is_empty())
            .then(|| Attendant::start(introduced, peers, Arc::clone(&announced)))
            .transpose();
        let attendant = attendant.map_err(|error| no_participant(error.into()))?;
        Ok(Self {
            _attendant: attendant,
            inner,
            _departure: Departure(publisher.clone()),
            publisher,
            subscriber,
            announced,
        })
    }

    /// A new writer. It matches the readers of the topic by itself, some milliseconds later.
    ///
    /// # Errors
    ///
    /// [`DdsError::Endpoint`] when the participant is broken.
    pub fn writer(&self, topic: &Topic) -> Result<Writer, DdsError> {
        let origin = |made| Origin {
            publisher: self.publisher.clone(),
            topic: made,
            policies: topic.qos.writer_policies(),
            announced: Arc::clone(&self.announced),
        };
        self.topic(topic)
            .and_then(|made| Succession::new(origin(made)))
            .map(|writer| Writer::new(*topic, writer))
            .map_err(|source| DdsError::Endpoint { topic: topic.name, source })
    }

    /// A new reader. It matches the writers of the topic by itself, some milliseconds later.
    ///
    /// # Errors
    ///
    /// [`DdsError::Endpoint`] when the participant is broken.
    pub fn reader(&self, topic: &Topic) -> Result<Reader, DdsError> {
        self.topic(topic)
            .and_then(|made| self.subscriber.create_simple_datareader_no_key::<Decoded, RawRead>(&made, None))
            .map(|reader| Reader::new(*topic, reader))
            .inspect(|_| _ = self.announced.readers.fetch_add(1, Ordering::Relaxed))
            .map_err(|source| DdsError::Endpoint { topic: topic.name, source })
    }

    /// Samples of this size, header included, that all writers together may have on their way to this host's
    /// readers of a topic before one of them is read: half of what a socket's receive buffer holds, and no more
    /// than the topic's cache does. At least one.
    ///
    /// Half, because what travels in Ethernet-sized fragments takes almost twice its size in the kernel.
    pub fn unread_max(&self, topic: &Topic) -> usize {
        let buffered = receive_buffer_bytes() / 2 / (topic.sample_bytes_max() + HEADER_BYTES);
        buffered.min(topic.qos.reader_samples_max()).max(1)
    }

    /// The policies of a topic are those of its readers: RustDDS sizes the cache that all readers of a topic
    /// share by the largest limits it was ever given, and a writer's are larger.
    fn topic(&self, topic: &Topic) -> Result<rustdds::Topic, CreateError> {
        let (name, type_name) = (topic.name.to_owned(), topic.type_name.to_owned());
        let made =
            self.inner.create_topic(name, type_name, &topic.qos.reader_policies(), TopicKind::NoKey)?;
        self.announced.topics.fetch_add(1, Ordering::Relaxed);
        Ok(made)
    }
}

/// A participant that has both its ports.
fn build(config: &Config) -> Result<DomainParticipant, CreateError> {
    for _ in 0..TRIES_MAX {
        let mut builder = DomainParticipantBuilder::new(config.domain);
        if !config.interfaces.is_empty() {
            builder = builder.with_only_networks(config.interfaces.iter().copied());
        }
        let (number, _held) = free_number(config.domain);
        let built = builder.build()?;
        if built.participant_id() == number {
            return Ok(built);
        }
        // Somebody came, went, or held a number: at the same time.
    }
    Err(CreateError::OutOfResources { reason: format!("other participants took {TRIES_MAX} ports") })
}

/// Of participants that start at once, one succeeds with each try of all.
const TRIES_MAX: usize = 120;

/// What the kernel charges for a datagram besides its payload, and RTPS puts in front of a sample.
const HEADER_BYTES: usize = 1024;

/// The receive buffer that the sockets of RustDDS get. Linux caps what is asked for, then doubles it.
fn receive_buffer_bytes() -> usize {
    const STOCK_LINUX: usize = 212_992;
    let configured = std::fs::read_to_string("/proc/sys/net/core/rmem_max").ok();
    let cap = configured.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(STOCK_LINUX);
    2 * cap.min(DomainParticipantBuilder::DEFAULT_SOCKET_RECEIVE_BUFFER_SIZE)
}

/// RustDDS would take any address and then be invisible without a word.
fn check_interface(address: IpAddr) -> Result<(), DdsError> {
    let checked = match address {
        IpAddr::V4(_) => UdpSocket::bind((address, 0)).map(drop),
        IpAddr::V6(_) => Err(std::io::Error::other("only IPv4 is supported")),
    };
    checked.map_err(|source| DdsError::Interface { address, source })
}

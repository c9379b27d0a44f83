//! The domain that a relay has joined: it reads and writes every topic that is carried.

use std::collections::BTreeMap;

use bytes::Bytes;
use dds::{DdsError, Participant, Prefix, Qos, Reader, Role, Writer, prefix_of, topics};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::relay::{Carried, Sample, TopicSet};

/// Samples that were read and not looked at yet. A reader's cache holds more.
const READ_AHEAD: usize = 64;

/// Participants whose roles are remembered; when there are more, they are asked for again.
const ROLES_MAX: usize = 8192;

/// Keys whose newest sample waits for a slow reader; a cohort has 4096 nodes.
const UNWRITTEN_MAX: usize = 8192;

/// The site.
pub(super) struct Site {
    writers: Vec<Writer>,
    status: Writer,
    roles: BTreeMap<Prefix, Role>,
    /// What some reliable reader was too slow for, and nothing repeats: tried again with time.
    unwritten: BTreeMap<(Carried, Bytes), Bytes>,
    reading: JoinSet<()>,
    own: Prefix,
    /// Last, so that the writers say goodbye before it.
    domain: Participant,
}

/// A sample that was read, and the GUID of the writer it claims to come from.
pub(super) type Read = (Sample, [u8; 16]);

impl Site {
    /// Joins the domain.
    pub(super) fn join(config: &dds::Config) -> Result<(Self, mpsc::Receiver<Read>), DdsError> {
        let domain = Participant::new(config)?;
        // The first writer of all: other relays know by it whom not to carry on.
        let status = domain.writer(&topics::RELAY)?;
        let writers: Result<Vec<Writer>, DdsError> =
            Carried::all().map(|carried| domain.writer(carried.topic())).collect();
        let writers = writers?;
        let (samples, read) = mpsc::channel(READ_AHEAD);
        let mut reading = JoinSet::new();
        for carried in Carried::all() {
            reading.spawn(read_all(carried, domain.reader(carried.topic())?, samples.clone()));
        }
        let (roles, unwritten) = Default::default();
        let own = domain.prefix();
        Ok((Self { writers, status, roles, unwritten, reading, own, domain }, read))
    }

    /// Leaves the domain.
    pub(super) async fn leave(mut self) {
        self.reading.shutdown().await;
    }

    /// Whether what this writer wrote is to be carried: not what a relay wrote, this one or another.
    pub(super) fn is_carried(&mut self, writer: [u8; 16]) -> bool {
        let participant = prefix_of(writer);
        participant != self.own && self.role(participant) == Some(Role::Plain)
    }

    /// The topics that are read here by others than relays. Goes through all that is discovered.
    pub(super) fn topics_read(&mut self) -> TopicSet {
        let readers: Vec<(Prefix, String)> = self.domain.readers_of_others().collect();
        let plain = readers.into_iter().filter(|(whose, _)| self.role(*whose) != Some(Role::Relay));
        plain.filter_map(|(_, topic)| Carried::named(&topic)).collect()
    }

    fn role(&mut self, participant: Prefix) -> Option<Role> {
        if let Some(role) = self.roles.get(&participant) {
            return Some(*role);
        }
        let role = self.domain.role_of(participant)?;
        if self.roles.len() >= ROLES_MAX {
            self.roles.clear();
        }
        self.roles.insert(participant, role);
        Some(role)
    }

    /// Writes a sample. What says what is true now is kept when a reader is too slow, until [`Self::retry`].
    pub(super) fn write(&mut self, sample: Sample) {
        let Sample { topic, key, body } = sample;
        let written = self.writers[topic.index()].write(&key, &body);
        self.unwritten.remove(&(topic, key.clone()));
        match written {
            Ok(()) => (),
            Err(DdsError::Busy { .. })
                if matches!(topic.topic().qos(), Qos::State { .. })
                    && self.unwritten.len() < UNWRITTEN_MAX =>
            {
                self.unwritten.insert((topic, key), body);
            }
            Err(error) => tracing::warn!(%error, "not written"),
        }
    }

    /// Tries again what readers were too slow for.
    pub(super) fn retry(&mut self) {
        for ((topic, key), body) in std::mem::take(&mut self.unwritten) {
            self.write(Sample { topic, key, body });
        }
    }

    /// Tells what this relay says of itself.
    pub(super) fn tell(&self, relay: &[u8; 32], status: &[u8]) {
        if let Err(error) = self.status.write(relay, status) {
            tracing::warn!(%error, "the status is not told");
        }
    }
}

async fn read_all(topic: Carried, mut reader: Reader, samples: mpsc::Sender<Read>) {
    loop {
        match reader.next().await {
            Ok(dds::Sample { key, body, writer }) => {
                if samples.send((Sample { topic, key, body }, writer)).await.is_err() {
                    return;
                }
            }
            Err(error @ DdsError::Failed { .. }) => {
                // The relay hears nothing more, and joins the domain anew.
                tracing::warn!(%error, "reading has ended");
                return;
            }
            Err(error) => tracing::warn!(%error, "ignored"),
        }
    }
}

//! Who else is in the domain, as discovery tells it. Nothing of this is authenticated.

use rustdds::RTPSEntity;

use crate::participant::Participant;
use crate::reader::ReaderAddress;
use crate::topic::Topic;
use crate::topics;

/// What the GUIDs of all readers and writers of one participant begin with (RTPS 2.5, section 9.3.1).
pub type Prefix = [u8; 12];

/// The participant that a reader or writer belongs to.
pub fn prefix_of(guid: [u8; 16]) -> Prefix {
    *guid.first_chunk().expect("a GUID has 16 bytes")
}

/// What a participant is to a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It writes [`topics::RELAY`].
    Relay,
    /// It writes, and that not.
    Plain,
}

impl Participant {
    /// What the GUIDs of its readers and writers begin with.
    pub fn prefix(&self) -> Prefix {
        prefix_of(self.inner.guid().to_bytes())
    }

    /// The reader of a topic that a participant has, when it is discovered. Goes through all readers of the domain:
    /// not for each sample.
    pub fn reader_of(&self, topic: &Topic, participant: Prefix) -> Option<ReaderAddress> {
        let readers = self.inner.discovered_readers();
        let found = readers.iter().find(|reader| {
            prefix_of(reader.reader_proxy.remote_reader_guid.to_bytes()) == participant
                && reader.subscription_topic_data.topic_name == topic.name
        })?;
        Some(ReaderAddress(found.reader_proxy.remote_reader_guid.to_bytes()))
    }

    /// Whether a reader is discovered in this domain. Goes through all of them: not for each sample.
    pub fn has_discovered(&self, reader: ReaderAddress) -> bool {
        let readers = self.inner.discovered_readers();
        readers.iter().any(|found| found.reader_proxy.remote_reader_guid.to_bytes() == reader.0)
    }

    /// Whether a participant is a relay; `None` while none of its writers is discovered.
    ///
    /// A relay makes its writer of [`topics::RELAY`] first and discovery is told in that order: whoever has heard of
    /// another of its writers has heard of that one.
    pub fn role_of(&self, participant: Prefix) -> Option<Role> {
        let writers = self.inner.discovered_writers();
        let mut theirs = writers
            .iter()
            .filter(|writer| prefix_of(writer.writer_proxy.remote_writer_guid.to_bytes()) == participant)
            .map(|writer| writer.publication_topic_data.topic_name == topics::RELAY.name)
            .peekable();
        theirs.peek()?;
        Some(if theirs.any(|is_relay| is_relay) { Role::Relay } else { Role::Plain })
    }

    /// Every reader that others have in this domain: whose, and of which topic.
    pub fn readers_of_others(&self) -> impl Iterator<Item = (Prefix, String)> {
        self.inner.discovered_readers().into_iter().map(|reader| {
            let whose = prefix_of(reader.reader_proxy.remote_reader_guid.to_bytes());
            (whose, reader.subscription_topic_data.topic_name)
        })
    }
}

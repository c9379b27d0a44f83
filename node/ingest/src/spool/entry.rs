//! What a spool keeps: the bytes as they came, and where they came from.

use bytes::Bytes;
use common::id::TenantId;
use common::limits::NAME_BYTES_MAX;
use common::units::Timestamp;
use common::wire::{self, Fault, Input, Text, Wire, WireError};

use crate::limits::ENTRY_BODY_BYTES_MAX;

/// Something accepted from a source, before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which of two entries are one: a source that says the same again, because it missed our answer,
    /// gives it the same id.
    pub id: EntryId,
    /// Whose telemetry it is.
    pub tenant: TenantId,
    /// What the bytes are.
    pub kind: Kind,
    /// When it came.
    pub received: Timestamp,
    /// Who sent it: a mailbox, an address, a file.
    pub source: Text<NAME_BYTES_MAX>,
    /// The bytes, as they came.
    pub body: Bytes,
}

/// The first 16 bytes of a BLAKE3 hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub [u8; 16]);

/// What the bytes of an entry are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A mail (RFC 5322).
    Mail,
    /// An OTLP request with metrics, in protobuf.
    OtlpMetrics,
    /// An OTLP request with log records, in protobuf.
    OtlpLogs,
    /// An OTLP request with spans, in protobuf.
    OtlpTraces,
    /// Syslog messages, each ended by LF.
    Syslog,
    /// Records that a bridge forwarded ([`crate::forwarded`]).
    Records,
    /// A Prometheus remote-write request of either version, packed with Snappy as it came.
    PrometheusWrite,
    /// An MQTT message: its topic, the metric that the topic names, its payload, parted by zero bytes.
    Mqtt,
    /// A mail to a mailbox with a pin: the mailbox, a zero byte, the mail.
    PinnedMail,
}

common::wire_tags!(Kind { Mail = 0, OtlpMetrics = 1, OtlpLogs = 2, OtlpTraces = 3, Syslog = 4, PrometheusWrite = 5, Mqtt = 6, Records = 7, PinnedMail = 8 });

impl Kind {
    /// What it is called in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mail | Self::PinnedMail => "mail",
            Self::OtlpMetrics => "OTLP metrics",
            Self::OtlpLogs => "OTLP logs",
            Self::OtlpTraces => "OTLP traces",
            Self::Syslog => "syslog",
            Self::Records => "forwarded records",
            Self::PrometheusWrite => "Prometheus remote write",
            Self::Mqtt => "MQTT message",
        }
    }
}

impl EntryId {
    /// Of all that an entry says: for sources that repeat what was not acknowledged, byte by byte.
    pub fn of_content(tenant: TenantId, kind: Kind, source: &str, body: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("starling 2026 spool entry");
        hasher.update(&tenant.0);
        hasher.update(&wire::encode(&kind));
        hasher.update(&(source.len() as u64).to_le_bytes());
        hasher.update(source.as_bytes());
        hasher.update(body);
        Self::of_hash(&hasher.finalize())
    }

    /// Of one arrival: for sources that say everything once, so that two equal messages are two. The `seed`
    /// is a process's own and random, and `count` is never the same twice.
    pub fn of_arrival(seed: &[u8; 32], count: u64, source: &str, received: Timestamp) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(seed);
        hasher.update(&count.to_le_bytes());
        hasher.update(&received.0.to_le_bytes());
        hasher.update(source.as_bytes());
        Self::of_hash(&hasher.finalize())
    }

    /// Of one part of an entry: the same part of the same entry has the same id, whoever forwards it. What
    /// makes it that part are these bytes.
    pub fn of_part(entry: Self, part: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("starling 2026 part of a spool entry");
        hasher.update(&entry.0);
        hasher.update(part);
        Self::of_hash(&hasher.finalize())
    }

    fn of_hash(hash: &blake3::Hash) -> Self {
        Self(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }
}

impl Wire for Entry {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        self.tenant.put(out);
        self.kind.put(out);
        self.received.put(out);
        self.source.put(out);
        out.extend_from_slice(&self.body);
    }

    /// The body is what is left: an entry is the last of its input.
    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let id = EntryId(Wire::take(input)?);
        let (tenant, kind) = (Wire::take(input)?, Wire::take(input)?);
        let (received, source) = (Wire::take(input)?, Wire::take(input)?);
        let body = input.slice(input.rest().len())?;
        if body.len() > ENTRY_BODY_BYTES_MAX {
            return Err(input.error(Fault::TooLong { max: ENTRY_BODY_BYTES_MAX }));
        }
        Ok(Self { id, tenant, kind, received, source, body: Bytes::copy_from_slice(body) })
    }
}

#[cfg(test)]
pub(super) fn sample(body: &[u8]) -> Entry {
    let (tenant, kind, source) = (TenantId([1; 16]), Kind::Mail, "ups-3@example.com");
    Entry {
        id: EntryId::of_content(tenant, kind, source, body),
        tenant,
        kind,
        received: Timestamp(1_000_000),
        source: source.try_into().unwrap(),
        body: Bytes::copy_from_slice(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_back_from_its_bytes() {
        for body in [&b""[..], b"x", &[0xff; 5000]] {
            let entry = sample(body);
            assert_eq!(wire::decode::<Entry>(&wire::encode(&entry)), Ok(entry));
        }
    }

    #[test]
    fn two_arrivals_of_the_same_have_different_ids_and_so_have_two_processes() {
        let of = |seed, count| EntryId::of_arrival(&[seed; 32], count, "192.0.2.1", Timestamp(1));
        assert_ne!(of(1, 0), of(1, 1));
        assert_ne!(of(1, 0), of(2, 0));
        assert_eq!(of(1, 0), of(1, 0));
    }

    #[test]
    fn entries_that_differ_in_anything_said_have_different_ids() {
        let of = |tenant, kind, source, body: &[u8]| {
            EntryId::of_content(TenantId([tenant; 16]), kind, source, body)
        };
        let one = of(1, Kind::Mail, "a", b"bc");
        for other in
            [of(2, Kind::Mail, "a", b"bc"), of(1, Kind::Mail, "ab", b"c"), of(1, Kind::Mail, "a", b"bd")]
        {
            assert_ne!(one, other);
        }
    }
}

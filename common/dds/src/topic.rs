//! A topic: its name on the wire, the shape of its key, its limits.

use crate::qos::Qos;

/// One topic, made as a `const` by the crate that gives it its meaning.
///
/// Its DDS type is a `@final` struct of `key_bytes` bytes of octet arrays and little-endian u32s, then a
/// `sequence<octet>` body; see the IDL files of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    pub(crate) name: &'static str,
    pub(crate) type_name: &'static str,
    pub(crate) key_bytes: usize,
    pub(crate) body_bytes_max: usize,
    pub(crate) qos: Qos,
}

impl Topic {
    /// A topic called `name`, of the IDL type `type_name`, with keys of exactly `key_bytes` bytes and bodies of
    /// at most `body_bytes_max` bytes.
    ///
    /// # Panics
    ///
    /// When `key_bytes` is not a multiple of four: the length field after the key would not be aligned as CDR
    /// wants it. In a `const` this is a compile error.
    pub const fn new(
        name: &'static str,
        type_name: &'static str,
        key_bytes: usize,
        body_bytes_max: usize,
        qos: Qos,
    ) -> Self {
        assert!(key_bytes.is_multiple_of(4), "a key is a multiple of four bytes");
        assert!(body_bytes_max < u32::MAX as usize, "CDR counts the bytes of a body in a u32");
        Self { name, type_name, key_bytes, body_bytes_max, qos }
    }

    /// The name of the topic.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The name of its IDL type.
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Bytes in each key.
    pub const fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    /// The most bytes in a body.
    pub const fn body_bytes_max(&self) -> usize {
        self.body_bytes_max
    }

    /// How its samples are delivered, kept and bounded.
    pub const fn qos(&self) -> Qos {
        self.qos
    }

    /// The most bytes one reader's cache can hold, for a table of topics to assert on.
    ///
    /// Samples stay in the cache, taken or not, until newer ones push them out.
    pub const fn reader_cache_bytes_max(&self) -> usize {
        self.qos.reader_samples_max() * self.sample_bytes_max()
    }

    /// Key, length field and body.
    pub(crate) const fn sample_bytes_max(&self) -> usize {
        self.key_bytes + 4 + self.body_bytes_max
    }
}

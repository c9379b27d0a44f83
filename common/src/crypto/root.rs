//! The root hash that a manifest signs: what a receiver keeps is 32 bytes a chunk, not the chunks.
//!
//! `root = BLAKE3 derive_key("starling v1 root", hash_0 || hash_1 || ...)` over the BLAKE3 hashes of
//! the sealed chunks in order. BLAKE3 and not SHA-256, which without the SHA instructions is slower
//! than the encryption itself.

use super::label::Label;
use crate::wire::{Input, Wire, WireError};

/// BLAKE3 of one sealed chunk.
pub type ChunkHash = [u8; 32];

/// The hash over all sealed chunks of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root(pub [u8; 32]);

/// BLAKE3 of one sealed chunk.
pub fn chunk_hash(sealed: &[u8]) -> ChunkHash {
    *blake3::hash(sealed).as_bytes()
}

/// The root over the hashes of all chunks, in the order of their indices.
pub fn root(hashes: &[ChunkHash]) -> Root {
    Root(blake3::derive_key(Label::Root.as_str(), hashes.as_flattened()))
}

impl Wire for Root {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        Wire::take(input).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_depends_on_every_chunk_and_their_order() {
        let (a, b) = (chunk_hash(b"a"), chunk_hash(b"b"));
        let roots = [root(&[a, b]), root(&[b, a]), root(&[a]), root(&[a, b, b]), root(&[])];
        for (index, one) in roots.iter().enumerate() {
            assert!(roots[..index].iter().all(|other| other != one));
        }
    }

    #[test]
    fn the_root_is_not_the_plain_hash_of_the_same_bytes() {
        let hash = chunk_hash(b"a");
        assert_ne!(root(&[hash]).0, chunk_hash(&hash));
    }
}

//! What is sealed, asked for a record at a time: nobody holds a whole plaintext beside what it is made of.

/// A plaintext of a known length, which can be written from any offset.
pub trait Plain {
    /// Its length in bytes.
    fn bytes(&self) -> usize;

    /// Writes what begins at `offset`, as much as `out` is long. Sealing asks for whole records, so `offset`
    /// is a multiple of [`crate::limits::RECORD_PLAIN_BYTES`].
    fn write(&self, offset: usize, out: &mut [u8]);
}

impl Plain for [u8] {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn write(&self, offset: usize, out: &mut [u8]) {
        out.copy_from_slice(&self[offset..offset + out.len()]);
    }
}

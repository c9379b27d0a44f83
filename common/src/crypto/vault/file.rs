//! A sealed file, written and read a chunk at a time: nobody holds all of it.

use std::io::{self, ErrorKind, Read, Write};

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{HEAD_BYTES, SEALED_KEY_BYTES, TenantKey, VaultError};
use crate::crypto::bulk::{BulkKey, Commitment, Salt};
use crate::crypto::layout::ChunkLayout;
use crate::crypto::plain::Plain;
use crate::limits::{CHUNK_PLAIN_BYTES, CHUNK_SEALED_BYTES};

/// Bytes between the wrapped key and the chunks.
const PREFIX_BYTES: usize = size_of::<Salt>() + size_of::<Commitment>() + size_of::<u64>();

/// A file that is being sealed: what is written to it goes on, sealed, to the file below.
#[derive(Debug)]
pub struct Sealing<W> {
    file: W,
    key: BulkKey,
    index: u32,
    /// What is written and not sealed yet: less than a chunk.
    piece: Zeroizing<Vec<u8>>,
    sealed: Vec<u8>,
}

/// A sealed file that is being read.
#[derive(Debug)]
pub struct Opening<R> {
    file: R,
    key: BulkKey,
    /// The next chunk.
    index: u32,
    /// The chunk before it, and how much of that was read.
    piece: Zeroizing<Vec<u8>>,
    read: usize,
    sealed: Vec<u8>,
}

/// One chunk of a plaintext.
struct Piece<'p> {
    /// Of the whole.
    bytes: usize,
    start: usize,
    text: &'p [u8],
}

impl Plain for Piece<'_> {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn write(&self, offset: usize, out: &mut [u8]) {
        let from = offset - self.start;
        out.copy_from_slice(&self.text[from..from + out.len()]);
    }
}

impl TenantKey {
    /// Begins a file of this name, into which so many bytes will be written.
    ///
    /// # Errors
    ///
    /// What the file says that it is written to, and when it would be over the limit of a sealed value.
    pub fn seal_file<W: Write>(
        &self,
        name: &str,
        plain_bytes: u64,
        mut file: W,
        random: &mut dyn CryptoRng,
    ) -> io::Result<Sealing<W>> {
        let layout = ChunkLayout::of(plain_bytes).map_err(io::Error::other)?;
        let data = Self::draw(random);
        let wrapped = self.wrap(name, &data, random);
        let mut salt: Salt = [0; size_of::<Salt>()];
        random.fill_bytes(&mut salt);
        let length = plain_bytes.to_le_bytes();
        let (key, commitment) = BulkKey::derive(&data, &salt, &[&wrapped[..], &length].concat(), layout);
        file.write_all(&[&wrapped[..], &salt, &commitment, &length].concat())?;
        let piece = Zeroizing::new(Vec::with_capacity(layout.plain_bytes().min(CHUNK_PLAIN_BYTES)));
        Ok(Sealing { file, key, index: 0, piece, sealed: Vec::new() })
    }

    /// Opens the file of this name, which has so many bytes.
    ///
    /// # Errors
    ///
    /// [`VaultError`] as the cause of [`ErrorKind::InvalidData`], or what the file says.
    pub fn open_file<R: Read>(&self, name: &str, bytes: u64, mut file: R) -> io::Result<Opening<R>> {
        let header_bytes = HEAD_BYTES + name.len() + SEALED_KEY_BYTES;
        let wrong_length = |expected: u64| VaultError::WrongLength { expected, found: bytes };
        let mut head = [0; HEAD_BYTES];
        let least = (header_bytes + PREFIX_BYTES) as u64;
        read_all(&mut file, &mut head, || wrong_length(least))?;
        // The name of another place may be longer or shorter.
        let name_bytes = self.name_bytes(&head)?;
        let mut wrapped = head.to_vec();
        wrapped.resize(HEAD_BYTES + name_bytes + SEALED_KEY_BYTES, 0);
        read_all(&mut file, &mut wrapped[HEAD_BYTES..], || wrong_length(least))?;
        let data = self.unwrap_key(name, &wrapped)?;
        let mut prefix = [0; PREFIX_BYTES];
        read_all(&mut file, &mut prefix, || wrong_length(least))?;
        let (salt, rest) = prefix.split_first_chunk().expect("it begins with a salt");
        let (commitment, length) = rest.split_first_chunk().expect("a commitment follows");
        let length: [u8; 8] = length.try_into().expect("and a length of eight bytes");
        let layout = ChunkLayout::of(u64::from_le_bytes(length)).map_err(|_| VaultError::WrongKey)?;
        wrapped.extend_from_slice(&length);
        let key = BulkKey::for_opening(&data, salt, &wrapped, layout, commitment)
            .map_err(|_| VaultError::WrongKey)?;
        let expected = least + layout.sealed_bytes() as u64;
        if bytes != expected {
            return Err(wrong_length(expected).into());
        }
        Ok(Opening { file, key, index: 0, piece: Zeroizing::default(), read: 0, sealed: Vec::new() })
    }

    /// A small file of this name.
    ///
    /// # Errors
    ///
    /// When it is over the limit of a sealed value.
    pub fn seal_bytes(&self, name: &str, plain: &[u8], random: &mut dyn CryptoRng) -> io::Result<Vec<u8>> {
        let mut sealing = self.seal_file(name, plain.len() as u64, Vec::new(), random)?;
        sealing.write_all(plain)?;
        sealing.finish()
    }

    /// What a small file of this name holds.
    ///
    /// # Errors
    ///
    /// As [`Self::open_file`].
    pub fn open_bytes(&self, name: &str, sealed: &[u8]) -> io::Result<Vec<u8>> {
        let mut opening = self.open_file(name, sealed.len() as u64, sealed)?;
        let mut plain = Vec::with_capacity(opening.plain_bytes() as usize);
        opening.read_to_end(&mut plain)?;
        Ok(plain)
    }
}

/// Fills `bytes`; a file that ends before is too short.
fn read_all(file: &mut impl Read, bytes: &mut [u8], short: impl FnOnce() -> VaultError) -> io::Result<()> {
    file.read_exact(bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => short().into(),
        _ => error,
    })
}

impl<W: Write> Sealing<W> {
    /// Seals the last chunk, and gives back the file that all was written to.
    ///
    /// # Errors
    ///
    /// What that file says.
    ///
    /// # Panics
    ///
    /// When not as many bytes were written as was said before.
    pub fn finish(mut self) -> io::Result<W> {
        assert_eq!(self.index + 1, self.key.layout().chunks(), "all was written");
        self.seal_piece()?;
        Ok(self.file)
    }

    fn seal_piece(&mut self) -> io::Result<()> {
        let layout = self.key.layout();
        let range = layout.sealed_range(self.index).expect("no more is written than was said");
        self.sealed.resize(range.len(), 0);
        let start = self.index as usize * CHUNK_PLAIN_BYTES;
        let piece = Piece { bytes: layout.plain_bytes(), start, text: &self.piece };
        self.key.seal_chunk(self.index, &piece, &mut self.sealed);
        self.file.write_all(&self.sealed)?;
        self.piece.clear();
        self.index += 1;
        Ok(())
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK_PLAIN_BYTES - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == CHUNK_PLAIN_BYTES {
            self.seal_piece()?;
        }
        Ok(taken)
    }

    /// What is less than a chunk waits for [`Self::finish`].
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<R> Opening<R> {
    /// Bytes of the whole plaintext.
    pub fn plain_bytes(&self) -> u64 {
        self.key.layout().plain_bytes() as u64
    }
}

impl<R: Read> Opening<R> {
    /// Opens the next chunk. `false` after the last one.
    fn open_piece(&mut self) -> io::Result<bool> {
        let layout = self.key.layout();
        let (chunk, chunks) = (self.index, layout.chunks());
        let Some(range) = layout.sealed_range(chunk) else { return Ok(false) };
        self.sealed.resize(range.len().min(CHUNK_SEALED_BYTES), 0);
        let cut = || VaultError::Altered { chunk, chunks };
        read_all(&mut self.file, &mut self.sealed, cut)?;
        self.piece.resize(layout.plain_range(chunk).map_or(0, |range| range.len()), 0);
        self.read = 0;
        self.key.open_chunk(chunk, &self.sealed, &mut self.piece).map_err(|_| cut())?;
        self.index += 1;
        Ok(true)
    }
}

impl<R: Read> Read for Opening<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // A plaintext of whole chunks ends in an empty one, which has to be right as well.
        while self.read == self.piece.len() {
            if !self.open_piece()? {
                return Ok(0);
            }
        }
        let given = out.len().min(self.piece.len() - self.read);
        out[..given].copy_from_slice(&self.piece[self.read..self.read + given]);
        self.read += given;
        Ok(given)
    }
}

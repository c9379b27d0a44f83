//! Canonical, bounded, total encoding of everything that crosses a network or a disk.
//!
//! Little-endian integers of fixed size, lists and texts behind a `u32` length that their type
//! bounds, one tag byte for a choice. A value has one encoding; [`decode`] accepts no other,
//! never panics and never allocates more than the input is long.

mod collection;
mod scalar;

pub use collection::{List, Text, TooLong};

/// What can be written to and read from bytes.
pub trait Wire: Sized {
    /// Appends the encoding.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads one value and leaves the rest.
    ///
    /// # Errors
    ///
    /// [`WireError`] tells what was wrong and at which offset.
    fn take(input: &mut Input<'_>) -> Result<Self, WireError>;
}

/// The bytes of one value.
pub fn encode<T: Wire>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.put(&mut out);
    out
}

/// The value that `bytes` encode, all of them.
///
/// # Errors
///
/// [`WireError`] when the bytes are cut short, over a limit, not canonical, or more than one value.
pub fn decode<T: Wire>(bytes: &[u8]) -> Result<T, WireError> {
    let mut input = Input::new(bytes);
    let value = T::take(&mut input)?;
    match input.rest() {
        [] => Ok(value),
        _ => Err(input.error(Fault::Trailing)),
    }
}

/// Bytes being read, with the offset for error messages.
#[derive(Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Input<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.offset..]
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    ///
    /// [`Fault::Short`] when fewer are left.
    pub fn slice(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let slice = self.rest().get(..length).ok_or_else(|| self.error(Fault::Short))?;
        self.offset += length;
        Ok(slice)
    }

    /// An error at this offset.
    pub fn error(&self, fault: Fault) -> WireError {
        WireError { offset: self.offset, fault }
    }
}

/// Bytes that are not the encoding of the value expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {fault}")]
pub struct WireError {
    /// Where reading stopped.
    pub offset: usize,
    /// What was wrong there.
    pub fault: Fault,
}

/// What was wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The input ends inside a value.
    #[error("cut short")]
    Short,
    /// The input goes on after the value.
    #[error("more bytes than the value has")]
    Trailing,
    /// A list or text is longer than its type allows.
    #[error("longer than the limit of {max}")]
    TooLong {
        /// The limit, in elements or bytes.
        max: usize,
    },
    /// A tag, flag, version or magic number that this version does not know.
    #[error("unknown value {0}")]
    Unknown(u64),
    /// A text is not UTF-8.
    #[error("not UTF-8")]
    NotText,
    /// The value breaks a rule of its type.
    #[error("{0}")]
    Invalid(&'static str),
}

/// Implements [`Wire`] for a struct: its fields, in the order given.
#[macro_export]
macro_rules! wire_fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $( $crate::wire::Wire::put(&self.$field, out); )*
            }

            fn take(input: &mut $crate::wire::Input<'_>) -> Result<Self, $crate::wire::WireError> {
                Ok(Self { $( $field: $crate::wire::Wire::take(input)?, )* })
            }
        }
    };
}

/// Implements [`Wire`] for an enum without data: one byte, the tag given.
#[macro_export]
macro_rules! wire_tags {
    ($name:ident { $($variant:ident = $tag:literal),* $(,)? }) => {
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self { $( Self::$variant => $tag, )* });
            }

            fn take(input: &mut $crate::wire::Input<'_>) -> Result<Self, $crate::wire::WireError> {
                match <u8 as $crate::wire::Wire>::take(input)? {
                    $( $tag => Ok(Self::$variant), )*
                    tag => Err(input.error($crate::wire::Fault::Unknown(u64::from(tag)))),
                }
            }
        }
    };
}

//! Lists and texts whose type bounds their length.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Fault, Input, Wire, WireError};

/// At most `MAX` values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct List<T, const MAX: usize>(Vec<T>);

/// At most `MAX` bytes of UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(String);

/// More elements or bytes than the type allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} is more than the limit of {max}")]
pub struct TooLong {
    /// What was given.
    pub length: usize,
    /// What is allowed.
    pub max: usize,
}

impl<T, const MAX: usize> List<T, MAX> {
    /// The values, as a vector again.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for List<T, MAX> {
    type Error = TooLong;

    fn try_from(values: Vec<T>) -> Result<Self, TooLong> {
        match values.len() {
            length if length > MAX => Err(TooLong { length, max: MAX }),
            _ => Ok(Self(values)),
        }
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Wire, const MAX: usize> Wire for List<T, MAX> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.0.len() as u32).put(out);
        for value in &self.0 {
            value.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let length = take_length(input, MAX)?;
        // Every value has at least one byte, so the input bounds the allocation.
        let mut values = Vec::with_capacity(length.min(input.rest().len()));
        for _ in 0..length {
            values.push(T::take(input)?);
        }
        Ok(Self(values))
    }
}

// In configurations and in files that people read.
impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::try_from(&*text).map_err(D::Error::custom)
    }
}

impl<const MAX: usize> Text<MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> TryFrom<&str> for Text<MAX> {
    type Error = TooLong;

    fn try_from(text: &str) -> Result<Self, TooLong> {
        match text.len() {
            length if length > MAX => Err(TooLong { length, max: MAX }),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MAX: usize> Wire for Text<MAX> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.0.len() as u32).put(out);
        out.extend_from_slice(self.0.as_bytes());
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let length = take_length(input, MAX)?;
        let bytes = input.slice(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| input.error(Fault::NotText))?;
        Ok(Self(text.to_owned()))
    }
}

fn take_length(input: &mut Input<'_>, max: usize) -> Result<usize, WireError> {
    match u32::take(input)? as usize {
        length if length > max => Err(input.error(Fault::TooLong { max })),
        length => Ok(length),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{decode, encode};
    use super::*;

    #[test]
    fn a_list_over_its_limit_is_refused_both_ways() {
        assert!(List::<u8, 2>::try_from(vec![1, 2, 3]).is_err());
        let bytes = encode(&List::<u8, 3>::try_from(vec![1, 2, 3]).unwrap());
        assert_eq!(decode::<List<u8, 2>>(&bytes).unwrap_err().fault, Fault::TooLong { max: 2 });
    }

    #[test]
    fn a_length_that_the_input_cannot_hold_allocates_nothing() {
        let bytes = u32::MAX.to_le_bytes();
        assert_eq!(decode::<List<u64, { u32::MAX as usize }>>(&bytes).unwrap_err().fault, Fault::Short);
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_with_its_offset() {
        let error = decode::<Text<8>>(&[1, 0, 0, 0, 0xff]).unwrap_err();
        assert_eq!(error, WireError { offset: 5, fault: Fault::NotText });
    }

    #[test]
    fn a_value_followed_by_more_bytes_is_refused() {
        assert_eq!(decode::<u8>(&[1, 2]).unwrap_err().fault, Fault::Trailing);
        assert_eq!(decode::<bool>(&[2]).unwrap_err().fault, Fault::Unknown(2));
    }
}

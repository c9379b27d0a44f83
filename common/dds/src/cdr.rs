//! The bytes of one sample: key, length, body, in plain little-endian CDR (X-Types 1.3, section 7.4).
//!
//! Octet arrays need no alignment and u32s need four bytes; keys are a multiple of four, so key, length and body
//! follow each other without padding, and XCDR version 1 and 2 are the same bytes.

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};
use rustdds::RepresentationIdentifier;
use rustdds::no_key::{Decode, DeserializerAdapter, SerializerAdapter};

use crate::error::Malformed;
use crate::topic::Topic;

/// Bytes of the length field of a CDR sequence.
const LENGTH_BYTES: usize = 4;

/// A sample that is already in CDR.
pub(crate) struct Encoded(pub(crate) Bytes);

/// Key and body of a sample that was read, or what was wrong with it.
pub(crate) type Decoded = Result<(Bytes, Bytes), Malformed>;

/// Key, length and body in one buffer. The lengths were checked before.
pub(crate) fn encode(key: &[u8], body: &[u8]) -> Encoded {
    let mut bytes = BytesMut::with_capacity(key.len() + LENGTH_BYTES + body.len());
    bytes.put_slice(key);
    bytes.put_u32_le(u32::try_from(body.len()).unwrap_or(u32::MAX));
    bytes.put_slice(body);
    Encoded(bytes.freeze())
}

/// The opposite of [`encode`], for bytes from anyone. One allocation and one copy, after every check.
fn decode(input: &[u8], key_bytes: usize, body_bytes_max: usize) -> Decoded {
    let short = Malformed::Short(input.len());
    let (key, rest) = input.split_at_checked(key_bytes).ok_or(short)?;
    let (length, body) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or(short)?;
    let said = u32::from_le_bytes(*length) as usize;
    if said > body_bytes_max {
        return Err(Malformed::Long { said, max: body_bytes_max });
    }
    if said > body.len() {
        return Err(Malformed::Truncated { said, there: body.len() });
    }
    // RTPS pads a payload to four bytes on the wire (9.4.5.3), and not every vendor takes the padding off.
    if body.len() - said > 3 {
        return Err(Malformed::Trailing(body.len() - said));
    }
    let body_start = key.len() + LENGTH_BYTES;
    let kept = Bytes::copy_from_slice(&input[..body_start + said]);
    Ok((kept.slice(..key_bytes), kept.slice(body_start..)))
}

/// Puts already encoded bytes into RTPS without looking at them.
pub(crate) struct RawWrite;

impl SerializerAdapter<Encoded> for RawWrite {
    type Error = Infallible;

    fn output_encoding() -> RepresentationIdentifier {
        RepresentationIdentifier::CDR_LE
    }

    fn to_bytes(value: &Encoded) -> Result<Bytes, Infallible> {
        Ok(value.0.clone())
    }
}

/// Takes bytes out of RTPS with the limits of a topic.
pub(crate) struct RawRead;

impl DeserializerAdapter<Decoded> for RawRead {
    type Error = Infallible;
    type Decoded = Decoded;

    /// All that can be named: what is refused is refused by [`Limits`], where its writer is still known.
    fn supported_encodings() -> &'static [RepresentationIdentifier] {
        use RepresentationIdentifier as Id;
        &[
            Id::CDR_LE,
            Id::XCDR2_LE,
            Id::CDR_BE,
            Id::XCDR2_BE,
            Id::PL_CDR_LE,
            Id::PL_CDR_BE,
            Id::D_CDR2_LE,
            Id::D_CDR2_BE,
            Id::PL_XCDR2_LE,
            Id::PL_XCDR2_BE,
            Id::XML,
        ]
    }

    fn transform_decoded(decoded: Decoded) -> Decoded {
        decoded
    }
}

/// The shape that samples of one topic have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) key_bytes: usize,
    pub(crate) body_bytes_max: usize,
}

impl Decode<'_, Decoded> for Limits {
    type Error = Infallible;

    fn decode_bytes(self, input: &[u8], encoding: RepresentationIdentifier) -> Result<Decoded, Infallible> {
        let plain = [RepresentationIdentifier::CDR_LE, RepresentationIdentifier::XCDR2_LE];
        Ok(if plain.contains(&encoding) {
            decode(input, self.key_bytes, self.body_bytes_max)
        } else {
            Err(Malformed::Encoding)
        })
    }
}

/// What a reader of a topic makes of a payload in the encoding of this number among all that can be named. Not part of
/// the crate: a door for fuzzing.
///
/// # Errors
///
/// [`Malformed`] when it is no sample of the topic.
pub fn taken_apart(topic: &Topic, encoding: usize, payload: &[u8]) -> Result<(Bytes, Bytes), Malformed> {
    let limits = Limits { key_bytes: topic.key_bytes, body_bytes_max: topic.body_bytes_max };
    let encodings = RawRead::supported_encodings();
    let Ok(decoded) = limits.decode_bytes(payload, encodings[encoding % encodings.len()]);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8], key_bytes: usize) -> Decoded {
        let limits = Limits { key_bytes, body_bytes_max: 8 };
        limits.decode_bytes(input, RepresentationIdentifier::CDR_LE).unwrap()
    }

    #[test]
    fn what_is_encoded_is_decoded_again() {
        for (key, body) in [(&[][..], &[][..]), (&[1, 2, 3, 4], &[5]), (&[9; 36], &[7; 8])] {
            let decoded = read(&encode(key, body).0, key.len()).unwrap();
            assert_eq!((&*decoded.0, &*decoded.1), (key, body));
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_idl_struct() {
        assert_eq!(&*encode(&[1, 2, 3, 4], &[5, 6]).0, [1, 2, 3, 4, 2, 0, 0, 0, 5, 6]);
    }

    #[test]
    fn every_truncation_of_a_sample_is_refused() {
        let whole = encode(&[1; 4], &[2; 8]).0;
        for end in 0..whole.len() {
            assert!(read(&whole[..end], 4).is_err(), "{end} bytes were taken for a sample");
        }
    }

    #[test]
    fn a_body_over_the_limit_is_refused_before_anything_is_allocated() {
        let sample = [0xff; 12];
        assert_eq!(read(&sample, 4), Err(Malformed::Long { said: u32::MAX as usize, max: 8 }));
        assert_eq!(read(&encode(&[], &[0; 9]).0, 0), Err(Malformed::Long { said: 9, max: 8 }));
    }

    #[test]
    fn padding_is_let_through_and_more_is_not() {
        assert_eq!(read(&[1, 0, 0, 0, 5, 0, 0, 0], 0).unwrap().1, &[5][..]);
        assert_eq!(read(&[1, 0, 0, 0, 5, 0, 0, 0, 0], 0), Err(Malformed::Trailing(4)));
    }

    #[test]
    fn other_encodings_are_refused() {
        let limits = Limits { key_bytes: 0, body_bytes_max: 8 };
        let sample = encode(&[], &[1]).0;
        for encoding in RawRead::supported_encodings() {
            let decoded = limits.decode_bytes(&sample, *encoding).unwrap();
            let plain =
                [RepresentationIdentifier::CDR_LE, RepresentationIdentifier::XCDR2_LE].contains(encoding);
            assert_eq!(decoded.is_ok(), plain, "{encoding:?}");
        }
    }

    #[test]
    fn no_input_makes_the_decoder_panic() {
        // Every length field around the limits, at every cut, against every key length.
        for said in [0u32, 1, 7, 8, 9, 0xff, 0x8000_0000, u32::MAX] {
            for key_bytes in [0, 4, 16, 36] {
                let mut input = vec![0xa5; key_bytes];
                input.extend(said.to_le_bytes());
                input.extend([0x5a; 12]);
                for end in 0..=input.len() {
                    let _ = read(&input[..end], key_bytes);
                }
            }
        }
    }
}

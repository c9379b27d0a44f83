//! IDX, the format of the MNIST files: big-endian, a magic number, the length of each side, then bytes.
//!
//! The magic number is two zeros, the kind of the values (8 for unsigned bytes) and the number of sides (`LeCun`,
//! "The MNIST database", "File formats").

/// Unsigned bytes, the only kind that is read.
const UNSIGNED_BYTES: u8 = 0x08;

/// The most sides: images have three, examples x rows x columns.
const SIDES_MAX: usize = 4;

/// An array of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array<'b> {
    /// The length of each side, the outermost first.
    pub sides: Vec<u32>,
    /// The values, row-major.
    pub values: &'b [u8],
}

/// Why bytes are no such array, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {what}")]
pub struct IdxError {
    /// Counted from 0.
    pub offset: usize,
    /// What is wrong there.
    pub what: String,
}

/// Reads an array with so many sides.
///
/// # Errors
///
/// [`IdxError`] says where it is none.
pub fn parse(bytes: &[u8], sides: usize) -> Result<Array<'_>, IdxError> {
    let error = |offset, what: String| IdxError { offset, what };
    let cut = || error(bytes.len(), "it is cut short".to_owned());
    let (magic, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    match *magic {
        [0, 0, UNSIGNED_BYTES, found] if usize::from(found) == sides && sides <= SIDES_MAX => (),
        [0, 0, UNSIGNED_BYTES, found] => {
            return Err(error(3, format!("it has {found} sides, and {sides} are wanted")));
        }
        [0, 0, kind, _] => {
            return Err(error(2, format!("its values are of kind {kind:#04x}, not unsigned bytes")));
        }
        _ => return Err(error(0, "it does not begin as an IDX file does".to_owned())),
    }
    let (lengths, values) = rest.split_at_checked(4 * sides).ok_or_else(cut)?;
    let sides: Vec<u32> = lengths.as_chunks::<4>().0.iter().map(|side| u32::from_be_bytes(*side)).collect();
    let count = sides.iter().try_fold(1_usize, |count, side| count.checked_mul(*side as usize));
    let begin = bytes.len() - values.len();
    match count {
        Some(count) if count == values.len() => Ok(Array { sides, values }),
        Some(count) if count > values.len() => Err(cut()),
        Some(count) => Err(error(begin + count, "there are bytes after the last value".to_owned())),
        None => Err(error(4, "its sides are longer than any file".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const IMAGES: [u8; 20] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 10, 20, 30, 40];

    #[test]
    fn an_array_is_its_sides_and_values() {
        let array = parse(&IMAGES, 3).unwrap();
        assert_eq!((array.sides, array.values), (vec![2, 1, 2], &[10, 20, 30, 40][..]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = |change: fn(&mut Vec<u8>)| {
            let mut bytes = IMAGES.to_vec();
            change(&mut bytes);
            parse(&bytes, 3).unwrap_err().to_string()
        };
        assert_eq!(wrong(|bytes| bytes[1] = 1), "at byte 0: it does not begin as an IDX file does");
        assert_eq!(
            wrong(|bytes| bytes[2] = 13),
            "at byte 2: its values are of kind 0x0d, not unsigned bytes"
        );
        assert_eq!(wrong(|bytes| bytes[3] = 1), "at byte 3: it has 1 sides, and 3 are wanted");
        assert_eq!(wrong(|bytes| bytes.truncate(3)), "at byte 3: it is cut short");
        assert_eq!(wrong(|bytes| bytes.truncate(15)), "at byte 15: it is cut short");
        assert_eq!(wrong(|bytes| bytes.truncate(19)), "at byte 19: it is cut short");
        assert_eq!(wrong(|bytes| bytes.push(0)), "at byte 20: there are bytes after the last value");
        assert_eq!(wrong(|bytes| bytes[4..16].fill(255)), "at byte 4: its sides are longer than any file");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_array_or_refused(bytes: Vec<u8>, sides in 0_usize..6) {
            if let Ok(array) = parse(&bytes, sides) {
                prop_assert_eq!(array.sides.len(), sides);
            }
        }
    }
}

//! Plain decimals, which is how telemetry writes its numbers: read to the same float as by `str::parse`, faster.

/// Powers of ten that a 64-bit float holds exactly, up to the digits that are read here.
const POWERS: [f64; DIGITS_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Digits whose number is below 2^53, so that a 64-bit float holds it exactly.
const DIGITS_MAX: usize = 15;

/// The number in the cell that `bytes` begin with, and the cell's length: digits, perhaps with a point and a
/// minus, up to a comma or the end. `None` for every other form, and where this way might round
/// differently from `str::parse::<f32>`.
///
/// Both operands of the division are exact, so the quotient is the number rounded to 64 bits (Clinger 1990,
/// "How to read floating point numbers accurately"). Rounding that to 32 bits is right unless it lies exactly
/// between two floats, where the first rounding may have put it.
pub(super) fn cell(bytes: &[u8]) -> Option<(f32, usize)> {
    const BELOW_F32: u64 = (1 << 29) - 1;
    const HALF: u64 = 1 << 28;
    let negative = bytes.first() == Some(&b'-');
    let begin = usize::from(negative);
    let (whole, point) = digits(bytes, begin, 0);
    let (number, end) = match bytes.get(point) {
        Some(b'.') => digits(bytes, point + 1, whole),
        _ => (whole, point),
    };
    let behind = end - point;
    let fraction = behind.saturating_sub(1);
    let count = point - begin + fraction;
    if count == 0 || count > DIGITS_MAX || !matches!(bytes.get(end), None | Some(b',')) {
        return None;
    }
    let exact = number as f64 / POWERS[fraction];
    if exact.to_bits() & BELOW_F32 == HALF {
        return None;
    }
    let value = exact as f32;
    Some((if negative { -value } else { value }, end))
}

/// Appends the digits from `at` on to `number`, which is wrong after more than 19 of them; says where they end.
#[inline]
fn digits(bytes: &[u8], mut at: usize, mut number: u64) -> (u64, usize) {
    const TENS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let (value, count) = leading(u64::from_le_bytes(*eight));
        number = number.wrapping_mul(TENS[count]).wrapping_add(value);
        at += count;
        if count < 8 {
            return (number, at);
        }
    }
    while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (number, at)
}

/// The number in the digits that eight bytes begin with (the first is the lowest), and how many they are:
/// without a branch for each digit, whose end no processor can foresee.
#[inline]
fn leading(eight: u64) -> (u64, usize) {
    let values = eight ^ 0x3030_3030_3030_3030;
    // Adding 0x76 sets the high bit of what is over 9. A carry reaches later bytes only.
    let other = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    let count = other.trailing_zeros() / 8;
    // The digits move to the end, behind zeros; then neighbours are joined: ones, pairs, fours.
    let digits = values.checked_shl(64 - 8 * count).unwrap_or(0);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let fours = (pairs & 0x0000_00ff_0000_00ff).wrapping_mul(0x000f_4240_0000_0064);
    let others = ((pairs >> 16) & 0x0000_00ff_0000_00ff).wrapping_mul(0x0000_2710_0000_0001);
    (fours.wrapping_add(others) >> 32, count as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agrees(text: &str) {
        if let Some((value, length)) = cell(text.as_bytes()) {
            assert_eq!(length, text.len(), "{text}");
            assert_eq!(value.to_bits(), text.parse::<f32>().unwrap().to_bits(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_decimal_is_the_float_that_std_reads(text in "-?[0-9]{0,10}(\\.[0-9]{0,10})?") {
            agrees(&text);
        }

        #[test]
        fn floats_and_what_lies_between_two_are_read_as_std_reads_them(bits in 0x3000_0000_u32..0x5a00_0000, digits in 0_usize..15) {
            let (this, next) = (f32::from_bits(bits), f32::from_bits(bits + 1));
            agrees(&format!("{this}"));
            agrees(&format!("{:.digits$}", f64::midpoint(f64::from(this), f64::from(next))));
        }

        #[test]
        fn other_bytes_are_left_to_std(text in "[-+.0-9eE ,nN]{0,8}") {
            let own = text.split(',').next().unwrap_or_default();
            if let Some((value, length)) = cell(text.as_bytes()) {
                prop_assert_eq!(length, own.len());
                prop_assert_eq!(value.to_bits(), own.parse::<f32>().unwrap().to_bits());
            }
        }
    }

    #[test]
    fn usual_numbers_take_the_fast_way_and_doubtful_ones_do_not() {
        assert_eq!(cell(b"0.123456,7"), Some((0.123_456, 8)));
        assert_eq!(cell(b"-12"), Some((-12.0, 3)));
        assert_eq!(cell(b"-0").map(|(value, _)| value.is_sign_negative()), Some(true));
        // 2^24 + 1 lies between two floats.
        let other =
            ["", "-", ".", "-.", "1e3", " 1", "1 ", "+1", "nan", "1.2.3", "16777217", "1234567890123456"];
        assert!(other.iter().all(|text| cell(text.as_bytes()).is_none()));
    }
}

//! Cells of a record: the ways in which COBOL writes numbers and mainframes write dates.

use common::units::Timestamp;
use serde::Deserialize;

use super::CodePage;
use crate::adapt::number::{Comma, number};
use crate::time;

/// How a cell is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text: a host, a label.
    Text,
    /// A number in digits, with its own point and sign before or behind it; blank for none.
    Number,
    /// `COMP-3`: two digits a byte, the last half a byte is the sign.
    PackedDecimal,
    /// `COMP`: a signed integer of 1, 2, 4 or 8 bytes, the highest first.
    Binary,
    /// `DISPLAY`: a digit a byte, the sign over the last one.
    ZonedDecimal,
    /// `YYYYMMDD`, `YYYYMMDDhhmmss`, `YYYYDDD`, or any time in words.
    Date,
}

impl Kind {
    /// Whether a cell of this kind can have so many bytes.
    pub(super) fn can_have(self, length: usize) -> bool {
        match self {
            Self::Binary => matches!(length, 1 | 2 | 4 | 8),
            // 31 digits, as much as compilers allow.
            Self::PackedDecimal => (1..=16).contains(&length),
            Self::ZonedDecimal => (1..=31).contains(&length),
            Self::Text | Self::Number | Self::Date => length > 0,
        }
    }

    /// Digits of a cell, of which the last may stand behind a point that is not written; 0 where it is written.
    pub(super) fn digits_max(self, length: usize) -> usize {
        match self {
            Self::PackedDecimal => 2 * length - 1,
            Self::ZonedDecimal => length,
            // As many as compilers allow.
            Self::Binary => 18,
            Self::Text | Self::Number | Self::Date => 0,
        }
    }

    /// Whether it is written in characters.
    pub(super) fn is_text(self) -> bool {
        !matches!(self, Self::Binary | Self::PackedDecimal)
    }

    /// The cell in the usual writing; empty for none, `None` when it is not of this kind.
    pub(super) fn decode(
        self,
        bytes: &[u8],
        scale: u8,
        page: CodePage,
        received: Timestamp,
    ) -> Option<String> {
        let text = page.text(bytes);
        match self {
            Self::Text => Some(text),
            Self::Number | Self::ZonedDecimal | Self::Date if text.is_empty() => Some(text),
            Self::Number => trailing_sign(&text).map(|value| value.to_string()),
            Self::Binary => binary(bytes).map(|value| scaled(i128::from(value), scale)),
            Self::PackedDecimal => packed(bytes).map(|value| scaled(value, scale)),
            Self::ZonedDecimal => zoned(&text).map(|value| scaled(value, scale)),
            // Microseconds, which every reader of times knows by their size.
            Self::Date => date(&text, received).map(|at| at.0.to_string()),
        }
    }
}

/// `12.5-` is what COBOL prints for -12.5.
fn trailing_sign(text: &str) -> Option<f32> {
    match text.strip_suffix(['-', '+']) {
        Some(digits) if text.ends_with('-') => number(digits.trim(), Comma::Prose).map(|value| -value),
        Some(digits) => number(digits.trim(), Comma::Prose),
        None => number(text, Comma::Prose),
    }
}

fn scaled(value: i128, scale: u8) -> String {
    (value as f64 / 10_f64.powi(i32::from(scale))).to_string()
}

fn binary(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.first()? & 0x80 != 0;
    let start = if negative { -1 } else { 0 };
    Some(bytes.iter().fold(start, |value, &byte| value << 8 | i64::from(byte)))
}

/// Signs are C, A, E, F for plus and D, B for minus (z/Architecture Principles of Operation, chapter 8).
fn packed(bytes: &[u8]) -> Option<i128> {
    let (last, digits) = bytes.split_last()?;
    let halves = digits.iter().flat_map(|byte| [byte >> 4, byte & 15]).chain([last >> 4]);
    let value = halves
        .into_iter()
        .try_fold(0_i128, |value, digit| (digit < 10).then_some(value * 10 + i128::from(digit)))?;
    match last & 15 {
        0xa | 0xc | 0xe | 0xf => Some(value),
        0xb | 0xd => Some(-value),
        _ => None,
    }
}

/// The sign over the last digit makes it a letter: `{`, `A` to `I` for plus, `}`, `J` to `R` for minus, on
/// every code page.
fn zoned(text: &str) -> Option<i128> {
    let last = text.chars().next_back()?;
    let (digit, negative) = match last {
        '0'..='9' => (last as u8 - b'0', false),
        '{' => (0, false),
        'A'..='I' => (last as u8 - b'A' + 1, false),
        '}' => (0, true),
        'J'..='R' => (last as u8 - b'J' + 1, true),
        _ => return None,
    };
    let digits = text.strip_suffix(last)?;
    let value = digits.bytes().try_fold(0_i128, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + i128::from(byte - b'0'))
    })?;
    let value = value * 10 + i128::from(digit);
    Some(if negative { -value } else { value })
}

fn date(text: &str, received: Timestamp) -> Option<Timestamp> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return time::parse_written(text, received);
    }
    let written = match text.len() {
        7 => {
            let first = time::parse_written(&format!("{}-01-01", &text[..4]), received)?;
            let day: u64 = text[4..].parse().ok().filter(|day| (1..=366).contains(day))?;
            return Some(Timestamp(first.0 + (day - 1) * 86_400_000_000));
        }
        8 => format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]),
        14 => {
            let (date, clock) = text.split_at(8);
            let clock = format!("{}:{}:{}", &clock[..2], &clock[2..4], &clock[4..]);
            format!("{}-{}-{} {clock}", &date[..4], &date[4..6], &date[6..])
        }
        _ => return None,
    };
    time::parse_written(&written, received)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_cobol_have_their_value_and_sign() {
        assert_eq!(packed(&[0x12, 0x34, 0x5c]), Some(12_345));
        assert_eq!(
            [packed(&[0x1d]), packed(&[0xac]), packed(&[0x12]), packed(&[])],
            [Some(-1), None, None, None]
        );
        assert_eq!(
            ["12C", "12L", "00}", "7", "1A2", ""].map(zoned),
            [Some(123), Some(-123), Some(0), Some(7), None, None]
        );
        assert_eq!(
            [binary(&[0xff, 0xfe]), binary(&[0, 1, 0, 0]), binary(&[])],
            [Some(-2), Some(65_536), None]
        );
        assert_eq!(scaled(-12_345, 2), "-123.45");
        assert_eq!(["12.5-", "1,234", "x"].map(trailing_sign), [Some(-12.5), Some(1234.0), None]);
    }

    #[test]
    fn dates_of_mainframes_give_their_time() {
        let day = Some(Timestamp(1_400_025_600_000_000));
        assert_eq!(["20140514", "2014134", "20140514000000"].map(|text| date(text, Timestamp(0))), [day; 3]);
        assert_eq!(["20140532", "2014000", "1405"].map(|text| date(text, Timestamp(0))), [None; 3]);
    }
}

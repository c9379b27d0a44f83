//! Times as telemetry writes them: Unix integers and RFC 3339 text, and in words as mails do.

mod written;

pub(super) use self::written::parse_written;

use common::units::{DateTime, Timestamp};

/// The time that a cell gives.
///
/// - Digits, with or without a fraction: Unix time. Below 10^11 they are seconds (to the year 5138),
///   below 10^14 milliseconds, below 10^17 microseconds.
/// - RFC 3339, section 5.6. A blank may stand for the `T`, and a time without an offset is UTC:
///   that is how many monitoring systems write it.
///
/// `None` for anything else, and for times before 1970.
pub(super) fn parse(cell: &str) -> Option<Timestamp> {
    if cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') { unix(cell) } else { rfc3339(cell) }
}

fn unix(cell: &str) -> Option<Timestamp> {
    let (whole, fraction) = cell.split_once('.').unwrap_or((cell, ""));
    let number: u64 = whole.parse().ok()?;
    let unit: u64 = match number {
        0..100_000_000_000 => 1_000_000,
        100_000_000_000..100_000_000_000_000 => 1000,
        100_000_000_000_000..100_000_000_000_000_000 => 1,
        _ => return None,
    };
    Some(Timestamp(number * unit + micros(fraction)? * unit / 1_000_000))
}

/// Millionths from the digits behind the point; digits beyond the sixth are cut off.
fn micros(digits: &str) -> Option<u64> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some(digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// The time of a text in RFC 3339, section 5.6. A blank may stand for the `T`, and a time without an offset is UTC.
/// `None` for anything else, and for times before 1970.
pub fn rfc3339(cell: &str) -> Option<Timestamp> {
    let (date, rest) = (cell.get(..10)?, cell.get(10..)?);
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = (rest.get(..8)?, rest.get(8..)?);
    let [year, month, day] = numbers(date, b'-', [4, 2, 2])?;
    let clock = clock_seconds(clock)?;
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at(zone_at);
    let fraction = match fraction.strip_prefix('.') {
        Some("") => return None,
        Some(digits) => micros(digits)?,
        None if fraction.is_empty() => 0,
        None => return None,
    };
    let seconds = days(year, month, day)? * 86_400 + clock - offset(zone)?;
    Some(Timestamp(u64::try_from(seconds).ok()? * 1_000_000 + fraction))
}

/// Seconds since midnight of `hh:mm:ss`.
fn clock_seconds(clock: &str) -> Option<i64> {
    let [hour, minute, second] = numbers(clock, b':', [2, 2, 2])?;
    // RFC 3339, section 5.7: second 60 is a leap second; Unix time counts it as the next one.
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// A time of UTC that tells no year, `hh:mm:ss` on a day: in the year that brings it nearest to `near`.
pub(super) fn without_year(month: i64, day: i64, clock: &str, near: Timestamp) -> Option<Timestamp> {
    let clock = clock_seconds(clock)?;
    let about = 1970 + i64::try_from(near.0 / 31_556_952_000_000).ok()?;
    let in_year = |year| {
        let seconds = days(year, month, day)? * 86_400 + clock;
        Some(Timestamp(u64::try_from(seconds).ok()? * 1_000_000))
    };
    (about - 1..=about + 1).filter_map(in_year).min_by_key(|at| at.0.abs_diff(near.0))
}

/// A time as mails write it (RFC 5322, section 3.3), in UTC.
pub(super) fn rfc5322(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let DateTime { year, month, day, hour, minute, second } = at.utc();
    let name = DAYS[(at.0 / 86_400_000_000 % 7) as usize];
    let month = MONTHS[month as usize - 1];
    format!("{name}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

/// The minute that a time is in.
pub(super) const fn minute(at: Timestamp) -> Timestamp {
    Timestamp(at.0 - at.0 % 60_000_000)
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next() {
        None => return Some(0),
        Some('Z' | 'z') => return (zone.len() == 1).then_some(0),
        Some('+') => 1,
        Some(_) => -1,
    };
    let [hours, minutes] = numbers(&zone[1..], b':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Unsigned numbers of exactly these widths between separators.
fn numbers<const N: usize>(text: &str, separator: u8, widths: [usize; N]) -> Option<[i64; N]> {
    let mut rest = text.as_bytes();
    let mut numbers = [0; N];
    for (index, (number, width)) in numbers.iter_mut().zip(widths).enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(&[separator])?;
        }
        let (digits, after) = rest.split_at_checked(width)?;
        for byte in digits {
            *number = *number * 10 + byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        }
        rest = after;
    }
    rest.is_empty().then_some(numbers)
}

/// Days from 1970-01-01 to this day of the Gregorian calendar; `None` when there is no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const BEFORE_MONTH: [i64; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let index = usize::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
    let leap_day = i64::from(is_leap(year));
    let length = BEFORE_MONTH[index] - BEFORE_MONTH[index - 1] + if month == 2 { leap_day } else { 0 };
    if year < 1970 || !(1..=length).contains(&day) {
        return None;
    }
    let leap_days_before = |year: i64| (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let years = (year - 1970) * 365 + leap_days_before(year) - leap_days_before(1970);
    Some(years + BEFORE_MONTH[index - 1] + if month > 2 { leap_day } else { 0 } + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros_of(cell: &str) -> Option<u64> {
        parse(cell).map(|at| at.0)
    }

    #[test]
    fn unix_times_are_told_apart_by_their_size() {
        let second = Some(1_400_000_000_000_000);
        assert_eq!(["1400000000", "1400000000000", "1400000000000000"].map(micros_of), [second; 3]);
        assert_eq!(micros_of("1400000000.25"), Some(1_400_000_000_250_000));
        assert_eq!(["", ".", "1.2.3", "-5", "99999999999999999999", "1e9"].map(micros_of), [None; 6]);
    }

    #[test]
    fn rfc_3339_examples_give_their_unix_time() {
        // The examples of section 5.8; the reference values come from `date -d`.
        assert_eq!(micros_of("1985-04-12T23:20:50.52Z"), Some(482_196_050_520_000));
        assert_eq!(micros_of("1996-12-19T16:39:57-08:00"), Some(851_042_397_000_000));
        assert_eq!(micros_of("1990-12-31T23:59:60Z"), Some(662_688_000_000_000));
        assert_eq!(micros_of("2000-02-29t12:00:00.0000009+05:30"), Some(951_805_800_000_000));
        assert_eq!(micros_of("2014-05-14 01:14:00"), Some(1_400_030_040_000_000));
        assert_eq!(micros_of("1970-01-01T00:00:00z"), Some(0));
    }

    #[test]
    fn times_of_mails_are_those_that_date_prints() {
        let written = |cell| rfc5322(parse(cell).unwrap());
        assert_eq!(written("2024-02-29T12:34:56Z"), "Thu, 29 Feb 2024 12:34:56 +0000");
        assert_eq!(written("2000-03-01T00:00:00Z"), "Wed, 01 Mar 2000 00:00:00 +0000");
        assert_eq!(written("1970-01-01T00:00:00Z"), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(written("2026-12-31T23:59:59Z"), "Thu, 31 Dec 2026 23:59:59 +0000");
        assert_eq!(written("2100-02-28T00:00:00Z"), "Sun, 28 Feb 2100 00:00:00 +0000");
    }

    #[test]
    fn days_that_do_not_exist_are_no_times() {
        let wrong = [
            "2023-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-04-31T00:00:00Z",
            "2023-00-10T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "2023-01-01T00:00:00.Z",
            "2023-01-01T00:00:00+1:00",
            "2023-01-01",
            "2023-01-01T00:00:00ZZ",
            "+023-01-01T00:00:00Z",
            "abc",
            "é023-01-01T00:00:00Z",
        ];
        assert!(wrong.iter().all(|cell| parse(cell).is_none()));
    }
}

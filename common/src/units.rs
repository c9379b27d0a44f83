//! Time and size, as types: a number never travels without its unit.

use std::fmt;
use std::ops::{Add, Sub};

/// Microseconds since the Unix epoch, as the driver's clock read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

/// A size in bytes, printed in the unit people read (`1.5 MB`, powers of ten).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteCount(pub u64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch, rounded down.
    pub const fn millis(self) -> u64 {
        self.0 / 1000
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0) / 1000)
    }

    /// How many microseconds after `earlier` this is; zero when it is not after.
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A moment as the Gregorian calendar and a clock at UTC tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// The year.
    pub year: u64,
    /// From 1.
    pub month: u64,
    /// From 1.
    pub day: u64,
    /// From 0.
    pub hour: u64,
    /// From 0.
    pub minute: u64,
    /// From 0.
    pub second: u64,
}

impl Timestamp {
    /// The date and the time of day.
    pub const fn utc(self) -> DateTime {
        let seconds = self.0 / 1_000_000;
        let (day, second) = (seconds / 86_400, seconds % 86_400);
        // Eras of 400 years that begin on a 1 March, so that a leap day is the last of its year.
        let from_era = day + 719_468;
        let (era, in_era) = (from_era / 146_097, from_era % 146_097);
        let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
        let in_year = in_era - (365 * year + year / 4 - year / 100);
        // From 0 for March.
        let month = (5 * in_year + 2) / 153;
        let day = in_year - (153 * month + 2) / 5 + 1;
        let year = era * 400 + year + (month >= 10) as u64;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        DateTime { year, month: (month + 2) % 12 + 1, day, hour, minute, second }
    }
}

impl Add<Millis> for Timestamp {
    type Output = Self;

    fn add(self, later: Millis) -> Self {
        Self(self.0.saturating_add(later.0.saturating_mul(1000)))
    }
}

impl Sub<Millis> for Timestamp {
    type Output = Self;

    fn sub(self, earlier: Millis) -> Self {
        Self(self.0.saturating_sub(earlier.0.saturating_mul(1000)))
    }
}

impl fmt::Display for Timestamp {
    /// As in RFC 3339, section 5.6, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DateTime { year, month, day, hour, minute, second } = self.utc();
        let millis = self.millis() % 1000;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms @ 0..1000 => write!(f, "{ms} ms"),
            ms => write!(f, "{}.{} s", ms / 1000, ms % 1000 / 100),
        }
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
        match units.iter().find(|(size, _)| self.0 >= *size) {
            Some((size, unit)) => {
                let tenths = u128::from(self.0) * 10 / *size as u128;
                write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
            }
            None => write!(f, "{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_print_in_the_unit_people_read() {
        let sizes = [0, 999, 1000, 1_250_000, 64_000_000_000].map(|n| ByteCount(n).to_string());
        assert_eq!(sizes, ["0 B", "999 B", "1.0 kB", "1.2 MB", "64.0 GB"]);
        assert_eq!([Millis(7).to_string(), Millis(1250).to_string()], ["7 ms", "1.2 s"]);
    }

    #[test]
    fn a_moment_prints_as_a_date_of_utc() {
        // The first is the epoch, the others lie at both sides of a leap day.
        let moments = [0, 1_709_164_799_999_000, 1_709_164_800_000_000, 1_709_251_200_000_000];
        let dates = moments.map(|at| Timestamp(at).to_string());
        assert_eq!(dates[..2], ["1970-01-01T00:00:00.000Z", "2024-02-28T23:59:59.999Z"]);
        assert_eq!(dates[2..], ["2024-02-29T00:00:00.000Z", "2024-03-01T00:00:00.000Z"]);
    }

    #[test]
    fn time_saturates_instead_of_wrapping() {
        let end = Timestamp(u64::MAX);
        assert_eq!(end + Millis(1), end);
        assert_eq!(Timestamp(5).since(end), Millis(0));
        assert_eq!(Timestamp(0) - Millis(1), Timestamp(0));
    }
}

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
    fn time_saturates_instead_of_wrapping() {
        let end = Timestamp(u64::MAX);
        assert_eq!(end + Millis(1), end);
        assert_eq!(Timestamp(5).since(end), Millis(0));
        assert_eq!(Timestamp(0) - Millis(1), Timestamp(0));
    }
}

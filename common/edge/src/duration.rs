//! Lengths of time on command lines.

use std::time::Duration;

/// A length of time as it is written: `90s`, `10m`, `2h`; a bare number counts seconds.
///
/// # Errors
///
/// Says how one is written.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let unit_s = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    let seconds = digits.parse().ok().and_then(|count: u64| count.checked_mul(unit_s));
    seconds
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| "a time is a whole number over 0 and one of s, m, h and d: 90s, 10m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_one_unit_and_is_not_zero() {
        let seconds = ["90", "90s", "10m", "2h", "1d"].map(|text| duration(text).unwrap().as_secs());
        assert_eq!(seconds, [90, 90, 600, 7200, 86_400]);
        for wrong in ["", "m", "0", "0s", "1.5h", "10 m", "-3s", "9w", "99999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}

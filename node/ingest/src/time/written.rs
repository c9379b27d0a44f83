//! Times as people and old programs write them: RFC 5322 dates, `date`, `ctime`, syslog, dotted dates.

use common::units::Timestamp;

use super::{days, micros, parse};

/// The earliest time that a bare number can mean: 2000-01-01. Below that it is some other number.
const NUMBER_MIN: Timestamp = Timestamp(946_684_800_000_000);

/// A syslog line may be this much later than its receipt before it is taken for last year's.
const AHEAD_S: i64 = 86_400;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Names of zones and their hours east of UTC (RFC 5322, section 4.3; and central European time). Other
/// names mean nothing certain, and make the text no time.
const ZONES: [(&str, i64); 14] = [
    ("utc", 0),
    ("gmt", 0),
    ("z", 0),
    ("ut", 0),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
    ("cet", 1),
    ("cest", 2),
];

/// The time that a text says.
///
/// - What [`parse`] knows: Unix time from the year 2000 on, RFC 3339.
/// - Dates of four digits first (`2014-05-14`, `2014.05.14`, `2014/05/14`) or with points and the day first
///   (`14.05.2014`), alone or with a time of day, which may lack its seconds.
/// - Words in any order: `Wed, 14 May 2014 01:14:00 +0200` (RFC 5322, section 3.3), `Wed May 14 01:14:00 UTC
///   2014` (`date`), `May 14 01:14:00` (RFC 3164, section 4.1.2: the year is the latest that is not after
///   `received`).
///
/// `None` for anything else: also for `05/06/2014`, whose month only its writer knows.
pub(crate) fn parse_written(text: &str, received: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    match parse(text) {
        Some(at) if at >= NUMBER_MIN => return Some(at),
        Some(_) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => return None,
        Some(at) => return Some(at),
        None => (),
    }
    // RFC 5322, section 3.2.2: a comment repeats the zone for people.
    let text = text.split_once(" (").map_or(text, |(text, _)| text);
    let mut found = Found::default();
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        // A comma may stand before the fraction, which is then a word of digits behind the clock.
        found.take(word)?;
    }
    found.time(received)
}

/// What the words of a text said.
#[derive(Default)]
struct Found {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    clock: Option<(i64, u64)>,
    zone_s: Option<i64>,
    afternoon: Option<bool>,
}

/// Puts a value where none is yet.
fn put<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.is_none().then(|| *slot = Some(value))
}

impl Found {
    fn take(&mut self, word: &str) -> Option<()> {
        let lower = word.to_ascii_lowercase();
        if let Some((date, clock)) = word.split_once('T').filter(|(date, _)| date.len() == 10) {
            self.take(date)?;
            return self.take(clock);
        }
        if word.starts_with(['+', '-']) {
            return put(&mut self.zone_s, offset(word)?);
        }
        if word.contains(':') {
            return self.clock(word);
        }
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            let number: i64 = word.parse().ok()?;
            return match word.len() {
                4 => put(&mut self.year, number),
                1 | 2 => put(&mut self.day, number),
                3 if self.clock.is_some() => Some(()),
                _ => None,
            };
        }
        if let Some((_, hours)) = ZONES.iter().find(|(name, _)| *name == lower) {
            return put(&mut self.zone_s, hours * 3600);
        }
        if let "am" | "pm" = lower.as_str() {
            return put(&mut self.afternoon, lower == "pm");
        }
        let short = lower.get(..3)?;
        if word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            let month = MONTHS.iter().position(|name| *name == short);
            return match month {
                Some(month) => put(&mut self.month, month as i64 + 1),
                None => WEEKDAYS.contains(&short).then_some(()),
            };
        }
        self.date(word)
    }

    fn date(&mut self, word: &str) -> Option<()> {
        let separator = word.chars().find(|char| !char.is_ascii_digit())?;
        let mut parts = word.trim_end_matches('.').split(separator);
        let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |part: &str| -> Option<i64> {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok())?
        };
        let (year, day) = match (first.len(), separator, third.len()) {
            (4, '-' | '.' | '/', 1 | 2) => (first, third),
            (1 | 2, '.' | '-', 4) => (third, first),
            _ => return None,
        };
        // `14-May-2014`.
        let month = match number(second) {
            Some(month) => month,
            None => MONTHS.iter().position(|name| name.eq_ignore_ascii_case(second))? as i64 + 1,
        };
        put(&mut self.year, number(year)?)?;
        put(&mut self.month, month)?;
        put(&mut self.day, number(day)?)?;
        parts.next().is_none().then_some(())
    }

    fn clock(&mut self, word: &str) -> Option<()> {
        let zone_at = word.find(['Z', '+', '-']).unwrap_or(word.len());
        let (clock, zone) = word.split_at(zone_at);
        match zone {
            "" => (),
            "Z" => put(&mut self.zone_s, 0)?,
            zone => put(&mut self.zone_s, offset(zone)?)?,
        }
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut parts = clock.split(':').map(|part| {
            let digits = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<i64>().ok())?
        });
        let (hour, minute) = (parts.next()??, parts.next()??);
        let second = parts.next().unwrap_or(Some(0))?;
        let fits = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
        put(&mut self.clock, (hour * 3600 + minute * 60 + second, micros(fraction)?))?;
        fits.then_some(())
    }

    fn time(self, received: Timestamp) -> Option<Timestamp> {
        let (month, day) = (self.month?, self.day?);
        let (mut clock, fraction) = match (self.clock, self.year) {
            (Some(clock), _) => clock,
            // A day alone is its midnight; without a year it could be anything.
            (None, Some(_)) => (0, 0),
            (None, None) => return None,
        };
        match self.afternoon {
            Some(true) if clock < 43_200 => clock += 43_200,
            Some(false) if clock >= 43_200 => clock -= 43_200,
            _ => (),
        }
        let at = |year| Some(days(year, month, day)? * 86_400 + clock - self.zone_s.unwrap_or(0));
        let seconds = if let Some(year) = self.year {
            at(year)?
        } else {
            let now = (received.0 / 1_000_000) as i64;
            let this = 1970 + now / 31_556_952;
            // A leap day may lie up to eight years back.
            (this - 8..=this + 1).rev().filter_map(at).find(|at| *at <= now + AHEAD_S)?
        };
        Some(Timestamp(u64::try_from(seconds).ok()?.checked_mul(1_000_000)? + fraction))
    }
}

/// Seconds east of UTC: `+0200`, `-05:00`.
fn offset(zone: &str) -> Option<i64> {
    let digits: String = zone[1..].chars().filter(|char| *char != ':').collect();
    let fits = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = fits.then(|| digits.parse().ok())??;
    let seconds = number / 100 * 3600 + number % 100 * 60;
    Some(if zone.starts_with('-') { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAY_14: u64 = 1_400_030_040_000_000;
    const RECEIVED: Timestamp = Timestamp(MAY_14 + 60_000_000);

    fn micros_of(text: &str) -> Option<u64> {
        parse_written(text, RECEIVED).map(|at| at.0)
    }

    #[test]
    fn one_time_is_read_however_it_is_written() {
        let same = [
            "1400030040",
            "2014-05-14 01:14:00",
            "2014-05-14T01:14:00Z",
            "2014-05-14 01:14",
            "2014-05-14T03:14:00+0200",
            "2014.05.14 01:14:00",
            "2014/05/14 01:14:00",
            "14.05.2014 01:14:00",
            "14-May-2014 01:14:00",
            "Wed, 14 May 2014 01:14:00 GMT",
            "Wed, 14 May 2014 03:14:00 +0200 (CEST)",
            "Wed May 14 01:14:00 UTC 2014",
            "Wed May 14 2014 01:14:00",
            "Wed May 14 01:14:00 2014",
            "May 14 01:14:00",
            "2014-05-14 1:14:00 AM",
            "2014-05-14 01:14:00,000",
        ];
        let wrong: Vec<&str> = same.into_iter().filter(|text| micros_of(text) != Some(MAY_14)).collect();
        assert_eq!(wrong, [""; 0]);
    }

    #[test]
    fn a_date_without_a_year_is_the_latest_that_was() {
        assert_eq!(micros_of("May 15 00:14:00"), Some(MAY_14 + 82_800_000_000));
        assert_eq!(micros_of("Dec 31 23:59:59"), Some(1_388_534_399_000_000));
        assert_eq!(micros_of("Feb 29 00:00:00"), Some(1_330_473_600_000_000));
    }

    #[test]
    fn what_is_not_certainly_a_time_is_none() {
        for text in
            ["", "0.02", "5", "05/06/2014", "yesterday", "2014-02-30", "12:00:00", "14 May", "99:99", "é"]
        {
            assert_eq!(micros_of(text), None, "{text}");
        }
        assert_eq!(micros_of("2014-05-14"), Some(1_400_025_600_000_000));
    }
}

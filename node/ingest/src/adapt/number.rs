//! Numbers as reports write them: with units, with points or commas.

/// What a comma in a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comma {
    /// It separates cells: there is none in a number.
    Never,
    /// It stands before the decimals (`0,42`), points between thousands (`1.234,5`).
    Decimal,
    /// Before exactly three digits it stands between thousands (`1,234`), else before the decimals.
    Prose,
}

/// Units that are taken off a number, in lower case; a word that is not here makes the cell a text.
const UNITS: [&str; 69] = [
    "%",
    "percent",
    "b",
    "kb",
    "mb",
    "gb",
    "tb",
    "pb",
    "kib",
    "mib",
    "gib",
    "tib",
    "byte",
    "bytes",
    "bit",
    "bits",
    "bps",
    "kbps",
    "mbps",
    "gbps",
    "b/s",
    "kb/s",
    "mb/s",
    "gb/s",
    "kib/s",
    "mib/s",
    "bytes/s",
    "iops",
    "/s",
    "ns",
    "us",
    "µs",
    "ms",
    "s",
    "sec",
    "secs",
    "second",
    "seconds",
    "m",
    "min",
    "mins",
    "minutes",
    "h",
    "hours",
    "d",
    "days",
    "c",
    "°c",
    "degc",
    "degrees c",
    "f",
    "°f",
    "k",
    "v",
    "mv",
    "volts",
    "a",
    "amps",
    "ma",
    "w",
    "watts",
    "kw",
    "kwh",
    "va",
    "hz",
    "mhz",
    "ghz",
    "rpm",
    "g",
];

/// A number and the unit behind it, which may be empty; `None` for a text. Finite in 32 bits.
pub(super) fn quantity(text: &str, comma: Comma) -> Option<(f32, &str)> {
    let text = text.trim();
    let end = number_end(text);
    let unit = text[end..].trim_start();
    let known = unit.is_empty() || UNITS.contains(&unit.to_lowercase().as_str());
    let value = known.then(|| number(&text[..end], comma))??;
    Some((value, unit))
}

/// A number alone.
pub(super) fn number(digits: &str, comma: Comma) -> Option<f32> {
    // `inf` and `NaN` are numbers for Rust, and missing values for a report.
    if !digits.bytes().any(|byte| byte.is_ascii_digit()) || digits.starts_with(|c: char| c.is_alphabetic()) {
        return None;
    }
    let plain;
    let digits = if digits.contains(',') {
        plain = without_commas(digits, comma)?;
        &plain
    } else {
        digits
    };
    digits.parse::<f32>().ok().filter(|value| value.is_finite())
}

fn without_commas(digits: &str, comma: Comma) -> Option<String> {
    let grouped = |whole: &str, separator: char| {
        let mut groups = whole.trim_start_matches(['-', '+']).split(separator);
        groups.next().is_some_and(|first| (1..=3).contains(&first.len()))
            && groups.all(|group| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (whole, decimals) = digits.rsplit_once(',')?;
    match comma {
        Comma::Never => None,
        Comma::Decimal if whole.contains('.') => {
            grouped(whole, '.').then(|| format!("{}.{decimals}", whole.replace('.', "")))
        }
        Comma::Decimal => Some(format!("{whole}.{decimals}")),
        Comma::Prose => {
            let integer = digits.split('.').next().unwrap_or_default();
            if grouped(integer, ',') {
                Some(digits.replace(',', ""))
            } else {
                Some(format!("{whole}.{decimals}"))
            }
        }
    }
}

/// Where the number at the beginning of `text` ends.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0;
    while let Some(&byte) = bytes.get(end) {
        let exponent = matches!(byte, b'e' | b'E')
            && matches!(bytes.get(end + 1..), Some([b'0'..=b'9', ..] | [b'+' | b'-', b'0'..=b'9', ..]));
        let sign = matches!(byte, b'+' | b'-') && (end == 0 || matches!(bytes[end - 1], b'e' | b'E'));
        if !(byte.is_ascii_digit() || matches!(byte, b'.' | b',') || exponent || sign) {
            break;
        }
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_taken_off_and_a_word_makes_a_text() {
        assert_eq!(quantity("12 %", Comma::Prose), Some((12.0, "%")));
        assert_eq!(quantity(" 3.5GB ", Comma::Prose), Some((3.5, "GB")));
        assert_eq!(quantity("-40 °C", Comma::Never), Some((-40.0, "°C")));
        assert_eq!(quantity("1e3", Comma::Never), Some((1000.0, "")));
        for text in ["", "-", "n/a", "NaN", "inf", "7ABCXYZ", "1.2.3.4", "2014-05-14", "3 of 4", "1e99", "é"]
        {
            assert_eq!(quantity(text, Comma::Prose), None, "{text}");
        }
    }

    #[test]
    fn a_comma_means_what_its_report_means_by_it() {
        assert_eq!(
            ["0,42", "1.234,5", "1,234"].map(|text| number(text, Comma::Decimal)),
            [Some(0.42), Some(1234.5), Some(1.234)]
        );
        assert_eq!(
            ["0,42", "1,234.5", "12,345,678"].map(|text| number(text, Comma::Prose)),
            [Some(0.42), Some(1234.5), Some(12_345_678.0)]
        );
        assert_eq!(number("1,5", Comma::Never), None);
        assert_eq!(number("1.23.456,5", Comma::Decimal), None);
    }
}

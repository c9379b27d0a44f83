//! Pairs: `key=value` lines (logfmt), and texts of `Key: value` lines.
//!
//! Lines of several pairs are a row each. Lines of one pair belong together, until a host or a time is said
//! again; a value that is said again begins another reading of the same host and time.

use std::borrow::Cow;
use std::collections::BTreeSet;

use common::limits::METRICS_MAX;

use super::fields::{self, Field};
use super::number::Comma;
use super::readings::Readings;
use super::{Part, Place, Reading, Reject, lines};

/// Of the lines of a text, this share are pairs: one in two. A mail has a greeting and a signature.
const SHARE: usize = 2;

pub(super) fn looks_like(part: &Part<'_>) -> bool {
    let head = part.head();
    let lines: Vec<&str> = head.lines().filter(|line| !line.trim().is_empty()).collect();
    let rows: Vec<Vec<Field<'_>>> = lines.iter().filter_map(|line| row(line)).collect();
    rows.len() * SHARE >= lines.len() && rows.iter().flatten().any(|field| field.is_number(Comma::Prose))
}

pub(super) fn read(part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
    let text = part.text()?;
    let mut out = Readings::new(part);
    let mut block: Vec<Field<'_>> = Vec::new();
    let mut names = BTreeSet::new();
    let mut begin = 1;
    let flush = |block: &mut Vec<Field<'_>>, line, out: &mut Readings<'_, '_>| {
        let fields = std::mem::take(block);
        fields::put(&fields, Comma::Prose, part, out)
            .map_err(|fault| part.reject_at(Place::Line(line), fault))
    };
    for (number, line) in lines::numbered(&text, part)? {
        let Some(mut row) = row(line) else { continue };
        if row.len() > 1 {
            flush(&mut block, begin, &mut out)?;
            flush(&mut row, number, &mut out)?;
            begin = number + 1;
            continue;
        }
        let said = row[0].is_context() && block.iter().any(|field| field.role == row[0].role);
        let again = row[0].is_number(Comma::Prose) && !names.insert(row[0].name.clone().into_owned());
        if said || again || block.len() >= METRICS_MAX {
            // A value that is said again is of the same host and time; nothing is overwritten.
            let context =
                if said { Vec::new() } else { block.iter().filter(|f| f.is_context()).cloned().collect() };
            flush(&mut block, begin, &mut out)?;
            block = context;
            begin = number;
            names.clear();
            names.insert(row[0].name.clone().into_owned());
        }
        if block.is_empty() {
            begin = number;
        }
        block.append(&mut row);
    }
    flush(&mut block, begin, &mut out)?;
    out.finish()
}

/// The pairs of a line: all of it in the manner of logfmt, or one.
fn row(line: &str) -> Option<Vec<Field<'_>>> {
    logfmt(line).or_else(|| {
        let (key, value) = lines::pair(line)?;
        let value = value.trim_matches(['"', '\'']);
        Some(vec![Field::new(key, value)])
    })
}

/// `key=value key="more words"`, two pairs or more; bare words between them are left out.
fn logfmt(line: &str) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', '=']).unwrap_or(rest.len());
        let key = &rest[..end];
        let Some(after) = rest[end..].strip_prefix('=') else {
            rest = rest[end..].trim_start();
            continue;
        };
        let is_key = key.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@'));
        let value: Cow<'_, str>;
        if let Some(quoted) = after.strip_prefix('"') {
            let close = quoted.find('"')?;
            (value, rest) = (Cow::Borrowed(&quoted[..close]), quoted[close + 1..].trim_start());
        } else {
            let stop = after.find([' ', '\t']).unwrap_or(after.len());
            (value, rest) = (after[..stop].trim_end_matches(',').into(), after[stop..].trim_start());
        }
        if !is_key {
            return None;
        }
        fields.push(Field::new(key, value));
    }
    (fields.len() > 1).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_many_pairs_or_one_and_prose_is_none() {
        let texts = |line| -> Vec<(String, String)> {
            let fields = row(line).unwrap_or_default().into_iter();
            fields.map(|field| (field.name.into_owned(), field.text.into_owned())).collect()
        };
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        assert_eq!(
            texts("info cpu=5, msg=\"all is = well\""),
            pairs(&[("cpu", "5"), ("msg", "all is = well")])
        );
        assert_eq!(texts("Fan speed ..... : 4200 rpm"), pairs(&[("Fan speed", "4200 rpm")]));
        assert_eq!(texts("load = 0.5"), pairs(&[("load", "0.5")]));
        assert_eq!(texts("Dear colleagues, see 5 (five) things"), []);
    }
}

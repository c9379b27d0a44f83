//! Text line by line, and the two ways of writing a pair.

use super::{Fault, Part, Place, Reject};
use crate::limits::LINE_BYTES_MAX;

/// The lines of a text with their numbers, counted from 1, without blanks at their ends.
///
/// # Errors
///
/// The first line that is longer than [`LINE_BYTES_MAX`].
pub(super) fn numbered<'t>(text: &'t str, part: &Part<'_>) -> Result<Vec<(u64, &'t str)>, Reject> {
    let mut lines = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let number = index as u64 + 1;
        if line.len() > LINE_BYTES_MAX {
            return Err(part.reject_at(Place::Line(number), Fault::LineTooLong));
        }
        let line = line.trim_end_matches(['\r', ' ', '\u{a0}']);
        if !line.trim().is_empty() {
            lines.push((number, line));
        }
    }
    Ok(lines)
}

/// `Key: value`, `Key = value` and `Key ..... : value`: a short name that begins with a letter.
pub(super) fn pair(line: &str) -> Option<(&str, &str)> {
    const KEY_BYTES_MAX: usize = 64;
    let at = line.find([':', '='])?;
    let key = line[..at].trim_matches(['.', ' ', '\t', '*', '-', '\u{a0}']);
    let is_key = !key.is_empty()
        && key.len() <= KEY_BYTES_MAX
        && key.starts_with(|c: char| c.is_alphabetic() || c == '/')
        && key.chars().all(|c| c.is_alphanumeric() || " _./()%#-[]\\".contains(c));
    is_key.then(|| (key, line[at + 1..].trim()))
}

/// The value of a key in a text of pairs, whatever its case.
pub(super) fn value<'t>(lines: &[(u64, &'t str)], keys: &[&str]) -> Option<(u64, &'t str)> {
    let found = lines.iter().find_map(|(number, line)| {
        let (key, value) = pair(line)?;
        keys.iter().any(|wanted| wanted.eq_ignore_ascii_case(key)).then_some((*number, value))
    });
    found.filter(|(_, value)| !value.is_empty())
}

/// Whether one of the lines of a text begins with this, whatever its case.
pub(super) fn begins(text: &str, start: &str) -> bool {
    let starts = |line: &str| {
        line.trim_start().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
    };
    text.lines().any(starts)
}

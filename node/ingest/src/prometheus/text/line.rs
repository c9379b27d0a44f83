//! The pieces of a line, one after the other.

use super::{LineFault, expected};
use crate::limits::SCRAPE_LABELS_MAX;

/// A line, and how far it is read.
pub(super) struct Cursor<'l> {
    rest: &'l str,
}

impl<'l> Cursor<'l> {
    pub(super) fn new(line: &'l str) -> Self {
        Self { rest: line }
    }

    pub(super) fn rest(&self) -> &'l str {
        self.rest
    }

    pub(super) fn next_is(&self, char: char) -> bool {
        self.rest.starts_with(char)
    }

    pub(super) fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Up to the next blank.
    pub(super) fn word(&mut self) -> &'l str {
        self.cut(self.rest.find([' ', '\t']).unwrap_or(self.rest.len()))
    }

    /// A name of a metric or a label: letters, digits, `_` and `:`, not a digit first.
    pub(super) fn name(&mut self) -> Result<&'l str, LineFault> {
        let is_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | ':');
        let end = self.rest.find(|char| !is_name(char)).unwrap_or(self.rest.len());
        if end == 0 || self.rest.starts_with(|char: char| char.is_ascii_digit()) {
            return Err(expected("name", self.rest));
        }
        Ok(self.cut(end))
    }

    /// A text in quotation marks; `\\`, `\"` and `\n` are what they stand for.
    pub(super) fn quoted(&mut self) -> Result<String, LineFault> {
        self.token('"', "quotation mark")?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.cut(at + 1);
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, escaped @ ('\\' | '"'))) => text.push(escaped),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                char => text.push(char),
            }
        }
        Err(expected("closing quotation mark", self.rest))
    }

    /// `{name="value",...}` or nothing. A quoted text alone is the name of the metric, where that is no plain word.
    pub(super) fn labels(&mut self, metric: &mut String) -> Result<Vec<(String, String)>, LineFault> {
        let mut labels = Vec::new();
        if !self.next_is('{') {
            return Ok(labels);
        }
        self.token('{', "brace")?;
        loop {
            self.blanks();
            if self.next_is('}') {
                self.token('}', "closing brace")?;
                return Ok(labels);
            }
            let is_quoted = self.next_is('"');
            let name = if is_quoted { self.quoted()? } else { self.name()?.to_owned() };
            self.blanks();
            if is_quoted && metric.is_empty() && !self.next_is('=') {
                *metric = name;
            } else {
                self.token('=', "equals sign")?;
                self.blanks();
                labels.push((name, self.quoted()?));
            }
            if labels.len() > SCRAPE_LABELS_MAX {
                return Err(LineFault::TooManyLabels);
            }
            self.blanks();
            if !self.next_is('}') {
                self.token(',', "comma or closing brace")?;
            }
        }
    }

    fn token(&mut self, char: char, wanted: &'static str) -> Result<(), LineFault> {
        let after = self.rest.strip_prefix(char).ok_or_else(|| expected(wanted, self.rest))?;
        self.rest = after;
        Ok(())
    }

    fn cut(&mut self, at: usize) -> &'l str {
        let (piece, rest) = self.rest.split_at(at);
        self.rest = rest;
        piece
    }
}

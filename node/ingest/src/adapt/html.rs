//! Tables in HTML mails: a header row and rows, or two columns of names and values.
//!
//! A forgiving scanner of tags, not a parser: mail programs write HTML that no parser of XML takes. Only the
//! innermost tables are read, the others are layout. A table of two columns says for all tables below it
//! which host and time they are about.

use std::borrow::Cow;

use common::limits::NAME_BYTES_MAX;

use super::entity::unescape;
use super::fields::{self, Field};
use super::number::{Comma, quantity};
use super::readings::Readings;
use super::separated::Table;
use super::{Fault, Part, Place, Reading, Reject};
use crate::limits::{ADAPT_TABLE_DEPTH_MAX, ADAPT_VALUES_MAX};

pub(super) fn looks_like(part: &Part<'_>) -> bool {
    let head = part.head().to_ascii_lowercase();
    head.trim_start().starts_with('<')
        && ["<html", "<table", "<!doctype html", "<body"].iter().any(|tag| head.contains(tag))
}

pub(super) fn read(part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
    let text = part.text()?;
    let mut out = Readings::new(part);
    let mut context: Vec<Field<'_>> = Vec::new();
    for grid in scan(&text).map_err(|fault| part.reject(fault))? {
        let at = Place::Byte(grid.at as u64);
        put(&grid, &mut context, part, &mut out).map_err(|fault| part.reject_at(at, fault))?;
    }
    out.finish()
}

/// An innermost table.
struct Grid {
    /// Where it begins.
    at: usize,
    rows: Vec<Vec<Cell>>,
}

#[derive(Default)]
struct Cell {
    text: String,
    is_header: bool,
}

/// A table that is not closed yet.
struct Open {
    grid: Grid,
    holds_tables: bool,
    in_cell: bool,
}

fn put(
    grid: &Grid,
    context: &mut Vec<Field<'_>>,
    part: &Part<'_>,
    out: &mut Readings<'_, '_>,
) -> Result<(), Fault> {
    // A row of one cell is a title.
    let rows: Vec<&Vec<Cell>> = grid.rows.iter().filter(|row| row.len() > 1).collect();
    let Some(first) = rows.first() else { return Ok(()) };
    let headed = first.iter().all(|cell| cell.is_header);
    if !headed && rows.iter().all(|row| row.len() == 2) {
        let pairs: Vec<Field<'_>> = rows
            .iter()
            .map(|row| Field::new(row[0].text.trim_end_matches(':').to_owned(), row[1].text.clone()))
            .collect();
        let mut fields = pairs.clone();
        fields.extend_from_slice(context);
        fields::put(&fields, Comma::Prose, part, out)?;
        // The latest host counts for the tables below.
        let mut said: Vec<Field<'_>> = pairs.into_iter().filter(is_said).collect();
        said.append(context);
        said.truncate(8);
        *context = said;
        return Ok(());
    }
    let names: Vec<Cow<'_, str>> = first.iter().map(|cell| Cow::Borrowed(cell.text.as_str())).collect();
    let numbers = |row: &&Vec<Cell>| row.iter().any(|cell| quantity(&cell.text, Comma::Prose).is_some());
    if !rows.iter().skip(1).any(numbers) {
        return Ok(());
    }
    let table = Table::new(&names, Comma::Prose)?;
    for row in rows.iter().skip(1) {
        let cells: Vec<Cow<'_, str>> = row.iter().map(|cell| Cow::Borrowed(cell.text.as_str())).collect();
        table.row(&cells, context, part, out)?;
    }
    Ok(())
}

/// Whether a pair is about the tables below it too. Each of their rows takes it over, so it is short.
fn is_said(pair: &Field<'_>) -> bool {
    pair.is_context() && pair.name.len() + pair.text.len() <= 2 * NAME_BYTES_MAX
}

/// The innermost tables of a text, in the order they end.
fn scan(text: &str) -> Result<Vec<Grid>, Fault> {
    let mut open: Vec<Open> = Vec::new();
    let mut grids = Vec::new();
    let mut cells = 0;
    let mut at = 0;
    while at < text.len() {
        let next = text[at..].find('<').map_or(text.len(), |found| at + found);
        say(&mut open, &text[at..next]);
        let Some(tag) = tag_at(text, next) else {
            say(&mut open, text.get(next..=next).unwrap_or_default());
            at = next + 1;
            continue;
        };
        at = tag.end;
        match tag.name.as_str() {
            "table" => {
                if let Some(outer) = open.last_mut() {
                    outer.holds_tables = true;
                }
                if open.len() >= ADAPT_TABLE_DEPTH_MAX {
                    return Err(Fault::TooDeep(ADAPT_TABLE_DEPTH_MAX));
                }
                let grid = Grid { at: next, rows: Vec::new() };
                open.push(Open { grid, holds_tables: false, in_cell: false });
            }
            "/table" => grids.extend(open.pop().filter(|table| !table.holds_tables).map(|table| table.grid)),
            "tr" | "td" | "th" => {
                cells += 1;
                if cells > ADAPT_VALUES_MAX {
                    return Err(Fault::TooMany { max: ADAPT_VALUES_MAX, unit: "cells" });
                }
                if let Some(table) = open.last_mut() {
                    table.begin(&tag.name);
                }
            }
            "/td" | "/th" | "/tr" => {
                if let Some(table) = open.last_mut() {
                    table.in_cell = false;
                }
            }
            "br" | "br/" | "p" | "/p" | "div" | "/div" => say(&mut open, " "),
            _ => (),
        }
    }
    // A table that does not end may lack its last rows.
    if !open.is_empty() {
        return Err(Fault::Broken);
    }
    for cell in grids.iter_mut().flat_map(|grid| grid.rows.iter_mut().flatten()) {
        cell.text = unescape(&cell.text).split_whitespace().collect::<Vec<_>>().join(" ");
    }
    Ok(grids)
}

impl Open {
    fn begin(&mut self, tag: &str) {
        let rows = &mut self.grid.rows;
        if tag == "tr" || rows.is_empty() {
            rows.push(Vec::new());
        }
        self.in_cell = tag != "tr";
        if let Some(row) = rows.last_mut().filter(|_| self.in_cell) {
            row.push(Cell { text: String::new(), is_header: tag == "th" });
        }
    }
}

fn say(open: &mut [Open], text: &str) {
    let table = open.last_mut().filter(|table| table.in_cell);
    if let Some(cell) = table.and_then(|table| table.grid.rows.last_mut()).and_then(|row| row.last_mut()) {
        cell.text.push_str(text);
    }
}

/// A tag: its name in lower case, with the slash of an end tag, and where it ends.
struct Tag {
    name: String,
    end: usize,
}

/// The tag that begins at `at`; comments, scripts and styles count as one. `None` for a bare `<`.
fn tag_at(text: &str, at: usize) -> Option<Tag> {
    const NAME_BYTES_MAX: usize = 12;
    let rest = &text[at..];
    let end_of = |mark: &str, from: usize| {
        let found = rest.get(from..).and_then(|rest| rest.find(mark));
        found.map_or(text.len(), |found| at + from + found + mark.len())
    };
    if rest.starts_with("<!--") {
        return Some(Tag { name: "!".to_owned(), end: end_of("-->", 4) });
    }
    let begins = rest[1.min(rest.len())..].chars().next()?;
    if !(begins.is_ascii_alphabetic() || matches!(begins, '/' | '!' | '?')) {
        return None;
    }
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'/';
    let name: Vec<u8> = rest.bytes().skip(1).take(NAME_BYTES_MAX).take_while(is_name).collect();
    let name = String::from_utf8_lossy(&name).to_ascii_lowercase();
    let end = match name.as_str() {
        "script" | "style" => {
            let is_end = |(at, _): &(usize, &str)| {
                rest.get(at + 2..at + 2 + name.len()).is_some_and(|end| end.eq_ignore_ascii_case(&name))
            };
            rest.match_indices("</").find(is_end).map_or(text.len(), |(found, _)| at + found)
        }
        _ => end_of(">", 1),
    };
    Some(Tag { name, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sloppy_tables_give_their_cells_and_only_the_innermost_ones() {
        let text = "<TABLE><tr><td><table border=1><!-- <td>9 --><style>td{a>b}</style>\
                    <tr><th>Name<th>a<b>b</b><tr><td>x &lt; 1<td>5&nbsp;%</table></td></tr></TABLE>1 < 2";
        let grids = scan(text).unwrap();
        let rows: Vec<Vec<&str>> =
            grids[0].rows.iter().map(|row| row.iter().map(|cell| cell.text.as_str()).collect()).collect();
        assert_eq!((grids.len(), rows), (1, vec![vec!["Name", "ab"], vec!["x < 1", "5 %"]]));
        assert!(scan(&"<table>".repeat(100)).is_err());
        assert!(scan("<table><tr><td>1").is_err());
    }
}

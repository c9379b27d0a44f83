//! Nested names and values, which JSON and XML both are, turned into rows of fields.
//!
//! Names are joined with dots (`cpu.user`). Each object of a list is a row of its own, which takes over the
//! host and the time around it; rows of one host and time come together as one reading.

use std::borrow::Cow;

use super::fields::{self, Field, Role};
use super::number::Comma;
use super::readings::Readings;
use super::{Fault, Part};
use crate::limits::ADAPT_TREE_DEPTH_MAX;
use crate::record::dotted;

/// A value, or values with names, or a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    /// A number or a text, as it is written; empty for none.
    Leaf(String),
    /// In the order they came.
    Object(Vec<(String, Tree)>),
    /// Without names.
    List(Vec<Tree>),
}

/// Names that only say that values follow: they are left out of the values' names.
const WRAPPERS: [&str; 18] = [
    "metrics", "values", "data", "fields", "samples", "rows", "records", "items", "results", "readings",
    "points", "hosts", "metric", "row", "record", "sample", "item", "entry",
];

/// Makes all rows of a tree readings.
pub(super) fn put(tree: &Tree, part: &Part<'_>, out: &mut Readings<'_, '_>) -> Result<(), Fault> {
    walk(tree, "", &[], 0, part, out)
}

fn walk(
    tree: &Tree,
    prefix: &str,
    context: &[Field<'_>],
    depth: usize,
    part: &Part<'_>,
    out: &mut Readings<'_, '_>,
) -> Result<(), Fault> {
    let mut row = Row { fields: Vec::new(), lists: Vec::new() };
    row.flatten(tree, prefix, depth)?;
    // The nearest of each role: what a row takes over stays small, however much stands around it.
    let mut inherited: Vec<Field<'_>> = Vec::new();
    for field in row.fields.iter().filter(|field| field.is_context()).chain(context) {
        if !field.text.trim().is_empty() && inherited.iter().all(|there| there.role != field.role) {
            inherited.push(field.clone());
        }
    }
    row.fields.extend_from_slice(context);
    fields::put(&row.fields, Comma::Prose, part, out)?;
    for (name, tree, depth) in row.lists {
        walk(tree, &name, &inherited, depth, part, out)?;
    }
    Ok(())
}

/// The values of one row, and the rows inside it.
struct Row<'t> {
    fields: Vec<Field<'t>>,
    lists: Vec<(String, &'t Tree, usize)>,
}

impl<'t> Row<'t> {
    fn flatten(&mut self, tree: &'t Tree, prefix: &str, depth: usize) -> Result<(), Fault> {
        if depth > ADAPT_TREE_DEPTH_MAX {
            return Err(Fault::TreeTooDeep);
        }
        match tree {
            Tree::Leaf(text) => {
                let name = if prefix.is_empty() { "value" } else { prefix };
                self.fields.push(Field::new(name.to_owned(), Cow::Borrowed(text.as_str())));
            }
            Tree::Object(members) => {
                for (name, tree) in members {
                    let path = joined(prefix, name, tree);
                    if is_labelled(tree, &path) {
                        self.lists.push((path, tree, depth + 1));
                    } else {
                        self.flatten(tree, &path, depth + 1)?;
                    }
                }
            }
            Tree::List(trees) => {
                for (index, tree) in trees.iter().enumerate() {
                    match tree {
                        Tree::Object(_) => self.lists.push((prefix.to_owned(), tree, depth + 1)),
                        _ => self.flatten(tree, &joined(prefix, &index.to_string(), tree), depth + 1)?,
                    }
                }
            }
        }
        Ok(())
    }
}

/// An object that names itself is a row, also where it is the only one: names stay when another joins it.
fn is_labelled(tree: &Tree, path: &str) -> bool {
    let Tree::Object(members) = tree else { return false };
    members.iter().any(|(name, tree)| match tree {
        Tree::Leaf(text) => Field::new(joined(path, name, tree), text.as_str()).role == Role::Label,
        _ => false,
    })
}

fn joined(prefix: &str, name: &str, tree: &Tree) -> String {
    let wraps = !matches!(tree, Tree::Leaf(_)) && WRAPPERS.contains(&name.to_ascii_lowercase().as_str());
    if wraps { prefix.to_owned() } else { dotted(prefix, name) }
}

#[cfg(test)]
mod tests {
    use common::units::Timestamp;

    use super::super::Reading;
    use super::super::json;
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let (received, sender, subject) = (Timestamp(0), "a@example.com", "");
        let bytes = text.as_bytes();
        let part = Part {
            name: None,
            media_type: "application/json",
            bytes,
            received,
            sender,
            subject,
            time_column: None,
        };
        let readings = json::read(&part).unwrap();
        let names = |reading: Reading| reading.values.into_iter().map(|(name, _)| name.to_string());
        readings.into_iter().flat_map(names).collect()
    }

    #[test]
    fn a_row_that_names_itself_has_the_same_names_alone_and_in_a_list() {
        let one = names(r#"{"host": "a", "cpu": 1, "disks": {"name": "sda", "used": 5}}"#);
        assert_eq!(one, ["cpu", "disks.sda.used"]);
        let two = names(
            r#"{"host": "a", "cpu": 1, "disks": [{"name": "sda", "used": 5}, {"name": "b", "used": 6}]}"#,
        );
        assert_eq!(two, ["cpu", "disks.b.used", "disks.sda.used"]);
    }

    #[test]
    fn a_host_or_a_system_is_told_by_its_text() {
        assert_eq!(
            names(r#"{"host": {"name": "db-07"}, "cpu": {"system": 3}, "disk": 5}"#),
            ["cpu.system", "disk"]
        );
    }
}

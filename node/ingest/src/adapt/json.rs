//! JSON (RFC 8259): an object, a list of them, or one a line (JSON lines).

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::readings::Readings;
use super::tree::{self, Tree};
use super::{Fault, Part, Place, Reading, Reject};
use crate::error::Shown;
use crate::limits::ADAPT_VALUES_MAX;

pub(super) fn looks_like(part: &Part<'_>) -> bool {
    let head = part.head();
    let mut bytes = head.bytes().filter(|byte| !byte.is_ascii_whitespace());
    matches!(
        (bytes.next(), bytes.next()),
        (Some(b'{'), Some(b'"' | b'}') | None)
            | (Some(b'['), Some(b'{' | b'[' | b']' | b'-' | b'0'..=b'9') | None)
    )
}

pub(super) fn read(part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
    let text = part.text()?;
    // Every value but the first of a list or object has a comma before it: bounds the tree.
    if text.matches(',').count() > ADAPT_VALUES_MAX {
        return Err(part.reject(Fault::TooMany { max: ADAPT_VALUES_MAX, unit: "values" }));
    }
    let mut out = Readings::new(part);
    let mut line = 1;
    let mut counted = 0;
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Tree>();
    while let Some(value) = values.next() {
        let tree = value.map_err(|error| {
            let place = Place::Line(error.line() as u64);
            let what = error.to_string();
            let what = what.split_once(" at line ").map_or(what.as_str(), |(what, _)| what);
            part.reject_at(place, Fault::Syntax(Shown::of(what)))
        })?;
        let end = values.byte_offset().min(text.len());
        line += text.as_bytes()[counted..end].split(|&byte| byte == b'\n').count() as u64 - 1;
        counted = end;
        tree::put(&tree, part, &mut out).map_err(|fault| part.reject_at(Place::Line(line), fault))?;
    }
    out.finish()
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Trees)
    }
}

/// Keeps the order of members, and large integers (times in microseconds) exact.
struct Trees;

impl<'de> Visitor<'de> for Trees {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    /// A switch is a value: 1 when it is on.
    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Leaf(u8::from(value).to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Leaf(format!("{value:?}")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Leaf(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Leaf(String::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Tree, A::Error> {
        let mut trees = Vec::new();
        while let Some(tree) = input.next_element()? {
            trees.push(tree);
        }
        Ok(Tree::List(trees))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = input.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}

//! XML 1.0: elements and attributes, names joined with dots; repeated elements are rows.
//!
//! Document types are refused, so there are no entities but XML's own five and character numbers.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::entity::{character, unescape};
use super::number::{Comma, quantity};
use super::readings::Readings;
use super::tree::{self, Tree};
use super::{Fault, Part, Place, Reading, Reject};
use crate::error::Shown;
use crate::limits::{ADAPT_TREE_DEPTH_MAX, ADAPT_VALUES_MAX};

pub(super) fn looks_like(part: &Part<'_>) -> bool {
    let head = part.head();
    let head = head.trim_start();
    let next = head.strip_prefix('<').and_then(|rest| rest.chars().next());
    // `<34>` begins a line of syslog.
    next.is_some_and(|next| next.is_alphabetic() || matches!(next, '?' | '!' | '_'))
}

pub(super) fn read(part: &Part<'_>) -> Result<Vec<Reading>, Reject> {
    let text = part.text()?;
    let root = parse(&text).map_err(|(at, fault)| part.reject_at(Place::Byte(at), fault))?;
    let mut out = Readings::new(part);
    tree::put(&root, part, &mut out).map_err(|fault| part.reject(fault))?;
    out.finish()
}

/// An element that is not closed yet.
struct Open {
    name: String,
    members: Vec<(String, Tree)>,
    text: String,
}

/// What is wrong, and at which byte.
type At = (u64, Fault);

/// The root element's content; its own name says nothing about a value.
fn parse(text: &str) -> Result<Tree, At> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut count = 0;
    loop {
        let event = reader
            .read_event()
            .map_err(|error| (reader.error_position(), Fault::Syntax(Shown::of(&error.to_string()))))?;
        let at = |fault| (reader.buffer_position(), fault);
        let closed = match event {
            Event::Start(start) => {
                let element = begin(&start, &mut count).map_err(at)?;
                open.push(element);
                if open.len() > ADAPT_TREE_DEPTH_MAX {
                    return Err(at(Fault::TreeTooDeep));
                }
                None
            }
            Event::Empty(start) => Some(begin(&start, &mut count).map_err(at)?),
            Event::End(_) => open.pop(),
            Event::Text(text) => {
                add(&mut open, &text);
                None
            }
            Event::CData(text) => {
                add(&mut open, &text);
                None
            }
            Event::GeneralRef(name) => {
                let char = character(&name).ok_or_else(|| at(Fault::Entity(Shown::of(&name))))?;
                add(&mut open, char.encode_utf8(&mut [0; 4]));
                None
            }
            Event::DocType(_) => return Err(at(Fault::DocType)),
            Event::Eof => return Err(at(Fault::Broken)),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => None,
        };
        if let Some(element) = closed {
            let (name, tree) = element.close();
            match open.last_mut() {
                Some(parent) => parent.members.push((name, tree)),
                None => return Ok(tree),
            }
        }
    }
}

fn begin(start: &BytesStart<'_>, count: &mut usize) -> Result<Open, Fault> {
    let mut members = Vec::new();
    // Checking for attributes that are there twice takes time that grows with the square of their number.
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| Fault::Syntax(Shown::of(&error.to_string())))?;
        let name = attribute.key.as_ref();
        if !name.starts_with("xmlns") && !name.starts_with("xsi:") {
            let name = attribute.key.local_name().as_ref().to_owned();
            members.push((name, Tree::Leaf(unescape(&attribute.value).into_owned())));
        }
    }
    *count += 1 + members.len();
    if *count > ADAPT_VALUES_MAX {
        return Err(Fault::TooMany { max: ADAPT_VALUES_MAX, unit: "values" });
    }
    let name = start.local_name().as_ref().to_owned();
    Ok(Open { name, members, text: String::new() })
}

fn add(open: &mut [Open], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

impl Open {
    fn close(self) -> (String, Tree) {
        let text = self.text.trim();
        if self.members.is_empty() {
            return (self.name, Tree::Leaf(text.to_owned()));
        }
        // `<temperature unit="C">40</temperature>`.
        if let [(name, Tree::Leaf(unit))] = self.members.as_slice()
            && name.eq_ignore_ascii_case("unit")
        {
            let written = format!("{text} {unit}");
            if quantity(&written, Comma::Prose).is_some() {
                return (self.name, Tree::Leaf(written));
            }
        }
        let mut members = gathered(self.members);
        if !text.is_empty() {
            members.push(("value".to_owned(), Tree::Leaf(text.to_owned())));
        }
        (self.name, Tree::Object(members))
    }
}

/// Members of the same name become one list, at the place of the first.
fn gathered(members: Vec<(String, Tree)>) -> Vec<(String, Tree)> {
    let mut places = std::collections::BTreeMap::new();
    let mut out: Vec<(String, Tree)> = Vec::new();
    for (name, tree) in members {
        let Some(&place) = places.get(&name) else {
            places.insert(name.clone(), out.len());
            out.push((name, tree));
            continue;
        };
        let there: &mut (String, Tree) = &mut out[place];
        match &mut there.1 {
            Tree::List(trees) => trees.push(tree),
            first => {
                let first = std::mem::replace(first, Tree::List(Vec::new()));
                there.1 = Tree::List(vec![first, tree]);
            }
        }
    }
    out
}

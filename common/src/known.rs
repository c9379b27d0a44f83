//! The list of others whose keys an operator wrote down: one line each, a name, a public key, and labels if there are.

use std::collections::BTreeMap;

use crate::crypto::PublicIdentity;
use crate::id::NodeId;
use crate::limits::{COHORT_MAX, NAME_BYTES_MAX};

/// Those on a list, by the id that follows from the key.
pub type Known = BTreeMap<NodeId, Peer>;

/// Labels by their names: `rack=A`, `zone=eu`. What an operator says of a node, not what it says of itself.
pub type Labels = BTreeMap<String, String>;

/// The most labels of one peer.
pub const LABELS_MAX: usize = 16;

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name for people.
    pub name: String,
    /// Its key.
    pub key: PublicIdentity,
    /// Its labels.
    pub labels: Labels,
}

impl Peer {
    /// Whether it has all of these labels, with these values.
    pub fn has(&self, wanted: &Labels) -> bool {
        wanted.iter().all(|(name, value)| self.labels.get(name) == Some(value))
    }
}

/// What is wrong with a list, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnownError {
    /// Fewer than two words.
    #[error("line {0}: expected a name and a public key")]
    Words(usize),
    /// A further word is no label, or one that is there already.
    #[error("line {line}: `{word}` is not a label: name=value, each name once, at most {LABELS_MAX} of them")]
    Label {
        /// The line, counted from 1.
        line: usize,
        /// The word.
        word: String,
    },
    /// The second word is no public key.
    #[error("line {line}: {reason}")]
    Key {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A name over its limit.
    #[error("line {0}: a name has at most {NAME_BYTES_MAX} bytes")]
    NameTooLong(usize),
    /// Two lines have one name.
    #[error("line {0}: the name `{1}` is there twice")]
    SameName(usize, String),
    /// Two lines have one key.
    #[error("line {0}: `{1}` has the same key")]
    SameKey(usize, String),
    /// More lines than there may be.
    #[error("{0} lines are more than the limit of {COHORT_MAX}")]
    TooMany(usize),
}

/// Reads a list. Empty lines and those that begin with `#` are passed over.
///
/// # Errors
///
/// [`KnownError`] names the line.
pub fn parse(text: &str) -> Result<Known, KnownError> {
    let mut known = Known::new();
    let lines = text.lines().map(str::trim).enumerate();
    for (index, text) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let line = index + 1;
        let mut words = text.split_whitespace();
        let (Some(name), Some(key)) = (words.next(), words.next()) else {
            return Err(KnownError::Words(line));
        };
        let wrong_key = |error: &dyn std::fmt::Display| KnownError::Key { line, reason: error.to_string() };
        let key: PublicIdentity = key.parse().map_err(|error| wrong_key(&error))?;
        if name.len() > NAME_BYTES_MAX {
            return Err(KnownError::NameTooLong(line));
        }
        if known.values().any(|peer| peer.name == name) {
            return Err(KnownError::SameName(line, name.to_owned()));
        }
        let mut labels = Labels::new();
        for word in words {
            let taken = label(word).is_some_and(|(name, value)| labels.insert(name, value).is_none());
            if !taken || labels.len() > LABELS_MAX {
                return Err(KnownError::Label { line, word: word.to_owned() });
            }
        }
        let peer = Peer { name: name.to_owned(), key, labels };
        if let Some(other) = known.insert(key.node_id(), peer) {
            return Err(KnownError::SameKey(line, other.name));
        }
    }
    match known.len() {
        count if count > COHORT_MAX => Err(KnownError::TooMany(count)),
        _ => Ok(known),
    }
}

/// What people call a node: its name on a list, or the start of its id.
pub fn name(known: &Known, node: NodeId) -> String {
    known.get(&node).map_or_else(|| format!("{node:?}"), |peer| peer.name.clone())
}

/// A label as it is written: `name=value`.
pub fn label(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let fits = |part: &str| (1..=NAME_BYTES_MAX).contains(&part.len());
    (fits(name) && fits(value)).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::crypto::Identity;

    fn key(seed: u64) -> PublicIdentity {
        *Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed)).public()
    }

    #[test]
    fn a_list_names_the_line_that_is_wrong() {
        let good = format!("# fleet\nweb-1 {}\n\nweb-2 {}\n", key(1), key(2));
        let names: Vec<String> = parse(&good).unwrap().into_values().map(|peer| peer.name).collect();
        assert_eq!(names.iter().filter(|name| name.starts_with("web-")).count(), 2);
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(error(&format!("{good}web-1 {}\n", key(3))), "line 5: the name `web-1` is there twice");
        assert_eq!(error(&format!("{good}web-3 {}\n", key(1))), "line 5: `web-1` has the same key");
        assert!(error("web-1 02ff").starts_with("line 1: "));
        assert_eq!(error("web-1"), "line 1: expected a name and a public key");
    }

    #[test]
    fn labels_follow_the_key() {
        let line = |labels: &str| format!("web-1 {} {labels}", key(1));
        let peer = |labels: &str| parse(&line(labels)).unwrap().into_values().next().unwrap();
        let wanted = |words: &[&str]| words.iter().filter_map(|word| label(word)).collect::<Labels>();
        let labelled = peer("rack=A zone=eu");
        assert_eq!(labelled.labels, wanted(&["zone=eu", "rack=A"]));
        assert!(labelled.has(&wanted(&[])) && labelled.has(&wanted(&["rack=A"])));
        assert!(!labelled.has(&wanted(&["rack=A", "zone=us"])) && !peer("").has(&wanted(&["rack=A"])));
        for wrong in ["rack", "rack=", "=A", "rack=A rack=B"] {
            let error = parse(&line(wrong)).unwrap_err().to_string();
            assert!(error.starts_with("line 1: `") && error.contains("is not a label"), "{error}");
        }
        let many: Vec<String> = (0..=LABELS_MAX).map(|number| format!("l{number}=x")).collect();
        assert!(parse(&line(&many[1..].join(" "))).is_ok());
        assert!(matches!(parse(&line(&many.join(" "))), Err(KnownError::Label { line: 1, .. })));
    }
}

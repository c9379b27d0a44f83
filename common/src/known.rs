//! The list of others whose keys an operator wrote down: one line each, a name and a public key.

use std::collections::BTreeMap;

use crate::crypto::PublicIdentity;
use crate::id::NodeId;
use crate::limits::{COHORT_MAX, NAME_BYTES_MAX};

/// Those on a list, by the id that follows from the key.
pub type Known = BTreeMap<NodeId, Peer>;

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name for people.
    pub name: String,
    /// Its key.
    pub key: PublicIdentity,
}

/// What is wrong with a list, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnownError {
    /// Fewer or more than two words.
    #[error("line {0}: expected a name and a public key")]
    Words(usize),
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
        let (Some(name), Some(key), None) = (words.next(), words.next(), words.next()) else {
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
        let peer = Peer { name: name.to_owned(), key };
        if let Some(other) = known.insert(key.node_id(), peer) {
            return Err(KnownError::SameKey(line, other.name));
        }
    }
    match known.len() {
        count if count > COHORT_MAX => Err(KnownError::TooMany(count)),
        _ => Ok(known),
    }
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
}

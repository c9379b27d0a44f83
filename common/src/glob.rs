//! [`Glob`]: a pattern of names, with `*` for any text and `?` for any one character.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::GLOB_BYTES_MAX;

/// A pattern that a whole name is compared with. `*` stands for any text, also none; `?` for one character;
/// all else for itself, so that `requests{code=500}` is a pattern of just this name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(Vec<Part>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    This(char),
    AnyOne,
    AnyText,
}

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// No name is empty.
    #[error("a pattern is empty")]
    Empty,
    /// Over its limit.
    #[error("a pattern of {0} bytes is over the maximum of {GLOB_BYTES_MAX}")]
    TooLong(usize),
}

impl Glob {
    /// Whether the whole of this name matches. At most pattern x name steps: only the last `*` is ever tried
    /// again, one character later.
    pub fn matches(&self, name: &str) -> bool {
        let (mut place, mut rest) = (0, name.chars());
        let mut again: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let part = self.0.get(place);
            if part == Some(&Part::AnyText) {
                place += 1;
                again = Some((place, rest.clone()));
                continue;
            }
            let fits = match (part, rest.next()) {
                (None, None) => return true,
                (Some(Part::AnyOne), Some(_)) => true,
                (Some(Part::This(wanted)), Some(found)) => *wanted == found,
                _ => false,
            };
            if fits {
                place += 1;
                continue;
            }
            let Some((after, from)) = &mut again else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            (place, rest) = (*after, from.clone());
        }
    }
}

impl TryFrom<String> for Glob {
    type Error = GlobError;

    fn try_from(text: String) -> Result<Self, GlobError> {
        let part = |char| match char {
            '*' => Part::AnyText,
            '?' => Part::AnyOne,
            char => Part::This(char),
        };
        match text.len() {
            0 => Err(GlobError::Empty),
            length if length > GLOB_BYTES_MAX => Err(GlobError::TooLong(length)),
            _ => Ok(Self(text.chars().map(part).collect())),
        }
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.to_string()
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.0.iter().try_for_each(|part| {
            f.write_char(match part {
                Part::This(char) => *char,
                Part::AnyOne => '?',
                Part::AnyText => '*',
            })
        })
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_star_stands_for_any_text_and_a_question_mark_for_one_character() {
        let cases = [
            ("cpu", "cpu", true),
            ("cpu", "cpu0", false),
            ("cpu*", "cpu", true),
            ("*", "", true),
            ("cpu?", "cpu", false),
            ("cpu?", "cpuä", true),
            ("*_percent", "cpu_percent", true),
            ("*_percent", "cpu_percent_max", false),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("**?", "x", true),
            ("requests{code=*}", "requests{code=500}", true),
            ("[ab]", "a", false),
        ];
        for (pattern, name, matches) in cases {
            assert_eq!(glob(pattern).matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_answered_in_the_product_of_the_lengths() {
        let pattern = glob(&"*a".repeat(GLOB_BYTES_MAX / 2));
        assert!(!pattern.matches(&("a".repeat(100_000) + "b")));
    }

    #[test]
    fn an_empty_or_endless_pattern_is_refused() {
        assert_eq!(Glob::try_from(String::new()), Err(GlobError::Empty));
        assert_eq!(Glob::try_from("a".repeat(257)), Err(GlobError::TooLong(257)));
    }

    /// What the pattern means, by definition: slow, and so short that it cannot be wrong.
    fn by_definition(parts: &[Part], name: &[char]) -> bool {
        match (parts, name) {
            ([], []) => true,
            ([Part::AnyText, rest @ ..], _) => {
                by_definition(rest, name) || !name.is_empty() && by_definition(parts, &name[1..])
            }
            ([Part::AnyOne, parts @ ..], [_, name @ ..]) => by_definition(parts, name),
            ([Part::This(wanted), parts @ ..], [found, name @ ..]) => {
                wanted == found && by_definition(parts, name)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_its_definition_says(pattern in "[ab*?]{1,8}", name in "[ab]{0,10}") {
            let glob = glob(&pattern);
            let chars: Vec<char> = name.chars().collect();
            prop_assert_eq!(glob.matches(&name), by_definition(&glob.0, &chars));
            prop_assert_eq!(glob.to_string(), pattern);
        }
    }
}

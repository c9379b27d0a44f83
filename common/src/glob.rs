//! Names with wildcards: `*` for any number of characters, `?` for one.

/// A pattern that a whole name has to fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// A pattern.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// The pattern, as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether all of `name` fits. Takes at most pattern times name steps.
    pub fn fits(&self, name: &str) -> bool {
        let (pattern, name): (Vec<char>, Vec<char>) = (self.0.chars().collect(), name.chars().collect());
        let (mut p, mut n) = (0, 0);
        // Where the last star is, and how much of the name it takes: only that one need ever take more.
        let mut star = None;
        while n < name.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p, n));
                    p += 1;
                }
                Some(&c) if c == '?' || c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    let Some((at, taken)) = star else { return false };
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
            }
        }
        pattern[p..].iter().all(|&c| c == '*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_fits_a_pattern_as_a_whole_or_not_at_all() {
        let cases = [
            ("db-*", "db-1", true),
            ("db-*", "db-", true),
            ("db-*", "adb-1", false),
            ("web-?", "web-1", true),
            ("web-?", "web-12", false),
            ("*.rack-?.*", "a.rack-7.example", true),
            ("*a*b", "xaab", true),
            ("*a*b", "xaba", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("?", "ü", true),
        ];
        for (pattern, name, fits) in cases {
            assert_eq!(Glob::new(pattern).fits(name), fits, "{pattern} {name}");
        }
    }

    /// The definition, tried in all ways.
    fn by_definition(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=name.len()).any(|taken| by_definition(rest, &name[taken..])),
            (Some((b'?', rest)), Some((_, name))) => by_definition(rest, name),
            (Some((p, rest)), Some((n, name))) => p == n && by_definition(rest, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_short_way_finds_what_the_definition_says(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(Glob::new(&pattern).fits(&name), by_definition(pattern.as_bytes(), name.as_bytes()));
        }
    }
}

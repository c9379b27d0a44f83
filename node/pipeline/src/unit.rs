//! [`Unit`]: what the name of a metric ends in: `disk_bytes`, `cpu_percent{core=1}`.

use serde::{Deserialize, Serialize};

use crate::limits::UNIT_BYTES_MAX;

/// A unit, as it ends the name of a metric. What stands in braces behind the name is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Unit(String);

/// A text that is no unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a unit has 1 to {UNIT_BYTES_MAX} bytes and no brace")]
pub struct UnitError;

impl Unit {
    /// Whether the name ends in this unit, as a word of its own: `uptime_ms` is not in `s`.
    pub fn ends(&self, name: &str) -> bool {
        self.stem(name).is_some()
    }

    /// The name with `other` in place of this unit; `None` when it does not end in this one.
    pub fn replaced(&self, name: &str, other: &Self) -> Option<String> {
        let stem = self.stem(name)?;
        let braces = &name[base(name).len()..];
        Some(format!("{stem}{}{braces}", other.0))
    }

    /// What stands before the unit.
    fn stem<'n>(&self, name: &'n str) -> Option<&'n str> {
        let stem = base(name).strip_suffix(self.0.as_str())?;
        let alone = !self.0.starts_with(char::is_alphanumeric) || !stem.ends_with(char::is_alphanumeric);
        alone.then_some(stem)
    }
}

fn base(name: &str) -> &str {
    name.split_once('{').map_or(name, |(base, _)| base)
}

impl TryFrom<String> for Unit {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        let fits = (1..=UNIT_BYTES_MAX).contains(&text.len()) && !text.contains(['{', '}']);
        if fits { Ok(Self(text)) } else { Err(UnitError) }
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> Self {
        unit.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> Unit {
        Unit::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_name_ends_in_a_unit_as_a_word_of_its_own() {
        for name in ["uptime_s", "uptime.s", "s", "uptime_s{host=a_ms}"] {
            assert!(unit("s").ends(name), "{name}");
        }
        for name in ["uptime_ms", "status", "uptime_s_max", "uptime_s}"] {
            assert!(!unit("s").ends(name), "{name}");
        }
        assert!(unit("%").ends("cpu%"));
    }

    #[test]
    fn a_unit_is_replaced_before_the_braces() {
        let replaced = unit("kb").replaced("disk_kb{of=kb}", &unit("bytes"));
        assert_eq!(replaced.as_deref(), Some("disk_bytes{of=kb}"));
        assert_eq!(unit("kb").replaced("disk_mb", &unit("bytes")), None);
    }

    #[test]
    fn no_text_and_a_brace_are_no_units() {
        for text in ["", "b{", "}", &"s".repeat(33)] {
            assert_eq!(Unit::try_from(text.to_owned()), Err(UnitError), "{text}");
        }
    }
}

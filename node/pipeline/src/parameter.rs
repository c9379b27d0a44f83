//! What parameters are made of: lists, numbers, labels and times that cannot be wrong.

use std::collections::BTreeMap;
use std::ops::Deref;

use common::glob::Glob;
use common::units::Timestamp;
use ingest::record::Origin;
use serde::{Deserialize, Serialize, Serializer};

use crate::limits::{GLOBS_MAX, LABEL_BYTES_MAX, LABELS_MAX};

/// A list of one to `MAX` things.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<T>", bound(deserialize = "T: Deserialize<'de>"))]
pub struct OneTo<T, const MAX: usize>(Vec<T>);

/// One pattern or more; a name matches when it matches one of them.
pub type Globs = OneTo<Glob, GLOBS_MAX>;

impl Globs {
    /// Whether this name matches one of the patterns.
    pub fn match_name(&self, name: &str) -> bool {
        self.iter().any(|glob| glob.matches(name))
    }
}

/// A number that is neither infinite nor NaN, as precise as a measured one.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Finite(f32);

/// Labels of a source, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Box<str>, Box<str>>")]
pub struct Labels(BTreeMap<Box<str>, Box<str>>);

/// A point in time, written as RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment {
    at: Timestamp,
    written: String,
}

/// What a parameter cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ParameterError {
    /// Nothing in a list.
    #[error("the list is empty: leave the key out, or name something")]
    EmptyList,
    /// Too much in a list.
    #[error("a list of {count} is over the maximum of {max}")]
    LongList {
        /// What is in it.
        count: usize,
        /// What may be.
        max: usize,
    },
    /// Infinite, NaN, or too large for a 32-bit float.
    #[error("{0} is not a finite number of 32 bits")]
    NotFinite(f64),
    /// Too many labels.
    #[error("{0} labels are over the maximum of {LABELS_MAX}")]
    ManyLabels(usize),
    /// A label without a name, or one that is too long.
    #[error("the name of a label is empty, or it or its value is longer than {LABEL_BYTES_MAX} bytes")]
    BadLabel,
    /// No time.
    #[error("`{0}` is no time in RFC 3339, such as 2026-05-01T00:00:00Z")]
    NoTime(String),
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for OneTo<T, MAX> {
    type Error = ParameterError;

    fn try_from(list: Vec<T>) -> Result<Self, ParameterError> {
        match list.len() {
            0 => Err(ParameterError::EmptyList),
            count if count > MAX => Err(ParameterError::LongList { count, max: MAX }),
            _ => Ok(Self(list)),
        }
    }
}

impl<T: Serialize, const MAX: usize> Serialize for OneTo<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T, const MAX: usize> Deref for OneTo<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl Finite {
    /// The number.
    pub const fn value(self) -> f32 {
        self.0
    }
}

impl TryFrom<f64> for Finite {
    type Error = ParameterError;

    fn try_from(number: f64) -> Result<Self, ParameterError> {
        let value = number as f32;
        if value.is_finite() { Ok(Self(value)) } else { Err(ParameterError::NotFinite(number)) }
    }
}

impl Labels {
    /// Whether a source has all of these.
    pub fn are_of(&self, origin: &Origin) -> bool {
        self.0.iter().all(|(name, value)| origin.labels.get(name) == Some(value))
    }

    /// The labels, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Box<str>, &Box<str>)> {
        self.0.iter()
    }
}

impl TryFrom<BTreeMap<Box<str>, Box<str>>> for Labels {
    type Error = ParameterError;

    fn try_from(labels: BTreeMap<Box<str>, Box<str>>) -> Result<Self, ParameterError> {
        let fits = |name: &str, value: &str| {
            !name.is_empty() && name.len() <= LABEL_BYTES_MAX && value.len() <= LABEL_BYTES_MAX
        };
        if labels.len() > LABELS_MAX {
            return Err(ParameterError::ManyLabels(labels.len()));
        }
        if labels.iter().all(|(name, value)| fits(name, value)) {
            Ok(Self(labels))
        } else {
            Err(ParameterError::BadLabel)
        }
    }
}

impl Moment {
    /// When it is.
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

impl TryFrom<String> for Moment {
    type Error = ParameterError;

    fn try_from(written: String) -> Result<Self, ParameterError> {
        match ingest::rfc3339(&written) {
            Some(at) => Ok(Self { at, written }),
            None => Err(ParameterError::NoTime(written.chars().take(40).collect())),
        }
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_holds_one_thing_to_its_maximum() {
        assert_eq!(OneTo::<u8, 2>::try_from(vec![]), Err(ParameterError::EmptyList));
        assert_eq!(&*OneTo::<u8, 2>::try_from(vec![7, 8]).unwrap(), [7, 8]);
        let long = OneTo::<u8, 2>::try_from(vec![1, 2, 3]).unwrap_err();
        assert_eq!(long.to_string(), "a list of 3 is over the maximum of 2");
    }

    #[test]
    fn numbers_are_finite_also_as_32_bits() {
        assert_eq!(Finite::try_from(0.1).unwrap().value().to_bits(), 0.1_f32.to_bits());
        for number in [f64::NAN, f64::INFINITY, 1e39] {
            assert!(Finite::try_from(number).is_err(), "{number}");
        }
    }

    #[test]
    fn a_moment_is_written_as_people_write_times() {
        let moment = Moment::try_from("1970-01-01T00:01:00Z".to_owned()).unwrap();
        assert_eq!(moment.at(), Timestamp::from_millis(60_000));
        assert!(Moment::try_from("yesterday".to_owned()).is_err());
    }

    #[test]
    fn labels_have_names_and_bounds() {
        let labels =
            |name: &str, value: &str| Labels::try_from(BTreeMap::from([(name.into(), value.into())]));
        assert!(labels("rack", "").is_ok());
        assert_eq!(labels("", "r1"), Err(ParameterError::BadLabel));
        assert_eq!(labels("rack", &"r".repeat(257)), Err(ParameterError::BadLabel));
        let many: BTreeMap<Box<str>, Box<str>> =
            (0..65).map(|number| (number.to_string().into(), "".into())).collect();
        assert_eq!(Labels::try_from(many), Err(ParameterError::ManyLabels(65)));
    }
}

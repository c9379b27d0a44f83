//! The object of one line, flat: what is nested gets dots in its name while it is read.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::limits::JSON_DEPTH_MAX;
use crate::record::dotted;

/// The members of a line, in its order.
pub(crate) struct Line {
    pub(crate) members: Vec<(String, Member)>,
}

/// A member that is neither object nor list.
pub(crate) enum Member {
    Number {
        value: f32,
        /// As a time it is more than a float can tell.
        text: String,
    },
    Text(String),
}

impl Member {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Number { text, .. } | Self::Text(text) => text,
        }
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let mut members = Vec::new();
        input.deserialize_map(Object { prefix: "", depth: 0, members: &mut members })?;
        Ok(Self { members })
    }
}

/// Takes the members of an object.
struct Object<'o> {
    prefix: &'o str,
    depth: usize,
    members: &'o mut Vec<(String, Member)>,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<(), A::Error> {
        if self.depth > JSON_DEPTH_MAX {
            return Err(A::Error::custom(format!("more than {JSON_DEPTH_MAX} objects in each other")));
        }
        while let Some(name) = input.next_key::<String>()? {
            let name = if self.prefix.is_empty() { name } else { dotted(self.prefix, &name) };
            input.next_value_seed(Value { name, depth: self.depth, members: self.members })?;
        }
        Ok(())
    }
}

/// Takes one value.
struct Value<'o> {
    name: String,
    depth: usize,
    members: &'o mut Vec<(String, Member)>,
}

impl Value<'_> {
    fn number<E: Error>(self, value: f64, text: String) -> Result<(), E> {
        let short = value as f32;
        if short.is_infinite() {
            return Err(E::custom(format!("{text} is not a finite number")));
        }
        self.members.push((self.name, Member::Number { value: short, text }));
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    /// A switch is a value: 1 when it is on.
    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.number(f64::from(u8::from(value)), value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(value as f64, value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(value as f64, value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number(value, value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.members.push((self.name, Member::Text(value.to_owned())));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.members.push((self.name, Member::Number { value: f32::NAN, text: "null".to_owned() }));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<(), A::Error> {
        while input.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, input: A) -> Result<(), A::Error> {
        Object { prefix: &self.name, depth: self.depth + 1, members: self.members }.visit_map(input)
    }
}

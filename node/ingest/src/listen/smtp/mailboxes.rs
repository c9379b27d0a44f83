//! `smtp.mailboxes` in a node's configuration: whose telemetry a mailbox takes, and how its mail is read.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use common::limits::CONFIG_BYTES_MAX;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::super::ListenError;
use crate::adapt::layout::Layout;
use crate::adapt::{ADAPTERS, Adapter, Pin};
use crate::error::Shown;

/// A mailbox: the name of a tenant, or a table that says how its mail is read, too.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Given<Table>")]
pub struct MailboxConfig {
    /// Whose telemetry it takes.
    pub tenant: String,
    reading: Reading,
}

/// How its mail is read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reading {
    ByContent,
    Pinned(Pin),
    /// By the layout in this file.
    LayoutFile(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    tenant: String,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    layout: Option<Given<Layout>>,
}

/// Why a table is no mailbox.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum MailboxError {
    #[error("give `format` or `layout`, not both")]
    Both,
    #[error("there is no format {0}; there are: {known}", known = formats())]
    NoFormat(Shown),
}

fn formats() -> String {
    ADAPTERS.each_ref().map(|adapter| adapter.name).join(", ")
}

impl TryFrom<Given<Table>> for MailboxConfig {
    type Error = MailboxError;

    fn try_from(given: Given<Table>) -> Result<Self, MailboxError> {
        let Table { tenant, format, layout } = match given {
            Given::Text(tenant) => Table { tenant, format: None, layout: None },
            Given::Table(table) => table,
        };
        let named = |name: &str| Adapter::named(name).ok_or_else(|| MailboxError::NoFormat(Shown::of(name)));
        let reading = match (format, layout) {
            (None, None) => Reading::ByContent,
            (Some(name), None) => Reading::Pinned(Pin::Format(named(&name)?)),
            (None, Some(Given::Table(layout))) => Reading::Pinned(Pin::Layout(layout)),
            (None, Some(Given::Text(path))) => Reading::LayoutFile(path.into()),
            (Some(_), Some(_)) => return Err(MailboxError::Both),
        };
        Ok(Self { tenant, reading })
    }
}

impl MailboxConfig {
    /// What reads its mail, unless the content tells.
    pub(super) fn pin(&self) -> Result<Option<Pin>, ListenError> {
        match &self.reading {
            Reading::ByContent => Ok(None),
            Reading::Pinned(pin) => Ok(Some(pin.clone())),
            Reading::LayoutFile(path) => read_layout(path).map(|layout| Some(Pin::Layout(layout))),
        }
    }
}

fn read_layout(path: &Path) -> Result<Layout, ListenError> {
    let fault = |reason: String| ListenError::Layout { path: path.to_owned(), reason };
    let mut text = String::new();
    let file = File::open(path).map_err(|error| fault(error.to_string()))?;
    file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| fault(error.to_string()))?;
    if text.len() as u64 > CONFIG_BYTES_MAX {
        return Err(fault("is longer than a configuration may be".to_owned()));
    }
    toml::from_str(&text).map_err(|error| fault(error.to_string().trim_end().to_owned()))
}

/// A value that is a text, or a table that says more. An untagged enum would not tell which key is wrong.
enum Given<T> {
    Text(String),
    Table(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Given<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a table")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Given<T>, E> {
                Ok(Given::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Given<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Given::Table)
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}

#[cfg(test)]
mod tests;

//! JSON as OTLP writes it (OTLP specification, "JSON Protobuf Encoding").
//!
//! Numbers of 64 bits are decimal strings, floats may be `"NaN"` or `"Infinity"`, null is a missing field, and
//! unknown fields are stepped over.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};

use super::OtlpFault;
use crate::error::Shown;

/// A number, or its digits.
#[derive(Deserialize)]
#[serde(untagged)]
enum Digits {
    Number(serde_json::Number),
    Text(String),
}

pub(super) fn read<M: DeserializeOwned>(body: &[u8]) -> Result<M, OtlpFault> {
    serde_json::from_slice(body).map_err(|error| OtlpFault::Json {
        line: error.line(),
        column: error.column(),
        reason: Shown::of(&error.to_string()),
    })
}

/// A value, or its default for null.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

pub(super) fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display> + Default,
{
    Ok(optional_number(deserializer)?.unwrap_or_default())
}

pub(super) fn optional_number<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = match Option::<Digits>::deserialize(deserializer)? {
        None => return Ok(None),
        Some(Digits::Number(number)) => number.to_string(),
        Some(Digits::Text(text)) => text,
    };
    text.parse().map(Some).map_err(|error| Error::custom(format!("{}: {error}", Shown::of(&text))))
}

pub(super) fn optional_base64<'de, D>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error>
where
    D: Deserializer<'de>,
{
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|text| STANDARD.decode(text).map_err(Error::custom)).transpose()
}

//! What OTLP calls things: sources from resources, metric names from attributes.

use super::messages::{AnyValue, KeyValue, Resource};
use crate::gathered::{escaped, labelled};
use crate::limits::SOURCE_BYTES_MAX;

/// Attributes that name a source, the best first (OpenTelemetry semantic conventions, "Resource").
const SOURCE_KEYS: [&str; 3] = ["host.name", "service.instance.id", "service.name"];

/// What a resource calls itself, as far as a source's name may be long.
pub(super) fn source(resource: Option<&Resource>) -> Option<&str> {
    let attributes = &resource?.attributes;
    let named = |key: &&str| {
        let found = attributes.iter().find(|attribute| attribute.key == *key)?;
        let text = found.value.as_ref()?.text.as_deref()?;
        (!text.is_empty()).then(|| &text[..text.floor_char_boundary(SOURCE_BYTES_MAX)])
    };
    SOURCE_KEYS.iter().find_map(named)
}

/// `name{key=value,...}`, sorted by key. What would blur where a value ends is escaped.
pub(super) fn metric(name: &str, attributes: &[KeyValue]) -> String {
    labelled(name, attributes.iter().map(pair).collect())
}

fn pair(attribute: &KeyValue) -> String {
    let mut text = escaped(&attribute.key);
    text.push('=');
    if let Some(value) = &attribute.value {
        text.push_str(&shown(value));
    }
    text
}

/// A value as text. The depth is bounded by its decoders: 100 in protobuf, 128 in JSON.
fn shown(value: &AnyValue) -> String {
    if let Some(text) = &value.text {
        return escaped(text);
    }
    if let Some(list) = &value.list {
        return format!("[{}]", list.values.iter().map(shown).collect::<Vec<_>>().join(","));
    }
    if let Some(map) = &value.map {
        return metric("", &map.values);
    }
    if let Some(bytes) = &value.bytes {
        return hex::encode(bytes);
    }
    let flag = value.flag.map(|flag| flag.to_string());
    let whole = || value.whole.map(|number| number.to_string());
    flag.or_else(whole).or_else(|| value.double.map(|number| number.to_string())).unwrap_or_default()
}

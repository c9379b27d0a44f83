//! What Prometheus calls things: sources and metrics, both from labels.

use common::limits::NAME_BYTES_MAX;

use crate::gathered::{escaped, labelled};
use crate::limits::SOURCE_BYTES_MAX;

/// The label that holds a metric's name.
pub(super) const NAME: &str = "__name__";

/// Labels that name a source, the best first.
pub(super) const SOURCE_LABELS: [&str; 3] = ["instance", "host", "job"];

/// Labels as pairs of name and value.
pub(super) type Labels<'l> = [(&'l str, &'l str)];

/// The name of a metric and where it was measured.
pub(super) struct Place<'l> {
    /// As far as a source's name may be long; `None` when no label tells.
    pub(super) source: Option<&'l str>,
    /// `name`, empty when there is none.
    pub(super) name: &'l str,
    /// `{key=value,...}` or empty: every label but the name and the one that named the source.
    pub(super) labels: String,
}

/// Tells the labels of a series apart; `source_labels` name a source, the best first.
pub(super) fn place<'l>(labels: &Labels<'l>, source_labels: &[&str]) -> Place<'l> {
    // A label with an empty value is one that is not there (Prometheus, "Data model").
    let value = |wanted: &str| labels.iter().find(|(name, value)| *name == wanted && !value.is_empty());
    let naming = source_labels.iter().find_map(|wanted| value(wanted));
    let source = naming.map(|(_, value)| host(value));
    let is_other = |(name, value): &&(&str, &str)| {
        *name != NAME && !value.is_empty() && naming.is_none_or(|(naming, _)| naming != name)
    };
    // A name over its limit is refused. No more of it is made than shows that: labels refer to symbols, so a
    // short series may have thousands of long ones.
    let mut bytes = 0;
    let may_fit = |(name, value): &&(&str, &str)| {
        let before = bytes;
        bytes += name.len() + value.len();
        before <= NAME_BYTES_MAX
    };
    let cut = |text: &'l str| escaped(&text[..text.ceil_char_boundary(NAME_BYTES_MAX + 1)]);
    let pairs = labels.iter().filter(is_other).take_while(may_fit);
    let pairs = pairs.map(|(name, value)| format!("{}={}", cut(name), cut(value))).collect();
    let name = value(NAME).map_or("", |(_, name)| name);
    Place {
        source: source.map(|text| &text[..text.floor_char_boundary(SOURCE_BYTES_MAX)]),
        name,
        labels: labelled("", pairs),
    }
}

/// `host:port` without its port; what is written otherwise stays as it is.
fn host(instance: &str) -> &str {
    let Some((host, port)) = instance.rsplit_once(':') else { return instance };
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bare {
        Some(address) if is_port && !address.is_empty() => address,
        None if is_port && !host.is_empty() && !host.contains([':', '/']) => host,
        _ => instance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_off_where_one_is() {
        let cases = [
            ("rack-1.example.com:9100", "rack-1.example.com"),
            ("192.0.2.7:9100", "192.0.2.7"),
            ("[2001:db8::7]:9100", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("rack-1", "rack-1"),
            ("https://example.com:443", "https://example.com:443"),
            (":9100", ":9100"),
            ("rack-1:", "rack-1:"),
            ("rack-1:http", "rack-1:http"),
        ];
        for (instance, expected) in cases {
            assert_eq!(host(instance), expected, "{instance}");
        }
    }

    #[test]
    fn the_label_that_names_the_source_is_not_in_the_metric() {
        let labels =
            [("__name__", "up"), ("job", "node"), ("instance", "a:1"), ("zone", "x,y"), ("empty", "")];
        let of = |labels: &Labels<'_>| {
            let place = place(labels, &SOURCE_LABELS);
            format!("{:?} {}{}", place.source, place.name, place.labels)
        };
        assert_eq!(of(&labels), r#"Some("a") up{job=node,zone=x\,y}"#);
        assert_eq!(of(&labels[..2]), r#"Some("node") up"#);
        assert_eq!(of(&labels[..1]), "None up");
    }
}

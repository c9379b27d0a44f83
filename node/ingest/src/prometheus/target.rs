//! Where an exporter is: the URL of its metrics.

use std::fmt;

use serde::Deserialize;

/// `http://host:port/path` or `https://...` (RFC 9110, section 4.2), without user and fragment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Target {
    /// Whether TLS goes around it.
    pub is_tls: bool,
    /// A name, or an address without brackets.
    pub host: String,
    /// 80 or 443 unless it is written.
    pub port: u16,
    /// Path and query, from the slash.
    pub path: String,
}

/// A text that is no such URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a URL such as http://rack-1.example.com:9100/metrics")]
pub struct TargetError(String);

impl TryFrom<String> for Target {
    type Error = TargetError;

    fn try_from(url: String) -> Result<Self, TargetError> {
        parse(&url).ok_or(TargetError(url))
    }
}

fn parse(url: &str) -> Option<Target> {
    let is_visible = |byte: u8| byte.is_ascii_graphic();
    let (scheme, rest) = url.split_once("://").filter(|_| url.bytes().all(is_visible))?;
    let (is_tls, port) = match scheme {
        "http" => (false, 80),
        "https" => (true, 443),
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, after) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match after.strip_prefix(':') {
        Some(digits) => digits.parse().ok().filter(|port| *port > 0)?,
        None if after.is_empty() => port,
        None => return None,
    };
    let is_host = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(is_host) || path.contains('#') {
        return None;
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(Target { is_tls, host: host.to_owned(), port, path: format!("{slash}{path}") })
}

impl Target {
    /// Host and port as the header `Host` and a URL write them.
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_host_port_and_path() {
        let cases = [
            ("http://192.0.2.7:9100/metrics", "http://192.0.2.7:9100/metrics"),
            ("https://rack-1.example.com", "https://rack-1.example.com:443/"),
            ("http://[2001:db8::7]/m?a=b", "http://[2001:db8::7]:80/m?a=b"),
            ("http://example.com?x=1", "http://example.com:80/?x=1"),
        ];
        for (url, expected) in cases {
            assert_eq!(Target::try_from(url.to_owned()).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for url in [
            "",
            "rack-1:9100",
            "ftp://a/",
            "http://",
            "http:///m",
            "http://a:0/",
            "http://a:x/",
            "http://u@a/",
            "http://a/#b",
            "http://a b/",
            "http://a/\r\nX: y",
            "http://[::1/",
            "http://[::1]x/",
            "http://a:70000",
        ] {
            assert!(Target::try_from(url.to_owned()).is_err(), "{url}");
        }
    }
}

//! The paths of an envelope (RFC 5321, section 4.1.2; RFC 6531, section 3.3).

use crate::limits::{SMTP_DOMAIN_BYTES_MAX, SMTP_LOCAL_PART_BYTES_MAX};

/// A mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address<'a> {
    /// What stands before the `@`, as it was written: quotation marks are kept.
    pub(super) local_part: &'a str,
    /// What stands between the brackets.
    pub(super) whole: &'a str,
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathFault {
    /// It is no path.
    Syntax,
    /// It tells a way through other servers: a source route, or an address within a quoted local part.
    Routed,
}

/// Reads `<path>` and returns what follows it. `None` is the null path `<>`.
pub(super) fn parse_path(text: &str) -> Result<(Option<Address<'_>>, &str), PathFault> {
    let inside = text.strip_prefix('<').ok_or(PathFault::Syntax)?;
    if let Some(rest) = inside.strip_prefix('>') {
        return Ok((None, rest));
    }
    if inside.starts_with('@') {
        return Err(PathFault::Routed);
    }
    let local_bytes = match inside.strip_prefix('"') {
        Some(quoted) => quoted_len(quoted)? + 1,
        None => dotted_len(inside, is_atext).ok_or(PathFault::Syntax)?,
    };
    let (local_part, rest) = inside.split_at(local_bytes);
    let domain_bytes = match rest.strip_prefix('@') {
        Some(domain) => domain_len(domain).ok_or(PathFault::Syntax)? + 1,
        // RFC 5321, section 4.5.1: the only mailbox without a domain.
        None if local_part.eq_ignore_ascii_case("postmaster") => 0,
        None => return Err(PathFault::Syntax),
    };
    if local_bytes > SMTP_LOCAL_PART_BYTES_MAX || domain_bytes > SMTP_DOMAIN_BYTES_MAX + 1 {
        return Err(PathFault::Syntax);
    }
    let (whole, rest) = inside.split_at(local_bytes + domain_bytes);
    let rest = rest.strip_prefix('>').ok_or(PathFault::Syntax)?;
    Ok((Some(Address { local_part, whole }), rest))
}

/// Bytes of a quoted string up to its closing mark, from after its opening mark.
fn quoted_len(text: &str) -> Result<usize, PathFault> {
    let mut is_escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            '@' => return Err(PathFault::Routed),
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Ok(at + 1),
            _ => (),
        }
    }
    Err(PathFault::Syntax)
}

/// Bytes of a sequence of words between single dots.
fn dotted_len(text: &str, is_part: fn(char) -> bool) -> Option<usize> {
    let end = text.find(|char| char != '.' && !is_part(char)).unwrap_or(text.len());
    text[..end].split('.').all(|word| !word.is_empty()).then_some(end)
}

/// Bytes of a domain, or of an address literal in its brackets.
fn domain_len(text: &str) -> Option<usize> {
    match text.strip_prefix('[') {
        Some(literal) => {
            let is_part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | ':' | '-');
            let end = literal.find(|char| !is_part(char))?;
            (end > 0 && literal[end..].starts_with(']')).then_some(end + 2)
        }
        None => dotted_len(text, |char| {
            char.is_ascii_alphanumeric() || matches!(char, '-' | '_') || !char.is_ascii()
        }),
    }
}

fn is_atext(char: char) -> bool {
    char.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(char) || !char.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_up_to_its_bracket() {
        for (path, local_part) in [
            ("<a@example.com>", "a"),
            ("<a.b+c@example.com>", "a.b+c"),
            ("<\"a \\\" > b\"@example.com>", "\"a \\\" > b\""),
            ("<a@[192.0.2.1]>", "a"),
            ("<a@[IPv6:2001:db8::1]>", "a"),
            ("<PostMaster>", "PostMaster"),
            ("<ä@exämple.com>", "ä"),
        ] {
            let text = format!("{path} SIZE=1");
            let (address, rest) = parse_path(&text).unwrap();
            let address = address.unwrap();
            assert_eq!((address.local_part, rest), (local_part, " SIZE=1"), "{path}");
            assert_eq!(format!("<{}>", address.whole), path);
        }
        assert_eq!(parse_path("<>"), Ok((None, "")));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = format!("<{}@example.com>", "a".repeat(SMTP_LOCAL_PART_BYTES_MAX + 1));
        for path in [
            "",
            "a@b",
            "<a@b",
            "<a>",
            "<a@>",
            "<@>x",
            "<a@b@c>",
            "<a@b.>",
            "<.a@b>",
            "<a..b@c>",
            "<a b@c>",
            "<\"a@b>",
            "<\"a\"b@c>",
            "<a@[192.0.2.1>",
            "<a@[]>",
            "<a\\@b>",
            "<a@b\">",
            &long,
        ] {
            assert!(parse_path(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_path_through_other_servers_is_known_as_such() {
        for path in ["<@a:b@c>", "<@a,@b:c@d>", "<\"a@b\"@c>", "<\"a\\@b\"@c>"] {
            assert_eq!(parse_path(path), Err(PathFault::Routed), "{path}");
        }
    }
}

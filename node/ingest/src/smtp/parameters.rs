//! The parameters of MAIL: SIZE (RFC 1870), BODY (RFC 6152, RFC 3030), SMTPUTF8 (RFC 6531), AUTH (RFC 4954).

use super::reply::{BAD_ARGUMENT, Reply, UNKNOWN_PARAMETER};

/// What a client says about the mail it is going to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// The size it declares, in bytes.
    pub(super) size: Option<u64>,
    pub(super) body: Option<Body>,
    pub(super) is_utf8: bool,
    /// Who submitted it first, says the client. Nobody believes that, so the value is not kept.
    has_auth: bool,
}

/// What the content consists of. Seven or eight bits are the same here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Text,
    /// Without lines: by BDAT only.
    Binary,
}

/// Reads them. `takes_auth` tells whether AUTH was offered.
pub(super) fn parse(text: &str, takes_auth: bool) -> Result<Parameters, Reply> {
    let mut parameters = Parameters::default();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (keyword, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
        let is_new = match (keyword.to_ascii_uppercase().as_str(), value) {
            ("SIZE", Some(value)) => parameters.size.replace(size(value)?).is_none(),
            ("BODY", Some(value)) => parameters.body.replace(body(value)?).is_none(),
            ("SMTPUTF8", None) => !std::mem::replace(&mut parameters.is_utf8, true),
            ("AUTH", Some(_)) if takes_auth => !std::mem::replace(&mut parameters.has_auth, true),
            ("SIZE" | "BODY" | "SMTPUTF8", _) => false,
            _ => return Err(UNKNOWN_PARAMETER),
        };
        if !is_new {
            return Err(BAD_ARGUMENT);
        }
    }
    Ok(parameters)
}

/// Up to twenty digits. A number that does not fit is as good as the largest that does.
fn size(value: &str) -> Result<u64, Reply> {
    let is_number = (1..=20).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { Ok(value.parse().unwrap_or(u64::MAX)) } else { Err(BAD_ARGUMENT) }
}

fn body(value: &str) -> Result<Body, Reply> {
    let bodies = [("7BIT", Body::Text), ("8BITMIME", Body::Text), ("BINARYMIME", Body::Binary)];
    let known = bodies.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
    known.map(|(_, body)| *body).ok_or(BAD_ARGUMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_in_any_order_and_case() {
        let read = parse(" smtputf8 Size=99999999999999999999  BODY=binarymime AUTH=<>", true).unwrap();
        assert_eq!((read.size, read.body, read.is_utf8), (Some(u64::MAX), Some(Body::Binary), true));
        assert_eq!(parse("", true), Ok(Parameters::default()));
    }

    #[test]
    fn wrong_and_unknown_parameters_are_told_apart() {
        for text in ["SIZE", "SIZE=", "SIZE=x", "SIZE=+1", "SIZE=1 SIZE=1", "BODY=9BIT", "SMTPUTF8=1"] {
            assert_eq!(parse(text, true), Err(BAD_ARGUMENT), "{text}");
        }
        for text in ["RET=FULL", "=", "X"] {
            assert_eq!(parse(text, true), Err(UNKNOWN_PARAMETER), "{text}");
        }
        assert_eq!(parse("AUTH=<>", false), Err(UNKNOWN_PARAMETER));
    }
}

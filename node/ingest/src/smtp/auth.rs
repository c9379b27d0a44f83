//! AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reply::{AUTH_CANCELLED, BAD_BASE64, Reply, UNKNOWN_MECHANISM, WRONG_CREDENTIALS};

/// A password: it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// To compare it with a hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// An exchange that waits for a line of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    Plain,
    LoginName,
    LoginPassword { name: String },
}

/// What a line of the client leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Challenge(Exchange),
    Credentials { name: String, password: Password },
}

/// Begins an exchange. The initial response `=` is an empty one.
pub(super) fn begin(mechanism: &str, initial: Option<&str>) -> Result<Step, Reply> {
    let mechanisms = [("PLAIN", Exchange::Plain), ("LOGIN", Exchange::LoginName)];
    let known = mechanisms.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(mechanism));
    let (_, exchange) = known.ok_or(UNKNOWN_MECHANISM)?;
    match initial {
        None => Ok(Step::Challenge(exchange)),
        Some("=") => exchange.answer(b""),
        Some(response) => exchange.answer(response.as_bytes()),
    }
}

impl Exchange {
    /// What the client is asked, in base64: nothing, `Username:` or `Password:`.
    pub(super) fn challenge(&self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::LoginName => "VXNlcm5hbWU6",
            Self::LoginPassword { .. } => "UGFzc3dvcmQ6",
        }
    }

    /// Takes a line; `*` cancels.
    pub(super) fn next(self, line: &[u8]) -> Result<Step, Reply> {
        if line == b"*" { Err(AUTH_CANCELLED) } else { self.answer(line) }
    }

    fn answer(self, response: &[u8]) -> Result<Step, Reply> {
        let bytes = STANDARD.decode(response).map_err(|_| BAD_BASE64)?;
        let text = String::from_utf8(bytes).map_err(|_| BAD_BASE64)?;
        match self {
            Self::Plain => plain(&text),
            Self::LoginName => Ok(Step::Challenge(Self::LoginPassword { name: text })),
            Self::LoginPassword { name } => credentials(&name, &text),
        }
    }
}

/// `authorization NUL name NUL password`. To act for someone else is not offered.
fn plain(text: &str) -> Result<Step, Reply> {
    let mut parts = text.split('\0');
    let (Some(acts_for), Some(name), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(BAD_BASE64);
    };
    if !acts_for.is_empty() && acts_for != name {
        return Err(WRONG_CREDENTIALS);
    }
    credentials(name, password)
}

fn credentials(name: &str, password: &str) -> Result<Step, Reply> {
    if name.is_empty() || password.is_empty() {
        return Err(WRONG_CREDENTIALS);
    }
    Ok(Step::Credentials { name: name.to_owned(), password: Password(password.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_of(text: &str) -> Result<Step, Reply> {
        begin("plain", Some(&STANDARD.encode(text)))
    }

    fn of(name: &str, password: &str) -> Step {
        Step::Credentials { name: name.into(), password: Password(password.into()) }
    }

    #[test]
    fn plain_takes_a_name_and_a_password_in_one_line() {
        assert_eq!(plain_of("\0name\0pass word"), Ok(of("name", "pass word")));
        assert_eq!(plain_of("name\0name\0ü"), Ok(of("name", "ü")));
        assert_eq!(begin("PLAIN", None), Ok(Step::Challenge(Exchange::Plain)));
        for text in ["other\0name\0x", "\0\0x", "\0name\0"] {
            assert_eq!(plain_of(text), Err(WRONG_CREDENTIALS), "{text:?}");
        }
        for text in ["", "name", "\0name", "\0name\0a\0b"] {
            assert_eq!(plain_of(text), Err(BAD_BASE64), "{text:?}");
        }
        assert_eq!(begin("PLAIN", Some("=")), Err(BAD_BASE64));
        assert_eq!(begin("PLAIN", Some("AG5\n")), Err(BAD_BASE64));
        assert_eq!(begin("CRAM-MD5", None), Err(UNKNOWN_MECHANISM));
    }

    #[test]
    fn login_asks_for_the_name_and_then_for_the_password() {
        let Ok(Step::Challenge(exchange)) = begin("LOGIN", None) else { panic!("a challenge") };
        assert_eq!(STANDARD.decode(exchange.challenge()).unwrap(), b"Username:");
        let Ok(Step::Challenge(exchange)) = exchange.next(STANDARD.encode("n").as_bytes()) else {
            panic!("a challenge")
        };
        assert_eq!(STANDARD.decode(exchange.challenge()).unwrap(), b"Password:");
        assert_eq!(exchange.next(STANDARD.encode("p").as_bytes()), Ok(of("n", "p")));
        assert_eq!(Exchange::LoginName.next(b"*"), Err(AUTH_CANCELLED));
    }

    #[test]
    fn a_password_does_not_print() {
        assert_eq!(format!("{:?}", plain_of("\0n\0geheim").unwrap()).matches("geheim").count(), 0);
    }
}

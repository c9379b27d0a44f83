//! Tokens: what an operator hands to a machine that is to join.
//!
//! ```text
//! starling1.<base64url of: secret (32) | join key (32) | operator (33) | checksum (4)>
//! ```
//!
//! The secret tells the coordinator that the machine was given the token, the join key (X25519) and the operator's key
//! tell the machine whom it talks to and whom it is to believe. Whoever has the text may use it once, until it expires.
//! The checksum, the first bytes of a SHA-256, finds what was mistyped or cut.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::crypto::{Label, PresharedKey, PublicIdentity};
use crate::id::TokenId;

/// What a token begins with; the digit is the version of the rest.
const PREFIX: &str = "starling1.";

/// Where nodes join: below 7400, where the ports of DDS begin.
pub const JOIN_PORT: u16 = 7385;

const OPERATOR_BYTES: usize = 33;
const CHECKSUM_BYTES: usize = 4;
const TOKEN_BYTES: usize = PresharedKey::BYTES + OPERATOR_BYTES + CHECKSUM_BYTES;

/// Longer than any host has a name, in bytes (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 255;

/// What a machine is given to join with. The secret is erased when it is dropped, and not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it shares with the coordinator that issued it.
    pub key: PresharedKey,
    /// Whose rosters the machine is to believe.
    pub operator: PublicIdentity,
}

/// A token, and where it is good: `TOKEN@HOST`, `TOKEN@HOST:PORT`, `TOKEN@[ADDRESS]:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The token.
    pub token: Token,
    /// Name or address of the coordinator's host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// A text that is no token, or names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It begins with something else.
    #[error("a token begins with `{PREFIX}`: copy the whole line that `coordinator token create` printed")]
    Prefix,
    /// It was mistyped or cut.
    #[error("the token was cut or mistyped: copy the whole line that `coordinator token create` printed")]
    Damaged,
    /// There is no `@`.
    #[error("where is the coordinator? Write TOKEN@HOST, or TOKEN@HOST:PORT")]
    NoHost,
    /// What stands behind the `@` is no host and port.
    #[error(
        "`{0}` is no host: write a name or an address, `:PORT` if it is not {JOIN_PORT}, and IPv6 in brackets"
    )]
    Host(String),
}

impl Token {
    /// Names the token, and tells nothing of it.
    pub fn id(&self) -> TokenId {
        self.key.id()
    }

    /// The text, which is secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        let (body, checksum) = bytes.split_at_mut(TOKEN_BYTES - CHECKSUM_BYTES);
        body[..PresharedKey::BYTES].copy_from_slice(&self.key.to_bytes()[..]);
        body[PresharedKey::BYTES..].copy_from_slice(&self.operator.to_bytes());
        checksum.copy_from_slice(&checksum_of(body));
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + TOKEN_BYTES * 4 / 3 + 4));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&bytes[..], &mut text);
        text
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let rest = text.strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES + 3]);
        let length = URL_SAFE_NO_PAD.decode_slice(rest, &mut bytes[..]).map_err(|_| TokenError::Damaged)?;
        let (body, checksum) =
            bytes[..length].split_last_chunk::<CHECKSUM_BYTES>().ok_or(TokenError::Damaged)?;
        let (key, operator) =
            body.split_first_chunk::<{ PresharedKey::BYTES }>().ok_or(TokenError::Damaged)?;
        let operator = operator.try_into().map_err(|_| TokenError::Damaged)?;
        if checksum_of(body) != *checksum {
            return Err(TokenError::Damaged);
        }
        let operator = PublicIdentity::from_bytes(operator).map_err(|_| TokenError::Damaged)?;
        Ok(Self { key: PresharedKey::from_bytes(key), operator })
    }
}

fn checksum_of(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash: [u8; 32] =
        Sha256::new().chain_update(Label::Token.as_str()).chain_update(body).finalize().into();
    *hash.first_chunk().expect("32 bytes begin with 4")
}

impl FromStr for Ticket {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let (token, place) = text.trim().split_once('@').ok_or(TokenError::NoHost)?;
        let wrong = || TokenError::Host(place.to_owned());
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                let port =
                    (!port.is_empty()).then(|| port.strip_prefix(':').ok_or_else(wrong)).transpose()?;
                (host, port)
            }
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = port.map_or(Ok(JOIN_PORT), |port| port.parse().map_err(|_| wrong()))?;
        let is_host = (1..=HOST_BYTES_MAX).contains(&host.len())
            && !host.contains(|char: char| char.is_whitespace() || char.is_control() || char == '@');
        if !is_host || port == 0 {
            return Err(wrong());
        }
        Ok(Self { token: token.parse()?, host: host.to_owned(), port })
    }
}

/// The place alone: the token is secret.
impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::crypto::{Identity, PresharedSeed};

    fn token(seed: u64) -> Token {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let operator = *Identity::generate(rng).public();
        Token { key: PresharedSeed::generate(rng).shared(), operator }
    }

    #[test]
    fn a_token_is_read_back_from_its_text_and_shows_nothing_in_a_log() {
        let text = token(1).to_text();
        assert_eq!((text.len(), text.parse()), (145, Ok(token(1))));
        let shown = format!("{:?}", token(1));
        assert!(shown.starts_with("Token { key: PresharedKey(..), operator: PublicIdentity("), "{shown}");
    }

    #[test]
    fn a_place_has_a_host_and_perhaps_a_port() {
        let text = token(1).to_text();
        let place = |place: &str| format!("{}@{place}\n", text.as_str()).parse::<Ticket>();
        let good = [
            ("coordinator.example.com", "coordinator.example.com:7385"),
            ("192.0.2.1:99", "192.0.2.1:99"),
            ("[2001:db8::1]", "[2001:db8::1]:7385"),
            ("[2001:db8::1]:99", "[2001:db8::1]:99"),
        ];
        for (written, read) in good {
            assert_eq!(place(written).unwrap().to_string(), read);
        }
        for wrong in
            ["", ":99", "host:", "host:0", "host:99999", "2001:db8::1", "[::1", "[::1]99", "a b", "a@b"]
        {
            assert_eq!(place(wrong), Err(TokenError::Host(wrong.to_owned())), "{wrong}");
        }
        assert_eq!(text.parse::<Ticket>(), Err(TokenError::NoHost));
    }

    #[test]
    fn a_token_that_was_cut_or_mistyped_is_none() {
        let text = token(1).to_text();
        for at in 0..text.len() {
            let error = text[..at].parse::<Token>().unwrap_err();
            assert_eq!(error, if at < PREFIX.len() { TokenError::Prefix } else { TokenError::Damaged });
        }
        assert_eq!(format!("{}A", text.as_str()).parse::<Token>(), Err(TokenError::Damaged));
    }

    proptest! {
        #[test]
        fn one_other_character_is_noticed(at in PREFIX.len()..145, with in "[A-Za-z0-9_-]") {
            let text = token(1).to_text();
            let changed = format!("{}{with}{}", &text[..at], &text[at + 1..]);
            let read = changed.parse::<Token>();
            prop_assert!(read.is_err() || changed == text.as_str());
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,300}") {
            let _ = text.parse::<Ticket>();
            let _ = format!("{PREFIX}{text}@h").parse::<Ticket>();
        }
    }
}

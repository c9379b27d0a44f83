//! The receiving side of SMTP (RFC 5321) and LMTP (RFC 2033), as a machine without sockets.
//!
//! ```text
//! bytes > line::Lines > command::parse > session (order, rights, limits) > Effect::Reply
//!         content::Dotted (DATA) ┐
//!         counted octets (BDAT)  ┴> Mail > Effect::Store ... Event::Stored > Effect::Reply
//! ```
//!
//! The edge owns the socket, the timers, TLS, the passwords and the disk. It hands [`Event`]s to
//! [`Session::step`] and carries out the [`Effect`]s in their order. However the bytes are cut, the same
//! bytes give the same effects.
//!
//! # What a peer can do, and what it cannot
//!
//! *Relaying* does not exist: a recipient is a mailbox that the [`Policy`] lists, or `tenant+token`, and
//! nothing else is accepted. Source routes and quoted `@` are refused.
//!
//! *Smuggling* (two servers that disagree where a mail ends, so that the content of one mail becomes the
//! commands of another) needs an end of data that one side sees and the other does not. Here only
//! `CRLF . CRLF` ends data. A bare CR or LF leaves it open what the sender took for a line, as in
//! `CR CR LF . CR LF`, so such a mail is swallowed up to its `CRLF . CRLF`, answered with 550, and the
//! connection is closed: nothing that follows is believed. Closing only then, rather than at once, gives a
//! sender its permanent answer, where a connection that breaks within the content would be tried again for
//! days; and it is as safe, for until that end nothing but content is read. A bare LF in a command closes at
//! once.
//!
//! For networks of listed old devices ([`Peer::sends_bare_newlines`]) bare newlines become CRLF. They do not
//! end data there either, but `CR CR LF . CR LF` does, and the session goes on: list devices there, never a
//! server that sends other people's mail.
//!
//! BDAT counts its octets and knows no lines: it is taken as it comes. When its count cannot be read the
//! connection is closed, for then content and commands cannot be told apart.
//!
//! *Injection before TLS*: what came in the clear after STARTTLS is dropped, and the client says EHLO again.

mod address;
mod auth;
mod command;
mod content;
mod line;
mod parameters;
mod policy;
mod reply;
mod session;

pub use self::auth::Password;
pub use self::policy::{Mailbox, Peer, Policy, Protocol, TlsMode, Token};
pub use self::session::Session;

/// What the edge tells a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The connection is there, and the edge has waited for early talkers as long as it likes.
    Connected,
    /// Bytes of the peer; after TLS was started, decrypted ones. 64 KiB at most, or a session that waits
    /// may have to give up (see [`Session::wants_bytes`]).
    Bytes(&'a [u8]),
    /// The handshake asked for by [`Effect::StartTls`] is done.
    TlsStarted {
        /// The client's certificate, if it has one; it was verified.
        certificate: Option<Certificate>,
    },
    /// Whether the name and password of [`Effect::Authenticate`] are right.
    Authenticated(bool),
    /// What became of the mail of [`Effect::Store`]: `Ok` only when it is durable.
    Stored(Result<(), Refusal>),
    /// The peer was silent for too long. Not while the edge itself owes an answer: a mail that is stored
    /// after this would come again.
    TimedOut,
    /// The program ends. A mail that is being received is still received.
    ShuttingDown,
    /// The peer has closed its side. What it has already sent is still answered.
    Eof,
}

/// What the edge is to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send these bytes.
    Reply(Vec<u8>),
    /// Send what is still to be sent, then do the TLS handshake, then tell [`Event::TlsStarted`]. Bytes
    /// that the edge has already read in the clear are not part of the handshake: drop them.
    StartTls,
    /// Check these, then tell [`Event::Authenticated`].
    Authenticate {
        /// The name of the account.
        name: String,
        /// Its password.
        password: Password,
    },
    /// Make this durable, then tell [`Event::Stored`].
    Store(Mail),
    /// Send what is still to be sent and close the connection. The session does nothing after that.
    Close,
}

/// A mail with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The reverse path, without brackets; empty for the null path (RFC 5321, section 4.5.5).
    pub sender: String,
    /// At least one.
    pub recipients: Vec<Recipient>,
    /// Why the sender may send.
    pub rights: Rights,
    /// The content, with CRLF line ends unless it came by BDAT. Its header may hold the address, so a token.
    pub bytes: Vec<u8>,
}

/// A recipient that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The mailbox, as the policy writes it; for `tenant+token`, the tenant: the token is a secret.
    pub local_part: String,
    /// Whose telemetry it is.
    pub tenant: String,
    /// Whether the address itself proved the right to send, by its token.
    pub token_verified: bool,
}

/// What a verified certificate says of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// It has a name that is listed.
    Listed {
        /// That name.
        name: String,
        /// The tenants whose telemetry it may bring.
        tenants: Vec<String>,
    },
    /// None of its names is listed.
    Unlisted,
}

/// Why a peer may send to mailboxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rights {
    /// It may not; only addresses with a token are open to it.
    #[default]
    None,
    /// Its network is trusted.
    Network,
    /// Its certificate was verified: it may send to the mailboxes of its tenants, or not at all.
    Certificate(Certificate),
    /// It authenticated with this name.
    Login(String),
}

/// Why a mail was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The storage is full; the sender tries again later (452).
    Full,
    /// The storage is at fault; the sender tries again later (451).
    Unavailable,
    /// The mail itself is at fault, for this reason; the sender gives up (554).
    Rejected(String),
}

#[cfg(test)]
mod tests;

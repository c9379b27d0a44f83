//! One connection: events in, effects out.
//!
//! ```text
//! New > (Handshake) > Command <> Auth <> Authenticating
//!                     Command <> Handshake                 STARTTLS
//!                     Command <> Data, Chunk > Storing     DATA, BDAT
//!                     any > Closed
//! ```

mod commands;
mod transaction;

use std::sync::Arc;

use self::transaction::{Chunk, Transaction};
use super::auth::Exchange;
use super::command::{CommandFault, Hello, refused};
use super::content::{ContentFault, Dotted};
use super::line::{Line, Lines};
use super::reply::{
    AUTH_TOO_LONG, BARE_NEWLINE, BARE_NEWLINE_IN_CONTENT, EARLY_TALKER, LINE_TOO_LONG, LOGGED_IN, Reply,
    SHUTTING_DOWN, TIMED_OUT, TOO_LARGE, TOO_MANY_ERRORS, TOO_MUCH_AHEAD, WRONG_CREDENTIALS, plain_line,
    stored_line,
};
use super::{Certificate, Effect, Event, Mail, Peer, Policy, Protocol, Refusal, Rights, TlsMode};
use crate::limits::{SMTP_AUTH_BYTES_MAX, SMTP_COMMAND_BYTES_MAX, SMTP_HELD_BYTES_MAX};

/// The receiving side of one connection.
///
/// It holds at most one mail (`message_bytes_max` and its envelope), one line and
/// twice [`SMTP_HELD_BYTES_MAX`]. Tokens and passwords come in its bytes, so it does not print.
pub struct Session {
    policy: Arc<Policy>,
    peer: Peer,
    state: State,
    rights: Rights,
    is_encrypted: bool,
    is_shutting_down: bool,
    /// The peer sends no more, but still reads.
    has_ended: bool,
    hello: Option<Hello>,
    transaction: Option<Transaction>,
    lines: Lines,
    /// What came while an answer of the edge was awaited; empty in states that take bytes.
    held: Vec<u8>,
    commands: u32,
    errors: u32,
}

/// What the next bytes are, or what is waited for before they are looked at.
enum State {
    /// For [`Event::Connected`].
    New,
    /// For [`Event::TlsStarted`].
    Handshake,
    Command,
    Auth(Exchange),
    /// For [`Event::Authenticated`].
    Authenticating {
        name: String,
    },
    Data(Dotted),
    Chunk(Chunk),
    /// For [`Event::Stored`].
    Storing {
        answers: usize,
    },
    Closed,
}

impl Session {
    /// A session before its greeting.
    pub fn new(policy: Arc<Policy>, peer: Peer) -> Self {
        let rights = if peer.is_trusted { Rights::Network } else { Rights::None };
        Self {
            policy,
            peer,
            state: State::New,
            rights,
            is_encrypted: false,
            is_shutting_down: false,
            has_ended: false,
            hello: None,
            transaction: None,
            lines: Lines::default(),
            held: Vec::new(),
            commands: 0,
            errors: 0,
        }
    }

    /// Takes one event; adds what is to be done to `out`. Events that are not waited for do nothing.
    pub fn step(&mut self, event: Event<'_>, out: &mut Vec<Effect>) {
        match (event, &self.state) {
            (_, State::Closed) => (),
            (Event::Connected, State::New) => self.connected(out),
            (Event::Bytes(bytes), _) => self.feed(bytes, out),
            (Event::TlsStarted { certificate }, State::Handshake) => self.tls_started(certificate, out),
            (Event::Authenticated(is_right), State::Authenticating { .. }) => {
                self.authenticated(is_right, out);
            }
            (Event::Stored(result), &State::Storing { answers }) => self.stored(&result, answers, out),
            (Event::TimedOut, _) => self.close_with(TIMED_OUT, out),
            (Event::ShuttingDown, _) => self.shut_down(out),
            (Event::Eof, _) => {
                self.has_ended = true;
                self.close_if_ended(out);
            }
            (Event::Connected | Event::TlsStarted { .. } | Event::Authenticated(_) | Event::Stored(_), _) => {
            }
        }
    }

    /// Whether the edge should read on. While it says no, the peer waits in its own buffers; a session
    /// that is handed more all the same closes once it holds twice [`SMTP_HELD_BYTES_MAX`].
    pub fn wants_bytes(&self) -> bool {
        match self.state {
            State::Closed | State::Handshake => false,
            _ if self.has_ended || !self.may_talk() => false,
            State::New | State::Authenticating { .. } | State::Storing { .. } => {
                self.held.len() < SMTP_HELD_BYTES_MAX
            }
            State::Command | State::Auth(_) | State::Data(_) | State::Chunk(_) => true,
        }
    }

    /// Whether the connection is to be closed, or is.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<Effect>) {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Handshake | State::Closed => return,
                // RFC 3207, section 4.2: what came in the clear where TLS is awaited is dropped.
                _ if !self.may_talk() => return,
                State::New if self.policy.refuses_early_talkers => {
                    return self.close_with(EARLY_TALKER, out);
                }
                State::New | State::Authenticating { .. } | State::Storing { .. } => {
                    return self.hold(bytes, out);
                }
                State::Command | State::Auth(_) => self.take_line(bytes, out),
                State::Data(_) => self.take_data(bytes, out),
                State::Chunk(_) => self.take_chunk(bytes, out),
            };
            bytes = &bytes[taken..];
        }
    }

    fn hold(&mut self, bytes: &[u8], out: &mut Vec<Effect>) {
        if self.held.len() + bytes.len() > 2 * SMTP_HELD_BYTES_MAX {
            return self.close_with(TOO_MUCH_AHEAD, out);
        }
        self.held.extend_from_slice(bytes);
    }

    /// Goes on with commands, after the answer of the edge was passed on.
    fn resume(&mut self, out: &mut Vec<Effect>) {
        self.state = State::Command;
        if self.is_shutting_down {
            return self.close_with(SHUTTING_DOWN, out);
        }
        let held = std::mem::take(&mut self.held);
        self.feed(&held, out);
        self.close_if_ended(out);
    }

    /// A peer that has ended still gets the answers it is owed.
    fn close_if_ended(&mut self, out: &mut Vec<Effect>) {
        let is_owed = matches!(self.state, State::Authenticating { .. } | State::Storing { .. });
        if self.has_ended && !is_owed && !self.is_closed() {
            self.close(out);
        }
    }

    fn connected(&mut self, out: &mut Vec<Effect>) {
        if self.policy.tls == TlsMode::Implicit {
            self.state = State::Handshake;
            out.push(Effect::StartTls);
        } else {
            self.greet(out);
        }
    }

    fn greet(&mut self, out: &mut Vec<Effect>) {
        let protocol = match self.policy.protocol {
            Protocol::Smtp => "ESMTP",
            Protocol::Lmtp => "LMTP",
        };
        out.push(Effect::Reply(plain_line(220, &format!("{} {protocol} Starling", self.policy.hostname))));
        self.resume(out);
    }

    /// RFC 3207, section 4.2: what the client said before is forgotten.
    fn tls_started(&mut self, certificate: Option<Certificate>, out: &mut Vec<Effect>) {
        self.is_encrypted = true;
        self.hello = None;
        self.transaction = None;
        // One that is shown has to be listed, whoever shows it.
        if let Some(certificate) = certificate {
            self.rights = Rights::Certificate(certificate);
        }
        if self.policy.tls == TlsMode::Implicit {
            self.greet(out);
        } else {
            self.state = State::Command;
        }
    }

    fn take_line(&mut self, bytes: &[u8], out: &mut Vec<Effect>) -> usize {
        let (taken, line) = self.lines.take(bytes);
        if let Some(line) = line {
            self.line(&line, out);
        }
        taken
    }

    fn line(&mut self, line: &Line, out: &mut Vec<Effect>) {
        if !line.ends_with_crlf && !self.peer.sends_bare_newlines {
            return self.close_with(BARE_NEWLINE, out);
        }
        match std::mem::replace(&mut self.state, State::Command) {
            State::Auth(_) if line.bytes > SMTP_AUTH_BYTES_MAX => self.refuse(AUTH_TOO_LONG, out),
            State::Auth(exchange) => self.go_on_with_auth(exchange.next(&line.text), out),
            _ if line.bytes > line_bytes_max(&line.text) => {
                self.refuse_line(refused(&line.text, LINE_TOO_LONG), out);
            }
            _ => self.command(&line.text, out),
        }
    }

    fn take_data(&mut self, bytes: &[u8], out: &mut Vec<Effect>) -> usize {
        let State::Data(dotted) = &mut self.state else { return 0 };
        let (taken, has_ended) = dotted.take(bytes);
        if has_ended && let State::Data(dotted) = std::mem::replace(&mut self.state, State::Command) {
            self.finish_mail(dotted.content.finish(), out);
        }
        taken
    }

    /// The content is there: asks for it to be stored, or says why not.
    fn finish_mail(&mut self, content: Result<Vec<u8>, ContentFault>, out: &mut Vec<Effect>) {
        let Some(Transaction { sender, recipients, .. }) = self.transaction.take() else { return };
        let answers = match self.policy.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => recipients.len(),
        };
        match content {
            Ok(bytes) => {
                let rights = self.rights.clone();
                self.state = State::Storing { answers };
                out.push(Effect::Store(Mail { sender, recipients, rights, bytes }));
            }
            Err(ContentFault::TooLarge) => {
                answer(&TOO_LARGE.line(), answers, out);
                self.close_if_shutting_down(out);
            }
            Err(ContentFault::BareNewline) => {
                answer(&BARE_NEWLINE_IN_CONTENT.line(), answers, out);
                self.close(out);
            }
        }
    }

    fn stored(&mut self, result: &Result<(), Refusal>, answers: usize, out: &mut Vec<Effect>) {
        answer(&stored_line(result), answers, out);
        self.resume(out);
    }

    fn authenticated(&mut self, is_right: bool, out: &mut Vec<Effect>) {
        let State::Authenticating { name } = std::mem::replace(&mut self.state, State::Command) else {
            return;
        };
        if is_right {
            self.rights = Rights::Login(name);
            out.push(Effect::Reply(LOGGED_IN.line()));
        } else {
            self.refuse(WRONG_CREDENTIALS, out);
        }
        if !self.is_closed() {
            self.resume(out);
        }
    }

    /// A mail that is being received or stored still gets its answer.
    fn shut_down(&mut self, out: &mut Vec<Effect>) {
        self.is_shutting_down = true;
        if !matches!(self.state, State::Data(_) | State::Chunk(_) | State::Storing { .. }) {
            self.close_with(SHUTTING_DOWN, out);
        }
    }

    fn close_if_shutting_down(&mut self, out: &mut Vec<Effect>) {
        if self.is_shutting_down {
            self.close_with(SHUTTING_DOWN, out);
        }
    }

    /// Answers with a permanent refusal, and closes after too many of them.
    fn refuse(&mut self, reply: Reply, out: &mut Vec<Effect>) {
        out.push(Effect::Reply(reply.line()));
        self.errors += 1;
        if self.errors >= self.policy.errors_max {
            self.close_with(TOO_MANY_ERRORS, out);
        }
    }

    fn refuse_line(&mut self, fault: CommandFault, out: &mut Vec<Effect>) {
        match fault {
            CommandFault::Refused(reply) => self.refuse(reply, out),
            CommandFault::Closed(reply) => self.close_with(reply, out),
        }
    }

    /// Before and within a handshake a line in the clear would be taken for a part of it.
    fn may_talk(&self) -> bool {
        let awaits_tls = self.policy.tls == TlsMode::Implicit && !self.is_encrypted;
        !awaits_tls && !matches!(self.state, State::Handshake)
    }

    fn close_with(&mut self, reply: Reply, out: &mut Vec<Effect>) {
        if self.may_talk() {
            out.push(Effect::Reply(reply.line()));
        }
        self.close(out);
    }

    /// Frees what is held, too: the edge may keep a closed session until its last reply is sent.
    fn close(&mut self, out: &mut Vec<Effect>) {
        self.state = State::Closed;
        self.transaction = None;
        self.lines = Lines::default();
        self.held = Vec::new();
        out.push(Effect::Close);
    }

    /// Bytes of memory that are held, but for the envelope.
    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        let chunks = self.transaction.as_ref().and_then(|transaction| transaction.content.as_ref());
        let dotted = if let State::Data(dotted) = &self.state { dotted.content.capacity() } else { 0 };
        let chunks = chunks.map_or(0, super::content::Content::capacity);
        self.held.capacity() + self.lines.capacity() + dotted + chunks
    }
}

fn line_bytes_max(text: &[u8]) -> usize {
    let is_auth = text.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
    if is_auth { SMTP_AUTH_BYTES_MAX } else { SMTP_COMMAND_BYTES_MAX }
}

fn answer(line: &[u8], times: usize, out: &mut Vec<Effect>) {
    out.extend((0..times).map(|_| Effect::Reply(line.to_vec())));
}

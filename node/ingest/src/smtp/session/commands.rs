//! What each command does.

use super::super::auth::{self, Step};
use super::super::command::{Command, Hello, parse};
use super::super::content::{BareNewlines, Content, Dotted};
use super::super::parameters::Body;
use super::super::reply::{
    AUTH_ALREADY, BAD_RECIPIENT, BINARY_NEEDS_CHUNKS, BYE, CHUNKS_BEGUN, CONTENT_WANTED, DONE, HELLO_FIRST,
    HELP, MAIL_ALREADY, NOT_OFFERED, NOT_VERIFIED, Reply, TLS_ALREADY, TLS_READY, TLS_REQUIRED,
    TOO_MANY_COMMANDS, UNKNOWN_COMMAND, challenge_line, plain_line, plain_lines,
};
use super::super::{Effect, Protocol, Rights, TlsMode};
use super::{Session, State};

impl Session {
    /// Reads a line and obeys it.
    pub(super) fn command(&mut self, line: &[u8], out: &mut Vec<Effect>) {
        self.commands += 1;
        if self.commands > self.policy.commands_max {
            return self.close_with(TOO_MANY_COMMANDS, out);
        }
        match parse(line) {
            Ok(command) => self.obey(command, out),
            Err(fault) => self.refuse_line(fault, out),
        }
    }

    fn obey(&mut self, command: Command<'_>, out: &mut Vec<Effect>) {
        let answered = match command {
            Command::Hello(hello) => return self.say_hello(hello, out),
            Command::Auth { mechanism, initial } => match self.check_auth() {
                Ok(()) => return self.go_on_with_auth(auth::begin(mechanism, initial), out),
                Err(reply) => Err(reply),
            },
            Command::Bdat { bytes, is_last } => return self.begin_chunk(bytes, is_last, out),
            Command::Quit => return self.close_with(BYE, out),
            Command::StartTls => match self.check_start_tls() {
                Ok(()) => return self.start_tls(out),
                Err(reply) => Err(reply),
            },
            Command::Mail { path, parameters } => self.begin_mail(path, parameters),
            Command::Rcpt { path: Some(address), parameters } => self.add_recipient(&address, parameters),
            Command::Rcpt { path: None, .. } => Err(BAD_RECIPIENT),
            Command::Data => self.begin_data(),
            Command::Rset => {
                self.transaction = None;
                Ok(DONE)
            }
            Command::Vrfy => Ok(NOT_VERIFIED),
            Command::NotOffered => Err(NOT_OFFERED),
            Command::Help => Ok(HELP),
            Command::Noop => Ok(DONE),
        };
        match answered {
            Ok(reply) => out.push(Effect::Reply(reply.line())),
            // No error of the client's: it is told to come again.
            Err(reply) if reply.is_temporary() => out.push(Effect::Reply(reply.line())),
            Err(reply) => self.refuse(reply, out),
        }
    }

    /// LMTP knows LHLO only, SMTP the other two (RFC 2033, section 4.1). Ends a mail that has begun.
    fn say_hello(&mut self, hello: Hello, out: &mut Vec<Effect>) {
        if (self.policy.protocol == Protocol::Lmtp) != (hello == Hello::Lhlo) {
            return self.refuse(UNKNOWN_COMMAND, out);
        }
        self.hello = Some(hello);
        self.transaction = None;
        out.push(Effect::Reply(match hello {
            Hello::Helo => plain_line(250, &self.policy.hostname),
            Hello::Ehlo | Hello::Lhlo => plain_lines(250, &self.extensions()),
        }));
    }

    fn extensions(&self) -> Vec<String> {
        let always = ["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "ENHANCEDSTATUSCODES"];
        let mut lines = vec![self.policy.hostname.clone(), format!("SIZE {}", self.policy.message_bytes_max)];
        lines.extend(always.map(str::to_owned));
        if self.check_start_tls().is_ok() {
            lines.push("STARTTLS".to_owned());
        }
        if self.is_encrypted {
            lines.push("AUTH PLAIN LOGIN".to_owned());
        }
        lines
    }

    /// RFC 3207, section 4.
    fn check_start_tls(&self) -> Result<(), Reply> {
        match self.policy.tls {
            _ if self.is_encrypted => Err(TLS_ALREADY),
            TlsMode::None => Err(NOT_OFFERED),
            TlsMode::StartTls | TlsMode::Implicit => Ok(()),
        }
    }

    fn start_tls(&mut self, out: &mut Vec<Effect>) {
        out.extend([Effect::Reply(TLS_READY.line()), Effect::StartTls]);
        self.state = State::Handshake;
    }

    /// RFC 4954, section 4: once a session, under TLS, and not within a mail.
    fn check_auth(&self) -> Result<(), Reply> {
        match self.policy.tls {
            TlsMode::None => Err(NOT_OFFERED),
            _ if !self.is_encrypted => Err(TLS_REQUIRED),
            _ if self.hello.is_none_or(|hello| hello == Hello::Helo) => Err(HELLO_FIRST),
            _ if self.transaction.is_some() => Err(MAIL_ALREADY),
            _ if matches!(self.rights, Rights::Login(_)) => Err(AUTH_ALREADY),
            _ => Ok(()),
        }
    }

    /// Asks the client, or the edge.
    pub(super) fn go_on_with_auth(&mut self, step: Result<Step, Reply>, out: &mut Vec<Effect>) {
        match step {
            Ok(Step::Challenge(exchange)) => {
                out.push(Effect::Reply(challenge_line(exchange.challenge())));
                self.state = State::Auth(exchange);
            }
            Ok(Step::Credentials { name, password }) => {
                self.state = State::Authenticating { name: name.clone() };
                out.push(Effect::Authenticate { name, password });
            }
            Err(reply) => self.refuse(reply, out),
        }
    }

    fn begin_data(&mut self) -> Result<Reply, Reply> {
        let transaction = self.ready_transaction()?;
        if transaction.content.is_some() {
            return Err(CHUNKS_BEGUN);
        }
        // RFC 3030, section 3.
        if transaction.body == Body::Binary {
            return Err(BINARY_NEEDS_CHUNKS);
        }
        let bare_newlines =
            if self.peer.sends_bare_newlines { BareNewlines::Normalise } else { BareNewlines::Refuse };
        let content = Content::new(self.policy.message_bytes_max);
        self.state = State::Data(Dotted::new(content, bare_newlines));
        Ok(CONTENT_WANTED)
    }
}

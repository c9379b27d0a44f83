//! A mail on its way in: MAIL, RCPT, and BDAT (RFC 3030).

use super::super::address::Address;
use super::super::command::Hello;
use super::super::content::{Content, ContentFault};
use super::super::parameters::{self, Body, Parameters};
use super::super::reply::{
    AUTH_REQUIRED, CERTIFICATE_NOT_LISTED, CHUNK_TAKEN, CHUNKS_BEGUN, HELLO_FIRST, MAIL_ALREADY, MAIL_FIRST,
    NO_RELAYING, RECIPIENT_FIRST, RECIPIENT_TAKEN, Reply, SENDER_TAKEN, TOO_LARGE, TOO_MANY_RECIPIENTS,
    UNKNOWN_PARAMETER, UTF8_NOT_DECLARED,
};
use super::super::{Certificate, Effect, Recipient, Rights};
use super::{Session, State};

/// What MAIL began.
pub(super) struct Transaction {
    /// The reverse path without its brackets.
    pub(super) sender: String,
    pub(super) recipients: Vec<Recipient>,
    pub(super) body: Body,
    is_utf8: bool,
    /// The chunks so far, once BDAT has begun.
    pub(super) content: Option<Content>,
}

/// Octets that BDAT announced.
pub(super) struct Chunk {
    /// How many are still to come.
    bytes: u64,
    is_last: bool,
    /// Set when the command came at the wrong time: its octets come all the same, and are dropped.
    refusal: Option<Reply>,
}

impl Session {
    pub(super) fn begin_mail(&mut self, path: Option<Address<'_>>, parameters: &str) -> Result<Reply, Reply> {
        let hello = self.hello.ok_or(HELLO_FIRST)?;
        if self.transaction.is_some() {
            return Err(MAIL_ALREADY);
        }
        match self.rights {
            Rights::Certificate(Certificate::Unlisted) => return Err(CERTIFICATE_NOT_LISTED),
            Rights::None if self.policy.auth_required => return Err(AUTH_REQUIRED),
            _ => (),
        }
        if hello == Hello::Helo && !parameters.is_empty() {
            return Err(UNKNOWN_PARAMETER);
        }
        let Parameters { size, body, is_utf8, .. } = parameters::parse(parameters, self.is_encrypted)?;
        // RFC 1870, section 6.1.
        if size.is_some_and(|size| size > self.policy.message_bytes_max as u64) {
            return Err(TOO_LARGE);
        }
        let sender = path.map_or("", |address| address.whole);
        if !sender.is_ascii() && !is_utf8 {
            return Err(UTF8_NOT_DECLARED);
        }
        self.transaction = Some(Transaction {
            sender: sender.to_owned(),
            recipients: Vec::new(),
            body: body.unwrap_or(Body::Text),
            is_utf8,
            content: None,
        });
        Ok(SENDER_TAKEN)
    }

    pub(super) fn add_recipient(&mut self, address: &Address<'_>, parameters: &str) -> Result<Reply, Reply> {
        let transaction = self.transaction.as_mut().ok_or(MAIL_FIRST)?;
        if transaction.content.is_some() {
            return Err(CHUNKS_BEGUN);
        }
        if !parameters.is_empty() {
            return Err(UNKNOWN_PARAMETER);
        }
        if !address.whole.is_ascii() && !transaction.is_utf8 {
            return Err(UTF8_NOT_DECLARED);
        }
        // Before the address is looked at, so that a full mail is no way to try tokens.
        if transaction.recipients.len() >= self.policy.recipients_max {
            return Err(TOO_MANY_RECIPIENTS);
        }
        transaction.recipients.push(self.policy.recipient(address, &self.rights).ok_or(NO_RELAYING)?);
        Ok(RECIPIENT_TAKEN)
    }

    /// A mail that has a recipient.
    pub(super) fn ready_transaction(&mut self) -> Result<&mut Transaction, Reply> {
        let transaction = self.transaction.as_mut().ok_or(MAIL_FIRST)?;
        if transaction.recipients.is_empty() { Err(RECIPIENT_FIRST) } else { Ok(transaction) }
    }

    pub(super) fn begin_chunk(&mut self, bytes: u64, is_last: bool, out: &mut Vec<Effect>) {
        let bytes_max = self.policy.message_bytes_max;
        let begun = self.ready_transaction().map(|transaction| {
            transaction.content.get_or_insert_with(|| Content::new(bytes_max));
        });
        let chunk = Chunk { bytes, is_last, refusal: begun.err() };
        self.go_on_with_chunk(chunk, out);
    }

    pub(super) fn take_chunk(&mut self, bytes: &[u8], out: &mut Vec<Effect>) -> usize {
        let State::Chunk(mut chunk) = std::mem::replace(&mut self.state, State::Command) else { return 0 };
        let taken = usize::try_from(chunk.bytes).unwrap_or(usize::MAX).min(bytes.len());
        let content = self.transaction.as_mut().and_then(|transaction| transaction.content.as_mut());
        if let Some(content) = content {
            content.push(&bytes[..taken]);
        }
        chunk.bytes -= taken as u64;
        self.go_on_with_chunk(chunk, out);
        taken
    }

    fn go_on_with_chunk(&mut self, chunk: Chunk, out: &mut Vec<Effect>) {
        if chunk.bytes > 0 {
            self.state = State::Chunk(chunk);
            return;
        }
        if let Some(refusal) = chunk.refusal {
            self.refuse(refusal, out);
        } else if chunk.is_last {
            let content = self.transaction.as_mut().and_then(|transaction| transaction.content.take());
            return self.finish_mail(content.map_or_else(|| Ok(Vec::new()), Content::finish), out);
        } else {
            self.answer_chunk(out);
        }
        if !self.is_closed() {
            self.close_if_shutting_down(out);
        }
    }

    /// A mail that has grown too large ends with this chunk; those that follow are refused.
    fn answer_chunk(&mut self, out: &mut Vec<Effect>) {
        let content = self.transaction.as_ref().and_then(|transaction| transaction.content.as_ref());
        let fault = content.and_then(Content::fault);
        let reply = if fault == Some(ContentFault::TooLarge) { TOO_LARGE } else { CHUNK_TAKEN };
        if fault.is_some() {
            self.transaction = None;
        }
        out.push(Effect::Reply(reply.line()));
    }
}

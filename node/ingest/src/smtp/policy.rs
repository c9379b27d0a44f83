//! What a listener allows, and to whom.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};

use super::address::Address;
use super::{Certificate, Recipient, Rights};
use crate::limits::{MAIL_BYTES_MAX, SMTP_COMMANDS_MAX, SMTP_ERRORS_MAX, SMTP_RECIPIENTS_MAX};

/// The rules of one listener; shared by its sessions.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The name this server says it has.
    pub hostname: String,
    /// Which of the two protocols is spoken.
    pub protocol: Protocol,
    /// When TLS starts.
    pub tls: TlsMode,
    /// Whether MAIL is refused to a peer without [rights](super::Rights), even for addresses with a token.
    pub auth_required: bool,
    /// Whether a peer that talks before the greeting is refused; else what it says waits.
    pub refuses_early_talkers: bool,
    /// Bytes of a mail's content.
    pub message_bytes_max: usize,
    /// Recipients of a mail.
    pub recipients_max: usize,
    /// Commands of a session.
    pub commands_max: u32,
    /// Refused commands after which a session ends.
    pub errors_max: u32,
    /// Addresses for peers with rights: any such peer may send to any of them, but one with a certificate only to
    /// those of its tenants. RFC 5321, section 4.5.1, asks
    /// for a `postmaster`; it is there only if it is listed.
    pub mailboxes: Vec<Mailbox>,
    /// Addresses `tenant+token` for devices that cannot authenticate.
    pub tokens: Vec<Token>,
}

/// The protocol of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 5321.
    #[default]
    Smtp,
    /// RFC 2033: one answer a recipient.
    Lmtp,
}

/// When TLS starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Never; so nobody can authenticate either.
    #[default]
    None,
    /// When the client says STARTTLS (RFC 3207).
    StartTls,
    /// Before the greeting (RFC 8314).
    Implicit,
}

/// What the edge knows of a peer from its network address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// It may send to mailboxes without authentication.
    pub is_trusted: bool,
    /// It is on the list of old devices: its bare CR and LF become CRLF, and are not refused.
    pub sends_bare_newlines: bool,
}

/// An address that the policy lists: this local part at any domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Compared without ASCII case.
    pub local_part: String,
    /// Whose telemetry it takes.
    pub tenant: String,
}

/// One token of a tenant; a tenant may have several.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Compared exactly.
    pub tenant: String,
    /// BLAKE3 of the token. A token is a random string, so a fast hash without salt is enough.
    pub hash: [u8; 32],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

impl Rights {
    /// Whether they let a peer send to a mailbox.
    fn open(&self, mailbox: &Mailbox) -> bool {
        match self {
            Self::None | Self::Certificate(Certificate::Unlisted) => false,
            Self::Network | Self::Login(_) => true,
            Self::Certificate(Certificate::Listed { tenants, .. }) => tenants.contains(&mailbox.tenant),
        }
    }
}

impl Policy {
    /// A listener for SMTP in the clear, without a single address.
    pub fn new(hostname: &str) -> Self {
        Self {
            hostname: hostname.to_owned(),
            protocol: Protocol::default(),
            tls: TlsMode::default(),
            auth_required: false,
            refuses_early_talkers: true,
            message_bytes_max: MAIL_BYTES_MAX as usize,
            recipients_max: SMTP_RECIPIENTS_MAX,
            commands_max: SMTP_COMMANDS_MAX,
            errors_max: SMTP_ERRORS_MAX,
            mailboxes: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Who gets mail to `address`. Its domain does not matter: this server sends nothing on.
    pub(super) fn recipient(&self, address: &Address<'_>, rights: &Rights) -> Option<Recipient> {
        let local_part = address.local_part;
        // Routing that hides in a local part ("%-hack", bang path, quoted address): never a mailbox here.
        if local_part.contains(['%', '!', '"', '@']) {
            return None;
        }
        let mut mailboxes = self.mailboxes.iter().filter(|mailbox| rights.open(mailbox));
        if let Some(listed) = mailboxes.find(|listed| listed.local_part.eq_ignore_ascii_case(local_part)) {
            let (local_part, tenant) = (listed.local_part.clone(), listed.tenant.clone());
            return Some(Recipient { local_part, tenant, token_verified: false });
        }
        let (tenant, token) = local_part.split_once('+')?;
        let verified = self.has_token(tenant, token);
        let recipient =
            || Recipient { local_part: tenant.to_owned(), tenant: tenant.to_owned(), token_verified: true };
        verified.then(recipient)
    }

    /// Compares with every token in constant time, so that how long it takes tells nothing about them.
    fn has_token(&self, tenant: &str, token: &str) -> bool {
        let hash = blake3::hash(token.as_bytes());
        let equal = |known: &Token| {
            known.hash[..].ct_eq(hash.as_bytes()) & known.tenant.as_bytes().ct_eq(tenant.as_bytes())
        };
        self.tokens.iter().fold(Choice::from(0), |found, known| found | equal(known)).into()
    }
}

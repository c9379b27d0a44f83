//! `[smtp]` in a node's configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

use super::super::access::TokenConfig;
use super::super::{ListenError, TlsConfig, connections_max, connections_per_source_max, require};
use super::certificates::CertificateConfig;
use super::mailboxes::MailboxConfig;
use crate::adapt::Pins;
use crate::limits::MAIL_BYTES_MAX;
use crate::smtp::{Mailbox, Policy, Token};

/// `[smtp]`; see `node/samples/node.toml` for the meaning of each key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// Addresses for SMTP; STARTTLS is offered where there is a certificate.
    #[serde(default)]
    pub listen: Vec<SocketAddr>,
    /// Addresses for SMTP where TLS begins before the greeting.
    #[serde(default)]
    pub listen_tls: Vec<SocketAddr>,
    /// Addresses for LMTP.
    #[serde(default)]
    pub listen_lmtp: Vec<SocketAddr>,
    /// The name that it greets with.
    pub hostname: String,
    /// Certificate and key.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Local parts, the tenant whose telemetry they take, and how it is read.
    #[serde(default)]
    pub mailboxes: BTreeMap<String, MailboxConfig>,
    /// Tokens for devices that cannot authenticate: they write to `tenant+token@`.
    #[serde(default)]
    pub tokens: Vec<TokenConfig>,
    /// Clients that may write to mailboxes, by the names of their certificates.
    #[serde(rename = "certificate", default)]
    pub certificates: Vec<CertificateConfig>,
    /// Networks whose peers may write to mailboxes without authentication.
    #[serde(default)]
    pub trusted_networks: Vec<IpNet>,
    /// Networks of old devices whose bare CR and LF become CRLF.
    #[serde(default)]
    pub bare_newline_networks: Vec<IpNet>,
    /// A file of `name:$argon2id$...` lines: who may log in.
    #[serde(default)]
    pub accounts: Option<PathBuf>,
    /// Bytes of a mail.
    #[serde(default = "message_bytes_max")]
    pub message_bytes_max: usize,
    /// Connections at once.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// Connections at once from one address.
    #[serde(default = "connections_per_source_max")]
    pub connections_per_source_max: usize,
    /// Mails a minute from one address.
    #[serde(default = "mails_per_minute")]
    pub mails_per_minute: u32,
    /// Seconds that a peer may be silent.
    #[serde(default = "timeout_s")]
    pub timeout_s: u64,
}

/// What is known of networks.
#[derive(Clone, Debug)]
pub(super) struct Networks {
    trusted: Vec<IpNet>,
    bare_newlines: Vec<IpNet>,
}

const fn message_bytes_max() -> usize {
    MAIL_BYTES_MAX as usize
}

const fn mails_per_minute() -> u32 {
    6000
}

const fn timeout_s() -> u64 {
    300
}

impl SmtpConfig {
    /// How the mail to its mailboxes is read, where it is not told by content; files of layouts are read now.
    ///
    /// # Errors
    ///
    /// [`ListenError`] names the file that is no layout.
    pub fn pins(&self) -> Result<Pins, ListenError> {
        let pin = |(local_part, mailbox): (&String, &MailboxConfig)| {
            mailbox.pin().transpose().map(|pin| Ok((local_part.clone(), pin?)))
        };
        self.mailboxes.iter().filter_map(pin).collect()
    }

    pub(super) fn check(&self) -> Result<(), ListenError> {
        let nowhere = self.listen.is_empty() && self.listen_tls.is_empty() && self.listen_lmtp.is_empty();
        let has_client_ca = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let local_parts: BTreeSet<String> =
            self.mailboxes.keys().map(|local_part| local_part.to_ascii_lowercase()).collect();
        require(&[
            (!nowhere, "smtp.listen", "is empty, and so are `listen_tls` and `listen_lmtp`"),
            (self.listen_tls.is_empty() || self.tls.is_some(), "smtp.listen_tls", "needs [smtp.tls]"),
            (
                !(self.mailboxes.is_empty() && self.tokens.is_empty()),
                "smtp.mailboxes",
                "is empty, and there is no token: no mail could be accepted",
            ),
            (
                self.certificates.is_empty() || has_client_ca,
                "smtp.certificate",
                "needs `client_ca` in [smtp.tls]",
            ),
            (
                !self.certificates.is_empty() || !has_client_ca,
                "smtp.tls.client_ca",
                "needs [[smtp.certificate]]: whose telemetry do its clients bring?",
            ),
            (self.accounts.is_none() || self.tls.is_some(), "smtp.accounts", "needs [smtp.tls]"),
            (
                (1..=MAIL_BYTES_MAX as usize).contains(&self.message_bytes_max),
                "smtp.message_bytes_max",
                "is 0, or over 32 MiB",
            ),
            (self.mails_per_minute > 0, "smtp.mails_per_minute", "is 0"),
            (self.timeout_s > 0, "smtp.timeout_s", "is 0"),
            (
                self.mailboxes.len() == local_parts.len(),
                "smtp.mailboxes",
                "has two that differ only in upper and lower case",
            ),
        ])?;
        let of_nobody = |certificate: &&CertificateConfig| {
            self.mailboxes.values().all(|mailbox| mailbox.tenant != certificate.tenant)
        };
        if let Some(CertificateConfig { name, tenant }) = self.certificates.iter().find(of_nobody) {
            let problem = format!("of `{name}`: no mailbox takes telemetry of tenant `{tenant}`");
            return Err(ListenError::Config { key: "smtp.certificate".to_owned(), problem });
        }
        TokenConfig::check("smtp.tokens", &self.tokens)
    }

    pub(super) fn policy(&self) -> Policy {
        let mailbox = |(local_part, mailbox): (&String, &MailboxConfig)| Mailbox {
            local_part: local_part.clone(),
            tenant: mailbox.tenant.clone(),
        };
        let token = |token: &TokenConfig| Some(Token { tenant: token.tenant.clone(), hash: token.hash()? });
        Policy {
            message_bytes_max: self.message_bytes_max,
            mailboxes: self.mailboxes.iter().map(mailbox).collect(),
            tokens: self.tokens.iter().filter_map(token).collect(),
            ..Policy::new(&self.hostname)
        }
    }

    pub(super) fn networks(&self) -> Networks {
        Networks { trusted: self.trusted_networks.clone(), bare_newlines: self.bare_newline_networks.clone() }
    }
}

impl Networks {
    pub(super) fn trusts(&self, source: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&source))
    }

    pub(super) fn sends_bare_newlines(&self, source: IpAddr) -> bool {
        self.bare_newlines.iter().any(|network| network.contains(&source))
    }
}

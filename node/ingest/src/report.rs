//! Sends the summary of an import by mail, through a server that relays for this node.

use std::path::PathBuf;
use std::time::Duration;

use common::units::Timestamp;
use lettre::address::{Address, Envelope};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport};
use serde::Deserialize;

use crate::import::Summary;
use crate::limits::REPORT_TIMEOUT_S;

/// `[report]`: where summaries are mailed to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportConfig {
    /// Who gets them.
    pub mail_to: Vec<String>,
    /// The sender's address.
    pub mail_from: String,
    /// The mail server, by the name that its certificate has.
    pub server: String,
    /// Its port; the usual one of the kind of TLS when not given: 465, 587, or 25 without.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: TlsKind,
    /// Who signs the server's certificate, in PEM, when it is nobody whom browsers believe.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// When a connection becomes TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsKind {
    /// Never: for a server on this machine or in a trusted network.
    None,
    /// By the command STARTTLS (RFC 3207); a server that does not offer it gets no mail.
    StartTls,
    /// From the first byte (RFC 8314, section 3).
    #[default]
    Tls,
}

/// A report that was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// No address, or one that is none.
    #[error("[report] {key}: `{value}` is not a mail address")]
    Address {
        /// The key of the configuration.
        key: &'static str,
        /// What is there.
        value: String,
    },
    /// Nobody to send it to.
    #[error("[report] mail_to: there is no address")]
    NoAddress,
    /// The file of the authority cannot be used.
    #[error("[report] ca: {path}: {reason}", path = path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot be reached, or does not take it.
    #[error("{server}:{port}: the report is not sent: {reason}")]
    NotSent {
        /// The server.
        server: String,
        /// The port.
        port: u16,
        /// What it said, or what kept it from being asked.
        reason: String,
    },
}

impl ReportConfig {
    /// Mails a summary, dated `at`. Blocks for [`REPORT_TIMEOUT_S`] at most for each step of the exchange.
    ///
    /// # Errors
    ///
    /// [`ReportError`] names the key, the file or the server.
    pub fn send(&self, summary: &Summary, at: Timestamp) -> Result<(), ReportError> {
        let address = |key, text: &str| {
            let value = || ReportError::Address { key, value: text.escape_debug().to_string() };
            text.parse::<Address>().ok().filter(|_| text.is_ascii()).ok_or_else(value)
        };
        let to: Vec<Address> =
            self.mail_to.iter().map(|to| address("mail_to", to)).collect::<Result<_, _>>()?;
        let from = address("mail_from", &self.mail_from)?;
        let envelope = Envelope::new(Some(from), to).map_err(|_| ReportError::NoAddress)?;
        let transport = SmtpTransport::builder_dangerous(self.server.as_str())
            .port(self.port())
            .tls(self.tls()?)
            .timeout(Some(Duration::from_secs(REPORT_TIMEOUT_S)))
            .build();
        let mail = summary.mail(&self.mail_from, &self.mail_to, at);
        match transport.send_raw(&envelope, mail.as_bytes()) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.not_sent(&error)),
        }
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            TlsKind::None => 25,
            TlsKind::StartTls => 587,
            TlsKind::Tls => 465,
        })
    }

    fn tls(&self) -> Result<Tls, ReportError> {
        let wrap = match self.tls {
            TlsKind::None => return Ok(Tls::None),
            TlsKind::StartTls => Tls::Required,
            TlsKind::Tls => Tls::Wrapper,
        };
        let mut parameters = TlsParameters::builder(self.server.clone());
        if let Some(path) = &self.ca {
            let bad = |reason: String| ReportError::Ca { path: path.clone(), reason };
            let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
            let certificate = Certificate::from_pem(&pem).map_err(|error| bad(error.to_string()))?;
            parameters =
                parameters.certificate_store(CertificateStore::None).add_root_certificate(certificate);
        }
        parameters.build().map(wrap).map_err(|error| self.not_sent(&error))
    }

    /// The whole chain of causes: the outermost says no more than "network error".
    fn not_sent(&self, error: &dyn std::error::Error) -> ReportError {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let reason = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        let reason = reason.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        ReportError::NotSent { server: self.server.clone(), port: self.port(), reason }
    }
}

#[cfg(test)]
mod tests;

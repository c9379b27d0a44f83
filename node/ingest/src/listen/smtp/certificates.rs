//! `[[smtp.certificate]]` in a node's configuration: clients that are known by their certificates.

use serde::Deserialize;

use super::super::SubjectName;
use crate::smtp::Certificate;

/// A client, and whose telemetry it brings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// A name of its certificate.
    pub name: SubjectName,
    /// The tenant, to whose mailboxes it may write. A name may have several rows.
    pub tenant: String,
}

/// All clients that are listed.
#[derive(Debug)]
pub(super) struct Certificates(pub(super) Vec<CertificateConfig>);

impl Certificates {
    /// What a certificate with these names, which was verified, is here.
    pub(super) fn judge(&self, has: impl Fn(&SubjectName) -> bool) -> Certificate {
        let listed: Vec<&CertificateConfig> = self.0.iter().filter(|row| has(&row.name)).collect();
        match listed.first() {
            None => Certificate::Unlisted,
            Some(first) => Certificate::Listed {
                name: first.name.to_string(),
                tenants: listed.iter().map(|row| row.tenant.clone()).collect(),
            },
        }
    }
}

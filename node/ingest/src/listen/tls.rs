//! TLS for listeners: a certificate, its key, and whom to believe among clients.

use std::fmt;
use std::io::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::Deserialize;
use tokio_rustls::TlsAcceptor;

use crate::error::Shown;

/// `[...tls]` of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate and what it is signed with, in PEM.
    pub certificate: PathBuf,
    /// The certificate's key, in PEM.
    pub key: PathBuf,
    /// Those who sign the certificates of clients, in PEM. Without it, no client is asked for one.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// A name that a certificate has (subjectAltName): of a host, or an address. A common name does not count; a
/// certificate with a wildcard has all the names that this covers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SubjectName(ServerName<'static>);

/// What cannot be the name of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not the name of a host, and no address")]
pub struct SubjectNameError(Shown);

impl TryFrom<String> for SubjectName {
    type Error = SubjectNameError;

    fn try_from(name: String) -> Result<Self, SubjectNameError> {
        let fault = SubjectNameError(Shown::of(&name));
        ServerName::try_from(name).map(Self).map_err(|_| fault)
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_str())
    }
}

/// Tells which names a peer has, by the first certificate of its chain, which was verified (RFC 9525, section 6).
pub(super) fn names_of(chain: &[CertificateDer<'_>]) -> impl Fn(&SubjectName) -> bool {
    let own = chain.first().and_then(|own| ParsedCertificate::try_from(own).ok());
    move |SubjectName(name)| own.as_ref().is_some_and(|own| verify_server_name(own, name).is_ok())
}

/// A file of a TLS configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl TlsConfig {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, TlsError> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| fault(&self.key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(&self.certificate, &error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider);
                // A client without a certificate may still log in.
                let verifier =
                    verifier.allow_unauthenticated().build().map_err(|error| fault(path, &error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(chain, key).map_err(|error| fault(&self.key, &error))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// For connecting to a server whose certificate one of `ca` signed.
///
/// # Errors
///
/// [`TlsError`] names the file.
pub(crate) fn client(ca: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(ca, &error))?;
    Ok(Arc::new(builder.with_root_certificates(roots(ca)?).with_no_client_auth()))
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| fault(path, &error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| fault(path, &error))?;
    let certificates: Result<Vec<_>, _> = read.collect();
    let certificates = certificates.map_err(|error| fault(path, &error))?;
    if certificates.is_empty() {
        return Err(fault(path, &Error::other("there is no certificate in it")));
    }
    Ok(certificates)
}

fn fault(path: &Path, reason: &impl ToString) -> TlsError {
    TlsError { path: path.to_owned(), reason: reason.to_string() }
}

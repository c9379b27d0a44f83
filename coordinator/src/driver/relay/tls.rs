//! TLS 1.3 between two relays that know each other's keys: raw public keys (RFC 7250) instead of certificates.
//!
//! Both sides prove the P-256 identity of their folder, and each accepts the keys of its `relay.toml` only. There is
//! no authority, no name and no date that could be wrong; and no session is resumed, so a key that was taken off a list
//! is not let in again.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::crypto::{Identity, PublicIdentity};
use common::id::NodeId;
use common::known::Known;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::version::TLS13;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    OtherError, PeerMisbehaved, ServerConfig, SignatureAlgorithm, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Tells this protocol from any other that could be spoken with these keys.
const PROTOCOL: &[u8] = b"starling relay";

/// Both ends of TLS.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    pub(super) connector: TlsConnector,
    pinned: Arc<Pinned>,
}

/// The keys that are let in.
#[derive(Debug)]
struct Pinned {
    /// By their encoding in TLS.
    peers: BTreeMap<Vec<u8>, NodeId>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// The identity as TLS knows a key: it signs where it lives.
#[derive(Clone, Debug)]
struct OwnKey(Identity);

/// A key that proved itself and is not on the list.
#[derive(Debug, thiserror::Error)]
#[error("its key {} is not among `peers` in relay.toml", shown(.0))]
struct Unlisted(Vec<u8>);

/// The key as the lists have it; a key of another kind as hex digits.
fn shown(spki: &[u8]) -> String {
    let point = spki.len().checked_sub(64).map(|from| spki.split_at(from));
    let key = point.and_then(|(_, point)| {
        let (x, y) = point.split_first_chunk::<32>()?;
        let mut compressed = [0; 33];
        compressed[0] = 2 + (y.last()? & 1);
        compressed[1..].copy_from_slice(x);
        PublicIdentity::from_bytes(&compressed).ok().filter(|key| key.to_spki_der() == spki)
    });
    key.map_or_else(
        || hex::encode(spki.get(..spki.len().min(128)).unwrap_or_default()),
        |key| key.to_string(),
    )
}

impl Tls {
    /// For one identity and those whom it lets in.
    pub(super) fn new(identity: Identity, peers: &Known) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let public = CertificateDer::from(identity.public().to_spki_der());
        let own = Arc::new(CertifiedKey::new(vec![public], Arc::new(OwnKey(identity))));
        let pinned = Arc::new(Pinned {
            peers: peers.iter().map(|(id, peer)| (peer.key.to_spki_der(), *id)).collect(),
            algorithms: provider.signature_verification_algorithms,
        });
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::clone(&pinned) as Arc<dyn ClientCertVerifier>)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(&own))));
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&pinned) as Arc<dyn ServerCertVerifier>)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(own)));
        client.alpn_protocols = vec![PROTOCOL.to_vec()];
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        let (acceptor, connector) =
            (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));
        Ok(Self { acceptor, connector, pinned })
    }

    /// Who is at the other end, by what TLS verified.
    pub(super) fn peer(&self, presented: Option<&[CertificateDer<'_>]>) -> Option<NodeId> {
        self.pinned.peers.get(presented?.first()?.as_ref()).copied()
    }

    /// The name that the client's side of TLS asks for; it is not sent, and keys have none.
    pub(super) fn any_name() -> ServerName<'static> {
        ServerName::try_from("relay.invalid").expect("it is written like a name")
    }
}

impl SigningKey for OwnKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for OwnKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.sign_handshake(message).map_err(|error| Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

impl Pinned {
    fn check(&self, presented: &CertificateDer<'_>) -> Result<(), Error> {
        if self.peers.contains_key(presented.as_ref()) {
            return Ok(());
        }
        let unlisted = OtherError(Arc::new(Unlisted(presented.to_vec())));
        Err(Error::InvalidCertificate(CertificateError::Other(unlisted)))
    }

    fn check_signature(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(presented.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }
}

/// There is no TLS 1.2 here.
fn old_version() -> Error {
    PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(presented).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _presented: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(old_version())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, presented, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        presented: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(presented).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _presented: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(old_version())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        presented: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, presented, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// An error of a connection in words that say what to do.
pub(super) fn in_words(error: &std::io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        Some(Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))) => inner.to_string(),
        // What the other side answers when `check` above refuses this side.
        Some(Error::AlertReceived(AlertDescription::CertificateUnknown)) => {
            "it refuses this relay's key: `peers` in its relay.toml does not list it".to_owned()
        }
        _ => error.to_string(),
    }
}

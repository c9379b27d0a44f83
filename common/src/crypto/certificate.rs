//! X.509 certificates (RFC 5280) of a tenant's keys, for programs that know nothing of rosters.
//!
//! ```text
//! operator      signs itself; the root that others are told to trust
//!   coordinator   signed by the operator with each roster that names another one; may sign nodes' and nothing else
//!     node          signed by the coordinator, for a few days; `renewed` before it ends
//! ```
//!
//! Who belongs to a tenant says the roster alone: a certificate of somebody who is not on it opens nothing here. That of
//! a member is how long his membership lasts unless he is heard: see `coordinator::members`.
//!
//! The certificates of operator and coordinator have no end (RFC 5280, section 4.1.2.5: 99991231235959Z): the next roster
//! takes their place.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::Keypair;
use sha2::{Digest, Sha256};
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{self, Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{Any, ObjectIdentifier};
use x509_cert::der::asn1::{BitString, GeneralizedTime, Ia5String, OctetString, SetOfVec, Utf8StringRef};
use x509_cert::der::{DateTime, Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    self, AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, SubjectPublicKeyInfoOwned,
    SubjectPublicKeyInfoRef,
};
use x509_cert::time::{Time, Validity};

use super::custody::CustodyError;
use super::identity::{BadSignature, Identity, PublicIdentity};
use crate::units::{Millis, Timestamp};

/// Bytes of a certificate. Ours have some 500, with the longest names 900.
pub const CERTIFICATE_BYTES_MAX: usize = 2048;

/// A certificate begins to be valid this long before it is made: clocks differ.
const BACKDATED: Millis = Millis(5 * 60_000);

/// ecdsa-with-SHA256 (RFC 5758, section 3.2).
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// Organization and common name (RFC 5280, appendix A.1).
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Characters of either (`ub-organization-name`, `ub-common-name`); of longer names these come first.
const NAME_CHARS_MAX: usize = 64;

/// id-kp-serverAuth and id-kp-clientAuth (RFC 5280, section 4.2.1.12).
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// Whose certificate it is, and by that who signs it and what it is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank<'n> {
    /// The operator's, by himself.
    Operator,
    /// The coordinator's, by the operator.
    Coordinator,
    /// That of a node of this name, by the coordinator.
    Node(&'n str),
}

/// Whom a certificate names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder<'n> {
    /// The name of the tenant.
    pub tenant: &'n str,
    /// Which part it plays there.
    pub rank: Rank<'n>,
    /// Its key.
    pub key: PublicIdentity,
}

/// A certificate, as DER, and what of it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    key: PublicIdentity,
    until: Timestamp,
}

/// Bytes that are no certificate of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// More than a certificate may have.
    #[error("{0} bytes are more than the {CERTIFICATE_BYTES_MAX} of a certificate")]
    TooLong(usize),
    /// Not an X.509 certificate in DER.
    #[error("not an X.509 certificate: {0}")]
    Malformed(String),
    /// Not of a P-256 key.
    #[error("it is not of a P-256 key")]
    Key,
    /// Not the words `BEGIN CERTIFICATE` and base64.
    #[error("not a certificate in PEM")]
    Pem,
}

/// What a certificate cannot be made for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The key does not sign.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The name cannot be put into one.
    #[error("no certificate can be made: {0}")]
    Unfit(String),
}

impl From<builder::Error> for IssueError {
    fn from(error: builder::Error) -> Self {
        Self::Unfit(error.to_string())
    }
}

impl From<x509_cert::der::Error> for IssueError {
    fn from(error: x509_cert::der::Error) -> Self {
        Self::Unfit(error.to_string())
    }
}

impl Holder<'_> {
    /// Its certificate, valid from now (and a little before, since clocks differ) until then, or for good.
    ///
    /// # Errors
    ///
    /// [`IssueError`] when the issuer does not sign.
    pub fn certify(
        &self,
        issuer: &Identity,
        now: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<Certificate, IssueError> {
        let from = time(Timestamp(now.0.saturating_sub(BACKDATED.0 * 1000)))?;
        let until = until.map_or(Ok(Time::INFINITY), time)?;
        let profile = Profile { holder: *self, issuer: *issuer.public() };
        let key = SubjectPublicKeyInfoOwned::from_der(&self.key.to_spki_der())?;
        // Unique for an issuer as long as he certifies a key no more than once in a second; 16 bytes, the first bit 0.
        let serial = Sha256::new().chain_update(self.key.to_bytes()).chain_update(from.to_der()?).finalize();
        let mut serial = serial[..16].to_vec();
        serial[0] = serial[0] & 0x3f | 0x40;
        let mut builder =
            CertificateBuilder::new(profile, SerialNumber::new(&serial)?, Validity::new(from, until), key)?;
        let signer = Signer(*issuer.public());
        let signature = issuer.sign_certificate(&builder.finalize(&signer)?)?;
        let der = builder.assemble(BitString::from_bytes(&signature)?, &signer)?.to_der()?;
        Certificate::parse(&der).map_err(|error| IssueError::Unfit(error.to_string()))
    }

    /// What its certificate calls it, and what those call it that it signs.
    fn name(&self) -> x509_cert::der::Result<Name> {
        let id = hex::encode(&self.key.node_id().0[..4]);
        let common = match self.rank {
            Rank::Operator => format!("operator {id}"),
            Rank::Coordinator => format!("coordinator {id}"),
            Rank::Node(name) => name.to_owned(),
        };
        let mut names = RdnSequence::default();
        for (oid, text) in [(ORGANIZATION, self.tenant), (COMMON_NAME, &common)] {
            let end = text.char_indices().nth(NAME_CHARS_MAX).map_or(text.len(), |(end, _)| end);
            let value = Any::from(Utf8StringRef::new(&text[..end])?);
            let attribute = x509_cert::attr::AttributeTypeAndValue { oid, value };
            names.push(RelativeDistinguishedName::from(SetOfVec::try_from(vec![attribute])?));
        }
        Name::from_der(&names.to_der()?)
    }
}

impl Certificate {
    /// From DER.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]; who signed it is not looked at.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLong(der.len()));
        }
        let malformed = |error: x509_cert::der::Error| CertificateError::Malformed(error.to_string());
        let parsed = x509_cert::Certificate::from_der(der).map_err(malformed)?;
        let body = parsed.tbs_certificate();
        let key = body.subject_public_key_info().to_der().map_err(malformed)?;
        let key = PublicIdentity::from_spki_der(&key).map_err(|_| CertificateError::Key)?;
        let until = body.validity().not_after.to_unix_duration().as_secs().saturating_mul(1_000_000);
        Ok(Self { der: der.to_vec(), key, until: Timestamp(until) })
    }

    /// The DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whose it is.
    pub fn key(&self) -> &PublicIdentity {
        &self.key
    }

    /// When it ends.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Checks who signed it.
    ///
    /// # Errors
    ///
    /// [`BadSignature`] when that was somebody else.
    pub fn verify(&self, issuer: &PublicIdentity) -> Result<(), BadSignature> {
        let parsed = x509_cert::Certificate::from_der(&self.der).map_err(|_| BadSignature)?;
        let is_ecdsa = |algorithm: &AlgorithmIdentifierOwned| algorithm.oid == ECDSA_SHA256;
        if !is_ecdsa(parsed.signature_algorithm()) || !is_ecdsa(parsed.tbs_certificate().signature()) {
            return Err(BadSignature);
        }
        let body = parsed.tbs_certificate().to_der().map_err(|_| BadSignature)?;
        issuer.verify_certificate(&body, parsed.signature().as_bytes().ok_or(BadSignature)?)
    }

    /// As files have it (RFC 7468).
    pub fn to_pem(&self) -> String {
        let text = STANDARD.encode(&self.der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
        format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
    }

    /// The first one of a file.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`], or there is none.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let (_, rest) = text.split_once(BEGIN).ok_or(CertificateError::Pem)?;
        let (lines, _) = rest.split_once(END).ok_or(CertificateError::Pem)?;
        let text: String = lines.split_whitespace().collect();
        Self::parse(&STANDARD.decode(text).map_err(|_| CertificateError::Pem)?)
    }
}

/// Around a certificate in a file.
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// What stands in the certificates of each rank.
struct Profile<'n> {
    holder: Holder<'n>,
    issuer: PublicIdentity,
}

impl BuilderProfile for Profile<'_> {
    fn get_issuer(&self, _: &Name) -> Name {
        let rank = match self.holder.rank {
            Rank::Operator | Rank::Coordinator => Rank::Operator,
            Rank::Node(_) => Rank::Coordinator,
        };
        Holder { rank, key: self.issuer, ..self.holder }.name().unwrap_or_default()
    }

    fn get_subject(&self) -> Name {
        self.holder.name().unwrap_or_default()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        body: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let (ca, depth, usage) = match self.holder.rank {
            Rank::Operator => (true, Some(1), KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            Rank::Coordinator => (true, Some(0), KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            Rank::Node(_) => (false, None, KeyUsages::DigitalSignature.into()),
        };
        let of = |key: &PublicIdentity| OctetString::new(&key.node_id().0[..20]);
        let authority = AuthorityKeyIdentifier {
            key_identifier: Some(of(&self.issuer)?),
            ..AuthorityKeyIdentifier::default()
        };
        let subject = body.subject();
        let mut extensions = vec![
            BasicConstraints { ca, path_len_constraint: depth }.to_extension(subject, &[])?,
            KeyUsage(usage).to_extension(subject, &[])?,
            SubjectKeyIdentifier(of(&self.holder.key)?).to_extension(subject, &[])?,
            authority.to_extension(subject, &[])?,
        ];
        if let Rank::Node(name) = self.holder.rank {
            extensions.push(ExtendedKeyUsage(vec![SERVER_AUTH, CLIENT_AUTH]).to_extension(subject, &[])?);
            if is_host(name) {
                let name = GeneralName::DnsName(Ia5String::new(name)?);
                extensions.push(SubjectAltName(vec![name]).to_extension(subject, &[])?);
            }
        }
        Ok(extensions)
    }
}

/// What a builder asks of who signs, without his signature.
struct Signer(PublicIdentity);

impl Keypair for Signer {
    type VerifyingKey = VerifyingKey;

    fn verifying_key(&self) -> VerifyingKey {
        *self.0.verifying_key()
    }
}

impl DynSignatureAlgorithmIdentifier for Signer {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned { oid: ECDSA_SHA256, parameters: None })
    }
}

/// Whether a name may be that of a host (RFC 1123, section 2.1).
fn is_host(name: &str) -> bool {
    let fits = |label: &str| {
        let ends = !label.starts_with('-') && !label.ends_with('-');
        let chars = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&label.len()) && ends && chars
    };
    name.split('.').all(fits)
}

/// To the second, as certificates have it.
fn time(at: Timestamp) -> x509_cert::der::Result<Time> {
    let crate::units::DateTime { year, month, day, hour, minute, second } = at.utc();
    let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(|part| part as u8);
    let at = DateTime::new(year.min(9999) as u16, month, day, hour, minute, second)?;
    Ok(Time::GeneralTime(GeneralizedTime::from_date_time(at)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_123_456);
    const UNTIL: Timestamp = Timestamp(1_800_604_800_000_000);

    fn identity(seed: u64) -> Identity {
        Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    fn node(name: &str) -> Certificate {
        let holder = Holder { tenant: "acme", rank: Rank::Node(name), key: *identity(3).public() };
        holder.certify(&identity(2), NOW, Some(UNTIL)).unwrap()
    }

    #[test]
    fn a_certificate_names_its_key_and_its_end_and_is_its_issuers() {
        let certificate = node("web-1");
        assert_eq!((certificate.key(), certificate.until()), (identity(3).public(), UNTIL));
        assert_eq!(certificate.verify(identity(2).public()), Ok(()));
        assert_eq!(certificate.verify(identity(1).public()), Err(BadSignature));
        assert_eq!(Certificate::from_pem(&certificate.to_pem()), Ok(certificate.clone()));
        assert_eq!(Certificate::parse(certificate.der()), Ok(certificate));
        let root = Holder { tenant: "acme", rank: Rank::Operator, key: *identity(1).public() };
        let root = root.certify(&identity(1), NOW, None).unwrap();
        assert_eq!(root.verify(identity(1).public()), Ok(()));
        assert_eq!(root.until(), Timestamp(253_402_300_799_000_000));
    }

    #[test]
    fn every_changed_byte_and_every_cut_of_a_certificate_is_refused() {
        let issuer = *identity(2).public();
        let whole = node("web-1");
        for index in 0..whole.der().len() {
            let mut altered = whole.der().to_vec();
            altered[index] ^= 1;
            let believed = Certificate::parse(&altered).is_ok_and(|altered| altered.verify(&issuer).is_ok());
            assert!(!believed, "byte {index}");
            assert!(Certificate::parse(&whole.der()[..index]).is_err(), "{index} bytes");
        }
        let long = Certificate::parse(&[0x30; CERTIFICATE_BYTES_MAX + 1]);
        assert_eq!(long, Err(CertificateError::TooLong(CERTIFICATE_BYTES_MAX + 1)));
        assert_eq!(Certificate::from_pem("no certificate"), Err(CertificateError::Pem));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,200}") {
            prop_assert!(Certificate::parse(&bytes).is_err());
            let _ = Certificate::from_pem(&text);
            let _ = Certificate::from_pem(&format!("{BEGIN}{text}{END}"));
        }
    }

    #[test]
    fn any_name_of_a_node_fits_and_a_name_of_a_host_is_one() {
        for name in ["web-1.example", "Gerät 7", &"ü".repeat(70), "a=b,c+d"] {
            assert!(node(name).der().len() < CERTIFICATE_BYTES_MAX / 2, "{name}");
        }
        let names = |name: &str| {
            let der = node(name).der().to_vec();
            let wanted = [&[0x82, name.len() as u8], name.as_bytes()].concat();
            der.windows(wanted.len()).any(|part| part == wanted)
        };
        let long = node(&"ü".repeat(70)).der().to_vec();
        let longest = |chars| long.windows(2 * chars).any(|part| part == "ü".repeat(chars).as_bytes());
        assert!(longest(NAME_CHARS_MAX) && !longest(NAME_CHARS_MAX + 1));
        assert!(names("web-1.example"));
        assert!(!names("-web") && !names("web_1") && !names("web..1"));
    }
}

//! A key in the TPM 2.0 of the machine: made there, fixed to it, and never out of it.
//!
//! ```text
//! storage key   primary key of the owner hierarchy, ECC P-256, made anew from the TPM's own seed when it is needed
//! identity.tpm  hex of the blob of a key under it: EC P-256, ECDSA with SHA-256
//! sealed        the blob of a data object under it: the sealed key (32) | SHA-256 of the context (32)
//! blob          length of the public part (2, big-endian) | public part | private part, as the TPM encrypted it
//! ```
//!
//! None has a password of its own, so none can be wrong and lock the TPM: whoever may use the TPM of this machine may use
//! the key there, and nobody elsewhere.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::crypto::bulk::InputKey;
use common::crypto::{Custody, CustodyError, Identity, PublicIdentity, Signature};
use edge::file::{self, write_new};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use tss_esapi::attributes::{ObjectAttributes, ObjectAttributesBuilder};
use tss_esapi::constants::tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK};
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::structures::{
    CreateKeyResult, EccPoint, EccScheme, HashScheme, KeyedHashScheme, Private, Public, PublicBuilder,
    PublicEccParametersBuilder, PublicKeyedHashParameters, SensitiveData, Signature as TpmSignature,
    SignatureScheme, SymmetricDefinitionObject,
};
use tss_esapi::traits::{Marshall, UnMarshall};
use tss_esapi::tss2_esys::{TPM2B_DIGEST, TPMT_TK_HASHCHECK};
use tss_esapi::{Context, Error, TctiNameConf};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::token::checked;
use crate::told;

/// The file of the encrypted key.
const FILE: &str = "identity.tpm";

/// A key in the TPM.
struct Tpm {
    place: String,
    public: PublicIdentity,
    open: Mutex<Open>,
}

/// The connection through which it is used, one command after the other, and the key that is loaded there.
struct Open {
    context: Context,
    key: KeyHandle,
}

/// Makes a key in the TPM.
pub(crate) fn create(dir: &Path, tcti: &str) -> Result<Identity, CustodyError> {
    let (place, path) = (place(tcti), dir.join(FILE));
    if path.exists() {
        return Err(CustodyError(format!("cannot make {}: there is one", path.display())));
    }
    let mut context = connect(tcti).map_err(|error| out_of_reach(&place, error))?;
    let make = |context: &mut Context| {
        under_storage_key(context, |context, parent| context.create(parent, signs()?, None, None, None, None))
    };
    let made = make(&mut context).map_err(|error| out_of_reach(&place, error))?;
    let blob = blob(&made).map_err(|error| out_of_reach(&place, error))?;
    write_new(&path, format!("{}\n", hex::encode(blob)).as_bytes(), 0o600).map_err(told)?;
    load(context, (made.out_public, made.out_private), place).map(Identity::from)
}

/// Opens the key that [`create`] made.
pub(crate) fn open(dir: &Path, tcti: &str, remedy: &str) -> Result<Identity, CustodyError> {
    let path = dir.join(FILE);
    let text = file::read(&path, remedy).map_err(told)?;
    let parts = hex::decode(text.trim()).ok().and_then(|blob| parts(&blob));
    let parts = parts.ok_or_else(|| CustodyError(format!("{}: is no key of a TPM", path.display())))?;
    let place = place(tcti);
    load(connect(tcti).map_err(|error| out_of_reach(&place, error))?, parts, place).map(Identity::from)
}

fn connect(tcti: &str) -> Result<Context, Error> {
    Context::new(TctiNameConf::from_str(tcti)?)
}

fn load(
    mut context: Context,
    (public, private): (Public, Private),
    place: String,
) -> Result<Tpm, CustodyError> {
    let fault = |why: &str| CustodyError(format!("{place}: {why}"));
    let identity = own_public(&public).ok_or_else(|| fault("it is no P-256 key that is fixed to its TPM"))?;
    let loaded = under_storage_key(&mut context, |context, parent| context.load(parent, private, public));
    let key = loaded.map_err(|error| {
        let why =
            "the TPM does not take identity.tpm: it is of another machine, altered, or the TPM was cleared";
        fault(&format!("{why} ({error})"))
    })?;
    Ok(Tpm { place, public: identity, open: Mutex::new(Open { context, key }) })
}

/// Acts while the storage key is loaded, which is forgotten again: a TPM holds few keys at a time.
fn under_storage_key<T>(
    context: &mut Context,
    act: impl FnOnce(&mut Context, KeyHandle) -> Result<T, Error>,
) -> Result<T, Error> {
    context.execute_with_nullauth_session(|context| {
        let parent = context.create_primary(Hierarchy::Owner, storage()?, None, None, None, None)?.key_handle;
        context.execute_with_temporary_object(parent.into(), |context, _| act(context, parent))
    })
}

/// What a key or a sealed object is: of this TPM alone, and without a password that could be tried.
fn fixed() -> ObjectAttributesBuilder {
    let attributes = ObjectAttributesBuilder::new().with_fixed_tpm(true).with_fixed_parent(true);
    attributes.with_user_with_auth(true).with_no_da(true)
}

/// The storage key (TCG TPM v2.0 Provisioning Guidance, section 7.5.1).
fn storage() -> Result<Public, Error> {
    let attributes = fixed().with_sensitive_data_origin(true).with_restricted(true).with_decrypt(true);
    let symmetric = SymmetricDefinitionObject::AES_128_CFB;
    ecc(
        attributes.build()?,
        PublicEccParametersBuilder::new_restricted_decryption_key(symmetric, EccCurve::NistP256),
    )
}

fn signs() -> Result<Public, Error> {
    let attributes = fixed().with_sensitive_data_origin(true).with_sign_encrypt(true);
    let scheme = EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256));
    ecc(
        attributes.build()?,
        PublicEccParametersBuilder::new_unrestricted_signing_key(scheme, EccCurve::NistP256),
    )
}

fn ecc(attributes: ObjectAttributes, parameters: PublicEccParametersBuilder) -> Result<Public, Error> {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters.build()?)
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}

fn holds() -> Result<Public, Error> {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(fixed().build()?)
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(tss_esapi::structures::Digest::default())
        .build()
}

fn blob(made: &CreateKeyResult) -> Result<Vec<u8>, Error> {
    let public = made.out_public.marshall()?;
    Ok([&(public.len() as u16).to_be_bytes()[..], &public, made.out_private.value()].concat())
}

fn parts(blob: &[u8]) -> Option<(Public, Private)> {
    let (length, rest) = blob.split_first_chunk::<2>()?;
    let (public, private) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    Some((Public::unmarshall(public).ok()?, Private::try_from(private).ok()?))
}

/// The public half of a key that was made in its TPM and cannot leave it.
fn own_public(public: &Public) -> Option<PublicIdentity> {
    let Public::Ecc { object_attributes: is, unique, .. } = public else { return None };
    let fixed = is.fixed_tpm() && is.fixed_parent() && is.sensitive_data_origin();
    let (x, y) = (padded(unique.x().value())?, padded(unique.y().value())?);
    PublicIdentity::from_coordinates(&x, &y).ok().filter(|_| fixed)
}

/// A number of 32 bytes, of which a TPM may leave out zeros before it.
fn padded(number: &[u8]) -> Option<[u8; 32]> {
    let mut padded = [0; 32];
    padded[32_usize.checked_sub(number.len())?..].copy_from_slice(number);
    Some(padded)
}

fn place(tcti: &str) -> String {
    Config::Tpm { tcti: tcti.to_owned() }.to_string()
}

fn out_of_reach(place: &str, error: Error) -> CustodyError {
    CustodyError(format!("{place} is out of reach: {error}; is the TPM there, and may this user use it?"))
}

impl fmt::Debug for Tpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tpm({:?} in {})", self.public.node_id(), self.place)
    }
}

impl Tpm {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Custody for Tpm {
    fn public(&self) -> &PublicIdentity {
        &self.public
    }

    fn sign(&self, digest: &[u8; 32]) -> Result<Signature, CustodyError> {
        // The digest was not made by the TPM, and a key that is not restricted signs it all the same.
        let not_by_it = TPMT_TK_HASHCHECK {
            tag: TPM2_ST_HASHCHECK,
            hierarchy: TPM2_RH_NULL,
            digest: TPM2B_DIGEST::default(),
        };
        let mut open = self.open();
        let key = open.key;
        let signed = open.context.execute_with_nullauth_session(|context| {
            context.sign(key, digest[..].try_into()?, SignatureScheme::Null, not_by_it.try_into()?)
        });
        let signature = match signed.map_err(|error| out_of_reach(&self.place, error))? {
            TpmSignature::EcDsa(signature) => {
                padded(signature.signature_r().value()).zip(padded(signature.signature_s().value()))
            }
            _ => None,
        };
        // Of another kind it is none, and zeros are no signature.
        let (r, s) = signature.unwrap_or_default();
        let mut whole = [0; 64];
        whole[..32].copy_from_slice(&r);
        whole[32..].copy_from_slice(&s);
        checked(&self.public, digest, whole, &self.place)
    }

    fn seal(
        &self,
        context: &[u8],
        key: &InputKey,
        _random: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, CustodyError> {
        let bound = Zeroizing::new([&key.0[..], &Sha256::digest(context)].concat());
        let made = under_storage_key(&mut self.open().context, |context, parent| {
            let secret = SensitiveData::try_from(bound.as_slice())?;
            context.create(parent, holds()?, None, Some(secret), None, None)
        });
        made.and_then(|made| blob(&made)).map_err(|error| out_of_reach(&self.place, error))
    }

    fn unseal(&self, context: &[u8], sealed: &[u8]) -> Result<InputKey, CustodyError> {
        let other = |why: String| {
            let place = &self.place;
            CustodyError(format!(
                "{place} does not open a sealed key: altered, of another TPM or purpose{why}"
            ))
        };
        let (public, private) = parts(sealed).ok_or_else(|| other(String::new()))?;
        let opened = under_storage_key(&mut self.open().context, |context, parent| {
            let object = context.load(parent, private, public)?;
            context.execute_with_temporary_object(object.into(), Context::unseal)
        });
        let bound = opened.map_err(|error| other(format!(" ({error})")))?;
        match bound.value().split_first_chunk::<32>() {
            Some((key, purpose)) if purpose == &Sha256::digest(context)[..] => Ok(InputKey(*key)),
            _ => Err(other(String::new())),
        }
    }
}

//! What the two kinds of token have in common.

use common::crypto::CustodyError;

#[cfg(not(all(feature = "pkcs11", feature = "tpm")))]
use crate::config::Config;

/// The token is of a kind that this build does not speak with.
#[cfg(not(all(feature = "pkcs11", feature = "tpm")))]
pub(crate) fn not_built(config: &Config) -> CustodyError {
    let feature = if matches!(config, Config::Tpm { .. }) { "tpm" } else { "pkcs11" };
    CustodyError(format!(
        "{config} cannot be reached: this program was built without the feature `{feature}`; build it with \
         `--features {feature}`"
    ))
}

/// A signature of a token, if it is one: what a broken or exchanged token gives is never sent.
#[cfg(any(feature = "pkcs11", feature = "tpm"))]
pub(crate) fn checked(
    public: &common::crypto::PublicIdentity,
    digest: &[u8; 32],
    signature: [u8; 64],
    place: &str,
) -> Result<common::crypto::Signature, CustodyError> {
    let signature = common::crypto::Signature(signature);
    match public.verify_digest(digest, &signature) {
        Ok(()) => Ok(signature),
        Err(_) => Err(CustodyError(format!(
            "{place} gave a signature that is not of the key {public}: it is another token, or a broken one"
        ))),
    }
}

//! The node's certificate, as other programs want it: `certificate.pem`, with the coordinator's below it, and the
//! operator's in `authority.pem`.

use std::fs;
use std::path::Path;

use anyhow::Result;
use common::crypto::{Certificate, PublicIdentity};
use common::roster::{Authority, Roster};
use common::units::Timestamp;
use edge::file::{write_changed, write_replacing};

/// The chain from the node's key to the coordinator's.
pub const CHAIN: &str = "certificate.pem";

/// The certificate that others are told to trust.
pub const ROOT: &str = "authority.pem";

/// Keeps a certificate, with those above it.
///
/// # Errors
///
/// Names the file.
pub fn keep(dir: &Path, certificate: &Certificate, authority: &Authority) -> Result<()> {
    let chain = [certificate, &authority.coordinator].map(Certificate::to_pem).concat();
    write_changed(&dir.join(ROOT), authority.operator.to_pem().as_bytes())?;
    write_replacing(&dir.join(CHAIN), chain.as_bytes())
}

/// Until when the kept one is good, if it is of this key and below this roster's coordinator and operator; 0 when not.
/// Then another one comes.
pub(super) fn kept_until(dir: &Path, key: &PublicIdentity, roster: Option<&Roster>) -> Timestamp {
    let read = |name: &str| Certificate::from_pem(&fs::read_to_string(dir.join(name)).ok()?).ok();
    let authority = roster.and_then(|roster| roster.authority.as_ref());
    let until = || {
        let (kept, authority) = (read(CHAIN)?, authority?);
        let is_ours = kept.key() == key && kept.verify(authority.coordinator.key()).is_ok();
        (is_ours && read(ROOT)? == authority.operator).then_some(kept.until())
    };
    until().unwrap_or_default()
}

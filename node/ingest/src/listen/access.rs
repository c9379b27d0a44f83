//! Who may send, and whose telemetry it is then: by network, by token, by certificate.

use std::net::IpAddr;

use common::id::TenantId;
use ipnet::IpNet;
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::ListenError;

/// A token that a tenant gives to a device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// The tenant.
    pub tenant: String,
    /// BLAKE3 of the token, in hex.
    pub blake3: String,
}

/// What decides.
#[derive(Clone, Debug)]
pub(super) struct Access {
    tenant: TenantId,
    trusted: Vec<IpNet>,
    tokens: Vec<([u8; 32], TenantId)>,
}

impl TokenConfig {
    pub(super) fn hash(&self) -> Option<[u8; 32]> {
        let mut hash = [0; 32];
        hex::decode_to_slice(&self.blake3, &mut hash).ok().map(|()| hash)
    }

    /// Refuses a list with a token that cannot be one.
    pub(super) fn check(key: &str, tokens: &[Self]) -> Result<(), ListenError> {
        let bad = tokens.iter().find(|token| token.hash().is_none());
        bad.map_or(Ok(()), |token| {
            let problem = format!("of tenant `{}`: `blake3` is not 64 hex digits", token.tenant);
            Err(ListenError::Config { key: key.to_owned(), problem })
        })
    }
}

impl Access {
    /// Lets in the `trusted` networks for `tenant`, and those who know a token for the token's tenant.
    pub(super) fn new(tenant: &str, trusted: &[IpNet], tokens: &[TokenConfig]) -> Self {
        let known = |token: &TokenConfig| Some((token.hash()?, TenantId::of_name(&token.tenant)));
        Self {
            tenant: TenantId::of_name(tenant),
            trusted: trusted.to_vec(),
            tokens: tokens.iter().filter_map(known).collect(),
        }
    }

    /// Whose telemetry a peer brings, if it may. A token that is shown has to be right, whoever shows it.
    pub(super) fn tenant(
        &self,
        source: IpAddr,
        has_certificate: bool,
        token: Option<&[u8]>,
    ) -> Option<TenantId> {
        if let Some(token) = token {
            let shown = blake3::hash(token);
            let known = self.tokens.iter().find(|(hash, _)| bool::from(hash.ct_eq(shown.as_bytes())));
            return known.map(|(_, tenant)| *tenant);
        }
        let is_trusted = has_certificate || self.trusted.iter().any(|network| network.contains(&source));
        is_trusted.then_some(self.tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_a_certificate_or_a_token_opens_its_tenant_and_a_wrong_token_nothing() {
        let token =
            TokenConfig { tenant: "lab".into(), blake3: blake3::hash(b"s3cret").to_hex().to_string() };
        let access = Access::new("acme", &["192.0.2.0/24".parse().unwrap()], &[token]);
        let [near, far]: [IpAddr; 2] = ["192.0.2.7", "198.51.100.7"].map(|address| address.parse().unwrap());
        let [acme, lab] = ["acme", "lab"].map(|name| Some(TenantId::of_name(name)));
        assert_eq!(access.tenant(near, false, None), acme);
        assert_eq!(access.tenant(far, false, None), None);
        assert_eq!(access.tenant(far, true, None), acme);
        assert_eq!(access.tenant(far, false, Some(b"s3cret")), lab);
        assert_eq!(access.tenant(near, true, Some(b"guess")), None);
    }
}

//! Tokens, and who came with one.

use std::collections::BTreeMap;

use common::units::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A token that was made, or would be.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IssuedToken {
    /// Whether nothing was changed, and this tells what would be.
    pub dry_run: bool,
    /// Names the token, and tells nothing of it; none of one that would be made.
    pub id: Option<String>,
    /// The token. It is secret, and is told once; none of one that would be made.
    pub token: Option<String>,
    /// The port where nodes join.
    pub port: u16,
    /// When it expires, in seconds since the Unix epoch.
    pub expires_s: u64,
    /// Labels of who joins with it.
    pub labels: BTreeMap<String, String>,
    /// A pattern of the names that may join with it.
    pub names: Option<String>,
    /// Whether who joins with it is let in at once, and nobody has to approve.
    pub approves: bool,
}

/// A token that is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TokenView {
    /// Whether nothing was changed, and this tells what would be.
    pub dry_run: bool,
    /// Names the token, and tells nothing of it.
    pub id: String,
    /// How it stands.
    pub status: TokenStatus,
    /// When it was made, in seconds since the Unix epoch.
    pub created_s: u64,
    /// When it expires, in seconds since the Unix epoch.
    pub expires_s: u64,
    /// Labels of who joins with it.
    pub labels: BTreeMap<String, String>,
    /// A pattern of the names that may join with it.
    pub names: Option<String>,
    /// The id of the node that has used it.
    pub used_by: Option<String>,
}

/// How a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenStatus {
    /// A node may join with it.
    Open,
    /// A node did.
    Used,
    /// None did in time.
    Expired,
    /// It was taken back.
    Revoked,
}

/// What is known of a node besides, while it waits for approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WaitingView {
    /// Its public key, for an operator who signs elsewhere.
    pub key: String,
    /// The id of the token with which it came.
    pub token: String,
    /// Since when, in seconds since the Unix epoch.
    pub since_s: u64,
}

/// A token is not for logs.
impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssuedToken({:?})", self.id)
    }
}

impl TokenView {
    /// It in words, as people read it; `now` tells what is left of its time.
    pub fn lines(&self, now: Timestamp) -> Vec<String> {
        let Self { dry_run, id, status, expires_s, labels, names, used_by, .. } = self;
        let status = match status {
            TokenStatus::Open => format!("open, {} s left", expires_s.saturating_sub(now.millis() / 1000)),
            TokenStatus::Used => {
                let by = used_by.as_deref().unwrap_or_default();
                format!("used by {}", &by[..8.min(by.len())])
            }
            TokenStatus::Expired => "expired".to_owned(),
            TokenStatus::Revoked => "revoked".to_owned(),
        };
        let labels = labels.iter().map(|(name, value)| format!(" {name}={value}"));
        let names = names.iter().map(|names| format!(" for {names}"));
        let more: String = names.chain(labels).collect();
        let last = dry_run.then(|| "nothing was changed".to_owned());
        [format!("{id}  {status}{more}")].into_iter().chain(last).collect()
    }
}

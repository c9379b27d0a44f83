//! What can be asked of tokens and of who waits for approval, and what is answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::view::{IssuedToken, NodeView, TokenView};

/// What can be done with tokens, and with who waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum JoinOrder {
    /// Make a token.
    Issue {
        /// The tenant that is meant, if it was named.
        tenant: Option<String>,
        /// Seconds for which it is good.
        life_s: u64,
        /// Labels of who joins with it.
        labels: BTreeMap<String, String>,
        /// A pattern of the names that may join with it.
        names: Option<String>,
        /// Change nothing.
        dry_run: bool,
    },
    /// List all tokens that are known.
    Tokens,
    /// Take a token back.
    Revoke {
        /// Its id, or the start of that.
        token: String,
        /// Change nothing.
        dry_run: bool,
    },
    /// List who waits for approval.
    Applicants,
    /// Take somebody off that list.
    Dismiss {
        /// The node's whole id.
        node: String,
        /// Change nothing.
        dry_run: bool,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum JoinAnswer {
    /// A token was made, or would be.
    Issued(IssuedToken),
    /// All tokens.
    Tokens {
        /// Those, by their ids.
        tokens: Vec<TokenView>,
    },
    /// A token was taken back, or would be.
    Revoked(TokenView),
    /// Who waits, or what is left of them.
    Applicants {
        /// Those, by their ids.
        nodes: Vec<NodeView>,
    },
}

/// Answers what is asked of joining. It may take long: the disk is written, or a token asked.
pub type JoinDesk = Arc<dyn Fn(JoinOrder) -> Result<JoinAnswer, String> + Send + Sync>;

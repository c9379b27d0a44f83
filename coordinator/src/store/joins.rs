//! Tokens that were issued, and who waits for approval.

use std::collections::BTreeMap;

use common::id::{NodeId, TokenId};
use common::wire::Wire;
use redb::{ReadableTable, TableDefinition};

use super::{State, StoreError};
use crate::join::{Change, Desk};

/// By id. Both tables are made when the first token is issued.
const TOKENS: TableDefinition<'_, [u8; 8], &[u8]> = TableDefinition::new("tokens");

/// By node.
const APPLICANTS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("applicants");

impl State {
    /// What was stored of tokens and of who waits.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is damaged.
    pub fn desk(&self) -> Result<Desk, StoreError> {
        let tokens = self.rows(TOKENS, TokenId, "token")?;
        let applicants = self.rows(APPLICANTS, NodeId, "applicant")?;
        Ok(Desk::new(tokens, applicants))
    }

    pub(super) fn rows<const N: usize, K: Ord + std::fmt::Display, V: Wire>(
        &self,
        table: TableDefinition<'_, [u8; N], &[u8]>,
        key: impl Fn([u8; N]) -> K,
        what: &str,
    ) -> Result<BTreeMap<K, V>, StoreError> {
        let rows = self.read(|transaction| {
            let opened = match transaction.open_table(table) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                opened => opened?,
            };
            let rows =
                opened.iter()?.map(|row| row.map(|(key, value)| (key.value(), value.value().to_vec())));
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        rows.into_iter()
            .map(|(row, bytes)| {
                let key = key(row);
                let value = self.decode(&table, &row, &bytes, || format!("{what} {key}"))?;
                Ok((key, value))
            })
            .collect()
    }

    /// Makes changes durable, all or none.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn change_desk(&self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let mut tokens = transaction.open_table(TOKENS)?;
            let mut applicants = transaction.open_table(APPLICANTS)?;
            for change in changes {
                match change {
                    Change::Token(token, Some(issued)) => {
                        tokens.insert(token.0, self.encode(&TOKENS, &token.0, issued).as_slice())?;
                    }
                    Change::Token(token, None) => drop(tokens.remove(token.0)?),
                    Change::Applicant(node, Some(applicant)) => {
                        applicants.insert(node.0, self.encode(&APPLICANTS, &node.0, applicant).as_slice())?;
                    }
                    Change::Applicant(node, None) => drop(applicants.remove(node.0)?),
                }
            }
            Ok(Ok(()))
        })
    }
}

#[cfg(test)]
mod tests {
    use common::crypto::Identity;
    use common::crypto::bulk::InputKey;
    use common::known::{Labels, Peer};
    use common::units::Timestamp;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::join::{Applicant, Issued};
    use crate::store::Store;
    use crate::store::tests::vault;

    #[test]
    fn tokens_and_those_who_wait_are_there_after_a_restart_and_gone_once_they_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let key = *Identity::generate(&mut ChaCha20Rng::seed_from_u64(1)).public();
        let (token, since) = (TokenId([1; 8]), Timestamp(7));
        let issued = Issued {
            created: since,
            expires: Timestamp(9),
            operator: key,
            labels: Labels::new(),
            names: None,
            seed: Some(InputKey([1; 32]).into()),
            used_by: Some(key.node_id()),
            revoked: false,
        };
        let peer = Peer { name: "web-1".to_owned(), key, labels: Labels::new() };
        let applicant = Applicant { peer, token, since };
        let changes = [Change::Token(token, Some(issued)), Change::Applicant(key.node_id(), Some(applicant))];
        let desk = |change: &[Change]| {
            let store = Store::open(dir.path(), vault()).unwrap();
            store.state().change_desk(change).unwrap();
            store.state().desk().unwrap()
        };
        assert_eq!(desk(&[]), Desk::default());
        let mut expected = Desk::default();
        expected.apply(changes.to_vec());
        assert_eq!(desk(&changes), expected);
        assert_eq!(desk(&[]), expected);
        let gone = [Change::Token(token, None), Change::Applicant(key.node_id(), None)];
        assert_eq!(desk(&gone), Desk::default());
    }
}

//! Until when the certificates of nodes are good.

use std::collections::BTreeMap;

use common::id::NodeId;
use common::units::Timestamp;
use redb::TableDefinition;

use super::{State, StoreError};

/// By node. Made when the first certificate is issued.
const LEASES: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("leases");

impl State {
    /// When the newest certificate of each node ends.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is damaged.
    pub fn leases(&self) -> Result<BTreeMap<NodeId, Timestamp>, StoreError> {
        self.rows(LEASES, NodeId, "certificate of")
    }

    /// A node was issued a certificate. It is on the disk with what is made durable next: if it is lost before, the node is
    /// issued another one.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn lease(&self, node: NodeId, until: Timestamp) -> Result<(), StoreError> {
        self.write_soon(|transaction| {
            let value = self.encode(&LEASES, &node.0, &until);
            transaction.open_table(LEASES)?.insert(node.0, &value[..])?;
            Ok(Ok(()))
        })
    }

    /// What a node was issued does not count any more.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn forget_lease(&self, node: NodeId) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.open_table(LEASES)?.remove(node.0)?;
            Ok(Ok(()))
        })
    }
}

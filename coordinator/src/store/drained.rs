//! Nodes that an operator took out of selection.

use std::collections::BTreeSet;

use common::id::NodeId;
use redb::{ReadableTable, TableDefinition};

use super::{State, StoreError};

/// By node. Made when the first node is drained.
const DRAINED: TableDefinition<'_, [u8; 32], ()> = TableDefinition::new("drained");

impl State {
    /// The nodes that are in no new round until an operator wants that again.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn drained(&self) -> Result<BTreeSet<NodeId>, StoreError> {
        self.read(|transaction| {
            let drained = match transaction.open_table(DRAINED) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(BTreeSet::new()),
                opened => opened?,
            };
            let nodes = drained.iter()?.map(|row| row.map(|(node, _)| NodeId(node.value())));
            Ok(nodes.collect::<Result<_, _>>()?)
        })
    }

    /// Takes a node out of selection, or back in.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn drain(&self, node: NodeId, drained: bool) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut nodes = transaction.open_table(DRAINED)?;
            if drained {
                nodes.insert(node.0, ())?;
            } else {
                nodes.remove(node.0)?;
            }
            Ok(Ok(()))
        })
    }
}

//! What a folder says that no coordinator is serving.

use std::path::Path;

use anyhow::{Context, Result};
use common::id::NodeId;
use common::known::{self, Known, Peer};

use crate::archive;
use crate::control::{Reply, Stored};
use crate::store::Store;
use crate::view::{NodeView, View};

/// The view of a folder that no coordinator is serving.
///
/// # Errors
///
/// When the folder's store cannot be read.
pub fn stored_view(dir: &Path) -> Result<View> {
    let allowed = allowed(dir);
    let view = match Store::open_existing(dir)? {
        Some(store) => archive::view(&store, |node| name(&allowed, node))?,
        None => View::default(),
    };
    // Nobody hears what they do.
    let node = |(node, peer): (&NodeId, &Peer)| NodeView {
        name: peer.name.clone(),
        node: node.to_string(),
        present: false,
        activity: "unknown".to_owned(),
        labels: peer.labels.clone(),
    };
    Ok(View { nodes: allowed.iter().map(node).collect(), ..view })
}

/// What is stored of a run in a folder that no coordinator is serving.
///
/// # Errors
///
/// When the folder has no such run, or its store cannot be read.
pub fn stored_answer(dir: &Path, asked: &Stored) -> Result<Reply> {
    let store = Store::open_existing(dir)?.with_context(|| format!("{} has no runs", dir.display()))?;
    let allowed = allowed(dir);
    archive::answer(&store, asked, |node| name(&allowed, node))
}

/// The names of nodes. Without a list that can be read they go by their ids; `coordinator serve` says what is wrong.
fn allowed(dir: &Path) -> Known {
    let text = std::fs::read_to_string(dir.join("allowed-nodes")).unwrap_or_default();
    known::parse(&text).unwrap_or_default()
}

fn name(allowed: &Known, node: NodeId) -> String {
    allowed.get(&node).map_or_else(|| format!("{node:?}"), |peer| peer.name.clone())
}

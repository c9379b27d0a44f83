//! What a folder says that no coordinator is serving.

use std::path::Path;

use anyhow::{Context, Result, bail};
use common::id::NodeId;
use common::known::Peer;
use common::roster::Roster;

use super::join;
use crate::control::{ModelAnswer, ModelOrder, Reply, Stored};
use crate::folder::{Enrolled, Folder};
use crate::store::Store;
use crate::view::{NodeView, View};
use crate::{archive, registry};

/// The view of a folder that no coordinator is serving.
///
/// # Errors
///
/// When the folder's store cannot be read.
pub fn stored_view(dir: &Path) -> Result<View> {
    let roster = roster(dir);
    let view = match existing(dir)? {
        Some(store) => archive::view(&store, |node| name(roster.as_ref(), node))?,
        None => View::default(),
    };
    // Nobody hears what they do.
    let node = |(node, peer): (&NodeId, &Peer)| NodeView::of(*node, peer, false, "unknown");
    let nodes = roster.iter().flat_map(|roster| &roster.nodes);
    Ok(View { nodes: nodes.map(node).collect(), ..view })
}

/// What is stored of a run in a folder that no coordinator is serving.
///
/// # Errors
///
/// When the folder has no such run, or its store cannot be read.
pub fn stored_answer(dir: &Path, asked: &Stored) -> Result<Reply> {
    let store = existing(dir)?.with_context(|| format!("{} has no runs", dir.display()))?;
    let roster = roster(dir);
    archive::answer(&store, asked, |node| name(roster.as_ref(), node))
}

/// Who waits for approval in a folder that no coordinator is serving.
///
/// # Errors
///
/// When the folder's store or its roster cannot be read.
pub fn stored_applicants(dir: &Path) -> Result<Vec<NodeView>> {
    let Some(store) = existing(dir)? else { return Ok(Vec::new()) };
    Ok(join::waiting(&store.state().desk()?, &Enrolled::open(dir)?.roster))
}

/// What is asked of models, of a folder that no coordinator is serving; done if it is an order.
///
/// # Errors
///
/// As [`registry::answer`], or the folder has no models.
pub fn stored_models(dir: &Path, order: &ModelOrder) -> Result<ModelAnswer> {
    let store = match order {
        ModelOrder::Import { .. } => Store::open(dir, Folder::vault(dir)?)?,
        _ => match (existing(dir)?, order) {
            (Some(store), _) => store,
            (None, ModelOrder::List) => return Ok(ModelAnswer::Listed { models: Vec::new() }),
            (None, _) => bail!("{} has no models yet; `coordinator run start` makes some", dir.display()),
        },
    };
    let roster = roster(dir);
    registry::answer(&store, order, |node| name(roster.as_ref(), node), edge::now())
}

/// The store of a folder, if it has one: without, no key is needed either.
fn existing(dir: &Path) -> Result<Option<Store>> {
    custody::refuse_shredded(dir)?;
    if !dir.join("state.redb").exists() {
        return Ok(None);
    }
    Ok(Some(Store::open_existing(dir, Folder::vault(dir)?)?))
}

/// The roster, if it can be read; `coordinator serve` says what is wrong with it.
fn roster(dir: &Path) -> Option<Roster> {
    Enrolled::open(dir).ok().map(|enrolled| enrolled.roster)
}

/// What people call a node; without a roster, the start of its id.
fn name(roster: Option<&Roster>, node: NodeId) -> String {
    roster.map_or_else(|| format!("{node:?}"), |roster| roster.name(node))
}

#[cfg(test)]
mod tests {
    use common::crypto::Identity;
    use edge::file::write_new;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn a_node_that_has_another_key_now_is_one_node() {
        let dir = tempfile::tempdir().unwrap();
        let [operator, old, new] =
            [1, 2, 3].map(|seed| Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed)));
        let mut roster = Roster::new("default", *operator.public());
        roster.admit(Peer { name: "web-1".to_owned(), key: *old.public(), labels: [].into() });
        assert!(roster.succeed(old.node_id(), *new.public()));
        write_new(&dir.path().join("operator.pub"), format!("{}\n", operator.public()).as_bytes(), 0o644)
            .unwrap();
        write_new(&dir.path().join("roster"), roster.sign(&operator, edge::now()).unwrap().as_bytes(), 0o644)
            .unwrap();
        let nodes = stored_view(dir.path()).unwrap().nodes;
        let listed: Vec<_> = nodes.iter().map(|node| (&node.name[..], node.node.clone())).collect();
        assert_eq!(listed, [("web-1", new.node_id().to_string())]);
        assert_eq!(name(self::roster(dir.path()).as_ref(), old.node_id()), "web-1");
    }
}

//! What a folder says that no coordinator is serving.

use std::path::Path;

use anyhow::{Context, Result, bail};
use common::id::NodeId;
use common::known::{self, Known, Peer};

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
    let allowed = allowed(dir);
    let view = match existing(dir)? {
        Some(store) => archive::view(&store, |node| known::name(&allowed, node))?,
        None => View::default(),
    };
    // Nobody hears what they do.
    let node = |(node, peer): (&NodeId, &Peer)| NodeView::of(*node, peer, false, "unknown");
    Ok(View { nodes: allowed.iter().map(node).collect(), ..view })
}

/// What is stored of a run in a folder that no coordinator is serving.
///
/// # Errors
///
/// When the folder has no such run, or its store cannot be read.
pub fn stored_answer(dir: &Path, asked: &Stored) -> Result<Reply> {
    let store = existing(dir)?.with_context(|| format!("{} has no runs", dir.display()))?;
    let allowed = allowed(dir);
    archive::answer(&store, asked, |node| known::name(&allowed, node))
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
    let allowed = allowed(dir);
    registry::answer(&store, order, |node| known::name(&allowed, node), edge::now())
}

/// The store of a folder, if it has one: without, no key is needed either.
fn existing(dir: &Path) -> Result<Option<Store>> {
    custody::refuse_shredded(dir)?;
    if !dir.join("state.redb").exists() {
        return Ok(None);
    }
    Ok(Some(Store::open_existing(dir, Folder::vault(dir)?)?))
}

/// The names of nodes. Without a roster that can be read they go by their ids; `coordinator serve` says what is wrong.
fn allowed(dir: &Path) -> Known {
    Enrolled::open(dir).map(|enrolled| enrolled.roster.named()).unwrap_or_default()
}

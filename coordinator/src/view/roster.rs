//! A roster that counts from now on, or would.

use common::roster::{Membership, Roster};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a roster changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct InstalledRoster {
    /// Whether nothing was changed, and this tells what would be.
    pub dry_run: bool,
    /// Its tenant.
    pub tenant: String,
    /// Its version.
    pub version: u64,
    /// How many nodes are members.
    pub nodes: u32,
    /// Names of nodes that are members now and were none, or have another name or other labels now.
    pub approved: Vec<String>,
    /// Names of nodes that are members no more.
    pub revoked: Vec<String>,
}

impl InstalledRoster {
    /// What this roster changes in the one before it.
    pub fn of(next: &Roster, before: &Roster, dry_run: bool) -> Self {
        let changed = next.nodes.iter().filter(|(node, peer)| before.nodes.get(node) != Some(*peer));
        let gone =
            before.nodes.iter().filter(|(node, _)| !matches!(next.membership(**node), Membership::Member(_)));
        Self {
            dry_run,
            tenant: next.tenant.clone(),
            version: next.version,
            nodes: next.nodes.len() as u32,
            approved: changed.map(|(_, peer)| peer.name.clone()).collect(),
            revoked: gone.map(|(_, peer)| peer.name.clone()).collect(),
        }
    }

    /// It in words, as people read it.
    pub fn lines(&self) -> Vec<String> {
        let Self { dry_run, tenant, version, nodes, approved, revoked } = self;
        let is = if *dry_run { "would be" } else { "is" };
        let list = |what: &str, names: &[String]| {
            (!names.is_empty()).then(|| format!("  {what}: {}", names.join(", ")))
        };
        let first = format!("version {version} of the roster of `{tenant}` {is} in force: {nodes} nodes");
        let last = dry_run.then(|| "nothing was changed".to_owned());
        let lists = [list("approved", approved), list("revoked", revoked), last];
        [first].into_iter().chain(lists.into_iter().flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use common::crypto::Identity;
    use common::known::{self, Known};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn what_is_told_of_a_roster_is_who_came_and_who_went() {
        let key = |seed| *Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed)).public();
        let nodes = |lines: &[(&str, u64)]| -> Known {
            let lines = lines.iter().map(|(name, seed)| format!("{name} {}\n", key(*seed)));
            known::parse(&lines.collect::<String>()).unwrap()
        };
        let before = Roster { nodes: nodes(&[("a", 1), ("b", 2)]), ..Roster::new("default", key(9)) };
        let next = Roster { version: 2, nodes: nodes(&[("a", 1), ("c", 3)]), ..before.clone() };
        let lines = InstalledRoster::of(&next, &before, true).lines();
        let said = [
            "version 2 of the roster of `default` would be in force: 2 nodes",
            "  approved: c",
            "  revoked: b",
            "nothing was changed",
        ];
        assert_eq!(lines, said);
        assert_eq!(InstalledRoster::of(&next, &next, false).lines().len(), 1);
    }
}

//! A roster that counts from now on, or would.

use common::id::NodeId;
use common::known::Peer;
use common::roster::Roster;
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
    /// Names of nodes that have another key now.
    pub rotated: Vec<String>,
    /// The operator's key, when it is another one now.
    pub operator: Option<String>,
}

impl InstalledRoster {
    /// What this roster changes in the one before it.
    pub fn of(next: &Roster, before: &Roster, dry_run: bool) -> Self {
        let was = |node: &NodeId| before.nodes.contains_key(node);
        let named = |peers: Vec<&Peer>| peers.iter().map(|peer| peer.name.clone()).collect();
        let rotated: Vec<&Peer> =
            next.former.iter().filter(|(node, _)| was(node)).map(|(_, peer)| peer).collect();
        let changed = next.nodes.iter().filter(|(node, peer)| before.nodes.get(node) != Some(*peer));
        let approved = changed.map(|(_, peer)| peer).filter(|peer| !has(&rotated, peer)).collect();
        let gone = before.nodes.iter().filter(|(node, _)| next.peer(**node).is_none());
        let revoked = gone.map(|(_, peer)| peer).collect();
        let newest = next.operators.last().map(|newest| newest.to);
        let operator = newest.filter(|_| next.operators.last() != before.operators.last());
        Self {
            dry_run,
            tenant: next.tenant.clone(),
            version: next.version,
            nodes: next.nodes.len() as u32,
            approved: named(approved),
            revoked: named(revoked),
            rotated: named(rotated),
            operator: operator.map(|key| key.to_string()),
        }
    }

    /// It in words, as people read it.
    pub fn lines(&self) -> Vec<String> {
        let Self { dry_run, tenant, version, nodes, approved, revoked, rotated, operator } = self;
        let is = if *dry_run { "would be" } else { "is" };
        let list = |what: &str, names: &[String]| {
            (!names.is_empty()).then(|| format!("  {what}: {}", names.join(", ")))
        };
        let first = format!("version {version} of the roster of `{tenant}` {is} in force: {nodes} nodes");
        let lists = [list("approved", approved), list("revoked", revoked), list("rotated", rotated)];
        let operator = operator.as_ref().map(|key| format!("  the operator is {key}"));
        let last = dry_run.then(|| "nothing was changed".to_owned());
        [first].into_iter().chain(lists.into_iter().flatten()).chain(operator).chain(last).collect()
    }
}

fn has(peers: &[&Peer], wanted: &Peer) -> bool {
    peers.iter().any(|peer| peer.name == wanted.name)
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
        let mut last = Roster { version: 3, ..next.clone() };
        assert!(last.succeed(key(3).node_id(), key(4)));
        let [old, new] = [8, 9].map(|seed| Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed)));
        last.hand_over(&old, &new).unwrap();
        let lines = InstalledRoster::of(&last, &next, false).lines();
        assert_eq!(lines[1..], ["  rotated: c".to_owned(), format!("  the operator is {}", key(9))]);
    }
}

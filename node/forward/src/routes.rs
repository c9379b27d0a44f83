//! Which node owns a source: `[forward]` in a bridge's configuration, as a pure function.

use std::collections::{BTreeMap, BTreeSet};

use common::glob::Glob;
use common::id::{NodeId, TenantId};
use common::known::Known;
use serde::Deserialize;

/// `[forward]`; see `node/samples/node.toml` for the meaning of each key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardConfig {
    /// The first route of a tenant that fits a source says which nodes share it.
    #[serde(rename = "route")]
    pub routes: Vec<RouteConfig>,
}

/// One `[[forward.route]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Whose telemetry.
    pub tenant: String,
    /// Names of sources, with `*` and `?`. Without it, every source.
    #[serde(default)]
    pub hosts: Option<Vec<Glob>>,
    /// Names of nodes: each source belongs to one of them.
    pub nodes: Vec<String>,
}

/// Routes that leave a question open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No route at all.
    #[error("[forward] has no [[forward.route]]")]
    None,
    /// A route without a node.
    #[error("[[forward.route]] number {0} names no node")]
    NoNodes(usize),
    /// A node that is not on the list.
    #[error("[[forward.route]] number {0}: node `{1}` is not in `forward-nodes`")]
    Unknown(usize, String),
    /// Sources that would belong to nobody.
    #[error(
        "tenant `{0}` has no [[forward.route]] without `hosts`: what fits none of its routes would belong to nobody"
    )]
    NoLast(String),
    /// A route behind one that takes everything.
    #[error("[[forward.route]] number {0} is never used: the one before takes every host of tenant `{1}`")]
    Unused(usize, String),
}

/// Who owns what.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    tenants: BTreeMap<TenantId, Vec<Route>>,
}

#[derive(Clone, Debug)]
struct Route {
    /// Any of them; none stands for every source.
    hosts: Option<Vec<Glob>>,
    nodes: BTreeSet<NodeId>,
}

impl Routes {
    /// The routes of a configuration, to nodes on this list.
    ///
    /// # Errors
    ///
    /// [`RouteError`]; every source of every tenant has to belong to somebody.
    pub fn new(config: &ForwardConfig, known: &Known) -> Result<Self, RouteError> {
        let mut tenants: BTreeMap<TenantId, Vec<Route>> = BTreeMap::new();
        for (number, route) in (1..).zip(&config.routes) {
            let routes = tenants.entry(TenantId::of_name(&route.tenant)).or_default();
            if routes.last().is_some_and(|before| before.hosts.is_none()) {
                return Err(RouteError::Unused(number, route.tenant.clone()));
            }
            let id = |name: &String| known.iter().find(|(_, peer)| peer.name == *name).map(|(id, _)| *id);
            let found = |name: &String| id(name).ok_or_else(|| RouteError::Unknown(number, name.clone()));
            let nodes: BTreeSet<NodeId> = route.nodes.iter().map(found).collect::<Result<_, _>>()?;
            if nodes.is_empty() {
                return Err(RouteError::NoNodes(number));
            }
            routes.push(Route { hosts: route.hosts.clone(), nodes });
        }
        let open = |route: &&RouteConfig| {
            let routes = &tenants[&TenantId::of_name(&route.tenant)];
            routes.last().is_some_and(|last| last.hosts.is_some())
        };
        match config.routes.iter().find(open) {
            Some(route) => Err(RouteError::NoLast(route.tenant.clone())),
            None if tenants.is_empty() => Err(RouteError::None),
            None => Ok(Self { tenants }),
        }
    }

    /// The tenants whose telemetry is forwarded.
    pub fn tenants(&self) -> impl Iterator<Item = TenantId> {
        self.tenants.keys().copied()
    }

    /// The nodes of a tenant, in order.
    pub fn nodes(&self, tenant: TenantId) -> BTreeSet<NodeId> {
        self.tenants
            .get(&tenant)
            .into_iter()
            .flatten()
            .flat_map(|route| route.nodes.iter().copied())
            .collect()
    }

    /// The node that owns a source; `None` for a tenant without routes. Of several nodes it is the one with the
    /// highest hash of source and node (rendezvous hashing, Thaler and Ravishankar 1998): the sources spread
    /// evenly, and a node that is added or removed moves its own share and no other.
    pub fn owner(&self, tenant: TenantId, source: &str) -> Option<NodeId> {
        let fits = |route: &&Route| {
            route.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|host| host.matches(source)))
        };
        let route = self.tenants.get(&tenant)?.iter().find(fits)?;
        route.nodes.iter().copied().max_by_key(|node| weight(tenant, source, *node))
    }
}

fn weight(tenant: TenantId, source: &str, node: NodeId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("starling 2026 owner of a source");
    hasher.update(&tenant.0);
    hasher.update(&node.0);
    hasher.update(source.as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use common::crypto::Identity;
    use common::known::Peer;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn known(count: u64) -> Known {
        let identity = |seed| Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed));
        let peer = |seed| {
            let key = *identity(seed).public();
            (key.node_id(), Peer { name: format!("node-{seed}"), key, labels: BTreeMap::new() })
        };
        (0..count).map(peer).collect()
    }

    fn routes(text: &str, count: u64) -> Result<Routes, RouteError> {
        Routes::new(&toml::from_str(text).unwrap(), &known(count))
    }

    fn node(number: u64) -> NodeId {
        *known(number + 1).iter().find(|(_, peer)| peer.name == format!("node-{number}")).unwrap().0
    }

    #[test]
    fn the_first_route_that_fits_says_who_owns_a_source() {
        let text = r#"
            route = [
                { tenant = "a", hosts = ["db-*", "*.db"], nodes = ["node-0"] },
                { tenant = "a", nodes = ["node-1"] },
                { tenant = "b", nodes = ["node-2"] },
            ]
        "#;
        let routes = routes(text, 3).unwrap();
        let (a, b) = (TenantId::of_name("a"), TenantId::of_name("b"));
        let owners = [(a, "db-1"), (a, "x.db"), (a, "web-1"), (b, "db-1"), (TenantId::of_name("c"), "db-1")]
            .map(|(tenant, source)| routes.owner(tenant, source));
        assert_eq!(owners, [Some(node(0)), Some(node(0)), Some(node(1)), Some(node(2)), None]);
        assert_eq!(routes.nodes(a), BTreeSet::from([node(0), node(1)]));
    }

    #[test]
    fn a_pool_shares_its_sources_evenly_and_a_new_node_takes_only_its_own_share() {
        let pool =
            |nodes: &str| routes(&format!("route = [{{ tenant = \"a\", nodes = [{nodes}] }}]"), 4).unwrap();
        let tenant = TenantId::of_name("a");
        let three = pool("\"node-0\", \"node-1\", \"node-2\"");
        let four = pool("\"node-0\", \"node-1\", \"node-2\", \"node-3\"");
        let mut counts = BTreeMap::new();
        for number in 0..3000 {
            let source = format!("host-{number}");
            let (before, after) =
                (three.owner(tenant, &source).unwrap(), four.owner(tenant, &source).unwrap());
            assert!(after == before || after == node(3), "{source} moved between old nodes");
            *counts.entry(after).or_insert(0) += 1;
        }
        assert!(counts.values().all(|count| (650..850).contains(count)), "{counts:?}");
    }

    #[test]
    fn routes_that_leave_a_source_to_nobody_are_refused() {
        let error = |text: &str| routes(text, 1).unwrap_err().to_string();
        assert_eq!(error("route = []"), "[forward] has no [[forward.route]]");
        let last = error(r#"route = [{ tenant = "a", hosts = ["x"], nodes = ["node-0"] }]"#);
        assert!(last.starts_with("tenant `a` has no [[forward.route]] without `hosts`"), "{last}");
        let unknown = error(r#"route = [{ tenant = "a", nodes = ["node-9"] }]"#);
        assert_eq!(unknown, "[[forward.route]] number 1: node `node-9` is not in `forward-nodes`");
        assert_eq!(
            error(r#"route = [{ tenant = "a", nodes = [] }]"#),
            "[[forward.route]] number 1 names no node"
        );
        let unused =
            r#"route = [{ tenant = "a", nodes = ["node-0"] }, { tenant = "a", nodes = ["node-0"] }]"#;
        assert!(error(unused).starts_with("[[forward.route]] number 2 is never used"));
    }
}

//! What a world is made of: its network, its keys, its run.

use std::collections::{BTreeMap, BTreeSet};

use common::crypto::{Identity, PublicIdentity, Suite};
use common::id::{EpochId, NodeId, RunId, TenantId};
use common::known::Peer;
use common::message::presence::{Address, Mailbox};
use common::roster::Roster;
use common::units::Timestamp;
use coordinator::config::Transfer;
use coordinator::engine::{Engine, Setup};
use coordinator::members::Members;
use node::participant::{Participant, Setup as NodeSetup};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::network::Network;

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Every choice of the network and of the keys.
    pub seed: u64,
    /// Nodes.
    pub nodes: u16,
    /// Parameters of the flat model.
    pub parameters: u32,
    /// Rounds of the run.
    pub rounds: u32,
    /// Updates without which a round fails.
    pub minimum: u32,
    /// Nodes selected for each update that closes a round; all of them are selected.
    pub over_selection: f64,
    /// Rounds after its own in which an update still counts.
    pub staleness_max: u32,
    /// The rack whose nodes take part; all when there is none.
    pub rack: Option<&'static str>,
    /// How updates become a model: keys of `[strategy]`.
    pub strategy: &'static str,
    /// What nodes add more to every parameter in each further epoch, so that no update is like another.
    pub drift: f32,
    /// Tries of one round.
    pub attempts: u32,
    /// How the network behaves.
    pub network: Network,
    /// The cryptography of the coordinator, and of nodes that were not started with another one.
    pub suite: Suite,
    /// Runs that go on at once.
    pub runs: u8,
    /// The number of the first one: it goes on as it would beside those before it.
    pub first: u8,
}

/// Strategies of all kinds: sums and side by side, with a server that remembers and without.
pub const STRATEGIES: [&str; 6] = [
    "",
    "combine = { kind = \"normalized_mean\" }",
    "combine = { kind = \"median\" }",
    "combine = { kind = \"scaffold\" }",
    "server = { kind = \"momentum\", learning_rate = 1.0, momentum = 0.5 }",
    "server = { kind = \"adam\", learning_rate = 0.1, beta_1 = 0.9, beta_2 = 0.99, tau = 1e-3 }",
];

impl Scene {
    /// All runs.
    pub fn runs(&self) -> impl Iterator<Item = RunId> + use<> {
        (self.first..self.first + self.runs).map(|number| RunId([FIRST + number; 16]))
    }

    /// `run.toml` of a run. One beside the first has a strategy of its own.
    pub fn config(&self, run: RunId) -> String {
        let Self { seed, nodes, parameters, rounds, minimum, over_selection, .. } = self;
        let attempts = self.attempts;
        let number = number(run);
        let strategy =
            if number == 0 { self.strategy } else { STRATEGIES[usize::from(number) % STRATEGIES.len()] };
        // Control variates are of one round.
        let staleness_max = if strategy.contains("scaffold") { 0 } else { self.staleness_max };
        let goal = (f64::from(*nodes) / over_selection) as u32;
        let select = self.rack.map_or(String::new(), |rack| format!("select = {{ rack = \"{rack}\" }}"));
        // TOML has integers of 64 bits with a sign.
        let seed = seed >> 1;
        format!(
            r#"
name = "simulated-{number}"
seed = {seed}
rounds = {rounds}
[cohort]
minimum = {minimum}
goal = {goal}
over_selection = {over_selection:?}
staleness_max = {staleness_max}
{select}
[deadlines]
selection_ms = 5_000
configuration_ms = 5_000
reporting_ms = 20_000
committing_ms = 5_000
attempts = {attempts}
[training]
epochs = 1
batch = 1
optimizer = "sgd"
learning_rate = 1.0
stride = 1
[strategy]
{strategy}
[task]
kind = "flat"
parameters = {parameters}
"#
        )
    }
}

/// Each byte of the id of the run with number 0.
const FIRST: u8 = 7;

/// The number of a run.
pub(super) fn number(run: RunId) -> u8 {
    run.0[0] - FIRST
}

/// The tenant of all worlds.
const TENANT: &str = "test";

/// Chunks that may be on their way to one reader.
const WINDOW: u32 = 8;

/// When rosters are signed, as far as their certificates tell.
const WHEN_SIGNED: Timestamp = Timestamp(1_700_000_000_000_000);

/// Who is who, for as long as the world lasts.
pub(super) struct Keys {
    suite: Suite,
    operator: Identity,
    /// Whom the nodes' folders named when they were made.
    first_operator: PublicIdentity,
    pub(super) coordinator: Identity,
    nodes: Vec<Identity>,
    /// The key that is to take the place of a node's.
    next: BTreeMap<usize, Identity>,
    /// Whom the operator lets in, as the coordinator's disk has it.
    pub(super) roster: Roster,
    /// The same as the operator signed it.
    text: String,
}

impl Keys {
    pub(super) fn draw(scene: &Scene, random: &mut ChaCha20Rng) -> Self {
        let coordinator = Identity::generate(random);
        let nodes: Vec<Identity> = (0..scene.nodes).map(|_| Identity::generate(random)).collect();
        let peer = |(index, identity): (usize, &Identity)| {
            let label = ("rack".to_owned(), ["A", "B"][index % 2].to_owned());
            let (name, key, labels) = (format!("node-{index}"), *identity.public(), [label].into());
            (identity.node_id(), Peer { name, key, labels })
        };
        let known = nodes.iter().enumerate().map(peer).collect();
        let roster = Roster { nodes: known, ..Roster::new(TENANT, *coordinator.public()) };
        // Not drawn from the world's randomness, which the rest of it goes on with.
        let operator = Identity::generate(&mut ChaCha20Rng::seed_from_u64(scene.seed));
        let (suite, first_operator) = (scene.suite, *operator.public());
        let (next, text) = Default::default();
        let mut keys = Self { suite, operator, first_operator, coordinator, nodes, next, roster, text };
        keys.sign();
        keys
    }

    fn sign(&mut self) {
        self.text = self.roster.sign(&self.operator, WHEN_SIGNED).expect("a roster can be signed");
    }

    /// What all are told of the roster.
    pub(super) fn told(&self) -> Vec<u8> {
        self.text.clone().into_bytes()
    }

    /// The operator takes a node out, under each of its keys.
    pub(super) fn revoke(&mut self, index: usize, why: &str) -> Vec<NodeId> {
        let before: BTreeSet<NodeId> = self.roster.revoked.keys().copied().collect();
        let node = self.nodes[index].node_id();
        assert!(self.roster.revoke(node, why), "node-{index} is a member");
        self.change();
        self.roster.revoked.keys().copied().filter(|node| !before.contains(node)).collect()
    }

    /// The operator gives a node that is a member its next key.
    pub(super) fn rotate(&mut self, index: usize, random: &mut ChaCha20Rng) {
        let next = Identity::generate(random);
        assert!(self.roster.succeed(self.nodes[index].node_id(), *next.public()), "node-{index} is a member");
        self.next.insert(index, next);
        self.change();
    }

    /// Whether a node has this key as its next one; it is the node's from then on.
    pub(super) fn take_next(&mut self, index: usize, wanted: &PublicIdentity) -> bool {
        match self.next.remove(&index) {
            Some(next) if next.public() == wanted => {
                self.nodes[index] = next;
                true
            }
            other => {
                self.next.extend(other.map(|next| (index, next)));
                false
            }
        }
    }

    /// The operator is another one from now on.
    pub(super) fn hand_over(&mut self, random: &mut ChaCha20Rng) {
        let next = Identity::generate(random);
        self.roster.hand_over(&self.operator, &next).expect("keys in memory sign");
        self.operator = next;
        self.change();
    }

    fn change(&mut self) {
        self.roster.version += 1;
        self.sign();
    }

    /// Whether the operator lets a node in.
    pub(super) fn is_member(&self, index: usize) -> bool {
        self.roster.nodes.contains_key(&self.nodes[index].node_id())
    }

    pub(super) fn engine(&self, now: Timestamp, random: &mut ChaCha20Rng) -> Engine {
        let members = Members::new(self.roster.clone(), self.suite, now);
        let transfer = Transfer { window_chunks: WINDOW, uploads_bytes: 6_000_000 };
        let (tenant, mailbox) = (TenantId::of_name(TENANT), Mailbox::default());
        let (identity, suite, random) = (self.coordinator.clone(), self.suite, fork(random));
        Engine::new(Setup { identity, suite, tenant, mailbox, transfer, random }, members)
    }

    /// A process of a node, with the suite that its operator wrote down if it is not the fleet's, and with the marks and
    /// the roster that its disk holds.
    pub(super) fn node(
        &self,
        (index, suite): (usize, Option<Suite>),
        (marks, roster): (&BTreeMap<RunId, EpochId>, &Roster),
        now: Timestamp,
        random: &mut ChaCha20Rng,
    ) -> Participant {
        let mailbox = Mailbox { chunks: address(index), receipts: address(index) };
        let (identity, operator) = (self.nodes[index].clone(), roster.operator(&self.first_operator));
        let (tenant, marks, random) = (TenantId::of_name(TENANT), marks.clone(), fork(random));
        let (acted, certified) = (BTreeMap::new(), Timestamp::default());
        let (suite, window, roster) = (suite.unwrap_or(self.suite), WINDOW, Some(roster.clone()));
        let setup = NodeSetup {
            identity,
            suite,
            operator,
            roster,
            tenant,
            mailbox,
            marks,
            acted,
            certified,
            window,
            random,
        };
        Participant::new(setup, now)
    }
}

fn fork(random: &mut ChaCha20Rng) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(random.next_u64())
}

fn address(index: usize) -> Address {
    u128::to_le_bytes(index as u128)
}

/// Whose address it is.
pub(super) fn addressed(address: Address) -> usize {
    u128::from_le_bytes(address) as usize
}

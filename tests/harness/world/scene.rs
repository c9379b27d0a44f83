//! What a world is made of: its network, its keys, its run.

use std::collections::BTreeMap;

use common::crypto::Identity;
use common::id::{EpochId, ModelHash, RoundId, RunId, TenantId};
use common::known::Peer;
use common::message::model::Plan;
use common::message::presence::{Address, Mailbox};
use common::units::{Millis, Timestamp};
use coordinator::config::Transfer;
use coordinator::engine::{Engine, Setup, Start};
use coordinator::members::Members;
use coordinator::round::{
    Close, CohortSize, Deadlines, EPOCHS_AHEAD, ReservedEpochs, RoundPlan, RunPosition,
};
use coordinator::strategy::Strategy;
use node::participant::{Participant, Setup as NodeSetup};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// How the network treats a datagram.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network {
    /// Chunks and receipts lost, in percent.
    pub loss_percent: u32,
    /// Sent twice, in percent.
    pub twice_percent: u32,
    /// The longest a datagram takes, in microseconds; each takes a random part of it, so they overtake.
    pub delay_micros: u32,
}

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
    /// The rack whose nodes take part; all when there is none.
    pub rack: Option<&'static str>,
    /// How updates become a model.
    pub strategy: Strategy,
    /// How the network behaves.
    pub network: Network,
}

impl Scene {
    /// The run, with its first model.
    pub(super) fn start(&self, model: ModelHash) -> Start {
        let Self { seed, parameters, rounds, minimum, over_selection, rack, strategy, nodes, .. } = *self;
        let plan = Plan::flat(parameters, rounds, seed);
        let goal = (f64::from(nodes) / over_selection) as u32;
        let size = CohortSize { minimum, goal, over_selection, close: Close::AtGoal };
        let deadlines = Deadlines {
            selection: Millis(5_000),
            configuration: Millis(5_000),
            reporting: Millis(20_000),
            committing: Millis(5_000),
            rejoin: Millis(1_000),
        };
        let rounds =
            RoundPlan::new(size, deadlines, rounds, ATTEMPTS, seed).expect("the scene is a possible plan");
        let epochs = ReservedEpochs { next: EpochId(1), end: EpochId(1 + EPOCHS_AHEAD) };
        let position =
            RunPosition { run: RunId([7; 16]), rounds_done: RoundId(0), checkpoint: model.into(), epochs };
        let select = rack.map(|rack| ("rack".to_owned(), rack.to_owned())).into_iter().collect();
        Start { plan, rounds, select, strategy, position, model: None }
    }
}

/// Tries of one round.
const ATTEMPTS: u32 = 3;

/// The tenant of all worlds.
const TENANT: &str = "test";

/// Chunks that may be on their way to one reader.
const WINDOW: u32 = 8;

/// Who is who, for as long as the world lasts.
pub(super) struct Keys {
    pub(super) coordinator: Identity,
    nodes: Vec<Identity>,
}

impl Keys {
    pub(super) fn draw(scene: &Scene, random: &mut ChaCha20Rng) -> Self {
        let coordinator = Identity::generate(random);
        Self { coordinator, nodes: (0..scene.nodes).map(|_| Identity::generate(random)).collect() }
    }

    pub(super) fn engine(&self, now: Timestamp, random: &mut ChaCha20Rng) -> Engine {
        let allowed = self.nodes.iter().enumerate().map(|(index, identity)| {
            let label = ("rack".to_owned(), ["A", "B"][index % 2].to_owned());
            let (name, key, labels) = (format!("node-{index}"), *identity.public(), [label].into());
            (identity.node_id(), Peer { name, key, labels })
        });
        let members = Members::new(allowed.collect(), now);
        let transfer = Transfer { window_chunks: WINDOW, uploads_bytes: 6_000_000 };
        let (tenant, mailbox) = (TenantId::of_name(TENANT), Mailbox::default());
        let (identity, random) = (copy(&self.coordinator), fork(random));
        Engine::new(Setup { identity, tenant, mailbox, transfer, random }, members)
    }

    /// A process of a node, with the marks that its disk holds.
    pub(super) fn node(
        &self,
        index: usize,
        marks: &BTreeMap<RunId, EpochId>,
        now: Timestamp,
        random: &mut ChaCha20Rng,
    ) -> Participant {
        let mailbox = Mailbox { chunks: address(index), receipts: address(index) };
        let (identity, coordinator) = (copy(&self.nodes[index]), *self.coordinator.public());
        let (tenant, marks, random) = (TenantId::of_name(TENANT), marks.clone(), fork(random));
        let setup = NodeSetup { identity, coordinator, tenant, mailbox, marks, window: WINDOW, random };
        Participant::new(setup, now)
    }
}

/// An identity is not copied in the product; here one key has several processes.
fn copy(identity: &Identity) -> Identity {
    Identity::from_pkcs8_pem(&identity.to_pkcs8_pem()).expect("an identity can be read back")
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

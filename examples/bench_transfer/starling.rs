//! Ours: sealed and verified, with receipts, as the two programs do it.
//!
//! To one receiver blobs go as updates go to a coordinator, to eight as a model goes to its nodes. Sealing, offers,
//! the announcement and opening are in the time of a transfer; the keys of its epoch are drawn before.
//!
//! Every process derives all keys from the number of the transfer, so that none has to be told.

mod coordinator;
mod node;

use std::str::FromStr;

use ::coordinator::exchange::Epoch;
use anyhow::{Context, Result};
use common::crypto::{AgreementKey, Identity, KeyPackage, PublicIdentity, Suite};
use common::id::{BlobId, EpochId, NodeId, RoundId, RunId, TenantId};
use common::message::announce::Member;
use common::message::presence::Mailbox;
use common::units::{Millis, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::runtime::Builder;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::part::{Order, Part};

/// No key of the benchmark expires before the year 2100.
const EXPIRES: Timestamp = Timestamp(4_102_444_800_000_000);

const TENANT: TenantId = TenantId([1; 16]);
const RUN: RunId = RunId([2; 16]);
const ROUND: RoundId = RoundId(1);

/// Time is looked at at least this often, however much there is to read; as in the drivers.
const TICK: Millis = Millis(100);

/// Plays a part, in the kind of runtime that its program has.
pub(crate) fn run(part: &Part, orders: UnboundedReceiver<Order>) -> Result<()> {
    // Eight receivers are nodes, and so is every sender to a single one.
    let is_node = part.sends == (part.receivers == 1);
    if is_node {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(node::run(part, orders))
    } else {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(coordinator::run(part, orders))
    }
}

/// The coordinator and the nodes, with all their keys.
struct Cast {
    coordinator: Identity,
    nodes: Vec<(Identity, AgreementKey)>,
}

impl Cast {
    fn new(nodes: usize) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(0);
        let coordinator = Identity::generate(&mut random);
        let node = |_| {
            let identity = Identity::generate(&mut random);
            let key = AgreementKey::generate(Suite::X25519, identity.node_id(), EXPIRES, &mut random);
            (identity, key)
        };
        Self { coordinator, nodes: (0..nodes).map(node).collect() }
    }

    /// The keys of a transfer, and the root as it is wrapped for each node.
    fn epoch(&self, number: u64) -> (Epoch, Vec<Member>) {
        let packages = self.nodes.iter().map(|(identity, key)| (identity.node_id(), key.package().clone()));
        let packages: Vec<(NodeId, KeyPackage)> = packages.collect();
        let names = (TENANT, RUN, ROUND, EpochId(number));
        let mut random = ChaCha20Rng::seed_from_u64(number);
        let coordinator = self.coordinator.node_id();
        let (suite, packages) = (Suite::X25519, packages.into_iter());
        let (epoch, members, _) = Epoch::open(suite, names, coordinator, packages, &mut random);
        (epoch, members)
    }

    /// The index of a node.
    fn index_of(&self, node: NodeId) -> Option<usize> {
        self.nodes.iter().position(|(identity, _)| identity.node_id() == node)
    }

    fn key_of(&self, node: NodeId) -> Option<&PublicIdentity> {
        self.index_of(node).map(|index| self.nodes[index].0.public())
    }
}

/// A mailbox as a card.
fn card(mailbox: Mailbox) -> String {
    format!("{}-{}", RunId(mailbox.chunks), RunId(mailbox.receipts))
}

fn mailbox(card: &str) -> Result<Mailbox> {
    let (chunks, receipts) = card.split_once('-').context("half a mailbox")?;
    Ok(Mailbox { chunks: RunId::from_str(chunks)?.0, receipts: RunId::from_str(receipts)?.0 })
}

/// The key of a chunk: blob, then index, little-endian as CDR has it.
fn chunk_key(key: &[u8]) -> Option<(BlobId, u32)> {
    let (blob, index) = key.split_first_chunk::<32>()?;
    Some((BlobId(*blob), u32::from_le_bytes(index.try_into().ok()?)))
}

fn dds_config(part: &Part) -> dds::Config {
    dds::Config { domain: part.domain, interfaces: vec![part.address.into()], peers: vec![] }
}

async fn wake(at: Timestamp) {
    tokio::time::sleep(std::time::Duration::from_micros(at.micros_since(edge::now()))).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_derives_the_same_keys() {
        let (one, other) = (Cast::new(2), Cast::new(2));
        assert_eq!(one.epoch(7).1, other.epoch(7).1);
        assert_ne!(one.epoch(7).1, one.epoch(8).1);
    }

    #[test]
    fn a_mailbox_is_read_back_from_its_card() {
        let before = Mailbox { chunks: [1; 16], receipts: [2; 16] };
        assert_eq!(mailbox(&card(before)).unwrap(), before);
        assert!(mailbox("ab-cd").is_err());
    }
}

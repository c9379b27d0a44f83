//! The keys of one epoch, from its announcement to its end. Dropped, they are erased.

use std::collections::BTreeMap;

use common::crypto::{EpochRoot, KeyPackage, Kind, MemberKeys, Scope, SealError, Subject, Suite};
use common::id::{EpochId, NodeId, RoundId, RunId, TenantId};
use common::message::announce::Member;
use rand_chacha::rand_core::CryptoRng;

/// The coordinator's secrets of one epoch.
#[derive(Debug)]
pub struct Epoch {
    /// Whose run.
    pub tenant: TenantId,
    /// Which run.
    pub run: RunId,
    /// Which round.
    pub round: RoundId,
    /// Its number.
    pub id: EpochId,
    /// To whom updates are sealed.
    pub coordinator: NodeId,
    /// The model is sealed under it.
    pub root: EpochRoot,
    /// What the coordinator shares with each member alone.
    pub keys: BTreeMap<NodeId, MemberKeys>,
}

impl Epoch {
    /// Draws the keys of an epoch and wraps its root for each node. A node whose package is no key is
    /// left out and named.
    pub fn open(
        suite: Suite,
        (tenant, run, round, id): (TenantId, RunId, RoundId, EpochId),
        coordinator: NodeId,
        cohort: impl Iterator<Item = (NodeId, KeyPackage)>,
        rng: &mut impl CryptoRng,
    ) -> (Self, Vec<Member>, Vec<(NodeId, SealError)>) {
        let root = EpochRoot::generate(suite, rng);
        let scope = Scope { tenant, run, epoch: id, sender: coordinator };
        let (mut members, mut keys, mut failed) = (Vec::new(), BTreeMap::new(), Vec::new());
        for (node, package) in cohort {
            match root.wrap(&package, &scope, rng) {
                Ok((wrapped, own)) => {
                    members.push(Member { node, package: package.nonce, root: wrapped });
                    keys.insert(node, own);
                }
                Err(error) => failed.push((node, error)),
            }
        }
        (Self { tenant, run, round, id, coordinator, root, keys }, members, failed)
    }

    /// What the model of this epoch is about. The coordinator seals one value an epoch, hence number 1.
    pub fn model_subject(&self) -> Subject {
        let Self { tenant, run, round, id, .. } = *self;
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&run.0[..8]);
        trace[8..12].copy_from_slice(&round.0.to_be_bytes());
        Subject { kind: Kind::Model, tenant, run, round, epoch: id, seq: 1, trace }
    }
}

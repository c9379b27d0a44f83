//! The keys of one epoch.

use std::fmt;
use std::hint::black_box;

use anyhow::{Context, Result};
use common::crypto::{
    AgreementKey, EpochRoot, Identity, KeyPackage, Kind, Label, Manifest, MemberKeys, Opener, Scope, Sealer,
    Subject, Suite,
};
use common::id::{EpochId, RoundId, RunId, TenantId};
use common::message::Signed;
use common::message::announce::{Announcement, Member, Offer, Request};
use common::message::presence::{Mailbox, NodePresence, Standing, VERSION};
use common::units::{Millis, Timestamp};
use common::wire::{List, decode, encode};
use edge::cpu_s;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

/// CPU that an epoch of 1,000 nodes may take with X25519, in seconds.
const SECONDS_MAX: f64 = 0.2;

/// Seconds of CPU of one epoch.
#[derive(Serialize)]
pub(crate) struct Cost {
    suite: String,
    nodes: usize,
    verify_s: f64,
    wrap_s: f64,
    sign_s: f64,
    open_s: f64,
    total_s: f64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { suite, nodes, verify_s, wrap_s, sign_s, open_s, total_s } = self;
        let is_held_to = suite == "x25519" && *nodes == 1_000;
        let bar = if is_held_to { format!(" (wanted: {SECONDS_MAX})") } else { String::new() };
        write!(
            f,
            "| {suite} | {nodes} | {verify_s:.3} | {wrap_s:.3} | {sign_s:.3} | {open_s:.3} | {total_s:.3}{bar} |"
        )
    }
}

/// A coordinator and its nodes.
struct Cast {
    random: ChaCha20Rng,
    coordinator: Identity,
    nodes: Vec<(Identity, KeyPackage)>,
    scope: Scope,
    root: EpochRoot,
    /// What the coordinator shares with each of them.
    keys: Vec<MemberKeys>,
}

impl Cast {
    fn new(suite: Suite, nodes: usize) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(1);
        let coordinator = Identity::generate(&mut random);
        let node = |_| {
            let identity = Identity::generate(&mut random);
            let key = AgreementKey::generate(suite, identity.node_id(), Timestamp(9), &mut random);
            (identity, key.package().clone())
        };
        let nodes: Vec<(Identity, KeyPackage)> = (0..nodes).map(node).collect();
        let (tenant, run, epoch) = (TenantId([1; 16]), RunId([2; 16]), EpochId(3));
        let scope = Scope { tenant, run, epoch, sender: coordinator.node_id() };
        let root = EpochRoot::generate(suite, &mut random);
        Self { random, coordinator, nodes, scope, root, keys: Vec::new() }
    }

    fn subject(&self, kind: Kind) -> Subject {
        let Scope { tenant, run, epoch, .. } = self.scope;
        Subject { kind, tenant, run, round: RoundId(1), epoch, seq: 1, trace: [0; 16] }
    }

    fn presences(&self) -> Result<Vec<Vec<u8>>> {
        let say = |(identity, package): &(Identity, KeyPackage)| {
            let presence = NodePresence {
                session: 1,
                seq: 2,
                answers: 3,
                roster: 4,
                acted: None,
                certified: Timestamp::default(),
                package: package.clone(),
                mailbox: Mailbox::default(),
                standing: Standing::Ready,
                works: List::default(),
                drifted: None,
                version: VERSION,
            };
            Ok(Signed::seal(identity, Label::Presence, &presence)?)
        };
        self.nodes.iter().map(say).collect()
    }

    /// The offers of all updates, as they reach the coordinator.
    fn offers(&mut self) -> Result<Vec<Vec<u8>>> {
        let subject = self.subject(Kind::Update);
        let (to, Self { random, nodes, keys, .. }) = (self.coordinator.node_id(), self);
        let mut seal = |((identity, package), keys): (&(Identity, KeyPackage), &MemberKeys)| {
            let next_package = Some(package.clone());
            let sealer = Sealer { identity, subject, next_package, buffer: Vec::new() };
            let sealed = sealer.seal_to_coordinator(&b"an update"[..], to, keys, random)?;
            Ok(encode(sealed.manifest()))
        };
        nodes.iter().zip(&*keys).map(&mut seal).collect()
    }

    fn verify(&self, presences: &[Vec<u8>]) -> Result<()> {
        for ((identity, _), bytes) in self.nodes.iter().zip(presences) {
            let key = identity.public();
            black_box(Signed::<NodePresence>::open(bytes, Label::Presence, |_| Some(key))?);
        }
        Ok(())
    }

    fn wrap(&mut self) -> Result<Vec<Member>> {
        let Self { random, nodes, scope, root, keys, .. } = self;
        keys.clear();
        let mut wrap = |(_, package): &(Identity, KeyPackage)| {
            let (root, own) = root.wrap(package, scope, random)?;
            keys.push(own);
            Ok(Member { node: package.node, package: package.nonce, root })
        };
        nodes.iter().map(&mut wrap).collect()
    }

    /// Signs the model's manifest and the announcement.
    fn sign(&mut self, members: Vec<Member>) -> Result<()> {
        let Scope { tenant, run, epoch, .. } = self.scope;
        let (identity, subject) = (&self.coordinator, self.subject(Kind::Model));
        let sealer = Sealer { identity, subject, next_package: None, buffer: Vec::new() };
        let model = sealer.seal_to_group(&b"a model"[..], &self.root, &mut self.random)?;
        let members = members.try_into().context("as many nodes as a cohort may have")?;
        let offer = Offer { model: model.manifest().clone(), members };
        let (round, issued, deadline) = (RoundId(1), Timestamp(1), Millis(1));
        let request = Request::Train(offer);
        let announcement = Announcement {
            tenant,
            run,
            round,
            epoch,
            taken_from: epoch,
            roster: 1,
            issued,
            deadline,
            request,
        };
        black_box(Signed::seal(&self.coordinator, Label::Announce, &announcement)?);
        Ok(())
    }

    fn open(&self, offers: &[Vec<u8>]) -> Result<()> {
        let coordinator = self.coordinator.node_id();
        for (((identity, _), keys), bytes) in self.nodes.iter().zip(&self.keys).zip(offers) {
            let manifest = decode::<Manifest>(bytes)?.verify(identity.public())?;
            black_box(Opener::for_coordinator(&manifest, coordinator, keys)?);
        }
        Ok(())
    }
}

/// What an epoch of so many nodes costs: the mean of some epochs.
pub(crate) fn cost(suite: Suite, nodes: usize, epochs: u64) -> Result<Cost> {
    let mut cast = Cast::new(suite, nodes);
    let (presences, members) = (cast.presences()?, cast.wrap()?);
    let verify_s = mean(epochs, || cast.verify(&presences))?;
    let wrap_s = mean(epochs, || cast.wrap().map(drop))?;
    let sign_s = mean(epochs, || cast.sign(members.clone()))?;
    let offers = cast.offers()?;
    let open_s = mean(epochs, || cast.open(&offers))?;
    let total_s = verify_s + wrap_s + sign_s + open_s;
    Ok(Cost { suite: suite.to_string(), nodes, verify_s, wrap_s, sign_s, open_s, total_s })
}

/// Seconds of CPU that doing this takes once.
fn mean(times: u64, mut act: impl FnMut() -> Result<()>) -> Result<f64> {
    let before = cpu_s(std::process::id())?;
    for _ in 0..times {
        act()?;
    }
    Ok((cpu_s(std::process::id())? - before) / times as f64)
}

//! Updates as they reach a coordinator: offers and chunks of nodes that are of the cohort and of one that is not, right
//! and wrong, damaged, in any order. Whatever comes, what arrives is what its node sealed, and once.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use common::crypto::{
    AgreementKey, EpochRoot, Identity, Kind, MemberKeys, Scope, Sealed, Sealer, Subject, Suite,
};
use common::id::{BlobId, EpochId, NodeId, RoundId, RunId, TenantId};
use common::limits::OFFER_INDEX;
use common::units::{Millis, Timestamp};
use common::wire::encode;
use coordinator::exchange::{Epoch, Step, Uplink};
use libfuzzer_sys::fuzz_target;
use ops::Ops;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const NOW: Timestamp = Timestamp(1_000_000_000);
const SUITE: Suite = Suite::X25519;

/// Two chunks.
const UPDATE_BYTES: usize = 60_000;

struct World {
    nodes: Vec<Identity>,
    epoch: Epoch,
    values: Vec<Value>,
}

/// Something that a node sealed.
struct Value {
    node: NodeId,
    is_right: bool,
    plain: Vec<u8>,
    sealed: Sealed,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let coordinator = Identity::generate(&mut random);
    let nodes: Vec<Identity> = (0..3).map(|_| Identity::generate(&mut random)).collect();
    let (tenant, run, round, id) = (TenantId([1; 16]), RunId([2; 16]), RoundId(3), EpochId(4));
    let life = Millis(1_000_000);
    let packages: Vec<AgreementKey> = nodes
        .iter()
        .map(|node| AgreementKey::generate(SUITE, node.node_id(), NOW + life, &mut random))
        .collect();
    // The third is not in the cohort.
    let cohort = packages.iter().take(2).map(|key| (key.package().node, key.package().clone()));
    let about = (tenant, run, round, id);
    let (epoch, members, _) = Epoch::open(SUITE, about, coordinator.node_id(), cohort, &mut random);
    let scope = Scope { tenant, run, epoch: id, sender: coordinator.node_id() };
    // Of an epoch of its own.
    let others = packages.iter().skip(2).map(|key| (key.package().node, key.package().clone()));
    let (_, foreign, _) = Epoch::open(SUITE, about, coordinator.node_id(), others, &mut random);
    let unwrapped = |(key, member): (&AgreementKey, &common::message::announce::Member)| {
        EpochRoot::unwrap(&member.root, key, &scope).expect("it was wrapped to this key").1
    };
    let keys: Vec<MemberKeys> = packages.iter().zip(members.iter().chain(&foreign)).map(unwrapped).collect();
    let right = Subject { kind: Kind::Update, tenant, run, round, epoch: id, seq: 1, trace: [0; 16] };
    let subjects = [
        right,
        Subject { seq: 2, ..right },
        Subject { kind: Kind::Model, ..right },
        Subject { tenant: TenantId([9; 16]), ..right },
        Subject { epoch: EpochId(5), ..right },
        Subject { round: RoundId(9), ..right },
    ];
    let mut values = Vec::new();
    for ((node, key), keys) in nodes.iter().zip(&packages).zip(&keys) {
        let others = subjects.iter().map(|subject| (*subject, UPDATE_BYTES));
        for (subject, bytes) in others.chain([(right, 0), (right, UPDATE_BYTES + 1)]) {
            let plain: Vec<u8> = (0..bytes).map(|index| (index * 31 % 251) as u8).collect();
            let next_package = Some(key.package().clone());
            let sealer = Sealer { identity: node, subject, next_package, buffer: Vec::new() };
            let sealed = sealer.seal_to_coordinator(&plain[..], epoch.coordinator, keys, &mut random);
            let sealed = sealed.expect("it is small, and a key in memory signs");
            let of_epoch = subject == right || subject == Subject { seq: 2, ..right };
            let is_right = of_epoch && bytes == UPDATE_BYTES && epoch.keys.contains_key(&node.node_id());
            values.push(Value { node: node.node_id(), is_right, plain, sealed });
        }
    }
    World { nodes, epoch, values }
});

fuzz_target!(|data: &[u8]| {
    let World { nodes, epoch, values } = &*WORLD;
    let mut ops = Ops(data);
    let budget = [0, UPDATE_BYTES as u64 * 2][usize::from(ops.byte() % 2)];
    let mut uplink = Uplink::new(epoch.id, UPDATE_BYTES as u64, 4, budget, Vec::new());
    let (mut now, mut out, mut here) = (NOW, Vec::new(), BTreeSet::new());
    let mut waiting = Vec::new();
    while let Some(what) = ops.next() {
        let value = &values[usize::from(ops.byte()) % values.len()];
        let blob = value.sealed.manifest().blob();
        let index = u32::from(ops.byte()) % (value.sealed.chunks() + 1);
        let chunk = value.sealed.chunk(index).unwrap_or_default();
        let piece = match what % 9 {
            0 | 1 => (blob, OFFER_INDEX, encode(value.sealed.manifest())),
            2 | 3 => (blob, index, chunk.to_vec()),
            4 => (blob, OFFER_INDEX, ops.damaged(&encode(value.sealed.manifest()))),
            5 => (blob, [index, OFFER_INDEX - 1][usize::from(what / 128)], ops.damaged(&chunk)),
            6 => (BlobId([what; 32]), [OFFER_INDEX, 0][usize::from(what / 128)], ops.bytes().to_vec()),
            7 => {
                now = now + Millis(u64::from(ops.short()));
                uplink.on_tick(epoch, now, &mut out);
                if let Some(arrived) = waiting.pop() {
                    uplink.conclude(epoch, arrived, what < 128, now, &mut out);
                }
                continue;
            }
            _ => {
                uplink.remove(epoch, value.node, now, &mut out);
                continue;
            }
        };
        let key_of = |node| nodes.iter().map(Identity::public).find(|key| key.node_id() == node);
        let (blob, index, bytes) = piece;
        out.clear();
        let step = uplink.on_piece(epoch, key_of, (blob, index, &bytes), now, &mut out);
        assert!(out.len() <= 2 + nodes.len(), "a piece is answered in few words");
        match step {
            Ok(Step::Quiet) => (),
            Ok(Step::Offered(node, _)) => {
                assert!(values.iter().any(|value| value.node == node && value.is_right));
            }
            Ok(Step::Arrived(arrived)) => {
                let sealed = values.iter().find(|value| value.sealed.manifest().blob() == arrived.blob);
                let value = sealed.expect("what arrives was sealed");
                assert!(value.is_right && value.node == arrived.node && value.plain == arrived.plain);
                assert!(here.insert(arrived.blob), "an update arrives once");
                waiting.push(arrived);
            }
            Err((Some(node), _)) => assert!(epoch.keys.contains_key(&node), "a fault of the cohort's"),
            Err((None, _)) => (),
        }
        assert!(
            uplink.next_wake().is_none_or(|wake| wake.0 <= now.0 + 1_000_000),
            "a stall is looked at in time"
        );
        for node in nodes {
            assert!(uplink.progress(node.node_id()).is_none_or(|(here, all)| here <= all));
        }
    }
    for arrived in waiting {
        uplink.conclude(epoch, arrived, true, now, &mut out);
    }
});

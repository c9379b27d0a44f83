//! Receipts: each is of one writer, one epoch and one blob, and an older one never undoes a newer one.

use common::blob::Standing;
use common::crypto::{Kind, PairKey, Scope, Subject};
use common::id::{BlobId, EpochId};
use common::message::receipt::{Receipt, Status};
use common::units::Timestamp;
use common::upload::{Ended, Upload};
use rand::RngExt;

use crate::{World, subject};

const NOW: Timestamp = Timestamp(1_000_000);

/// What the coordinator and the node share in an epoch.
fn pair(world: &mut World, epoch: u64) -> PairKey {
    let Subject { tenant, run, .. } = subject(Kind::Update);
    let scope = Scope { tenant, run, epoch: EpochId(epoch), sender: world.coordinator.node_id() };
    world.epoch_root.wrap(world.node_key.package(), &scope, &mut world.rng).unwrap().1.pair
}

fn every_status() -> [Status; 4] {
    [Status::Queued, Status::Open(Standing::default()), Status::Complete, Status::Refused]
}

#[test]
fn a_receipt_changed_cut_extended_or_of_another_writer_or_epoch_is_none() {
    let mut world = World::new(13);
    let (ours, other) = (pair(&mut world, 4), pair(&mut world, 4));
    let (sender, reader) = (world.coordinator.node_id(), world.node.node_id());
    for status in every_status() {
        let receipt = Receipt { blob: BlobId([6; 32]), seq: 7, status };
        let bytes = receipt.seal(sender, &ours);
        assert_eq!(Receipt::open(&bytes, sender, &ours).as_ref(), Some(&receipt));
        for index in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[index] ^= world.rng.random_range(1..=255u8);
            assert_eq!(Receipt::open(&altered, sender, &ours), None, "byte {index}");
            assert_eq!(Receipt::open(&bytes[..index], sender, &ours), None, "{index} bytes");
        }
        assert_eq!(Receipt::open(&[&bytes[..], &[0]].concat(), sender, &ours), None);
        assert_eq!(Receipt::open(&bytes, reader, &ours), None, "it is not sent back to its writer");
        assert_eq!(Receipt::open(&bytes, sender, &other), None, "each wrap has a pair key of its own");
    }
}

#[test]
fn a_receipt_for_another_blob_or_an_older_one_moves_no_upload() {
    let mut world = World::new(14);
    let (sender, pair) = (world.coordinator.node_id(), pair(&mut world, 4));
    let sealed = world.sealed(subject(Kind::Update), &vec![6; 100_000]);
    let mut upload = Upload::new(sealed, sender, NOW);
    let blob = upload.blob();
    let receive = |upload: &mut Upload, blob, seq, status| {
        let ended = upload.on_receipt(&Receipt { blob, seq, status }.seal(sender, &pair), &pair, NOW);
        (ended, upload.receipts_heard())
    };
    for status in every_status() {
        assert_eq!(receive(&mut upload, BlobId([9; 32]), 9, status), (None, 0), "of another blob");
    }
    assert_eq!(receive(&mut upload, blob, 5, Status::Open(Standing::default())), (None, 5));
    for (seq, status) in (0..=5).zip(every_status().into_iter().cycle()) {
        assert_eq!(receive(&mut upload, blob, seq, status), (None, 5), "number {seq} is old");
    }
    assert_eq!(receive(&mut upload, blob, 6, Status::Complete), (Some(Ended::Delivered), 6));
}

//! The way of an update out of the node: its delta is taken, encoded and sealed, a record at a time.

use common::crypto::{Kind, MemberKeys, SealError, Sealed, Sealer, Subject};
use common::id::{EpochId, NodeId, RoundId, RunId, TenantId};
use common::limits::WEIGHT_MAX;
use common::message::update::{self, Change, UpdateHead};
use rand_chacha::ChaCha20Rng;

/// What an update of this epoch is about. A node seals one update an epoch, hence number 1.
pub fn subject(tenant: TenantId, run: RunId, round: RoundId, epoch: EpochId) -> Subject {
    let mut trace = [0; 16];
    trace[..8].copy_from_slice(&run.0[..8]);
    trace[8..12].copy_from_slice(&round.0.to_be_bytes());
    Subject { kind: Kind::Update, tenant, run, round, epoch, seq: 1, trace }
}

/// What an update says of itself, within its limits.
pub fn head(samples: u64, steps: u32, loss: f32) -> UpdateHead {
    UpdateHead { weight: samples.clamp(1, WEIGHT_MAX), steps: steps.max(1), loss }
}

/// What training changed, of the model and of the node's control variate if it has one, sealed to the coordinator
/// that wrapped the root of this epoch.
///
/// # Errors
///
/// [`SealError`] when the update is over a limit, or cannot be signed.
pub fn seal(
    head: &UpdateHead,
    (model, control): (Change<'_>, Option<Change<'_>>),
    sealer: Sealer<'_>,
    (coordinator, keys): (NodeId, &MemberKeys),
    random: &mut ChaCha20Rng,
) -> Result<Sealed, SealError> {
    let plain = update::plaintext(head, model, control);
    sealer.seal_to_coordinator(&plain, coordinator, keys, random)
}

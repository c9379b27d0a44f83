//! How far the runs are that are served: by what the disk said when each began, and by what was announced since.
//!
//! What a round starts from is on the disk before the round is announced. So who shows something of this coordinator's own
//! hand that is further than that saw another disk: since then an older copy was put in its place.

use std::collections::BTreeMap;
use std::fmt;

use common::crypto::{Kind, Manifest, PublicIdentity, Subject};
use common::id::{EpochId, RoundId, RunId};

use crate::round::RunPosition;

/// How far each run is.
#[derive(Debug, Default)]
pub(super) struct Reached(BTreeMap<RunId, Place>);

#[derive(Clone, Copy, Debug)]
struct Place {
    rounds_done: RoundId,
    /// Every epoch from this one on is still to be announced.
    epochs_end: EpochId,
}

/// What was signed once, and how far the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    run: RunId,
    round: RoundId,
    epoch: EpochId,
    rounds_done: RoundId,
    epochs_end: EpochId,
}

/// An older copy of the coordinator's folder was put back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "node {node} shows that this coordinator was {point}: an older copy of the folder was put back. Put back the newest \
     one; without it, begin with a new identity in a new folder, which the operator appoints"
)]
pub struct Outdated {
    /// Who showed it.
    pub node: String,
    /// What.
    pub point: Behind,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, round, epoch, rounds_done, epochs_end } = self;
        write!(
            f,
            "in round {round}, epoch {epoch} of run {run} before, and state.redb says that {rounds_done} rounds are done \
             and no epoch from {epochs_end} on was begun"
        )
    }
}

impl Reached {
    /// A run begins where the disk has it. Its epochs are reserved, and none of them was announced.
    pub(super) fn on_start(&mut self, position: &RunPosition) {
        let place = Place { rounds_done: position.rounds_done, epochs_end: position.epochs.next };
        self.0.insert(position.run, place);
    }

    pub(super) fn on_committed(&mut self, run: RunId, round: RoundId) {
        if let Some(place) = self.0.get_mut(&run) {
            place.rounds_done = round;
        }
    }

    pub(super) fn on_announced(&mut self, run: RunId, epoch: EpochId) {
        if let Some(place) = self.0.get_mut(&run) {
            place.epochs_end = place.epochs_end.max(EpochId(epoch.0.saturating_add(1)));
        }
    }

    /// How far the disk is behind this model, if it is, and if we signed it.
    pub(super) fn behind(&self, shown: &Manifest, own: &PublicIdentity) -> Option<Behind> {
        let Subject { kind, run, round, epoch, .. } = shown.claimed_header().subject;
        let Place { rounds_done, epochs_end } = *self.0.get(&run)?;
        let is_ahead = round.0 > rounds_done.0.saturating_add(1) || epoch >= epochs_end;
        // Only what cannot be true is worth a look at its signature.
        let is_ours = || kind == Kind::Model && shown.verify(own).is_ok();
        (is_ahead && is_ours()).then_some(Behind { run, round, epoch, rounds_done, epochs_end })
    }
}

#[cfg(test)]
mod tests {
    use common::crypto::{EpochRoot, Identity, Sealer, Suite};
    use common::id::{ModelHash, TenantId};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::round::ReservedEpochs;

    const RUN: RunId = RunId([1; 16]);

    fn identity(seed: u64) -> Identity {
        Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    fn model(signer: &Identity, run: RunId, round: u32, epoch: u64) -> Manifest {
        let rng = &mut ChaCha20Rng::seed_from_u64(3);
        let (tenant, round, epoch) = (TenantId([0; 16]), RoundId(round), EpochId(epoch));
        let subject = Subject { kind: Kind::Model, tenant, run, round, epoch, seq: 1, trace: [0; 16] };
        let sealer = Sealer { identity: signer, subject, next_package: None, buffer: Vec::new() };
        let root = EpochRoot::generate(Suite::X25519, rng);
        sealer.seal_to_group(&b"model"[..], &root, rng).unwrap().manifest().clone()
    }

    #[test]
    fn what_was_signed_of_later_than_the_disk_knows_shows_that_it_is_old() {
        let (own, member) = (identity(1), identity(2));
        let mut reached = Reached::default();
        let epochs = ReservedEpochs { next: EpochId(100), end: EpochId(200) };
        let checkpoint = ModelHash([0; 32]).into();
        reached.on_start(&RunPosition { run: RUN, rounds_done: RoundId(3), checkpoint, epochs });
        let behind = |reached: &Reached, round, epoch| {
            reached.behind(&model(&own, RUN, round, epoch), own.public()).is_some()
        };
        assert!(!behind(&reached, 4, 99), "it may have been killed in its round");
        assert!(behind(&reached, 5, 99), "the fourth round was committed before the fifth was announced");
        assert!(behind(&reached, 4, 100), "this process has announced nothing yet");
        reached.on_announced(RUN, EpochId(100));
        assert!(!behind(&reached, 4, 100) && behind(&reached, 4, 101));
        reached.on_committed(RUN, RoundId(4));
        assert!(!behind(&reached, 5, 100) && behind(&reached, 6, 100));
        assert!(reached.behind(&model(&own, RunId([2; 16]), 9, 999), own.public()).is_none());
        let made_up = model(&member, RUN, 9, 999);
        assert_eq!(reached.behind(&made_up, own.public()), None, "a member cannot make it up");
    }
}

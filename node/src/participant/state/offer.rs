//! From an announcement to a model at hand: open the offer, fetch the model, begin.

use std::sync::Arc;

use common::blob::Incoming;
use common::crypto::{EpochRoot, Kind, Opener, PairKey, Scope};
use common::message::announce::{Announcement, Member, Offer};
use common::message::model;
use common::message::presence::{Activity, HANG, PREPARATION};
use common::message::receipt::Status;
use common::units::Timestamp;

use super::{Participant, Stage};
use crate::participant::fetching::{Fetching, Work};
use crate::participant::{Assignment, Note, Output, ServerControl};

impl Participant {
    pub(super) fn open_offer(
        &self,
        announcement: &Announcement,
        offer: &Offer,
        member: &Member,
    ) -> Result<(Opener, PairKey), String> {
        let Announcement { tenant, run, round, epoch, .. } = *announcement;
        let key =
            self.keyring.find(&member.package).ok_or("its keys are wrapped to a package that was erased")?;
        let scope = Scope { tenant, run, epoch, sender: self.setup.coordinator.node_id() };
        let (root, pair) = EpochRoot::unwrap(&member.root, key, &scope).map_err(|error| error.to_string())?;
        let manifest = offer.model.verify(&self.setup.coordinator).map_err(|error| error.to_string())?;
        let subject = &manifest.header.subject;
        let expected = (Kind::Model, tenant, run, round, epoch);
        if (subject.kind, subject.tenant, subject.run, subject.round, subject.epoch) != expected {
            return Err("its model belongs to another announcement".into());
        }
        let opener = Opener::for_group(&manifest, &root).map_err(|error| error.to_string())?;
        Ok((opener, pair))
    }

    pub(super) fn fetch(&mut self, work: Work, opener: Opener, now: Timestamp, out: &mut Vec<Output>) {
        let (window, blob) = (self.setup.window, work.model);
        let incoming = Incoming::new(opener, std::mem::take(&mut self.buffer), window, now);
        self.told.activity = Activity::Fetching;
        self.told.epoch = work.epoch;
        self.stage = Stage::Fetching(Fetching { work, incoming });
        for (stashed, index, sealed) in std::mem::take(&mut self.stash) {
            if stashed == blob {
                self.on_model_chunk(blob, index, &sealed, now, out);
            }
        }
    }

    /// The model is here: train on it, or keep it.
    pub(super) fn begin(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let Stage::Fetching(Fetching { mut work, incoming, .. }) =
            std::mem::replace(&mut self.stage, Stage::Idle)
        else {
            return;
        };
        let plain = incoming.finish().map_err(|error| error.to_string());
        let opened = plain.and_then(|plain| {
            let decoded = model::decode(&plain).map_err(|error| error.to_string());
            self.buffer = plain;
            decoded
        });
        let model::Model { head, parameters, control } = match opened {
            Ok(opened) => opened,
            Err(reason) => return self.decline(&work, &reason, now, out),
        };
        let me = self.node();
        let folded =
            head.folded.iter().find(|last| last.node == me).map(|last| last.epoch).unwrap_or_default();
        let control = control.map(|values| Arc::new(ServerControl { values, folded }));
        out.push(work.receipt(self.setup.identity.node_id(), Status::Complete));
        let model = Arc::new(parameters);
        let (run, round, epoch, plan) = (work.run, work.round, work.epoch, head.plan);
        let assignment = Assignment { run, round, epoch, plan, model: Arc::clone(&model), control };
        if work.train {
            self.told.activity = Activity::Training;
            self.told.progress = 0;
            (self.began, self.stepped) = (now, (now + PREPARATION) - HANG);
            self.stage = Stage::Training(work, model);
            out.push(Output::Train(assignment));
        } else {
            self.fetched = Some(work);
            self.told.activity = Activity::Idle;
            out.push(Output::Keep(assignment));
        }
    }

    pub(super) fn decline(&mut self, work: &Work, reason: &str, now: Timestamp, out: &mut Vec<Output>) {
        out.push(Output::Note(Note::Declined { round: work.round, reason: reason.to_owned() }));
        self.say(Activity::Declining, work.epoch, now, out);
    }
}

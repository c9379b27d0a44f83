//! From an announcement to a model at hand: open the offer, fetch the model, begin.

use std::collections::VecDeque;
use std::sync::Arc;

use common::blob::Incoming;
use common::crypto::{EpochRoot, Kind, MemberKeys, Opener, Scope};
use common::id::RunId;
use common::limits::WORKS_MAX;
use common::message::announce::{Announcement, Member, Offer};
use common::message::model;
use common::message::receipt::Status;
use common::units::Timestamp;

use super::Participant;
use crate::participant::work::{Asked, Channel, Fetching, Stage, Work};
use crate::participant::{Assignment, Note, Output, ServerControl};

impl Participant {
    pub(super) fn open_offer(
        &self,
        announcement: &Announcement,
        offer: &Offer,
        member: &Member,
    ) -> Result<(Opener, MemberKeys), String> {
        let Announcement { tenant, run, round, epoch, .. } = *announcement;
        let key =
            self.keyring.find(&member.package).ok_or("its keys are wrapped to a package that was erased")?;
        let theirs = offer.model.claimed_header().suite;
        self.setup.suite.require(theirs).map_err(|other| other.to_string())?;
        let coordinator = self.coordinator().ok_or("no coordinator is appointed")?;
        let scope = Scope { tenant, run, epoch, sender: coordinator.node_id() };
        let (root, keys) = EpochRoot::unwrap(&member.root, key, &scope).map_err(|error| error.to_string())?;
        let manifest = offer.model.verify(coordinator).map_err(|error| error.to_string())?;
        let subject = &manifest.header.subject;
        let expected = (Kind::Model, tenant, run, round, epoch);
        if (subject.kind, subject.tenant, subject.run, subject.round, subject.epoch) != expected {
            return Err("its model belongs to another announcement".into());
        }
        let opener = Opener::for_group(&manifest, &root).map_err(|error| error.to_string())?;
        Ok((opener, keys))
    }

    /// Whether one more run can be worked on; what is over makes way for it.
    pub(super) fn has_room_for(&mut self, run: RunId) -> bool {
        if self.works.len() < WORKS_MAX || self.works.contains_key(&run) {
            return true;
        }
        let over = self.works.iter().find(|(_, work)| !work.goes_on()).map(|(run, _)| *run);
        over.is_some_and(|over| self.works.remove(&over).is_some())
    }

    pub(super) fn fetch(
        &mut self,
        asked: Asked,
        (channel, train): (Channel, bool),
        opener: Opener,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let (window, blob) = (self.setup.window, channel.model);
        let incoming = Incoming::new(opener, self.buffers.pop().unwrap_or_default(), window, now);
        let stage = Stage::Fetching(Fetching { channel, incoming, train });
        self.works.insert(asked.run, Work { asked, stage });
        let stash = std::mem::take(&mut self.stash).into_iter();
        let (early, others) = stash.partition::<VecDeque<_>, _>(|(stashed, ..)| *stashed == blob);
        self.stash = others;
        for (_, index, sealed) in early {
            self.on_model_chunk(blob, index, &sealed, now, out);
        }
    }

    /// The model of a run is here: train on it when it is its turn, or keep it.
    pub(super) fn begin(&mut self, run: RunId, now: Timestamp, out: &mut Vec<Output>) {
        let Some(Work { asked, stage: Stage::Fetching(fetching) }) = self.works.remove(&run) else { return };
        let Fetching { mut channel, incoming, train } = fetching;
        let plain = incoming.finish().map_err(|error| error.to_string());
        let opened = plain.and_then(|plain| {
            let decoded = model::decode(&plain).map_err(|error| error.to_string());
            self.give_back(plain);
            decoded
        });
        let model::Model { head, parameters, control } = match opened {
            Ok(opened) => opened,
            Err(reason) => return self.decline(asked, &reason, now, out),
        };
        let me = self.node();
        let folded =
            head.folded.iter().find(|last| last.node == me).map(|last| last.epoch).unwrap_or_default();
        let control = control.map(|values| Arc::new(ServerControl { values, folded }));
        out.push(channel.receipt(me, Status::Complete));
        let Asked { run, round, epoch, .. } = asked;
        let (plan, model) = (Arc::new(head.plan), Arc::new(parameters));
        let assignment = Assignment { run, round, epoch, plan, model, control };
        if train {
            self.turns += 1;
            let stage = Stage::Waiting(channel, assignment, self.turns);
            self.works.insert(run, Work { asked, stage });
            self.train_next(now, out);
        } else {
            self.works.insert(run, Work { asked, stage: Stage::Kept(channel) });
            if asked.issued >= self.kept {
                self.kept = asked.issued;
                out.push(Output::Keep(assignment));
            }
        }
    }

    pub(super) fn decline(&mut self, asked: Asked, reason: &str, now: Timestamp, out: &mut Vec<Output>) {
        let Asked { run, round, .. } = asked;
        out.push(Output::Note(Note::Declined { run, round, reason: reason.to_owned() }));
        self.works.insert(run, Work { asked, stage: Stage::Declining });
        self.tell(now, out);
    }
}

//! Opening an epoch: draw its keys, announce it, and start its transfers.

use std::collections::BTreeSet;

use common::crypto::{KeyPackage, Label, Sealer};
use common::id::{EpochId, NodeId, RoundId};
use common::message::announce::{Announcement, Offer, Request};
use common::message::{Signed, model, update};
use common::units::Millis;

use super::{Active, Exchange};
use crate::engine::share::Share;
use crate::engine::{Context, Output};
use crate::exchange::{Downlink, Epoch, Uplink};

impl Active {
    /// Draws the keys of an epoch, announces it, and sends its model: to be trained on, where updates are taken from some
    /// epoch on, or to be kept.
    pub(super) fn open_exchange(
        &mut self,
        model: Vec<f32>,
        nodes: &BTreeSet<NodeId>,
        (round, id, wait): (RoundId, EpochId, Millis),
        taken_from: Option<EpochId>,
        context: &mut Context<'_>,
    ) {
        self.close_exchanges();
        let now = context.now;
        let coordinator = context.setup.identity.node_id();
        let packages: Vec<(NodeId, KeyPackage)> = nodes
            .iter()
            .filter_map(|node| Some((*node, context.members.present(*node)?.package)))
            .filter(|(_, package)| package.is_usable_at(now))
            .collect();
        let names = (context.setup.tenant, self.id, round, id);
        let random = &mut context.setup.random;
        let (epoch, members, failed) =
            Epoch::open(names, coordinator, packages.into_iter(), (now, wait), random);
        for (node, error) in failed {
            context.out.push(Output::Note(format!("{} is left out: {error}", context.members.name(node))));
        }
        let sealer = Sealer {
            identity: &context.setup.identity,
            subject: epoch.model_subject(),
            next_package: None,
            buffer: std::mem::take(&mut self.sealed_buffer),
        };
        let sealed = sealer
            .seal_to_group(&model::plaintext(&self.plan, &model), &epoch.root, random)
            .expect("a model within PARAMETERS_MAX fits one blob");
        // The file has the model, should it be needed again.
        drop(model);
        let members = members.try_into().expect("the plan bounds the cohort");
        let offer = Offer { model: *sealed.manifest(), package: *epoch.key.package(), members };
        let train = taken_from.is_some();
        let request = if train { Request::Train(offer) } else { Request::Keep(offer) };
        self.announce(request, (round, id, wait), taken_from.unwrap_or(id), context);
        let Share { down_chunks, up } = context.share;
        let update_bytes = update::plain_bytes(self.parameters);
        let buffers = std::mem::take(&mut self.buffers);
        let uplink = Uplink::new(id, update_bytes, up.window_chunks, up.uploads_bytes, buffers);
        let downlink = Some(Downlink::new(sealed, &epoch, down_chunks, now));
        self.exchanges.insert(id, Exchange { epoch, downlink, uplink, train });
        self.send(context);
    }

    pub(super) fn announce(
        &mut self,
        request: Request,
        (round, epoch, deadline): (RoundId, EpochId, Millis),
        taken_from: EpochId,
        context: &mut Context<'_>,
    ) {
        let (tenant, run, issued) = (context.setup.tenant, self.id, context.now);
        let announcement = Announcement { tenant, run, round, epoch, taken_from, issued, deadline, request };
        self.say(announcement, context);
    }

    /// Says again what was announced last, with the time that is left.
    pub(in crate::engine) fn announce_again(&mut self, context: &mut Context<'_>) {
        if let Some(announcement) = self.announced.take() {
            let until = announcement.issued + announcement.deadline;
            let (issued, deadline) = (context.now, Millis(until.since(context.now).0));
            self.say(Announcement { issued, deadline, ..announcement }, context);
        }
    }

    fn say(&mut self, announcement: Announcement, context: &mut Context<'_>) {
        let bytes = Signed::seal(&context.setup.identity, Label::Announce, &announcement);
        self.announced = Some(announcement);
        context.out.push(Output::Announce { run: self.id, bytes });
    }
}

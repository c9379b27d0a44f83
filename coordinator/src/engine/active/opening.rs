//! Opening an epoch: draw its keys, announce it, and start its transfers.

use std::collections::BTreeSet;

use common::crypto::{KeyPackage, Label, SealError, Sealer};
use common::id::{EpochId, NodeId, RoundId};
use common::message::announce::{Announcement, Offer, Request};
use common::message::model::{LastFolded, ModelHead, Plan};
use common::message::{Signed, model, update};
use common::units::Millis;

use super::{Active, Exchange};
use crate::engine::share::Share;
use crate::engine::{Context, Output};
use crate::exchange::{Downlink, Epoch, Uplink};

/// What a model is sent for.
pub(super) enum Purpose {
    /// To be trained on.
    Train {
        /// The server's control variate; empty where nodes keep none.
        control: Vec<f32>,
        /// Updates of this epoch and later ones are taken.
        taken_from: EpochId,
    },
    /// To be kept.
    Keep,
}

impl Active {
    /// Draws the keys of an epoch, announces it, and sends its model.
    pub(super) fn open_exchange(
        &mut self,
        (model, purpose): (Vec<f32>, Purpose),
        nodes: &BTreeSet<NodeId>,
        (round, id, wait): (RoundId, EpochId, Millis),
        context: &mut Context<'_>,
    ) {
        self.close_exchanges();
        let now = context.now;
        let coordinator = context.setup.identity.node_id();
        // An announcement holds no more; `serve` refuses a longer list.
        let packages: Vec<(NodeId, KeyPackage)> = nodes
            .iter()
            .filter_map(|node| Some((*node, context.members.present(*node)?.package.clone())))
            .filter(|(_, package)| package.is_usable_at(now))
            .take(context.setup.suite.cohort_max())
            .collect();
        let names = (context.setup.tenant, self.id, round, id);
        let random = &mut context.setup.random;
        let (epoch, members, failed) =
            Epoch::open(context.setup.suite, names, coordinator, packages.into_iter(), random);
        for (node, error) in failed {
            context.out.push(Output::Note(format!("{} is left out: {error}", context.members.name(node))));
        }
        let sealer = Sealer {
            identity: &context.setup.identity,
            subject: epoch.model_subject(),
            next_package: None,
            buffer: std::mem::take(&mut self.sealed_buffer),
        };
        let (train, control, taken_from) = match purpose {
            Purpose::Train { control, taken_from } => (true, control, taken_from),
            Purpose::Keep => (false, Vec::new(), id),
        };
        let plan = Plan { control: train && self.plan.control, ..self.plan.clone() };
        let last = |node: &NodeId| Some(LastFolded { node: *node, epoch: *self.folded.get(node)? });
        let folded: Vec<LastFolded> = nodes.iter().filter(|_| plan.control).filter_map(last).collect();
        let head = ModelHead { plan, folded: folded.try_into().expect("the plan bounds the cohort") };
        let sealed = sealer.seal_to_group(&model::plaintext(&head, &model, &control), &epoch.root, random);
        let sealed = match sealed {
            Ok(sealed) => sealed,
            Err(SealError::Unsigned(error)) => return context.out.push(Output::Unsigned(error)),
            Err(error) => unreachable!("a model within PARAMETERS_MAX fits one blob: {error}"),
        };
        // The files have both, should they be needed again.
        drop((model, control));
        let members = members.try_into().expect("the plan bounds the cohort");
        let offer = Offer { model: sealed.manifest().clone(), members };
        let request = if train { Request::Train(offer) } else { Request::Keep(offer) };
        self.announce(request, (round, id, wait), taken_from, context);
        let Share { down_chunks, up } = context.share;
        let update_bytes = update::plain_bytes(self.plan.values(self.parameters));
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
        let roster = context.members.roster().version;
        context.reached.on_announced(run, epoch);
        let announcement =
            Announcement { tenant, run, round, epoch, taken_from, roster, issued, deadline, request };
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
        let signed = Signed::seal(&context.setup.identity, Label::Announce, &announcement);
        self.announced = Some(announcement);
        let announce = |bytes| Output::Announce { run: self.id, bytes };
        context.out.push(signed.map_or_else(Output::Unsigned, announce));
    }
}

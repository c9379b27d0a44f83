//! Opening an epoch: draw its keys, announce it, and start its transfers.

use std::collections::BTreeSet;

use common::crypto::{KeyPackage, Label, Sealer};
use common::id::{EpochId, NodeId, RoundId};
use common::message::announce::{Announcement, Offer, Request};
use common::message::model::{LastFolded, ModelHead, Plan};
use common::message::{Signed, model, update};
use common::units::Millis;

use super::{Active, Exchange};
use crate::engine::{Context, Output};
use crate::exchange::{Downlink, Epoch, Uplink};

impl Active {
    /// Draws the keys of an epoch, announces it, and sends its model. To train, nodes are given the server's control
    /// variate as well, which is empty where they keep none.
    pub(super) fn open_exchange(
        &mut self,
        (model, control): (Vec<f32>, Option<Vec<f32>>),
        nodes: &BTreeSet<NodeId>,
        (round, id, wait): (RoundId, EpochId, Millis),
        context: &mut Context<'_>,
    ) {
        self.close_exchange();
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
        let train = control.is_some();
        let plan = Plan { control: train && self.plan.control, ..self.plan.clone() };
        let last = |node: &NodeId| Some(LastFolded { node: *node, epoch: *self.folded.get(node)? });
        let folded: Vec<LastFolded> = nodes.iter().filter(|_| plan.control).filter_map(last).collect();
        let head = ModelHead { plan, folded: folded.try_into().expect("the plan bounds the cohort") };
        let sealed = sealer
            .seal_to_group(
                &model::plaintext(&head, &model, control.as_deref().unwrap_or_default()),
                &epoch.root,
                random,
            )
            .expect("a model within PARAMETERS_MAX fits one blob");
        // The files have both, should they be needed again.
        drop((model, control));
        let members = members.try_into().expect("the plan bounds the cohort");
        let offer = Offer { model: *sealed.manifest(), package: *epoch.key.package(), members };
        let request = if train { Request::Train(offer) } else { Request::Keep(offer) };
        self.announce(request, round, id, wait, context);
        let transfer = context.setup.transfer;
        let update_bytes = update::plain_bytes(self.plan.values(self.parameters));
        let buffers = std::mem::take(&mut self.buffers);
        let uplink = Uplink::new(id, update_bytes, transfer.window_chunks, transfer.uploads_bytes, buffers);
        let downlink = Some(Downlink::new(sealed, &epoch, transfer.window_chunks, now));
        self.exchange = Some(Exchange { epoch, downlink, uplink, train });
        self.send(context);
    }

    pub(super) fn announce(
        &self,
        request: Request,
        round: RoundId,
        epoch: EpochId,
        deadline: Millis,
        context: &mut Context<'_>,
    ) {
        let (tenant, issued) = (context.setup.tenant, context.now);
        let announcement = Announcement { tenant, run: self.id, round, epoch, issued, deadline, request };
        let bytes = Signed::seal(&context.setup.identity, Label::Announce, &announcement);
        context.out.push(Output::Announce { run: self.id, bytes });
    }
}

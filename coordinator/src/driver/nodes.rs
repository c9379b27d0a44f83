//! What operators want of nodes: that they are in no new round, or are again; and who belongs to the tenant at all. The
//! disk has it before they are told.

use std::sync::{Arc, PoisonError};

use anyhow::{Result, ensure};
use common::known::Peer;
use common::roster::Roster;
use edge::now;

use super::Driver;
use super::join::Errand;
use crate::folder::Enrolled;
use crate::view::{self, InstalledRoster, NodeOrder, OrderedNode};

impl Driver {
    /// Drains a node, or takes it back, or renews its certificate; a dry run is the look whether that can be done.
    pub(super) fn order_node(
        &mut self,
        wanted: &str,
        order: NodeOrder,
        dry_run: bool,
    ) -> Result<OrderedNode> {
        let node = view::node(&self.engine.members().roster().nodes, wanted)?;
        let drained = match order {
            NodeOrder::Drain => true,
            NodeOrder::Undrain => false,
            NodeOrder::Renew => self.engine.members().is_drained(node),
        };
        if !dry_run && order == NodeOrder::Renew {
            self.store.state().forget_lease(node)?;
            self.engine.renew(node);
        } else if !dry_run {
            self.store.state().drain(node, drained)?;
            self.engine.drain(node, drained, now(), &mut self.fresh);
        }
        let name = self.engine.members().name(node);
        let activity = self.engine.activity(node, drained);
        Ok(OrderedNode { order, dry_run, name, node: node.to_string(), drained, activity })
    }

    /// Makes a roster count, here and at all nodes; a dry run is the look whether it may.
    pub(super) fn install(&mut self, text: &str, dry_run: bool) -> Result<InstalledRoster> {
        let next = self.enrolled.newer(text)?;
        super::check_size(&next.roster, self.engine.suite())?;
        let appointed = next.roster.coordinator;
        let goes_on = appointed.node_id() == self.engine.id();
        ensure!(
            goes_on || custody::next(&self.dir) == Some(appointed),
            "the roster appoints another coordinator; end this one before it is installed"
        );
        let told = InstalledRoster::of(&next.roster, &self.enrolled.roster, dry_run);
        if !dry_run {
            next.store(&self.dir)?;
            self.drain_successors(&next.roster)?;
            self.enrolled = Arc::new(next);
            *self.members.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&self.enrolled);
            self.tell_roster();
            if goes_on {
                self.engine.on_roster(self.enrolled.roster.clone(), now(), &mut self.fresh);
            }
        }
        Ok(told)
    }

    /// Who is drained stays so under the next key.
    fn drain_successors(&mut self, next: &Roster) -> Result<()> {
        for former in next.former.keys().copied() {
            let members = self.engine.members();
            // Once, when it is given that: it may be taken back afterwards.
            let is_drained = members.roster().nodes.contains_key(&former) && members.is_drained(former);
            let Some(peer) = next.successor(former).filter(|_| is_drained) else { continue };
            self.store.state().drain(peer.key.node_id(), true)?;
            self.engine.drain(peer.key.node_id(), true, now(), &mut self.fresh);
        }
        Ok(())
    }

    /// Writes who belongs to the tenant.
    pub(super) fn tell_roster(&mut self) {
        let Enrolled { text, roster, .. } = &*self.enrolled;
        self.link.tell_roster(roster.tenant_id(), text);
    }

    /// Somebody came with a token.
    pub(super) fn on_errand(&mut self, errand: Errand) {
        match errand {
            Errand::Waits(Peer { name, key, .. }) => {
                self.engine.on_applicant(key.node_id(), &name, now(), &mut self.fresh);
                self.carry_out();
            }
            Errand::Certify { node, renew, answer } => {
                let certificate = self.engine.on_admitted(node, renew, now(), &mut self.fresh);
                // It is stored before it is given.
                self.carry_out();
                // Who asked may have hung up.
                let _ = answer.send(certificate);
            }
        }
    }

    /// Nodes stay drained when the coordinator is started again.
    pub(super) fn recall_drained(&mut self) -> Result<()> {
        for node in self.store.state().drained()? {
            self.engine.drain(node, true, now(), &mut self.fresh);
        }
        Ok(())
    }
}

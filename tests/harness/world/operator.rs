//! What an operator does while the world goes on: nodes that are taken out, and keys that others take the place of.

use node::participant::Participant;

use super::World;
use super::network::NodeDatagram;

impl World {
    /// The operator takes a node out.
    pub fn revoke(&mut self, index: usize, why: &str) {
        for node in self.keys.revoke(index, why) {
            self.witness.on_revoked(node, self.now);
        }
        self.tell_roster();
    }

    /// A node has made its next key, and the operator gives it that.
    pub fn rotate(&mut self, index: usize) {
        self.keys.rotate(index, &mut self.random);
        self.tell_roster();
    }

    /// The operator hands the tenant over to another key.
    pub fn hand_over(&mut self) {
        self.keys.hand_over(&mut self.random);
        self.tell_roster();
    }

    /// A coordinator that is up tells all of a new roster, another one when it begins.
    fn tell_roster(&mut self) {
        if self.process.is_some() {
            let roster = self.keys.roster.clone();
            self.send_all(&NodeDatagram::Roster(self.keys.told()));
            self.coordinator(|engine, now, out| engine.on_roster(roster, now, out));
        }
    }

    /// A node that has done all that it began goes on under its next key.
    pub(super) fn succeed(&mut self, index: usize) {
        let Some(key) = self.nodes[index].successor() else { return };
        if self.keys.take_next(index, &key) {
            self.node(index, Participant::on_leave);
            self.restart(index);
        }
    }
}

//! Which nodes a run may select.

use common::id::NodeId;

use super::Active;
use crate::engine::Context;
use crate::round::Input;

impl Active {
    /// A node that is there may be selected, or may not.
    pub(in crate::engine) fn on_candidacy(&mut self, node: NodeId, context: &mut Context<'_>) {
        if self.wants(node, context) && context.members.present(node).is_some() {
            let is_candidate = context.members.is_candidate(node);
            let input = if is_candidate { Input::NodeReady } else { Input::NodeDrains };
            self.on_input(input(node), context);
        }
    }

    /// Whether a node is one of those that the run selects from.
    pub(super) fn wants(&self, node: NodeId, context: &Context<'_>) -> bool {
        context.members.peer(node).is_some_and(|peer| peer.has(&self.select))
    }
}

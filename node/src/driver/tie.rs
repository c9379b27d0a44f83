//! The tether to a coordinator on the same host.

use common::id::NodeId;
use edge::tether::Tether;

/// A tether, tied when the coordinator answers and again when it is another process.
#[derive(Default)]
pub(super) struct Tie {
    /// The newest presence: it says whose end the end of the tether is.
    said: Vec<u8>,
    tether: Option<Tether>,
    tried: bool,
}

impl Tie {
    pub(super) fn on_presence(&mut self, bytes: &[u8]) {
        self.said = bytes.to_vec();
    }

    /// Ties once for each time that the coordinator begins to answer.
    pub(super) async fn keep(&mut self, answering: Option<NodeId>) {
        if let Some(owner) = answering.filter(|_| !self.tried && self.tether.is_none()) {
            self.tether = Tether::tie(owner, &self.said).await;
        }
        self.tried = answering.is_some();
    }

    /// The process ends: its last presence says so, faster than over the network.
    pub(super) async fn leave(self) {
        if let Some(tether) = self.tether {
            tether.untie(&self.said).await;
        }
    }

    /// Returns when the coordinator has ended; never when there is no tether. Safe to cancel.
    pub(super) async fn severed(&mut self) {
        match &mut self.tether {
            Some(tether) => tether.severed().await,
            None => std::future::pending().await,
        }
        self.tether = None;
    }
}

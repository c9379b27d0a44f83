//! In place of the client, in a build without it.

use std::convert::Infallible;
use std::future::Ready;

use rand_chacha::ChaCha20Rng;
use tokio::sync::watch;

use super::{MqttConfig, Notice};
use crate::listen::{Clock, ListenError, Report};
use crate::spool::Spool;

/// There is none.
pub(super) struct Client(Infallible);

impl Client {
    pub(super) fn new(
        _: &MqttConfig,
        _: Spool,
        _: Clock,
        _: Notice,
        _: Report,
        _: ChaCha20Rng,
    ) -> Result<Self, ListenError> {
        let problem = "is not in this build; it takes one with `--features mqtt`".to_owned();
        Err(ListenError::Config { key: "mqtt".to_owned(), problem })
    }

    pub(super) fn serve(self, _: watch::Receiver<bool>) -> Ready<()> {
        match self.0 {}
    }
}

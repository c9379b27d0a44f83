//! MQTT 3.1.1: subscribed to a broker, which keeps what was not acknowledged.
//!
//! A message is acknowledged (PUBACK) when the spool has it, and not before. The session outlives a connection, so
//! that the broker sends again what was on its way; that takes the feature `mqtt`.

#[cfg_attr(not(feature = "mqtt"), path = "mqtt/absent.rs")]
mod client;
mod config;

pub use self::config::MqttConfig;

use rand_chacha::ChaCha20Rng;
use tokio::sync::watch;

use self::client::Client;
use super::{Clock, ListenError, Report};
use crate::spool::Spool;

/// Whom to tell of what the broker does: a connection lost, a subscription refused.
#[derive(Clone, Copy, Debug)]
pub struct Notice(pub fn(&str));

/// A subscription, until the watch says so.
pub struct MqttSubscriber(Client);

impl MqttSubscriber {
    /// Makes ready to subscribe; nothing is connected yet. Messages that are left out are told to `report`.
    ///
    /// # Errors
    ///
    /// [`ListenError`] names the file or the key; without the feature `mqtt`, always.
    pub fn new(
        config: &MqttConfig,
        spool: Spool,
        clock: Clock,
        notice: Notice,
        report: Report,
        random: ChaCha20Rng,
    ) -> Result<Self, ListenError> {
        config.check()?;
        Client::new(config, spool, clock, notice, report, random).map(Self)
    }

    /// Takes messages until `stop` turns true, connecting again whenever the connection is lost.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        self.0.serve(stop).await;
    }
}

impl std::fmt::Debug for MqttSubscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttSubscriber").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

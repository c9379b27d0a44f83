//! The connection to the broker: received in order, stored together, acknowledged in order.

use std::collections::VecDeque;
use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::id::TenantId;
use common::units::Timestamp;
use common::wire::TooLong;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use rumqttc::{
    AsyncClient, Event, EventLoop, Incoming, MqttOptions, Publish, QoS, SubscribeFilter, SubscribeReasonCode,
    TlsConfiguration, Transport,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{MqttConfig, Notice};
use crate::error::Shown;
use crate::limits::{ENTRY_BODY_BYTES_MAX, MQTT_HELD_BYTES_MAX, MQTT_UNACKNOWLEDGED_MAX};
use crate::listen::losses::Losses;
use crate::listen::{Clock, ListenError, Report, tls_client};
use crate::mqtt::{self, Pattern};
use crate::spool::{Entry, EntryId, Kind, Refusal, Spool};

/// How long it waits before it tries again: doubled each time, up to the longest. A connection that lasted that long
/// was a good one, and the next begins with the shortest.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// How long the end of a session may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// A client of one broker.
pub(super) struct Client {
    options: MqttOptions,
    patterns: Vec<Pattern>,
    notice: Notice,
    keeper: Keeper,
    tenant: TenantId,
    clock: Clock,
    seed: [u8; 32],
    arrivals: u64,
    payload_bytes_max: usize,
}

/// What is received and not acknowledged yet, in its order.
#[derive(Default)]
struct Unacknowledged {
    storing: VecDeque<Storing>,
    /// Bytes of their payloads.
    storing_bytes: usize,
    stored: VecDeque<Publish>,
}

/// A message on its way to the spool; its payload is only there.
struct Storing {
    message: Publish,
    bytes: usize,
    keeping: Keeping,
}

/// Given up with the connection it came on: the broker sends the message again, and one that waits for room must not
/// be held as often as it comes.
struct Keeping(JoinHandle<bool>);

/// Brings entries into the spool, however long it takes.
#[derive(Clone)]
struct Keeper {
    spool: Spool,
    losses: Arc<Losses>,
}

impl Client {
    pub(super) fn new(
        config: &MqttConfig,
        spool: Spool,
        clock: Clock,
        notice: Notice,
        report: Report,
        mut random: ChaCha20Rng,
    ) -> Result<Self, ListenError> {
        let mut options = MqttOptions::new(&config.client_id, &config.host, config.port());
        options
            .set_clean_session(false)
            .set_manual_acks(true)
            .set_keep_alive(Duration::from_secs(config.keep_alive_s.into()))
            // A message over the limit of the configuration is received, so that it can be acknowledged.
            .set_max_packet_size(ENTRY_BODY_BYTES_MAX, ENTRY_BODY_BYTES_MAX);
        if let (Some(name), Some(path)) = (&config.username, &config.password_file) {
            let read = std::fs::read_to_string(path).map_err(|error| ListenError::Config {
                key: "mqtt.password_file".to_owned(),
                problem: format!("cannot be read: {}: {error}", path.display()),
            });
            options.set_credentials(name, read?.trim_end());
        }
        if let Some(ca) = &config.ca {
            let tls = TlsConfiguration::Rustls(tls_client(ca)?);
            options.set_transport(Transport::tls_with_config(tls));
        }
        let mut seed = [0; 32];
        random.fill_bytes(&mut seed);
        Ok(Self {
            options,
            patterns: config.topics.clone(),
            notice,
            keeper: Keeper { spool, losses: Arc::new(Losses::new(report)) },
            tenant: TenantId::of_name(&config.tenant),
            clock,
            seed,
            arrivals: 0,
            payload_bytes_max: config.message_bytes_max,
        })
    }

    pub(super) async fn serve(self, stop: watch::Receiver<bool>) {
        let losses = Arc::clone(&self.keeper.losses);
        tokio::join!(self.converse(stop.clone()), losses.tell_until(stop));
        losses.tell();
    }

    async fn converse(mut self, mut stop: watch::Receiver<bool>) {
        // An acknowledgement waits in this channel for the connection.
        let (client, mut events) = AsyncClient::new(self.options.clone(), MQTT_UNACKNOWLEDGED_MAX);
        let mut open = Unacknowledged::default();
        let mut pause = PAUSE;
        let mut connected = None;
        while !*stop.borrow() {
            open.acknowledge(&client);
            let Some(event) = next(&mut events, &mut open, &client, &mut stop).await else { break };
            let trouble = match event {
                Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                    connected = Some((self.clock.0)());
                    self.subscribe(&client)
                }
                Ok(Event::Incoming(Incoming::SubAck(answer))) => self.granted(&answer.return_codes),
                Ok(Event::Incoming(Incoming::Publish(message))) => self.receive(message, &mut open, &stop),
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            };
            let Some(trouble) = trouble else { continue };
            self.tell(&trouble);
            events.clean();
            // What was read and not looked at, and what is being stored, the broker sends again.
            events.state.events.clear();
            open = Unacknowledged::default();
            if connected.take().is_some_and(|since| self.has_lasted(since)) {
                pause = PAUSE;
            }
            if tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
                break;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let _ = tokio::time::timeout(GOODBYE, part(&client, &mut events, open)).await;
    }

    fn has_lasted(&self, since: Timestamp) -> bool {
        let micros = (self.clock.0)().0.saturating_sub(since.0);
        Duration::from_micros(micros) >= PAUSE_MAX
    }

    /// Each time anew: a broker that lost its sessions has lost the subscriptions too.
    fn subscribe(&self, client: &AsyncClient) -> Option<String> {
        let filter = |pattern: &Pattern| SubscribeFilter::new(pattern.filter(), QoS::AtLeastOnce);
        let filters: Vec<SubscribeFilter> = self.patterns.iter().map(filter).collect();
        client.try_subscribe_many(filters).err().map(|error| format!("cannot subscribe: {error}"))
    }

    /// Says why the connection is to be given up, if it is.
    fn granted(&self, answers: &[SubscribeReasonCode]) -> Option<String> {
        if answers.contains(&SubscribeReasonCode::Success(QoS::AtMostOnce)) {
            self.tell("the broker sends at most once: what is lost on the way is lost");
        }
        let is_refused = answers.contains(&SubscribeReasonCode::Failure);
        is_refused.then(|| "the broker refuses a subscription".to_owned())
    }

    /// Begins to store a message; says why the connection is to be given up.
    fn receive(
        &mut self,
        mut message: Publish,
        open: &mut Unacknowledged,
        stop: &watch::Receiver<bool>,
    ) -> Option<String> {
        if open.storing.len() + open.stored.len() >= MQTT_UNACKNOWLEDGED_MAX {
            return Some(format!("more than {MQTT_UNACKNOWLEDGED_MAX} messages are not acknowledged"));
        }
        if open.storing_bytes + message.payload.len() > MQTT_HELD_BYTES_MAX {
            return Some(format!("more than {MQTT_HELD_BYTES_MAX} bytes are not acknowledged"));
        }
        let keeping = match self.entry(&message) {
            Ok(entry) => tokio::spawn(self.keeper.clone().keep(message.topic.clone(), entry, stop.clone())),
            Err(reason) => {
                self.keeper.lose(&message.topic, &reason);
                tokio::spawn(std::future::ready(true))
            }
        };
        let keeping = Keeping(keeping);
        let bytes = std::mem::take(&mut message.payload).len();
        open.storing_bytes += bytes;
        open.storing.push_back(Storing { message, bytes, keeping });
        None
    }

    fn entry(&mut self, message: &Publish) -> Result<Entry, String> {
        let Publish { topic, payload, .. } = message;
        if payload.len() > self.payload_bytes_max {
            return Err(format!("{} bytes are more than {}", payload.len(), self.payload_bytes_max));
        }
        let named = self.patterns.iter().find_map(|pattern| pattern.named(topic));
        let named = named.ok_or_else(|| "it is of no configured pattern".to_owned())?;
        let source = named.source.try_into().map_err(|fault: TooLong| {
            format!("its source has {} bytes, more than {}", fault.length, fault.max)
        })?;
        let body = Bytes::from(mqtt::store(topic, named.metric, payload));
        let (tenant, received) = (self.tenant, (self.clock.0)());
        // Two equal numbers are two measurements; what tells its time and comes again is one.
        let id = if mqtt::tells_time(payload) {
            EntryId::of_content(tenant, Kind::Mqtt, named.source, &body)
        } else if message.retain {
            // Sent because of the subscription, each time anew (MQTT 3.1.1, section 3.3.1.3): it may be a year old.
            return Err("it was retained, and does not tell its time".to_owned());
        } else {
            self.arrivals += 1;
            EntryId::of_arrival(&self.seed, self.arrivals, named.source, received)
        };
        Ok(Entry { id, tenant, kind: Kind::Mqtt, received, source, body })
    }

    fn tell(&self, what: &str) {
        let (host, port) = self.options.broker_address();
        (self.notice.0)(&format!("{host}:{port}: {what}"));
    }
}

/// What happens next on the connection; meanwhile what is stored is acknowledged. `None` when it is to stop.
async fn next(
    events: &mut EventLoop,
    open: &mut Unacknowledged,
    client: &AsyncClient,
    stop: &mut watch::Receiver<bool>,
) -> Option<Result<Event, rumqttc::ConnectionError>> {
    // Polled to its end and never dropped before it: what it has read or half written would be lost.
    let mut polling = pin!(events.poll());
    loop {
        tokio::select! {
            event = polling.as_mut() => return Some(event),
            () = open.advance(), if !open.storing.is_empty() => open.acknowledge(client),
            _ = stop.wait_for(|stop| *stop) => return None,
        }
    }
}

/// Acknowledges what is being stored, and takes leave; the broker keeps the session.
async fn part(client: &AsyncClient, events: &mut EventLoop, mut open: Unacknowledged) {
    while !open.storing.is_empty() {
        open.advance().await;
    }
    open.acknowledge(client);
    if client.try_disconnect().is_ok() {
        while events.poll().await.is_ok() {}
    }
}

impl Unacknowledged {
    /// Waits for the oldest. One that was not stored stays unacknowledged for good.
    async fn advance(&mut self) {
        let Some(oldest) = self.storing.front_mut() else { return };
        let is_stored = (&mut oldest.keeping.0).await.unwrap_or(false);
        let Some(Storing { message, bytes, .. }) = self.storing.pop_front() else { return };
        self.storing_bytes -= bytes;
        if is_stored {
            self.stored.push_back(message);
        }
    }

    /// As many as the channel takes now; the others wait for the next event.
    fn acknowledge(&mut self, client: &AsyncClient) {
        while self.stored.front().is_some_and(|message| client.try_ack(message).is_ok()) {
            self.stored.pop_front();
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    fn lose(&self, topic: &str, reason: &impl Display) {
        self.losses.add(1, &format_args!("topic {}", Shown::of(topic)), reason);
    }

    /// Whether the message may be acknowledged. A spool that has no room is offered it again and again.
    async fn keep(self, topic: String, entry: Entry, mut stop: watch::Receiver<bool>) -> bool {
        let mut pause = PAUSE;
        loop {
            match self.spool.store(entry.clone()).await {
                Ok(_) => return true,
                Err(Refusal::Closing) => return false,
                // It will never be taken: acknowledged, it does not come again.
                Err(refusal @ Refusal::TooLarge { .. }) => {
                    self.lose(&topic, &refusal);
                    return true;
                }
                Err(Refusal::Full { .. } | Refusal::Busy { .. } | Refusal::Failed(_)) => (),
            }
            if tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
                return false;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

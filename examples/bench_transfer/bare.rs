//! RustDDS by itself: the blob is one reliable sample, and everything else is left to it.
//!
//! Adapters that hand bytes through spare it the cost of a serializer.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use bytes::Bytes;
use edge::now;
use futures::StreamExt;
use rustdds::no_key::{DataWriter, Decode, DeserializerAdapter, SerializerAdapter, SimpleDataReader};
use rustdds::policy::{Durability, History, Reliability};
use rustdds::{
    DomainParticipant, DomainParticipantBuilder, QosPolicies, QosPolicyBuilder, RepresentationIdentifier,
    Topic, TopicKind,
};

use crate::blob::{Blob, Noise};
use crate::part::{Order, Part, say, say_done};

/// A sender greets so often until the first transfer.
const GREET: Duration = Duration::from_millis(50);

/// The number of a transfer and of its sender, before the blob.
const HEAD: usize = 16;

/// Samples that a reader keeps of all senders together: without a key they share one history, and with room for one
/// sample of each, eight at once did not all arrive.
const KEPT: usize = 64;

/// Bytes as they are.
struct Raw;

impl SerializerAdapter<Bytes> for Raw {
    type Error = Infallible;

    fn output_encoding() -> RepresentationIdentifier {
        RepresentationIdentifier::CDR_LE
    }

    fn to_bytes(value: &Bytes) -> Result<Bytes, Infallible> {
        Ok(value.clone())
    }
}

impl DeserializerAdapter<Vec<u8>> for Raw {
    type Error = Infallible;
    type Decoded = Vec<u8>;

    fn supported_encodings() -> &'static [RepresentationIdentifier] {
        &[RepresentationIdentifier::CDR_LE]
    }

    fn transform_decoded(decoded: Vec<u8>) -> Vec<u8> {
        decoded
    }
}

/// Takes a sample as it is.
#[derive(Clone, Copy)]
struct Copied;

impl Decode<'_, Vec<u8>> for Copied {
    type Error = Infallible;

    fn decode_bytes(self, input: &[u8], _: RepresentationIdentifier) -> Result<Vec<u8>, Infallible> {
        Ok(input.to_vec())
    }
}

/// Plays a part.
pub(crate) fn run(part: &Part, orders: &Receiver<Order>) -> Result<()> {
    let builder = DomainParticipantBuilder::new(part.domain).with_only_networks([IpAddr::V4(part.address)]);
    let domain = builder.build().map_err(|error| anyhow!("no participant: {error}"))?;
    if part.sends { send(part, &domain, orders) } else { receive(part, &domain, orders) }
}

/// Of a sender and of a reader, with the history that it keeps.
fn qos(depth: usize) -> QosPolicies {
    QosPolicyBuilder::new()
        .reliability(Reliability::Reliable { max_blocking_time: rustdds::Duration::ZERO })
        .durability(Durability::Volatile)
        .history(History::KeepLast { depth: depth as i32 })
        .build()
}

fn topic(domain: &DomainParticipant, qos: &QosPolicies) -> Result<Topic> {
    let made = domain.create_topic("blob".to_owned(), "bench::Blob".to_owned(), qos, TopicKind::NoKey);
    made.map_err(|error| anyhow!("no topic: {error}"))
}

fn send(part: &Part, domain: &DomainParticipant, orders: &Receiver<Order>) -> Result<()> {
    let qos = qos(1);
    let publisher = domain.create_publisher(&qos).map_err(|error| anyhow!("no publisher: {error}"))?;
    let topic = topic(domain, &qos)?;
    let writer: DataWriter<Bytes, Raw> =
        publisher.create_datawriter_no_key(&topic, None).map_err(|error| anyhow!("no writer: {error}"))?;
    let write = |sample: Bytes| writer.write(sample, None).map_err(|error| anyhow!("not written: {error}"));
    say("here -");
    let noise = Noise::new();
    let mut sample = Bytes::new();
    let mut greeting = None;
    loop {
        let order = match orders.recv_timeout(GREET) {
            Ok(order) => order,
            Err(RecvTimeoutError::Timeout) => {
                greeting.clone().map(write).transpose()?;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        match order {
            Order::Meet(_) => {
                greeting = Some(message(0, part.index, Vec::new()));
                say("ready");
            }
            Order::Prepare(number) => {
                greeting = None;
                let mut blob = vec![0; HEAD + part.bytes];
                noise.fill(&Blob { number, sender: part.index, bytes: part.bytes }, &mut blob[HEAD..]);
                sample = message(number, part.index, blob);
                say("ready");
            }
            Order::Go => {
                let start = now();
                write(std::mem::take(&mut sample))?;
                say_done(start, now(), None);
            }
            Order::Check => say("ok"),
        }
    }
}

/// Puts a head before a blob, for which there is room.
fn message(number: u64, sender: usize, mut bytes: Vec<u8>) -> Bytes {
    bytes.resize(bytes.len().max(HEAD), 0);
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..HEAD].copy_from_slice(&(sender as u64).to_le_bytes());
    bytes.into()
}

fn receive(part: &Part, domain: &DomainParticipant, orders: &Receiver<Order>) -> Result<()> {
    let qos = qos(KEPT);
    let subscriber = domain.create_subscriber(&qos).map_err(|error| anyhow!("no subscriber: {error}"))?;
    let topic = topic(domain, &qos)?;
    let reader: SimpleDataReader<Vec<u8>, Raw> = subscriber
        .create_simple_datareader_no_key(&topic, None)
        .map_err(|error| anyhow!("no reader: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut samples = pin!(reader.as_async_stream_with(Copied));
    say("here -");
    let noise = Noise::new();
    let mut current = 0;
    let mut blobs: Vec<Option<Vec<u8>>> = vec![None; part.senders];
    while let Ok(order) = orders.recv() {
        match order {
            Order::Prepare(number) => {
                current = number;
                blobs.fill(None);
                say("ready");
            }
            Order::Meet(_) | Order::Go => {
                while blobs.iter().any(Option::is_none) {
                    let Some(Ok(change)) = runtime.block_on(samples.next()) else {
                        bail!("the reader has ended")
                    };
                    let bytes = change.sample;
                    ensure!(bytes.len() >= HEAD, "a sample of {} bytes", bytes.len());
                    let word = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
                    let (number, sender) = (word(0), word(8) as usize);
                    if let Some(slot) = blobs.get_mut(sender).filter(|_| number == current) {
                        *slot = Some(bytes);
                    }
                }
                let end = now();
                if order == Order::Go { say_done(end, end, None) } else { say("ready") }
            }
            Order::Check => {
                for (sender, bytes) in blobs.iter().enumerate() {
                    let blob = Blob { number: current, sender, bytes: part.bytes };
                    let body = bytes.as_ref().and_then(|bytes| bytes.get(HEAD..));
                    // RTPS pads a payload to four bytes.
                    let body = body.and_then(|body| body.get(..part.bytes));
                    ensure!(body.is_some_and(|body| noise.is(&blob, body)), "another blob arrived");
                }
                say("ok");
            }
        }
    }
    Ok(())
}

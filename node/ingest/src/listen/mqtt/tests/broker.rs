//! A client against a broker on loopback that speaks the protocol byte by byte.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::crypto::bulk::InputKey;
use common::units::Timestamp;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::adapt::Pins;
use crate::intake;
use crate::listen::TlsConfig;
use crate::spool::{self, Entry, Kind, Position};

/// Packets, by the upper half of their first byte (MQTT 3.1.1, section 2.2.1).
const CONNECT: u8 = 0x10;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x80;
const DISCONNECT: u8 = 0xe0;

/// A flag of PUBLISH (section 3.3.1.3).
const RETAIN: u8 = 1;

const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
const TOPICS: &str = "topics = [\"t/{source}/{metric}\", \"all/{source}\"]";

fn clock() -> Timestamp {
    static TIME: AtomicU64 = AtomicU64::new(1_700_000_000);
    Timestamp(TIME.fetch_add(1, Ordering::Relaxed) * 1_000_000)
}

/// What all clients of these tests told.
static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn told(part: &str) -> bool {
    TOLD.lock().unwrap().iter().any(|told| told.contains(part))
}

struct World {
    folder: TempDir,
    spool: Spool,
    listener: TcpListener,
    stop: watch::Sender<bool>,
    serving: Option<JoinHandle<()>>,
}

impl World {
    async fn new(limits: spool::Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let random = ChaCha20Rng::seed_from_u64(1);
        let spool = Spool::open(&folder.path().join("spool"), InputKey([1; 32]), limits, random).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { folder, spool, listener, stop: watch::channel(false).0, serving: None }
    }

    fn subscribe(&mut self, more: &str) {
        let port = self.listener.local_addr().unwrap().port();
        let config = config(&format!("port = {port}\n{TOPICS}\n{more}"));
        let notice = Notice(|told| TOLD.lock().unwrap().push(told.to_owned()));
        let random = ChaCha20Rng::seed_from_u64(2);
        let report = Report(|lost| TOLD.lock().unwrap().push(lost.to_string()));
        let (spool, clock) = (self.spool.clone(), Clock(clock));
        let client = MqttSubscriber::new(&config, spool, clock, notice, report, random).unwrap();
        self.serving = Some(tokio::spawn(client.serve(self.stop.subscribe())));
    }

    /// A connection that is past CONNECT and SUBSCRIBE.
    async fn accept(&self) -> impl AsyncRead + AsyncWrite + Unpin + use<> {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        greet(&mut stream).await;
        stream
    }

    async fn stop(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
        self.stop.send(true).unwrap();
        let mut kinds = Vec::new();
        while let Some((kind, _)) = packet(stream).await {
            kinds.push(kind);
        }
        self.serving.take().unwrap().await.unwrap();
        kinds
    }

    /// Until the spool has refused one more.
    async fn refused_since(&self, before: u64) {
        let refused = async {
            while self.spool.status().refused == before {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
    }

    fn entries(&self) -> Vec<Entry> {
        let mut reader =
            self.spool.tenant(common::id::TenantId::of_name("acme")).unwrap().reader(Position::default());
        std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
    }
}

/// The kind of the next packet, and what is in it.
async fn packet(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let head = stream.read_u8().await.ok()?;
    // None of a test is longer than 127 bytes: its length is one byte.
    let length = stream.read_u8().await.ok()?;
    let mut body = vec![0; length.into()];
    stream.read_exact(&mut body).await.ok()?;
    Some((head & 0xf0, body))
}

async fn greet(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let (kind, connect) = packet(stream).await.unwrap();
    assert_eq!(kind, CONNECT);
    assert_eq!(&connect[..7], b"\x00\x04MQTT\x04", "MQTT 3.1.1, section 3.1.2");
    assert_eq!(connect[7] & 2, 0, "the session outlives the connection");
    assert!(connect.ends_with(b"\x00\x06node-1"));
    stream.write_all(&CONNACK).await.unwrap();
    let (kind, subscribe) = packet(stream).await.unwrap();
    assert_eq!((kind, &subscribe[2..]), (SUBSCRIBE, &b"\x00\x05t/+/+\x01\x00\x05all/+\x01"[..]));
    stream.write_all(&[0x90, 4, subscribe[0], subscribe[1], 1, 1]).await.unwrap();
}

fn publish(id: u8, topic: &str, payload: &[u8]) -> Vec<u8> {
    let length = topic.len() + payload.len() + 4;
    // Seven bits a byte, the lowest first (section 2.2.3).
    let length = [(length % 128) as u8 | 0x80, (length / 128) as u8];
    [&[0x32], &length[..], &[0, topic.len() as u8], topic.as_bytes(), &[0, id], payload].concat()
}

async fn acknowledged(stream: &mut (impl AsyncRead + Unpin)) -> u8 {
    let (kind, body) = packet(stream).await.unwrap();
    assert_eq!((kind, body.len()), (PUBACK, 2));
    body[1]
}

#[tokio::test]
async fn a_message_is_in_the_spool_when_it_is_acknowledged() {
    let mut world = World::new(spool::Config::default()).await;
    world.subscribe("");
    let mut stream = world.accept().await;
    for id in 1..=3 {
        stream.write_all(&publish(id, "t/rack-1/temp", format!("2{id}.5").as_bytes())).await.unwrap();
        assert_eq!(acknowledged(&mut stream).await, id);
        assert_eq!(world.entries().len(), usize::from(id));
    }
    let many: Vec<u8> = (4..100).flat_map(|id| publish(id, "all/rack-2", br#"{"fan":1,"time":5}"#)).collect();
    stream.write_all(&many).await.unwrap();
    for id in 4..100 {
        assert_eq!(acknowledged(&mut stream).await, id, "in the order they came");
    }
    let entries = world.entries();
    assert!(entries.iter().all(|entry| entry.kind == Kind::Mqtt));
    let record = &intake::read(&entries[0], &Pins::default()).records[0];
    assert_eq!(
        (record.source(), record.metrics[0].as_str(), &record.values[..]),
        ("rack-1", "temp", &[21.5][..])
    );
    let record = &intake::read(&entries[98], &Pins::default()).records[0];
    assert_eq!(
        (record.source(), record.at, &record.values[..]),
        ("rack-2", Timestamp(5_000_000), &[1.0][..])
    );
    assert_eq!(world.stop(&mut stream).await, [DISCONNECT]);
}

#[tokio::test]
async fn what_comes_again_after_a_lost_connection_is_known_if_it_tells_its_time() {
    let mut world = World::new(spool::Config::default()).await;
    world.subscribe("");
    let timed = publish(7, "all/rack-1", b"fan=1 time=1700000000");
    let mut stream = world.accept().await;
    stream.write_all(&timed).await.unwrap();
    assert_eq!(acknowledged(&mut stream).await, 7);
    drop(stream);
    let mut stream = world.accept().await;
    for message in [&timed, &publish(8, "t/rack-1/fan", b"1"), &publish(9, "t/rack-1/fan", b"1")] {
        stream.write_all(message).await.unwrap();
        acknowledged(&mut stream).await;
    }
    let ids: Vec<_> = world.entries().iter().map(|entry| entry.id).collect();
    assert_eq!((ids.len(), ids[0]), (4, ids[1]));
    assert_ne!(ids[2], ids[3], "two equal numbers are two measurements");
    world.stop(&mut stream).await;
}

#[tokio::test]
async fn what_can_never_be_read_is_acknowledged_left_out_and_told() {
    let mut world = World::new(spool::Config::default()).await;
    world.subscribe("message_bytes_max = 100");
    let mut stream = world.accept().await;
    stream.write_all(&publish(1, "t/rack-1/temp", b"what?")).await.unwrap();
    stream.write_all(&publish(2, "other/topic/here/too", b"1")).await.unwrap();
    let long = format!("all/{}", "a".repeat(129));
    stream.write_all(&publish(3, &long, b"1")).await.unwrap();
    stream.write_all(&publish(4, "t/rack-1/temp", &[b'1'; 101])).await.unwrap();
    for id in 1..=4 {
        assert_eq!(acknowledged(&mut stream).await, id);
    }
    let read = intake::read(&world.entries()[0], &Pins::default());
    assert_eq!(
        (world.entries().len(), read.records.len()),
        (1, 0),
        "what is no value is told by whoever reads"
    );
    assert!(read.rejects[0].to_string().contains("`what?` is neither a number"), "{:?}", read.rejects);
    world.stop(&mut stream).await;
    assert!(
        told("3 messages were lost, the latest of topic `t/rack-1/temp`: 101 bytes are more than 100"),
        "{:?}",
        TOLD.lock().unwrap()
    );
}

#[tokio::test]
async fn what_was_retained_is_read_only_if_it_tells_its_time() {
    let mut world = World::new(spool::Config::default()).await;
    world.subscribe("");
    let mut stream = world.accept().await;
    for (id, payload) in [(1, &b"21.5"[..]), (2, b"a=1 time=1700000000")] {
        let mut message = publish(id, "all/rack-1", payload);
        message[0] |= RETAIN;
        stream.write_all(&message).await.unwrap();
        assert_eq!(acknowledged(&mut stream).await, id);
    }
    let entries = world.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(intake::read(&entries[0], &Pins::default()).records[0].at, Timestamp(1_700_000_000_000_000));
    world.stop(&mut stream).await;
    assert!(told("1 messages were lost, the latest of topic `all/rack-1`: it was retained"));
}

#[tokio::test]
async fn a_message_that_waits_for_room_is_held_once_however_often_it_comes() {
    let mut world = World::new(spool::Config { bytes_max: 1, ..spool::Config::default() }).await;
    world.subscribe("");
    for _ in 0..2 {
        let mut stream = world.accept().await;
        let before = world.spool.status().refused;
        stream.write_all(&publish(1, "t/rack-1/temp", b"21.5")).await.unwrap();
        world.refused_since(before).await;
        // The client, and what keeps its one message; the message of the connection before is let go.
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 2);
    }
    assert!(world.entries().is_empty());
}

#[tokio::test]
async fn a_full_spool_leaves_messages_with_the_broker() {
    let mut world = World::new(spool::Config { bytes_max: 4000, ..spool::Config::default() }).await;
    world.subscribe("");
    let mut stream = world.accept().await;
    let all: Vec<u8> = (1..120).flat_map(|id| publish(id, "t/rack-1/temp", b"21.5")).collect();
    stream.write_all(&all).await.unwrap();
    world.refused_since(0).await;
    let kinds = world.stop(&mut stream).await;
    let acknowledged = kinds.iter().position(|kind| *kind != PUBACK).unwrap_or(kinds.len());
    assert_eq!(acknowledged, world.entries().len());
    assert!((1..119).contains(&acknowledged), "{acknowledged}");
}

#[tokio::test]
async fn a_broker_that_refuses_is_told_and_asked_again() {
    let mut world = World::new(spool::Config::default()).await;
    world.subscribe("");
    let (mut stream, _) = world.listener.accept().await.unwrap();
    packet(&mut stream).await.unwrap();
    // Not authorised (section 3.2.2.3).
    stream.write_all(&[0x20, 2, 0, 5]).await.unwrap();
    let mut stream = world.accept().await;
    assert!(told("NotAuthorized"), "{:?}", TOLD.lock().unwrap());
    world.stop(&mut stream).await;
}

#[tokio::test]
async fn with_a_ca_the_connection_is_tls_and_the_password_comes_from_its_file() {
    let mut world = World::new(spool::Config::default()).await;
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let path = |name: &str| world.folder.path().join(name);
    std::fs::write(path("ca.pem"), signed.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), signed.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("password"), "s3cret\n").unwrap();
    let tls = TlsConfig { certificate: path("ca.pem"), key: path("key.pem"), client_ca: None };
    let (ca, password) = (path("ca.pem"), path("password"));
    world.subscribe(&format!("ca = {ca:?}\nusername = \"node\"\npassword_file = {password:?}"));
    let (stream, _) = world.listener.accept().await.unwrap();
    let mut stream = tls.acceptor().unwrap().accept(stream).await.unwrap();
    let (_, connect) = packet(&mut stream).await.unwrap();
    assert!(connect.ends_with(b"\x00\x04node\x00\x06s3cret"));
    stream.write_all(&CONNACK).await.unwrap();
    assert_eq!(packet(&mut stream).await.unwrap().0, SUBSCRIBE);
    world.stop(&mut stream).await;
}

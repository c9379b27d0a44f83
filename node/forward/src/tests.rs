//! Bridges and nodes over real DDS, on loopback.

mod altered;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use common::crypto::bulk::InputKey;
use common::crypto::{Identity, Suite};
use common::id::TenantId;
use common::known::{Known, Peer};
use common::units::Timestamp;
use ingest::adapt::Pins;
use ingest::intake;
use ingest::spool::{Config, Entry, EntryId, Kind, Position, Reader, Spool, SpoolKey, Unique, tenant_dir};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bridge::Bridge;
use crate::feed::Feeds;
use crate::receiver::Receiver;
use crate::routes::{ForwardConfig, RouteConfig, Routes};

/// Everything has to be there by then.
const PATIENCE: Duration = Duration::from_mins(1);

fn tenant() -> TenantId {
    TenantId::of_name("acme")
}

fn identity(seed: u64) -> Identity {
    Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn known(seeds: &[u64]) -> Known {
    let peer = |seed: &u64| {
        let key = *identity(*seed).public();
        (key.node_id(), Peer { name: format!("peer-{seed}"), key, labels: BTreeMap::new() })
    };
    seeds.iter().map(peer).collect()
}

fn spool(dir: &Path, process: u64) -> Spool {
    let config = Config { segment_bytes: 100_000, ..Config::default() };
    Spool::open(dir, InputKey([7; 32]), config, ChaCha20Rng::seed_from_u64(process)).unwrap()
}

/// A domain of its own for each test, so that they do not hear each other.
fn dds(domain: u16) -> dds::Config {
    dds::Config { domain, interfaces: vec!["127.0.0.1".parse().unwrap()], peers: vec![] }
}

fn routes(nodes: &[u64]) -> Routes {
    let nodes_named = nodes.iter().map(|seed| format!("peer-{seed}")).collect();
    let route = RouteConfig { tenant: "acme".into(), hosts: None, nodes: nodes_named };
    Routes::new(&ForwardConfig { routes: vec![route] }, &known(nodes)).unwrap()
}

/// What runs in the background, and how to end it.
struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap().unwrap();
    }
}

fn bridge(seed: u64, spool: &Spool, nodes: &[u64], domain: u16) -> Running {
    let feeds = Feeds::open(spool, routes(nodes), Pins::default()).unwrap();
    let (identity, suite, dds, nodes) = (identity(seed), Suite::X25519, dds(domain), known(nodes));
    let bridge = Bridge { identity, suite, dds, nodes, feeds };
    let (stop, stopped) = watch::channel(false);
    Running { stop, task: tokio::spawn(bridge.run(stopped)) }
}

fn node(seed: u64, spool: &Spool, bridges: &[u64], domain: u16) -> Running {
    let (dds, bridges) = (dds(domain), known(bridges));
    let spool = spool.tenant(tenant()).unwrap();
    let (identity, suite, tenant) = (identity(seed), Suite::X25519, tenant());
    let receiver = Receiver { identity, suite, dds, tenant, bridges, spool, window: 24 };
    let (stop, stopped) = watch::channel(false);
    Running { stop, task: tokio::spawn(receiver.run(stopped)) }
}

/// One message of each of `hosts` hosts; two of the same number are the same entry.
fn entry(number: u64, hosts: u64) -> Entry {
    let line = |host| format!("<13>1 2026-11-21T10:{:02}:00Z host-{host} app - - - n{number}\n", number % 60);
    let body: String = (0..hosts).map(line).collect();
    let id = EntryId::of_content(tenant(), Kind::Syslog, "192.0.2.1", body.as_bytes());
    let source = "192.0.2.1".try_into().unwrap();
    Entry { id, tenant: tenant(), kind: Kind::Syslog, received: Timestamp(number), source, body: body.into() }
}

async fn store(spool: &Spool, numbers: std::ops::Range<u64>, hosts: u64) {
    for number in numbers {
        spool.store(entry(number, hosts)).await.unwrap();
    }
}

/// Messages of each host that a node has on its disk, each entry once.
fn messages(dir: &Path) -> BTreeMap<String, f32> {
    let key = SpoolKey { key: InputKey([7; 32]), tenant: tenant() };
    let mut reader = Reader::offline(&tenant_dir(dir, tenant()), key, Position::default());
    let mut unique = Unique::remembering(1 << 20);
    let mut counts = BTreeMap::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        if unique.insert(entry.id) {
            for record in intake::read(&entry, &Pins::default()).records {
                *counts.entry(record.source().to_owned()).or_default() += record.values.iter().sum::<f32>();
            }
        }
    }
    counts
}

/// Waits until every consumer of a bridge has everything.
async fn all_delivered(spool: &Spool) {
    let delivered = async {
        let spool = spool.tenant(tenant()).unwrap();
        while spool.lags().values().any(|lag| lag.bytes > 0) {
            tokio::task::yield_now().await;
            std::thread::yield_now();
        }
    };
    tokio::time::timeout(PATIENCE, delivered).await.expect("everything is delivered in time");
}

fn folders<const N: usize>() -> [TempDir; N] {
    std::array::from_fn(|_| tempfile::tempdir().unwrap())
}

/// Every host has so many messages, and belongs to one node.
fn assert_each_once(dirs: &[&TempDir], hosts: usize, messages_each: f32) {
    let mut all = BTreeMap::new();
    for dir in dirs {
        for (host, count) in messages(dir.path()) {
            assert!(count.total_cmp(&messages_each).is_eq(), "{host}: {count} messages");
            assert_eq!(all.insert(host.clone(), count), None, "{host} belongs to one node");
        }
    }
    assert_eq!(all.len(), hosts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_gets_each_record_once_though_a_node_comes_late_and_the_bridge_restarts() {
    let [at_bridge, at_first, at_second] = folders();
    let (first, second) = (spool(at_first.path(), 1), spool(at_second.path(), 2));
    let bridge_spool = spool(at_bridge.path(), 3);
    store(&bridge_spool, 0..20, 30).await;
    let running = bridge(10, &bridge_spool, &[20, 21], 141);
    let one = node(20, &first, &[10], 141);
    store(&bridge_spool, 20..40, 30).await;
    running.stop().await;
    drop(bridge_spool);
    // The bridge is another process now, and the second node is there at last.
    let bridge_spool = spool(at_bridge.path(), 4);
    let running = bridge(10, &bridge_spool, &[20, 21], 141);
    let two = node(21, &second, &[10], 141);
    store(&bridge_spool, 40..60, 30).await;
    all_delivered(&bridge_spool).await;
    running.stop().await;
    one.stop().await;
    two.stop().await;
    assert_each_once(&[&at_first, &at_second], 30, 60.0);
    assert!(!messages(at_first.path()).is_empty() && !messages(at_second.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_bridges_that_accepted_the_same_forward_it_once() {
    let [at_left, at_right, at_node] = folders();
    let (left, right, node_spool) =
        (spool(at_left.path(), 1), spool(at_right.path(), 2), spool(at_node.path(), 3));
    let running = [bridge(10, &left, &[20], 142), bridge(11, &right, &[20], 142)];
    let node = node(20, &node_spool, &[10, 11], 142);
    // Each takes what the other took too, and what it alone took.
    store(&left, 0..40, 7).await;
    store(&right, 20..60, 7).await;
    all_delivered(&left).await;
    all_delivered(&right).await;
    for bridge in running {
        bridge.stop().await;
    }
    node.stop().await;
    assert_each_once(&[&at_node], 7, 60.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_takes_nothing_from_a_bridge_that_it_does_not_know() {
    let [at_stranger, at_bridge, at_node] = folders();
    let (stranger, known_one) = (spool(at_stranger.path(), 1), spool(at_bridge.path(), 2));
    let node_spool = spool(at_node.path(), 3);
    store(&stranger, 0..5, 3).await;
    store(&known_one, 5..9, 3).await;
    let running = [bridge(11, &stranger, &[20], 143), bridge(10, &known_one, &[20], 143)];
    let node = node(20, &node_spool, &[10], 143);
    all_delivered(&known_one).await;
    assert!(stranger.tenant(tenant()).unwrap().lags().values().all(|lag| lag.bytes > 0));
    for bridge in running {
        bridge.stop().await;
    }
    node.stop().await;
    assert_each_once(&[&at_node], 3, 4.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_entries_travel_in_several_batches() {
    let [at_bridge, at_node] = folders();
    let (bridge_spool, node_spool) = (spool(at_bridge.path(), 1), spool(at_node.path(), 2));
    // Sixty thousand hosts in one entry are more than a batch holds.
    store(&bridge_spool, 0..2, 60_000).await;
    let running = bridge(10, &bridge_spool, &[20], 144);
    let node = node(20, &node_spool, &[10], 144);
    all_delivered(&bridge_spool).await;
    running.stop().await;
    node.stop().await;
    assert_each_once(&[&at_node], 60_000, 2.0);
}

#[test]
fn what_was_meant_for_a_node_that_is_gone_goes_to_the_others() {
    let [at_bridge] = folders();
    let random = ChaCha20Rng::seed_from_u64(1);
    let spool = Spool::open(at_bridge.path(), InputKey([7; 32]), Config::default(), random).unwrap();
    for number in 0..10 {
        spool.offer(entry(number, 20)).unwrap().blocking_recv().unwrap().unwrap();
    }
    let (stays, gone) = (identity(20).node_id(), identity(21).node_id());
    let mut feeds = Feeds::open(&spool, routes(&[20, 21]), Pins::default()).unwrap();
    let both = [stays, gone].map(|node| feeds.next_batch(tenant(), node, Timestamp(0)).unwrap().unwrap());
    feeds.delivered(tenant(), stays, both[0].mark.unwrap()).unwrap();
    drop(feeds);
    let mut feeds = Feeds::open(&spool, routes(&[20]), Pins::default()).unwrap();
    let again = feeds.next_batch(tenant(), stays, Timestamp(0)).unwrap().unwrap();
    let records = |parts: &[Entry]| {
        parts.iter().map(|part| intake::read(part, &Pins::default()).records.len()).sum::<usize>()
    };
    assert_eq!(records(&again.parts), 10 * 20);
    assert_eq!(records(&both[0].parts) + records(&both[1].parts), 10 * 20);
    assert_eq!(spool.tenant(tenant()).unwrap().lags().len(), 1);
}

use common::crypto::bulk::InputKey;
use common::units::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::prometheus::text::{Syntax, parse};
use crate::spool::{self, Entry, EntryId, Kind};

async fn ask(address: SocketAddr, line: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn depth_and_lag_of_each_tenant_and_consumer_are_told_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let random = ChaCha20Rng::seed_from_u64(1);
    let spool = Spool::open(folder.path(), InputKey([1; 32]), spool::Config::default(), random).unwrap();
    let tenant = TenantId::of_name("acme");
    for number in 1..=3 {
        let (kind, received) = (Kind::Syslog, Timestamp(number * 1_500_000));
        let (id, source) = (EntryId([number as u8; 16]), "a".try_into().unwrap());
        let body = Bytes::from_static(b"<13>one\n");
        spool.store(Entry { id, tenant, kind, received, source, body }).await.unwrap();
    }
    let of_acme = spool.tenant(tenant).unwrap();
    let mut reader = of_acme.reader(spool::Position::default());
    let first = reader.next_entry().unwrap().unwrap();
    let _untouched = of_acme.cursor("forward").unwrap();
    of_acme.cursor("pipeline").unwrap().advance(reader.position(), first.received).unwrap();
    let config = MetricsConfig { listen: vec!["127.0.0.1:0".parse().unwrap()] };
    let names = BTreeMap::from([(tenant, "ac\"me".to_owned())]);
    let listener = MetricsListener::bind(&config, spool, names).unwrap();
    let address = listener.addresses()[0];
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(listener.serve(stopped));

    let answer = ask(address, "GET /metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4"), "{answer}");
    for line in [
        "# TYPE starling_spool_accepted_total counter\n",
        "starling_spool_accepted_total{tenant=\"ac\\\"me\"} 3\n",
        "starling_spool_refused_total{tenant=\"ac\\\"me\"} 0\n",
        "starling_spool_segments{tenant=\"ac\\\"me\"} 1\n",
        "starling_spool_newest_timestamp_seconds{tenant=\"ac\\\"me\"} 4.5\n",
        "starling_spool_lag_seconds{tenant=\"ac\\\"me\",consumer=\"pipeline\"} 3\n",
    ] {
        assert!(answer.contains(line), "{line} is not in {answer}");
    }
    assert!(answer.contains("starling_spool_lag_bytes{tenant=\"ac\\\"me\",consumer=\"forward\"} "));
    assert!(!answer.contains("starling_spool_lag_seconds{tenant=\"ac\\\"me\",consumer=\"forward\"}"));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(parse(body.as_bytes(), Syntax::Text).unwrap().len(), 9, "this node can scrape itself");
    assert!(ask(address, "GET /").await.starts_with("HTTP/1.1 404 "));
    assert!(ask(address, "POST /metrics").await.starts_with("HTTP/1.1 405 "));
    stop.send(true).unwrap();
    serving.await.unwrap();
}

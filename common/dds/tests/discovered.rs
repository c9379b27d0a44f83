//! Real discovery on loopback: who reads and writes what, and where directed samples go.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as tests do")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dds::{Config, Participant, Role, Routes, prefix_of, topics};
use tokio::time::{interval, timeout};

/// Long enough for a discovery announcement that was missed and came again 10 s later.
const PATIENCE: Duration = Duration::from_secs(25);

fn join(domain: u16) -> Participant {
    let interfaces = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    Participant::new(&Config { domain, interfaces, peers: vec![] }).unwrap()
}

/// Looks again and again until it is there.
async fn found<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        let mut again = interval(Duration::from_millis(5));
        loop {
            again.tick().await;
            if let Some(it) = look() {
                return it;
            }
        }
    };
    timeout(PATIENCE, looking).await.expect("it was never discovered")
}

#[tokio::test]
async fn a_relay_is_known_by_its_first_writer_and_its_readers_by_their_topics() {
    let (here, relay, plain) = (join(19), join(19), join(19));
    let _status = relay.writer(&topics::RELAY).unwrap();
    let _carried = relay.writer(&topics::PRESENCE).unwrap();
    let reader = relay.reader(&topics::UPDATE_CHUNK).unwrap();
    let _presence = plain.writer(&topics::PRESENCE).unwrap();

    assert_eq!(found(|| here.role_of(relay.prefix())).await, Role::Relay);
    assert_eq!(found(|| here.role_of(plain.prefix())).await, Role::Plain);
    assert_eq!(here.role_of([9; 12]), None, "nobody has that prefix");
    let address = found(|| here.reader_of(&topics::UPDATE_CHUNK, relay.prefix())).await;
    assert_eq!(address, reader.address());
    assert_eq!(prefix_of(address.0), relay.prefix());
    assert!(here.has_discovered(address));
    assert_eq!(here.reader_of(&topics::HELLO, relay.prefix()), None);
    let readers: Vec<_> = here.readers_of_others().collect();
    assert_eq!(readers, [(relay.prefix(), "update_chunk".to_owned())]);
}

#[tokio::test]
async fn a_directed_sample_for_a_reader_elsewhere_reaches_the_relay_that_wrote_its_hello() {
    let (here, relay, elsewhere) = (join(20), join(20), join(21));
    let mut at_relay = relay.reader(&topics::UPDATE_CHUNK).unwrap();
    let relayed = relay.writer(&topics::HELLO).unwrap();
    let far = elsewhere.reader(&topics::UPDATE_CHUNK).unwrap();
    let (mut hellos, chunks) =
        (here.reader(&topics::HELLO).unwrap(), here.writer(&topics::UPDATE_CHUNK).unwrap());

    relayed.write(&[1; 32], b"a hello that tells where far reads").unwrap();
    let hello = timeout(PATIENCE, hellos.next()).await.expect("the hello arrives").unwrap();
    let mut routes = Routes::default();
    let reached = async {
        let mut again = interval(Duration::from_millis(10));
        loop {
            routes.on_hello(&here, &topics::UPDATE_CHUNK, far.address(), hello.writer);
            chunks.write_to(routes.to(far.address()), &[7; 36], b"piece").unwrap();
            tokio::select! {
                sample = at_relay.next() => return sample.unwrap(),
                _ = again.tick() => (),
            }
        }
    };
    let sample = timeout(PATIENCE, reached).await.expect("the piece reaches the relay");
    assert_eq!(sample.body, "piece");
    assert_eq!(prefix_of(routes.to(far.address()).0), relay.prefix());
}

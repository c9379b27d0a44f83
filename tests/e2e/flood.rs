//! Somebody in the network who says ten thousand wrong things a second while rounds go on.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::limits::OFFER_INDEX;
use common::message::Signed;
use common::message::presence::NodePresence;
use common::units::Millis;
use common::wire::encode;
use coordinator::view::RunStatus;
use dds::{Config, Participant, Topic, Writer, topics};
use edge::now;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::domain;
use crate::operator::Operator;

/// The number of the test, which chooses its domain.
const TEST: u16 = 16;

const ROUNDS: u32 = 200;

/// What is said in each turn of so long: 10,000 a second.
const TURN: Duration = Duration::from_millis(10);
const IN_A_TURN: usize = 100;

/// The topics on which anybody can speak to a coordinator and to nodes.
const TOPICS: [Topic; 5] =
    [topics::PRESENCE, topics::UPDATE_CHUNK, topics::MODEL_RECEIPT, topics::ANNOUNCE, topics::ROSTER];

/// Bytes of noise.
const NOISE: usize = 600;

/// What was heard last on a topic, by its key.
type Heard = BTreeMap<Vec<u8>, Vec<u8>>;

#[test]
fn ten_thousand_wrong_messages_a_second_keep_no_round_from_closing() {
    let Some((operator, _coordinator)) = Operator::of_two(TEST) else { return };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = scope.spawn(|| flood(&over));
        let run = operator.start("flooded", ROUNDS);
        let began = now();
        operator.until(&run, |run| run.status != RunStatus::Running);
        let took = now().since(began);
        over.store(true, Ordering::Relaxed);
        let (sent, during) = flood.join().expect("nothing panics");
        let view = operator.view(&run);
        assert_eq!((view.status, view.rounds_done), (RunStatus::Finished, ROUNDS), "{}", operator.0.logs());
        let a_second = sent as u64 * 1_000 / during.0.max(1);
        println!("{ROUNDS} rounds in {took} under {a_second} wrong messages a second");
    });
    // It is told what is wrong, and not each time.
    let lines = operator.0.said().lines().filter(|line| line.contains("ignored presence")).count();
    assert!((1..1_000).contains(&lines), "{lines} lines");
}

/// Says wrong things until it is over: how many, and for how long.
fn flood(over: &AtomicBool) -> (usize, Millis) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let interfaces = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let config = Config { domain: domain(TEST), interfaces, peers: vec![] };
    let participant = Participant::new(&config).expect("the domain can be joined");
    let writer = |topic| participant.writer(topic).expect("a topic has writers");
    let reader = |topic| participant.reader(topic).expect("a topic has readers");
    let writers: Vec<Writer> = TOPICS.iter().map(writer).collect();
    let mut readers = [&topics::PRESENCE, &topics::ROSTER].map(reader);
    let (mut presences, mut rosters) = (Heard::new(), Heard::new());
    let random = &mut ChaCha20Rng::seed_from_u64(7);
    let (began, mut sent) = (now(), 0);
    let mut turns = runtime.block_on(async { tokio::time::interval(TURN) });
    while !over.load(Ordering::Relaxed) {
        runtime.block_on(turns.tick());
        for (reader, heard) in readers.iter_mut().zip([&mut presences, &mut rosters]) {
            let next = runtime.block_on(async { tokio::time::timeout(TURN / 10, reader.next()).await });
            if let Ok(Ok(sample)) = next {
                heard.insert(sample.key.to_vec(), sample.body.to_vec());
            }
        }
        for _ in 0..IN_A_TURN {
            let index = random.next_u32() as usize % TOPICS.len();
            let (key, body) = match index {
                0 => presence(&presences, random),
                4 => roster(&rosters, random),
                _ => (noise(TOPICS[index].key_bytes(), random), noise(NOISE, random)),
            };
            sent += usize::from(writers[index].write(&key, &body).is_ok());
        }
    }
    (sent, now().since(began))
}

/// What a node said, newer than anything that it says itself, and with a signature that is none.
fn presence(heard: &Heard, random: &mut ChaCha20Rng) -> (Vec<u8>, Vec<u8>) {
    let claimed = heard.values().find_map(|body| Signed::<NodePresence>::claimed(body).ok());
    let Some(Signed { signer, mut body }) = claimed else { return (noise(32, random), noise(NOISE, random)) };
    body.seq = u64::MAX;
    (signer.0.to_vec(), [&signer.0[..], &encode(&body), &noise(64, random)].concat())
}

/// The roster in its last version, which nobody signed.
fn roster(heard: &Heard, random: &mut ChaCha20Rng) -> (Vec<u8>, Vec<u8>) {
    let Some((key, body)) = heard.first_key_value() else { return (noise(16, random), noise(NOISE, random)) };
    let text = String::from_utf8_lossy(body);
    let lines = text.lines().map(|line| if line.starts_with("version ") { "version 999999" } else { line });
    (key.clone(), lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes())
}

fn noise(bytes: usize, random: &mut ChaCha20Rng) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    random.fill_bytes(&mut noise);
    // Now and then a chunk that only a manifest can be.
    if random.next_u32().is_multiple_of(4) && bytes == topics::UPDATE_CHUNK.key_bytes() {
        noise[32..].copy_from_slice(&OFFER_INDEX.to_le_bytes());
    }
    noise
}

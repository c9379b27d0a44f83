//! Somebody in the network who hears everything that is not directed to others, and says it again, wrongly.

use std::collections::VecDeque;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use dds::{Config, Participant, Reader, Sample, Writer, topics};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Where every participant of domain 0 listens (RTPS 2.5, section 9.6.2).
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 0, 1);
const GROUP_PORTS: [u16; 2] = [7400, 7401];
const OWN_PORTS: [u16; 2] = [7410, 7411];

/// Datagrams and samples of a topic that are remembered; the oldest make room.
const DATAGRAMS_MAX: usize = 400;
const SAMPLES_MAX: usize = 8;

/// Mutated datagrams in a pass.
const MUTATIONS: usize = 100;

/// How long datagrams are heard before the first pass, at the least so many and for so many turns.
const DATAGRAMS_MIN: usize = 50;
const TURNS_MAX: usize = 100;
const TURN: Duration = Duration::from_millis(50);

/// Speaks until it is killed. The file names the addresses of all hosts; the last one is ours.
pub(crate) async fn intrude(addresses: &Path) {
    let text = fs::read_to_string(addresses).unwrap();
    let hosts: Vec<Ipv4Addr> = text.lines().map(|line| line.parse().unwrap()).collect();
    let own = *hosts.last().unwrap();
    let random = &mut ChaCha20Rng::seed_from_u64(0x5eed);
    let datagrams = capture(own);
    println!("captured {} datagrams", datagrams.len());
    let config = Config { domain: 0, interfaces: vec![IpAddr::V4(own)], peers: vec![] };
    let participant = Participant::new(&config).unwrap();
    let mut ears: Vec<Ear> = topics::ALL.iter().map(|topic| Ear::new(&participant, topic)).collect();
    let mouth = UdpSocket::bind((own, 0)).unwrap();
    for pass in 0.. {
        for ear in &mut ears {
            ear.listen().await;
        }
        let ids = ids(&ears);
        let frames: usize = ears.iter().map(|ear| ear.speak(&ids, random)).sum();
        for _ in 0..MUTATIONS {
            let datagram = mutated(&datagrams, random);
            let (host, port) = (hosts[below(hosts.len(), random)], below(2, random));
            // What is refused, as too large, is refused.
            let _ = mouth.send_to(&datagram, (host, OWN_PORTS[port]));
            let _ = mouth.send_to(&datagram, (GROUP, GROUP_PORTS[port]));
        }
        println!("pass {pass}: {frames} frames, {MUTATIONS} datagrams");
    }
}

/// Valid datagrams, as the group hears them.
fn capture(own: Ipv4Addr) -> Vec<Vec<u8>> {
    let sockets = GROUP_PORTS.map(|port| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
        socket.join_multicast_v4(&GROUP, &own).unwrap();
        socket.set_read_timeout(Some(TURN)).unwrap();
        socket
    });
    let mut heard = VecDeque::new();
    let mut buffer = vec![0; 65_536];
    for turn in 0..TURNS_MAX {
        for socket in &sockets {
            while let Ok(bytes) = socket.recv(&mut buffer) {
                heard.push_back(buffer[..bytes].to_vec());
                if heard.len() > DATAGRAMS_MAX {
                    heard.pop_front();
                    break;
                }
            }
        }
        if heard.len() >= DATAGRAMS_MIN && turn >= TURNS_MAX / 10 {
            break;
        }
    }
    heard.into()
}

/// A datagram that was heard, with something about it changed, or nothing.
fn mutated(datagrams: &[Vec<u8>], random: &mut ChaCha20Rng) -> Vec<u8> {
    if datagrams.is_empty() {
        return noise(below(1400, random), random);
    }
    let mut datagram = datagrams[below(datagrams.len(), random)].clone();
    match random.next_u32() % 7 {
        0 => datagram.truncate(below(datagram.len() + 1, random)),
        1 => (0..4).for_each(|_| flip(&mut datagram, random)),
        2 => datagram.extend(noise(below(64, random), random)),
        // The length of its first submessage (RTPS 2.5, section 9.4.5.1.3), which follows a header of 20 bytes.
        3 if datagram.len() > 24 => datagram[22..24].copy_from_slice(&noise(2, random)),
        // The kind of the first submessage.
        4 if datagram.len() > 24 => datagram[20] = random.next_u32() as u8,
        5 if datagram.len() > 40 => datagram.truncate(20 + below(20, random)),
        // Sent again as it was.
        _ => (),
    }
    datagram
}

/// A reader and a writer of a topic, and what the reader heard.
struct Ear {
    reader: Reader,
    writer: Writer,
    heard: VecDeque<Sample>,
    topic: dds::Topic,
}

impl Ear {
    fn new(participant: &Participant, topic: &dds::Topic) -> Self {
        let (reader, writer) = (participant.reader(topic).unwrap(), participant.writer(topic).unwrap());
        Self { reader, writer, heard: VecDeque::new(), topic: *topic }
    }

    async fn listen(&mut self) {
        // A moment for each topic; what comes meanwhile waits in its cache.
        while let Ok(next) = tokio::time::timeout(Duration::from_millis(5), self.reader.next()).await {
            let Ok(sample) = next else { continue };
            self.heard.push_back(sample);
            if self.heard.len() > SAMPLES_MAX {
                self.heard.pop_front();
                break;
            }
        }
    }

    /// Says again what was heard, the newest first and twice; then with wrong content, under wrong keys, and freely
    /// invented. How many frames were taken by the writer.
    fn speak(&self, ids: &[[u8; 32]], random: &mut ChaCha20Rng) -> usize {
        let mut frames: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for Sample { key, body, .. } in self.heard.iter().rev() {
            let (key, body) = (key.to_vec(), body.to_vec());
            frames.extend([(key.clone(), body.clone()), (key.clone(), body.clone())]);
            let mut changed = body.clone();
            flip(&mut changed, random);
            frames.push((key.clone(), changed));
            frames.push((key.clone(), body[..below(body.len() + 1, random)].to_vec()));
            // The last bytes of a key are the index of a chunk.
            let mut other = key.clone();
            let last = other.len() - 4;
            other[last..].copy_from_slice(&(random.next_u32() % 16).to_le_bytes());
            frames.push((other, body.clone()));
            let mut unknown = key.clone();
            flip(&mut unknown, random);
            frames.push((unknown, body));
        }
        for _ in 0..4 {
            let mut key = noise(self.topic.key_bytes(), random);
            // Blobs and nodes that there are, where the key has room for them.
            for place in key.chunks_exact_mut(32).filter(|_| !ids.is_empty()) {
                place.copy_from_slice(&ids[below(ids.len(), random)]);
            }
            frames.push((key, noise(below(2048, random), random)));
        }
        frames.iter().filter(|(key, body)| self.writer.write(key, body).is_ok()).count()
    }
}

/// All 32 bytes that a key begins with: ids of blobs and of nodes.
fn ids(ears: &[Ear]) -> Vec<[u8; 32]> {
    let samples = ears.iter().flat_map(|ear| &ear.heard);
    samples.filter_map(|sample| sample.key.first_chunk::<32>().copied()).collect()
}

fn flip(bytes: &mut [u8], random: &mut ChaCha20Rng) {
    if !bytes.is_empty() {
        let at = below(bytes.len(), random);
        bytes[at] ^= 1 << (random.next_u32() % 8);
    }
}

fn noise(bytes: usize, random: &mut ChaCha20Rng) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    random.fill_bytes(&mut noise);
    noise
}

/// A number below `end`, which is not 0; hardly uneven for what is small.
fn below(end: usize, random: &mut ChaCha20Rng) -> usize {
    (random.next_u64() % end.max(1) as u64) as usize
}

//! Two relay processes between two DDS domains on loopback: what is written at one site is read at the other.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dds::{Config, Participant, Reader, Routes, Sample, Writer, prefix_of, topics};
use tokio::time::{interval, timeout};

/// Long enough for processes to start and for a discovery announcement that came again after 10 s.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often something is written again until it has arrived.
const REPEAT: Duration = Duration::from_millis(20);

/// A relay that is killed when dropped.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn coordinator(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coordinator"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Makes a relay's folder; returns its line for the lists of others.
fn make(dir: &Path, name: &str, domain: u16, more: &[&str]) -> String {
    let (folder, domain) = (dir.join(name).display().to_string(), domain.to_string());
    let args =
        ["--dir", &folder, "relay-init", "--name", name, "--domain", &domain, "--interface", "127.0.0.1"];
    let made = coordinator(&[&args[..], more].concat()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

fn start(dir: &Path, name: &str) -> Relay {
    let log = File::create(dir.join(format!("{name}.log"))).unwrap();
    let folder = dir.join(name).display().to_string();
    Relay(coordinator(&["--dir", &folder, "relay"]).stdout(Stdio::null()).stderr(log).spawn().unwrap())
}

fn logs(dir: &Path) -> String {
    ["hub", "spoke"]
        .map(|name| fs::read_to_string(dir.join(format!("{name}.log"))).unwrap_or_default())
        .join("\n")
}

fn join(domain: u16) -> Participant {
    Participant::new(&Config { domain, interfaces: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)], peers: vec![] })
        .unwrap()
}

/// Does `write` again and again until the reader has something.
async fn cross(reader: &mut Reader, dir: &Path, mut write: impl FnMut()) -> Sample {
    let crossed = async {
        let mut again = interval(REPEAT);
        loop {
            tokio::select! {
                sample = reader.next() => return sample.unwrap(),
                _ = again.tick() => write(),
            }
        }
    };
    timeout(PATIENCE, crossed).await.unwrap_or_else(|_| panic!("nothing came across: {}", logs(dir)))
}

/// Hub and spoke that know each other, not started.
fn star(dir: &Path, domain: u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let hub = make(dir, "hub", domain, &["--listen", &address]);
    let mut more = vec!["--connect", &address, "--peer"];
    more.extend(hub.split_whitespace());
    let spoke = make(dir, "spoke", domain + 1, &more);
    let config = dir.join("hub/relay.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("peers = []", &format!("peers = [{spoke:?}]"))).unwrap();
}

#[tokio::test]
async fn state_chunks_and_directed_samples_cross_between_two_sites_and_never_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let domain = 10 + (std::process::id() % 40) as u16 * 2;
    star(dir, domain);
    let (here, there) = (join(domain), join(domain + 1));
    let announce: Writer = here.writer(&topics::ANNOUNCE).unwrap();
    let (hello, models) = (here.writer(&topics::HELLO).unwrap(), here.writer(&topics::MODEL_CHUNK).unwrap());
    let (mut presences, mut updates) =
        (here.reader(&topics::PRESENCE).unwrap(), here.reader(&topics::UPDATE_CHUNK).unwrap());
    // Of its own, since a participant does not hear itself.
    let witness = join(domain);
    let mut own_hellos = witness.reader(&topics::HELLO).unwrap();
    let presence = there.writer(&topics::PRESENCE).unwrap();
    let node_updates = there.writer(&topics::UPDATE_CHUNK).unwrap();
    let mut hellos = there.reader(&topics::HELLO).unwrap();
    let mut chunks = there.reader(&topics::MODEL_CHUNK).unwrap();

    // Written once, before there is a relay; read by somebody who comes when all is up.
    announce.write(&[3; 16], b"train").unwrap();
    let _relays = (start(dir, "hub"), start(dir, "spoke"));
    let heard = cross(&mut hellos, dir, || hello.write(&[1; 32], b"hello").unwrap()).await;
    assert_eq!((&heard.key[..], &heard.body[..]), (&[1; 32][..], &b"hello"[..]));
    assert_ne!(prefix_of(heard.writer), here.prefix(), "the relay at this site wrote it");
    let late_joiner = join(domain + 1);
    let mut late = late_joiner.reader(&topics::ANNOUNCE).unwrap();
    assert_eq!(cross(&mut late, dir, || ()).await.body, "train");

    let sealed = vec![7; 49_200];
    let arrived = cross(&mut chunks, dir, || models.write(&[2; 36], &sealed).unwrap()).await;
    assert_eq!(arrived.body, sealed);
    let spoken = cross(&mut presences, dir, || presence.write(&[4; 32], b"here").unwrap()).await;
    assert_eq!(spoken.body, "here");

    // Directed, by what the hello told: to the relay here, and by it to the reader there.
    let mut routes = Routes::default();
    let told = updates.address();
    let piece = cross(&mut updates, dir, || {
        routes.on_hello(&there, &topics::UPDATE_CHUNK, told, heard.writer);
        node_updates.write_to(routes.to(told), &[5; 36], b"piece").unwrap();
    })
    .await;
    assert_eq!(piece.body, "piece");
    assert_eq!(prefix_of(routes.to(told).0), prefix_of(heard.writer));

    // Nothing that crossed came back: this reader has its own site's hellos only.
    let mut last = Vec::new();
    while last != b"the end" {
        let sample = cross(&mut own_hellos, dir, || hello.write(&[1; 32], b"the end").unwrap()).await;
        assert_eq!(prefix_of(sample.writer), here.prefix(), "{}", logs(dir));
        last = sample.body.to_vec();
    }
}

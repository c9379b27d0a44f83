use std::sync::atomic::{AtomicU64, Ordering};

use common::crypto::bulk::InputKey;
use common::id::TenantId;
use common::units::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::adapt::Pins;
use crate::intake;
use crate::spool::{self, Entry, Position, TenantSpool};

/// A clock that goes on by a second each time it is asked.
fn clock() -> Timestamp {
    static TIME: AtomicU64 = AtomicU64::new(1_700_000_000);
    Timestamp(TIME.fetch_add(1, Ordering::Relaxed) * 1_000_000)
}

/// A listener on loopback with a spool of its own.
struct Listening {
    _folder: TempDir,
    spool: Spool,
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

const OPEN: &str = "trusted_networks = [\"127.0.0.0/8\"]";
const ONE: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy";
const TWO: &str =
    "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\nContent-Encoding: snappy";

impl Listening {
    fn start(config: &str, limits: spool::Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("tenant = \"acme\"\nlisten = [\"127.0.0.1:0\"]\n{config}");
        let config: PrometheusConfig = toml::from_str(&config).unwrap();
        let random = ChaCha20Rng::seed_from_u64(1);
        let spool = Spool::open(&folder.path().join("spool"), InputKey([1; 32]), limits, random).unwrap();
        let listener = PrometheusListener::bind(&config, spool.clone(), Clock(clock)).unwrap();
        let address = listener.addresses()[0];
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(listener.serve(stopped));
        Self { _folder: folder, spool, address, _stop: stop }
    }

    /// Sends one request and returns the answer: its head, and its body.
    async fn post(&self, path: &str, headers: &str, body: &[u8]) -> (String, String) {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    async fn write(&self, headers: &str, body: &[u8]) -> (String, String) {
        self.post("/api/v1/write", headers, body).await
    }

    fn entries(&self) -> Vec<Entry> {
        let of = |spool: &TenantSpool| {
            let mut reader = spool.reader(Position::default());
            std::iter::from_fn(move || reader.next_entry().unwrap())
        };
        self.spool.tenants().values().flat_map(of).collect()
    }
}

fn pack(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).unwrap()
}

/// `up{instance="a:1"}` with this value at the first second.
fn one(value: f64) -> Vec<u8> {
    let labels = b"\x0a\x2f\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x0f\x0a\x08instance\x12\x03a:1";
    pack(&[labels, &b"\x12\x0c\x09"[..], &value.to_le_bytes(), b"\x10\xe8\x07"].concat())
}

/// The same in version 2, with a native histogram in place of the sample.
fn two() -> Vec<u8> {
    let symbols = b"\x22\x00\x22\x08__name__\x22\x02up\x22\x08instance\x22\x03a:1";
    let series =
        b"\x2a\x15\x0a\x04\x01\x02\x03\x04\x1a\x0d\x08\x02\x19\x00\x00\x00\x00\x00\x00\x08\x40\x78\x01";
    pack(&[&symbols[..], series].concat())
}

#[tokio::test]
async fn both_versions_are_in_the_spool_as_they_came_when_they_are_answered() {
    let listening = Listening::start(OPEN, spool::Config::default());
    let (head, body) = listening.write(ONE, &one(1.0)).await;
    assert!(head.starts_with("HTTP/1.1 204") && !head.contains("-written"), "{head}");
    assert_eq!(body, "");
    let (head, _) = listening.write(TWO, &two()).await;
    assert!(head.starts_with("HTTP/1.1 204"), "{head}");
    for line in ["samples-written: 0", "histograms-written: 1", "exemplars-written: 0"] {
        assert!(head.contains(&format!("x-prometheus-remote-write-{line}")), "{head}");
    }
    let entries = listening.entries();
    assert_eq!((&entries[0].body[..], &entries[1].body[..]), (&one(1.0)[..], &two()[..]));
    let records = entries.iter().flat_map(|entry| intake::read(entry, &Pins::default()).records);
    let read: Vec<(String, u64, Vec<f32>)> =
        records.map(|record| (record.source().to_owned(), record.at.millis(), record.values)).collect();
    assert_eq!(read, [("a".into(), 1000, vec![1.0]), ("a".into(), 1, vec![2.0, 1.5, 3.0])]);
}

#[tokio::test]
async fn what_is_sent_again_has_the_same_id_and_what_is_empty_is_not_stored() {
    let listening = Listening::start(OPEN, spool::Config::default());
    for body in [one(1.0), one(1.0), pack(b""), one(2.0)] {
        assert!(listening.write(ONE, &body).await.0.contains(" 204 "));
    }
    let ids: Vec<_> = listening.entries().iter().map(|entry| entry.id).collect();
    assert!(ids.len() == 3 && ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
}

#[tokio::test]
async fn bad_requests_are_refused_with_a_status_and_nothing_is_stored() {
    let limits = format!("{OPEN}\nrequest_bytes_max = 2000\nunpacked_bytes_max = 3000");
    let listening = Listening::start(&limits, spool::Config::default());
    let plain = "Content-Type: application/x-protobuf";
    let other = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v3.Request";
    let other = format!("{other}\r\nContent-Encoding: snappy");
    let cases: [(&str, &str, &[u8], &str, &str); 9] = [
        ("/api/v1/write", ONE, b"\x05\x00", "400", "not a block of Snappy"),
        ("/api/v1/write", ONE, &pack(b"\xff\xff"), "400", "protobuf"),
        ("/api/v1/write", ONE, &pack(b"\x0a\x00"), "400", "series 1: there is no label __name__"),
        ("/api/v1/write", ONE, &pack(&[0; 3001]), "413", "unpacks to more than 3000 bytes"),
        ("/api/v1/write", ONE, &[0; 2001], "413", "larger than 2000 bytes"),
        ("/api/v1/write", plain, &one(1.0), "415", "snappy"),
        ("/api/v1/write", "Content-Type: application/json", b"{}", "415", "application/x-protobuf"),
        ("/api/v1/write", &other, &one(1.0), "415", "proto=prometheus.WriteRequest"),
        ("/v1/metrics", ONE, &one(1.0), "404", "/api/v1/write"),
    ];
    for (path, headers, body, status, text) in cases {
        let (head, answer) = listening.post(path, headers, body).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{headers}: {head}");
        assert!(answer.contains(text), "{headers}: {answer}");
    }
    let (head, _) = listening.write(TWO, &pack(b"\x2a\x03\x0a\x01\x01")).await;
    assert!(head.starts_with("HTTP/1.1 400") && head.contains("samples-written: 0"), "{head}");
    assert_eq!(listening.entries(), []);
}

#[tokio::test]
async fn a_full_spool_asks_to_come_again() {
    let limits = spool::Config { bytes_max: 4000, ..spool::Config::default() };
    let listening = Listening::start(OPEN, limits);
    for value in 0..100 {
        let (head, body) = listening.write(ONE, &one(f64::from(value))).await;
        if head.contains(" 204 ") {
            continue;
        }
        assert!(head.starts_with("HTTP/1.1 429") && head.contains("retry-after: 30"), "{head}");
        assert!(body.starts_with("the spool is full"), "{body}");
        assert_eq!(listening.entries().len() as i32, value);
        return;
    }
    panic!("4000 bytes took a hundred requests");
}

#[tokio::test]
async fn a_token_opens_its_tenant_and_nobody_else_may_send() {
    let hash = blake3::hash(b"s3cret").to_hex();
    let tokens = format!("tokens = [{{ tenant = \"lab\", blake3 = \"{hash}\" }}]");
    let listening = Listening::start(&tokens, spool::Config::default());
    for (token, status) in [("guess", "401"), ("s3cret", "204")] {
        let (head, _) = listening.write(&format!("{ONE}\r\nAuthorization: Bearer {token}"), &one(1.0)).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    }
    assert_eq!(listening.entries()[0].tenant, TenantId::of_name("lab"));
}

#[test]
fn a_fault_of_the_configuration_names_its_own_section() {
    let config: PrometheusConfig = toml::from_str("tenant = \"acme\"").unwrap();
    assert!(config.check("prometheus").unwrap_err().to_string().starts_with("`prometheus.listen` is empty"));
}

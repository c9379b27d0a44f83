use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use common::crypto::bulk::InputKey;
use common::id::TenantId;
use common::units::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::of_acme;
use super::*;
use crate::adapt::Pins;
use crate::intake;
use crate::spool::{self, Entry, EntryId, Position};

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
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

const OPEN: &str = "trusted_networks = [\"127.0.0.0/8\"]";

impl Listening {
    fn start(config: &str, limits: spool::Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!("tenant = \"acme\"\nlisten = [\"127.0.0.1:0\"]\n{config}");
        let config: OtlpConfig = toml::from_str(&config).unwrap();
        let random = ChaCha20Rng::seed_from_u64(1);
        let spool = Spool::open(&folder.path().join("spool"), InputKey([1; 32]), limits, random).unwrap();
        let listener = OtlpListener::bind(&config, spool.clone(), Clock(clock)).unwrap();
        let address = listener.addresses()[0];
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(listener.serve(stopped));
        Self { _folder: folder, spool, address, stop, serving }
    }

    fn open() -> Self {
        Self::start(OPEN, spool::Config::default())
    }

    /// Sends one request and returns the answer: its head, and its body.
    async fn send(&self, request: &[u8]) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
    }

    async fn post(&self, path: &str, headers: &str, body: &[u8]) -> (String, Vec<u8>) {
        self.send(&post(path, headers, body)).await
    }

    fn entries(&self) -> Vec<Entry> {
        let mut reader = of_acme(&self.spool).reader(Position::default());
        std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
    }
}

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

const JSON: &str = "Content-Type: application/json; charset=utf-8";
const PROTOBUF: &str = "Content-Type: application/x-protobuf";

fn json(value: u64) -> String {
    let resource = r#"{"attributes":[{"key":"host.name","value":{"stringValue":"rack-1"}}]}"#;
    let point = format!(r#"{{"timeUnixNano":"1704067230500000000","asInt":"{value}"}}"#);
    let metric = format!(r#"{{"name":"load","gauge":{{"dataPoints":[{point}]}}}}"#);
    format!(r#"{{"resourceMetrics":[{{"resource":{resource},"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#)
}

fn protobuf(value: u64) -> Vec<u8> {
    otlp::Request::decode(Signal::Metrics, Encoding::Json, json(value).as_bytes()).unwrap().encode()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_request_in_any_encoding_is_in_the_spool_as_protobuf_when_it_is_answered() {
    let listening = Listening::open();
    let (head, body) = listening.post("/v1/metrics", JSON, json(1).as_bytes()).await;
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("content-type: application/json"), "{head}");
    assert_eq!(body, b"{}");
    let (head, body) = listening.post("/v1/metrics", PROTOBUF, &protobuf(2)).await;
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("application/x-protobuf"), "{head}");
    assert_eq!(body, b"");
    let packed = format!("{PROTOBUF}\r\nContent-Encoding: gzip");
    let (head, _) = listening.post("/v1/metrics", &packed, &gzip(&protobuf(3))).await;
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let entries = listening.entries();
    let values: Vec<f32> = entries
        .iter()
        .flat_map(|entry| intake::read(entry, &Pins::default()).records[0].values.clone())
        .collect();
    assert_eq!(values, [1.0, 2.0, 3.0]);
    assert_eq!(entries[0].body, protobuf(1));
    assert!(entries.iter().all(|entry| &*entry.source == "rack-1" && entry.kind == Kind::OtlpMetrics));
}

#[tokio::test]
async fn what_is_sent_again_has_the_same_id_and_what_is_empty_is_not_stored() {
    let listening = Listening::open();
    for _ in 0..2 {
        assert!(listening.post("/v1/metrics", PROTOBUF, &protobuf(1)).await.0.contains(" 200 "));
    }
    assert!(listening.post("/v1/traces", PROTOBUF, b"").await.0.contains(" 200 "));
    assert!(listening.post("/v1/logs", JSON, b"{}").await.0.contains(" 200 "));
    let ids: Vec<EntryId> = listening.entries().iter().map(|entry| entry.id).collect();
    assert_eq!((ids.len(), ids[0]), (2, ids[1]));
}

#[tokio::test]
async fn one_connection_serves_many_requests_in_chunks_too() {
    let listening = Listening::open();
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    let head =
        format!("POST /v1/metrics HTTP/1.1\r\nHost: x\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n");
    for number in 0..3 {
        let body = json(number);
        let (start, end) = body.split_at(20);
        let chunks = format!("{head}14\r\n{start}\r\n{:x}\r\n{end}\r\n0\r\n\r\n", end.len());
        stream.write_all(chunks.as_bytes()).await.unwrap();
        let mut answer = vec![0; 1000];
        let count = stream.read(&mut answer).await.unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK"), "{number}");
    }
    assert_eq!(listening.entries().len(), 3);
    listening.stop.send(true).unwrap();
    assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0, "an idle connection ends with the listener");
    listening.serving.await.unwrap();
}

#[tokio::test]
async fn bad_requests_are_refused_with_a_status_and_nothing_is_stored() {
    let listening = Listening::start(
        &format!("{OPEN}\nrequest_bytes_max = 2000\nunpacked_bytes_max = 3000"),
        spool::Config::default(),
    );
    let gzip_json = format!("{JSON}\r\nContent-Encoding: gzip");
    let bomb = gzip(&vec![b' '; 100_000]);
    let cut = gzip(json(1).as_bytes());
    let large = [b' '; 2001];
    let cases: [(&str, &str, &[u8], &str, &str); 10] = [
        ("/v1/metrics", JSON, b"{\"resourceMetrics\":3}", "400", "\"code\":3"),
        ("/v1/metrics", JSON, b"", "400", "\"code\":3"),
        ("/v1/traces", PROTOBUF, b"\xff\xff", "400", "\u{8}\u{3}\u{12}"),
        ("/v1/metrics", &gzip_json, b"{}", "400", "not gzip"),
        ("/v1/metrics", &gzip_json, &cut[..cut.len() - 9], "400", "truncated gzip"),
        ("/v1/metrics", &gzip_json, &bomb, "413", "unpacks to more than 3000 bytes"),
        ("/v1/metrics", JSON, &large, "413", "larger than 2000 bytes"),
        ("/v1/metrics", "Content-Type: text/csv", b"a,b", "415", "content type"),
        ("/v1/metrics", "Content-Type: application/json\r\nContent-Encoding: br", b"{}", "415", "encoding"),
        ("/v1/profiles", JSON, b"{}", "404", "\"code\":5"),
    ];
    for (path, headers, body, status, text) in cases {
        let (head, answer) = listening.post(path, headers, body).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{path} {headers}: {head}");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains(text), "{path} {headers}: {answer}");
    }
    let (head, _) = listening.send(b"GET /v1/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 405") && head.contains("allow: POST"), "{head}");
    assert_eq!(listening.entries(), []);
}

#[tokio::test]
async fn a_request_damaged_anywhere_is_answered_and_the_listener_lives() {
    let listening = Listening::open();
    let valid = post("/v1/metrics", PROTOBUF, &protobuf(1));
    for at in (0..valid.len()).step_by(7) {
        let mut request = valid.clone();
        request[at] ^= 0x15;
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        // It may have hung up already.
        let _ = stream.write_all(&request).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    assert!(listening.post("/v1/metrics", PROTOBUF, &protobuf(1)).await.0.contains(" 200 "));
}

#[tokio::test]
async fn a_full_spool_asks_to_come_again() {
    let limits = spool::Config { bytes_max: 4000, ..spool::Config::default() };
    let listening = Listening::start(OPEN, limits);
    let mut taken = 0;
    let (head, body) = loop {
        let (head, body) = listening.post("/v1/metrics", JSON, json(taken).as_bytes()).await;
        if !head.contains(" 200 ") {
            break (head, body);
        }
        taken += 1;
    };
    assert!(head.starts_with("HTTP/1.1 429") && head.contains("retry-after: 30"), "{head}");
    assert!(String::from_utf8(body).unwrap().starts_with(r#"{"code":8,"message":"the spool is full"#));
    assert_eq!(listening.entries().len() as u64, taken);
}

#[tokio::test]
async fn a_token_opens_its_tenant_and_nobody_else_may_send() {
    let hash = blake3::hash(b"s3cret").to_hex();
    let tokens = format!("tokens = [{{ tenant = \"lab\", blake3 = \"{hash}\" }}]");
    let listening = Listening::start(&tokens, spool::Config::default());
    let send = |token: &str| {
        let headers = format!("{PROTOBUF}\r\n{token}");
        let request = post("/v1/metrics", &headers, &protobuf(1));
        let listening = &listening;
        async move { listening.send(&request).await.0 }
    };
    for wrong in ["X-Other: 1", "Authorization: Bearer guess", "Authorization: Basic s3cret"] {
        assert!(send(wrong).await.starts_with("HTTP/1.1 401"), "{wrong}");
    }
    assert!(send("Authorization: Bearer s3cret").await.starts_with("HTTP/1.1 200"));
    let tenants: Vec<TenantId> = listening.spool.tenants().into_keys().collect();
    assert_eq!(tenants, [TenantId::of_name("lab")]);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let listening = Listening::start(&format!("{OPEN}\ntimeout_s = 1"), spool::Config::default());
    let (head, _) = listening.send(post("/v1/metrics", JSON, b"{}").strip_suffix(b"}").unwrap()).await;
    assert!(head.starts_with("HTTP/1.1 408"), "{head}");
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    stream.write_all(b"POST /v1/metrics HT").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "a header that does not come ends the connection");
}

#[test]
fn a_configuration_that_could_never_accept_is_refused_by_key() {
    let fault = |text: &str| {
        let config: OtlpConfig = toml::from_str(&format!("tenant = \"acme\"\n{text}")).unwrap();
        config.check("otlp").unwrap_err().to_string()
    };
    assert!(fault("").starts_with("`otlp.listen` is empty"));
    assert!(fault("listen = [\"127.0.0.1:1\"]").starts_with("`otlp.trusted_networks` is empty"));
    let tls = "listen_tls = [\"127.0.0.1:1\"]\ntrusted_networks = [\"127.0.0.0/8\"]";
    assert!(fault(tls).contains("needs a section `tls`"));
    assert!(toml::from_str::<OtlpConfig>("tenant = \"a\"\nsurprise = 1").is_err());
}

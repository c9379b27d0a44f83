use std::sync::atomic::{AtomicU64, Ordering};

use common::crypto::bulk::InputKey;
use common::units::Timestamp;
use rand_chacha::rand_core::SeedableRng;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::super::of_acme;
use super::*;
use crate::listen::Lost;
use crate::spool::{self, Position};

fn clock() -> Timestamp {
    Timestamp(1_704_067_230_000_000)
}

/// A listener on loopback for UDP, TCP and TLS, with a spool of its own.
struct Listening {
    folder: TempDir,
    spool: Spool,
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    serving: JoinHandle,
}

type JoinHandle = tokio::task::JoinHandle<()>;

impl Listening {
    async fn start(networks: &str, limits: spool::Config, report: fn(&Lost)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = rcgen::generate_simple_self_signed(vec!["log.example.com".to_owned()]).unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("cert.pem"), certificate.cert.pem()).unwrap();
        std::fs::write(at("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
        let any = "[\"127.0.0.1:0\"]";
        let config = format!(
            "tenant = \"acme\"\nlisten_udp = {any}\nlisten_tcp = {any}\nlisten_tls = {any}\n\
             trusted_networks = [\"{networks}\"]\n[tls]\ncertificate = {:?}\nkey = {:?}\n",
            at("cert.pem"),
            at("key.pem")
        );
        let config: SyslogConfig = toml::from_str(&config).unwrap();
        let random = ChaCha20Rng::seed_from_u64(1);
        let spool = Spool::open(&at("spool"), InputKey([1; 32]), limits, random).unwrap();
        let random = ChaCha20Rng::seed_from_u64(2);
        let listener = SyslogListener::bind(&config, spool.clone(), Clock(clock), Report(report), random);
        let listener = listener.await.unwrap();
        let addresses = listener.addresses();
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(listener.serve(stopped));
        Self { folder, spool, addresses, stop, serving }
    }

    async fn open() -> Self {
        let nothing = |lost: &Lost| panic!("{lost}");
        Self::start("127.0.0.0/8", spool::Config::default(), nothing).await
    }

    /// The lines of all entries, once there are so many.
    async fn lines(&self, count: usize) -> Vec<String> {
        let mut reader = of_acme(&self.spool).reader(Position::default());
        let mut lines = Vec::new();
        while lines.len() < count {
            match reader.next_entry().unwrap() {
                Some(entry) => {
                    let body = String::from_utf8(entry.body.to_vec()).unwrap();
                    lines.extend(body.lines().map(str::to_owned));
                }
                None => tokio::task::yield_now().await,
            }
        }
        assert_eq!(lines.len(), count);
        lines
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.serving.await.unwrap();
    }
}

#[tokio::test]
async fn datagrams_are_messages_and_equal_ones_are_two() {
    let listening = Listening::open().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for message in ["<34>Oct 11 22:14:15 a su: x", "<34>Oct 11 22:14:15 a su: x", "<1>two\nlines\n"] {
        socket.send_to(message.as_bytes(), listening.addresses[0]).await.unwrap();
        // One by one, so that each is an entry.
        tokio::task::yield_now().await;
    }
    let lines = listening.lines(3).await;
    assert_eq!(lines[0], lines[1]);
    assert_eq!(lines[2], "<1>two#012lines");
    let mut reader = of_acme(&listening.spool).reader(Position::default());
    let mut ids: Vec<EntryId> =
        std::iter::from_fn(|| reader.next_entry().unwrap()).map(|entry| entry.id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    listening.stop().await;
}

#[tokio::test]
async fn both_framings_of_a_stream_are_told_apart() {
    let listening = Listening::open().await;
    let mut stream = TcpStream::connect(listening.addresses[1]).await.unwrap();
    stream.write_all(b"<1>a line\n9 <2>a\nline<3>mixed\n7 <4>").await.unwrap();
    assert_eq!(listening.lines(3).await, ["<1>a line", "<2>a#012line", "<3>mixed"]);
    stream.write_all(b"rest").await.unwrap();
    assert_eq!(listening.lines(4).await[3], "<4>rest");
    stream.write_all(b"<5>no end").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(listening.lines(5).await[4], "<5>no end");
    listening.stop().await;
}

#[tokio::test]
async fn many_lines_at_once_share_entries() {
    let listening = Listening::open().await;
    let mut stream = TcpStream::connect(listening.addresses[1]).await.unwrap();
    let lines: Vec<String> = (0..20_000).map(|number| format!("<13>message {number}")).collect();
    stream.write_all((lines.join("\n") + "\n").as_bytes()).await.unwrap();
    assert_eq!(listening.lines(20_000).await, lines);
    assert!(listening.spool.status().accepted < 2000, "{:?}", listening.spool.status());
    listening.stop().await;
}

#[tokio::test]
async fn a_stream_under_tls_is_read_like_any_other() {
    let listening = Listening::open().await;
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(listening.folder.path().join("cert.pem")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let name = ServerName::try_from("log.example.com").unwrap();
    let stream = TcpStream::connect(listening.addresses[2]).await.unwrap();
    let mut stream = TlsConnector::from(config).connect(name, stream).await.unwrap();
    stream.write_all(b"6 <1>one6 <2>two").await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(listening.lines(2).await, ["<1>one", "<2>two"]);
    listening.stop().await;
}

#[tokio::test]
async fn datagrams_that_a_full_spool_does_not_take_are_counted() {
    static LOST: AtomicU64 = AtomicU64::new(0);
    let count = |lost: &Lost| {
        assert!(lost.latest.starts_with("127.0.0.1: the spool is full"), "{lost}");
        LOST.fetch_add(lost.messages, Ordering::Relaxed);
    };
    let limits = spool::Config { bytes_max: 4000, ..spool::Config::default() };
    let listening = Listening::start("127.0.0.0/8", limits, count).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for number in 0..20 {
        let message = format!("<13>{number} {}", "x".repeat(500));
        socket.send_to(message.as_bytes(), listening.addresses[0]).await.unwrap();
    }
    let spool = listening.spool.clone();
    listening.stop().await;
    let mut reader = of_acme(&spool).reader(Position::default());
    let stored: u64 = std::iter::from_fn(|| reader.next_entry().unwrap())
        .map(|entry| entry.body.split(|&byte| byte == b'\n').count() as u64 - 1)
        .sum();
    assert_eq!(stored + LOST.load(Ordering::Relaxed), 20);
    assert!(LOST.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn a_stream_is_not_read_while_the_spool_is_full() {
    static LOST: AtomicU64 = AtomicU64::new(0);
    let count = |lost: &Lost| {
        LOST.fetch_add(lost.messages, Ordering::Relaxed);
    };
    let limits = spool::Config { bytes_max: 4000, ..spool::Config::default() };
    let listening = Listening::start("127.0.0.0/8", limits, count).await;
    let mut stream = TcpStream::connect(listening.addresses[1]).await.unwrap();
    let line = format!("<13>{}\n", "x".repeat(10_000));
    let sending = async {
        loop {
            stream.write_all(line.as_bytes()).await.unwrap();
        }
    };
    // It ends only when the socket's buffers are full, for nobody reads.
    let sent = tokio::time::timeout(Duration::from_millis(300), sending).await;
    assert!(sent.is_err());
    assert_eq!(LOST.load(Ordering::Relaxed), 0);
    assert!(listening.spool.status().refused > 0);
    listening.stop().await;
    assert!(LOST.load(Ordering::Relaxed) > 0, "what it held at the stop is told");
}

#[tokio::test]
async fn strangers_are_not_heard_and_it_is_told() {
    static LOST: AtomicU64 = AtomicU64::new(0);
    let count = |lost: &Lost| {
        LOST.fetch_add(lost.messages, Ordering::Relaxed);
    };
    let listening = Listening::start("192.0.2.0/24", spool::Config::default(), count).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(b"<1>x", listening.addresses[0]).await.unwrap();
    let mut stream = TcpStream::connect(listening.addresses[1]).await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    let spool = listening.spool.clone();
    listening.stop().await;
    assert_eq!((LOST.load(Ordering::Relaxed), spool.status().accepted), (1, 0));
}

#[test]
fn a_configuration_that_could_never_accept_is_refused_by_key() {
    let fault = |text: &str| {
        let config: SyslogConfig = toml::from_str(&format!("tenant = \"acme\"\n{text}")).unwrap();
        config.check().unwrap_err().to_string()
    };
    assert!(fault("").starts_with("`syslog.listen_udp` is empty"));
    assert!(fault("listen_udp = [\"127.0.0.1:1\"]").starts_with("`syslog.trusted_networks` is empty"));
    let tls = "listen_tls = [\"127.0.0.1:1\"]\ntrusted_networks = [\"127.0.0.0/8\"]";
    assert!(fault(tls).contains("needs [syslog.tls]"));
    assert!(toml::from_str::<SyslogConfig>("tenant = \"a\"\nsurprise = 1").is_err());
}

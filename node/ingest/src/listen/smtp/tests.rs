mod certificates;
mod pins;

use std::sync::atomic::{AtomicU64, Ordering};

use common::crypto::bulk::InputKey;
use common::units::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::of_acme;
use super::*;
use crate::spool::Position;

/// A clock that goes on by a second each time it is asked.
fn clock() -> Timestamp {
    static TIME: AtomicU64 = AtomicU64::new(1_700_000_000);
    Timestamp(TIME.fetch_add(1, Ordering::Relaxed) * 1_000_000)
}

/// A certificate with its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A bridge on loopback with a spool of its own.
struct Bridge {
    folder: TempDir,
    spool: Spool,
    pins: Pins,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl Bridge {
    fn start(config: &str, bytes_max: u64) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config, "", bytes_max)
    }

    /// A bridge with more about TLS.
    fn start_in(folder: TempDir, config: &str, tls: &str, bytes_max: u64) -> Self {
        let certificate = rcgen::generate_simple_self_signed(vec!["bridge.example.com".to_owned()]).unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("cert.pem"), certificate.cert.pem()).unwrap();
        std::fs::write(at("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
        let config = format!(
            "hostname = \"bridge.example.com\"\nlisten = [\"127.0.0.1:0\"]\n{config}\n[tls]\n{tls}\ncertificate = {:?}\nkey = {:?}\n",
            at("cert.pem"),
            at("key.pem")
        );
        let config: SmtpConfig = toml::from_str(&config).unwrap();
        let limits = spool::Config { bytes_max, ..spool::Config::default() };
        let random = ChaCha20Rng::seed_from_u64(1);
        let spool = Spool::open(&at("spool"), InputKey([1; 32]), limits, random).unwrap();
        let bridge = SmtpBridge::bind(&config, spool.clone(), Clock(clock)).unwrap();
        let address = bridge.addresses()[0];
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(bridge.serve(stopped));
        Self { folder, spool, pins: config.pins().unwrap(), address, stop, serving }
    }

    async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// A client that has begun TLS, and shows a certificate if it has one.
    async fn connect_tls(&self, identity: Option<Identity>) -> std::io::Result<Client<TlsStream<TcpStream>>> {
        let mut client = self.connect().await;
        client.reply().await;
        client.say("EHLO ups").await;
        assert!(client.say("STARTTLS").await.starts_with("220"));
        let mut roots = RootCertStore::empty();
        let pem = std::fs::read(self.folder.path().join("cert.pem")).unwrap();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((chain, key)) => config.with_client_auth_cert(chain, key).unwrap(),
        };
        let name = ServerName::try_from("bridge.example.com").unwrap();
        let stream = client.stream.into_inner();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map(Client::new)
    }

    /// The bodies of the mails in the spool.
    fn mails(&self) -> Vec<String> {
        let mut reader = of_acme(&self.spool).reader(Position::default());
        std::iter::from_fn(|| reader.next_entry().unwrap())
            .map(|entry| String::from_utf8(entry.body.to_vec()).unwrap())
            .collect()
    }
}

struct Client<S> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// The next reply, all its lines.
    async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            if self.stream.read_line(&mut reply).await.unwrap() == 0 || reply.as_bytes()[start + 3] == b' ' {
                return reply;
            }
        }
    }

    /// Says one line and returns the code of the reply.
    async fn say(&mut self, line: &str) -> String {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.reply().await
    }

    /// Sends a mail from its envelope on; the reply to its content.
    async fn send(&mut self, to: &str, text: &str) -> String {
        self.say("MAIL FROM:<ups-3@example.com>").await;
        let accepted = self.say(&format!("RCPT TO:<{to}>")).await;
        if !accepted.starts_with("250") {
            return accepted;
        }
        assert!(self.say("DATA").await.starts_with("354"));
        self.say(&format!("Subject: status\r\n\r\n{text}\r\n.")).await
    }
}

const OPEN: &str = "trusted_networks = [\"127.0.0.0/8\"]\nmailboxes = { telemetry = \"acme\" }";

#[tokio::test]
async fn a_mail_that_was_answered_with_250_is_in_the_spool() {
    let bridge = Bridge::start(OPEN, 1 << 30);
    let mut client = bridge.connect().await;
    assert!(client.reply().await.starts_with("220 bridge.example.com"));
    assert!(client.say("EHLO ups").await.contains("STARTTLS"));
    for number in 0..3 {
        let reply = client.send("telemetry@bridge", &format!("load={number}")).await;
        assert!(reply.starts_with("250 2.0.0"), "{reply}");
    }
    let mails = bridge.mails();
    assert_eq!(mails.len(), 3);
    assert_eq!(mails[2], "Subject: status\r\n\r\nload=2\r\n");
    assert!(client.send("someone@elsewhere", "x").await.starts_with("550 5.7.1"));
}

#[tokio::test]
async fn many_senders_at_once_are_all_answered() {
    let bridge = Bridge::start(OPEN, 1 << 30);
    let mut senders = JoinSet::new();
    for sender in 0..50 {
        let mut client = bridge.connect().await;
        senders.spawn(async move {
            client.reply().await;
            client.say("EHLO x").await;
            let reply = client.send("telemetry@x", &format!("sender={sender}")).await;
            assert!(reply.starts_with("250"), "{reply}");
        });
    }
    senders.join_all().await;
    let mut mails = bridge.mails();
    mails.sort();
    mails.dedup();
    assert_eq!(mails.len(), 50);
    let status = bridge.spool.status();
    assert!(status.commits <= status.accepted, "{status:?}");
}

#[tokio::test]
async fn after_starttls_a_token_opens_its_tenant_and_a_wrong_password_nothing() {
    let token = blake3::hash(b"s3cret").to_hex();
    let bridge = Bridge::start(
        &format!(
            "mailboxes = {{ telemetry = \"acme\" }}\ntokens = [{{ tenant = \"acme\", blake3 = \"{token}\" }}]"
        ),
        1 << 30,
    );
    let mut client = bridge.connect_tls(None).await.unwrap();
    let hello = client.say("EHLO ups").await;
    assert!(hello.contains("AUTH PLAIN LOGIN") && !hello.contains("STARTTLS"), "{hello}");
    // "\0ups\0wrong"
    assert!(client.say("AUTH PLAIN AHVwcwB3cm9uZw==").await.starts_with("535"));
    assert!(client.send("telemetry@x", "x").await.starts_with("550"), "a mailbox needs rights");
    assert!(client.send("acme+wrong@x", "x").await.starts_with("550"));
    assert!(client.send("acme+s3cret@x", "temperature=21").await.starts_with("250"));
    assert_eq!(bridge.mails().len(), 1);
}

#[tokio::test]
async fn a_full_spool_says_452_and_takes_nothing() {
    let bridge = Bridge::start(OPEN, 4000);
    let mut client = bridge.connect().await;
    client.reply().await;
    client.say("EHLO x").await;
    let text = "x".repeat(900);
    let mut taken = 0;
    let reply = loop {
        match client.send("telemetry@x", &format!("{text}{taken}")).await {
            reply if reply.starts_with("250") => taken += 1,
            reply => break reply,
        }
    };
    assert!(reply.starts_with("452 4.3.1"), "{reply}");
    assert_eq!(bridge.mails().len(), taken);
}

#[tokio::test]
async fn too_many_connections_are_turned_away_and_a_stop_ends_the_others() {
    let bridge = Bridge::start(&format!("connections_max = 2\n{OPEN}"), 1 << 30);
    let mut clients = [bridge.connect().await, bridge.connect().await];
    for client in &mut clients {
        assert!(client.reply().await.starts_with("220"));
    }
    assert!(bridge.connect().await.reply().await.starts_with("421 4.7.0"));
    bridge.stop.send(true).unwrap();
    for client in &mut clients {
        assert!(client.reply().await.starts_with("421 4.3.2"));
    }
    bridge.serving.await.unwrap();
}

#[test]
fn a_configuration_that_could_never_accept_is_refused_by_key() {
    let fault = |text: &str| {
        let config: SmtpConfig = toml::from_str(&format!("hostname = \"x\"\n{text}")).unwrap();
        config.check().unwrap_err().to_string()
    };
    assert!(fault("mailboxes = { a = \"b\" }").starts_with("`smtp.listen` is empty"));
    assert!(fault("listen = [\"127.0.0.1:1\"]").starts_with("`smtp.mailboxes` is empty"));
    let token = "listen = [\"127.0.0.1:1\"]\ntokens = [{ tenant = \"acme\", blake3 = \"zz\" }]";
    assert!(fault(token).contains("of tenant `acme`: `blake3` is not 64 hex digits"));
    let tls = "listen_tls = [\"127.0.0.1:1\"]\nmailboxes = { a = \"b\" }";
    assert!(fault(tls).contains("needs [smtp.tls]"));
    let twice = "listen = [\"127.0.0.1:1\"]\nmailboxes = { a = \"b\", A = \"b\" }";
    assert!(fault(twice).contains("has two that differ only in upper and lower case"));
}

#[tokio::test]
async fn accounts_are_checked_against_their_hashes() {
    use argon2::password_hash::PasswordHasher;
    use argon2::password_hash::phc::Salt;
    let salt = Salt::from_b64("c29tZXNhbHRzYWx0").unwrap();
    let weak = argon2::Params::new(8, 1, 1, None).unwrap();
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, weak);
    let hash = argon.hash_password_with_salt(b"open sesame", &salt).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts");
    std::fs::write(&path, format!("# who may\n\nups:{hash}\n")).unwrap();
    let accounts = Accounts::read(Some(&path)).unwrap();
    assert!(accounts.check("ups", "open sesame").await);
    assert!(!accounts.check("ups", "open").await);
    assert!(!accounts.check("nobody", "open sesame").await);
    std::fs::write(&path, "ups:plain\n").unwrap();
    let error = Accounts::read(Some(&path)).unwrap_err().to_string();
    assert!(error.ends_with("accounts line 1: expected `name:$argon2id$...`"), "{error}");
}

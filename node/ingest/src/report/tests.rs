use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use common::crypto::bulk::InputKey;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::sync::watch;

use super::*;
use crate::listen::Clock;
use crate::listen::smtp::{SmtpBridge, SmtpConfig};
use crate::spool::{self, Position, Spool};

fn summary() -> Summary {
    Summary {
        file: "a.csv".into(),
        bytes: 7,
        lines: 3,
        rows: 2,
        accepted: 2,
        rejected: BTreeMap::new(),
        seconds: 0.5,
    }
}

/// This crate's own mail server on loopback, with a certificate of its own in `folder`.
fn bridge(folder: &Path) -> (SmtpBridge, Spool) {
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let at = |name: &str| folder.join(name);
    std::fs::write(at("cert.pem"), certificate.cert.pem()).unwrap();
    std::fs::write(at("key.pem"), certificate.signing_key.serialize_pem()).unwrap();
    let config = format!(
        "hostname = \"localhost\"\nlisten = [\"127.0.0.1:0\"]\ntrusted_networks = [\"127.0.0.0/8\"]\n\
         mailboxes = {{ ops = \"acme\" }}\n[tls]\ncertificate = {:?}\nkey = {:?}\n",
        at("cert.pem"),
        at("key.pem")
    );
    let config: SmtpConfig = toml::from_str(&config).unwrap();
    let random = ChaCha20Rng::seed_from_u64(1);
    let spool = Spool::open(&at("spool"), InputKey([1; 32]), spool::Config::default(), random).unwrap();
    let clock = Clock(|| Timestamp(1_700_000_000_000_000));
    (SmtpBridge::bind(&config, spool.clone(), clock).unwrap(), spool)
}

fn config(address: SocketAddr, ca: PathBuf) -> ReportConfig {
    ReportConfig {
        mail_to: vec!["ops@localhost".into()],
        mail_from: "node@example.com".into(),
        server: "localhost".into(),
        port: Some(address.port()),
        tls: TlsKind::StartTls,
        ca: Some(ca),
    }
}

/// Sends from a thread of its own, as `send` blocks.
async fn send(config: &ReportConfig) -> Result<(), ReportError> {
    let config = config.clone();
    let send = move || config.send(&summary(), Timestamp(1_700_000_000_000_000));
    tokio::task::spawn_blocking(send).await.unwrap()
}

#[tokio::test]
async fn a_report_reaches_a_mail_server_by_starttls_and_by_plain_text() {
    let folder = tempfile::tempdir().unwrap();
    let (bridge, spool) = bridge(folder.path());
    let address = bridge.addresses()[0];
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(bridge.serve(stopped));
    let trusting = config(address, folder.path().join("cert.pem"));
    send(&trusting).await.unwrap();
    send(&ReportConfig { tls: TlsKind::None, ca: None, ..trusting.clone() }).await.unwrap();
    let refused = send(&ReportConfig { ca: None, ..trusting.clone() }).await.unwrap_err().to_string();
    assert!(refused.starts_with(&format!("localhost:{}: the report is not sent: ", address.port())));
    assert!(refused.contains("certificate"), "{refused}");
    let stranger = ReportConfig { mail_to: vec!["who@localhost".into()], ..trusting };
    assert!(send(&stranger).await.unwrap_err().to_string().contains("(550)"));
    stop.send(true).unwrap();
    serving.await.unwrap();
    let mut reader = spool.tenant(common::id::TenantId::of_name("acme")).unwrap().reader(Position::default());
    let mails: Vec<_> = std::iter::from_fn(|| reader.next_entry().unwrap()).collect();
    assert_eq!(mails.len(), 2);
    let mail = String::from_utf8(mails[0].body.to_vec()).unwrap();
    assert!(mail.contains("Subject: Import: 2 accepted, 0 rejected\r\n"));
}

#[test]
fn a_configuration_that_cannot_be_used_is_named_by_its_key() {
    let text =
        "mail_to = [\"ops@example.com\"]\nmail_from = \"node@example.com\"\nserver = \"mail.example.com\"\n";
    let config: ReportConfig = toml::from_str(text).unwrap();
    assert_eq!((config.tls, config.port()), (TlsKind::Tls, 465));
    let fails = |config: ReportConfig| config.send(&summary(), Timestamp(0)).unwrap_err().to_string();
    let wrong = ReportConfig { mail_from: "a@b\r\nBcc: c@d".into(), ..config.clone() };
    assert_eq!(fails(wrong), "[report] mail_from: `a@b\\r\\nBcc: c@d` is not a mail address");
    let nobody = ReportConfig { mail_to: vec![], ..config.clone() };
    assert_eq!(fails(nobody), "[report] mail_to: there is no address");
    let no_ca = ReportConfig { ca: Some("gone.pem".into()), ..config };
    assert!(fails(no_ca).starts_with("[report] ca: gone.pem: "));
}

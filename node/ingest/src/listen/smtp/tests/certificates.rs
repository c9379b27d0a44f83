//! Clients that show a certificate, over real TLS.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;

/// Who signs the certificates of devices.
type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A device with these names in its certificate, whose common name is none of them.
fn device(authority: &Authority, names: &[&str]) -> Identity {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "device.example.com");
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (vec![certificate.der().clone()], key)
}

fn start(authority: &Authority) -> Bridge {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devices.pem");
    std::fs::write(&path, authority.pem()).unwrap();
    let config = r#"
        mailboxes = { telemetry = "acme", lab = "lab" }
        certificate = [
            { name = "device.example.com", tenant = "acme" },
            { name = "192.0.2.7", tenant = "lab" },
            { name = "relay.example.com", tenant = "acme" },
            { name = "relay.example.com", tenant = "lab" },
        ]"#;
    Bridge::start_in(folder, config, &format!("client_ca = {path:?}"), 1 << 30)
}

/// The replies to a mail to each of the two mailboxes.
async fn replies(bridge: &Bridge, identity: Option<Identity>) -> [String; 2] {
    let mut client = bridge.connect_tls(identity).await.unwrap();
    client.say("EHLO device").await;
    let code = |reply: String| reply[..9].trim_end().to_owned();
    let telemetry = code(client.send("telemetry@bridge", "load=1").await);
    client.say("RSET").await;
    [telemetry, code(client.send("lab@bridge", "load=1").await)]
}

#[tokio::test]
async fn a_certificate_opens_the_mailboxes_of_the_tenants_of_its_names() {
    let authority = authority("Devices");
    let bridge = start(&authority);
    let (yes, no) = ("250 2.0.0", "550 5.7.1");
    let expected = [
        (Some(device(&authority, &["device.example.com"])), [yes, no]),
        (Some(device(&authority, &["other.example.com", "DEVICE.example.com"])), [yes, no]),
        (Some(device(&authority, &["192.0.2.7"])), [no, yes]),
        (Some(device(&authority, &["relay.example.com"])), [yes, yes]),
        (None, [no, no]),
    ];
    for (index, (identity, expected)) in expected.into_iter().enumerate() {
        assert_eq!(replies(&bridge, identity).await, expected, "device {index}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_listed_is_refused_as_a_sender_and_told_why() {
    let authority = authority("Devices");
    let bridge = start(&authority);
    for names in [&["other.example.com"][..], &["sub.device.example.com"], &[]] {
        let mut client = bridge.connect_tls(Some(device(&authority, names))).await.unwrap();
        client.say("EHLO device").await;
        assert_eq!(
            client.say("MAIL FROM:<ups-3@example.com>").await,
            "550 5.7.1 no name of this certificate is listed here; log in, or come without it\r\n"
        );
    }
    assert_eq!(bridge.mails(), [""; 0]);
}

#[tokio::test]
async fn a_certificate_that_another_authority_signed_ends_the_connection() {
    let bridge = start(&authority("Devices"));
    let stranger = Some(device(&authority("Strangers"), &["device.example.com"]));
    // In TLS 1.3 a client is ready before the server has looked at its certificate.
    let ended = match bridge.connect_tls(stranger).await {
        Err(_) => true,
        Ok(mut client) => client.stream.read_line(&mut String::new()).await.is_err(),
    };
    assert!(ended);
}

#[test]
fn rows_that_could_never_count_are_refused_by_key() {
    let fault = |text: &str| {
        let text =
            format!("hostname = \"x\"\nlisten = [\"127.0.0.1:1\"]\nmailboxes = {{ a = \"acme\" }}\n{text}");
        toml::from_str::<SmtpConfig>(&text).map(|config| config.check().unwrap_err().to_string())
    };
    let row = "certificate = [{ name = \"a.example.com\", tenant = \"acme\" }]";
    assert_eq!(fault(row).unwrap(), "`smtp.certificate` needs `client_ca` in [smtp.tls]");
    let tls = "\n[tls]\ncertificate = \"a\"\nkey = \"b\"\nclient_ca = \"c\"";
    assert!(fault(tls).unwrap().starts_with("`smtp.tls.client_ca` needs [[smtp.certificate]]"));
    let lab = row.replace("acme", "lab");
    assert_eq!(
        fault(&format!("{lab}{tls}")).unwrap(),
        "`smtp.certificate` of `a.example.com`: no mailbox takes telemetry of tenant `lab`"
    );
    let bad = fault(&row.replace("a.example.com", "Device 7")).unwrap_err().to_string();
    assert!(bad.contains("`Device 7` is not the name of a host, and no address"), "{bad}");
}

//! Clients that other people wrote.

use std::process::Command;

use harness::others::Need::{Npm, Program, Python};
use harness::others::{are_here, script, succeeds};

use crate::bridge::{ACCOUNT, CERTIFICATE, LOOPBACK, SMTP, mail_bridge};

#[test]
fn swaks_delivers_a_mail_with_an_attachment() {
    if !are_here(&[Program("swaks", "swaks")]) {
        return;
    }
    let bridge = mail_bridge(LOOPBACK);
    let daemon = bridge.start();
    let csv =
        bridge.write("readings.csv", "timestamp,inlet_c,fan_rpm\n1700000000,21.5,4200\n1700000060,22,4300\n");
    let said = succeeds(
        Command::new("swaks")
            .args(["--server", &bridge.addresses[SMTP].to_string(), "--to", "telemetry@bridge.example.com"])
            .args(["--from", "crac-2@example.com", "--attach-type", "text/csv", "--attach"])
            .arg(format!("@{}", csv.display())),
    );
    assert!(said.contains("250 2.0.0"), "{said}");
    assert!(daemon.stop(), "{}", bridge.log());
    assert_eq!(bridge.values("inlet_c"), [(21, 1), (22, 1)].into());
}

#[test]
fn smtplib_delivers_what_it_composes_and_is_told_what_is_refused() {
    if !are_here(&[Python("smtplib", "python3")]) {
        return;
    }
    let bridge = mail_bridge(LOOPBACK);
    let daemon = bridge.start();
    let port = bridge.addresses[SMTP].port().to_string();
    let said = succeeds(Command::new("python3").arg(script("mail/smtplib_client.py")).args([&port, "20"]));
    assert_eq!(said.trim(), "550");
    assert!(daemon.stop(), "{}", bridge.log());
    assert_eq!(bridge.values("pressure"), (0..20).map(|number| (number, 1)).collect());
}

#[test]
fn nodemailer_delivers_attachments_after_starttls_and_a_password() {
    if !are_here(&[Program("node", "nodejs"), Npm("nodemailer")]) {
        return;
    }
    let bridge = mail_bridge(&[]);
    let daemon = bridge.start();
    let port = bridge.addresses[SMTP].port().to_string();
    let said = |password: &str, count: &str| {
        let mut node = Command::new("node");
        node.arg(script("mail/nodemailer.mjs")).arg(&port).arg(bridge.file(CERTIFICATE));
        succeeds(node.args([ACCOUNT.0, password, count]))
    };
    assert!(said("wrong", "1").starts_with("535 5.7.8"));
    let stored = said(ACCOUNT.1, "20");
    assert_eq!(stored.matches("250 2.0.0").count(), 20, "{stored}");
    assert!(daemon.stop(), "{}", bridge.log());
    assert_eq!(bridge.values("number"), (0..40).map(|number| (number, 1)).collect());
    assert_eq!(bridge.values("inlet_c"), [(21, 20), (22, 20)].into());
}

#[test]
fn smtp_source_delivers_every_mail_of_many_sessions() {
    if !are_here(&[Program("smtp-source", "postfix")]) {
        return;
    }
    let bridge = mail_bridge(LOOPBACK);
    let daemon = bridge.start();
    let to = ["-f", "load@example.com", "-t", "telemetry@bridge.example.com"];
    let load = ["-s", "20", "-m", "500", "-l", "2000", "-S", "status"];
    let address = format!("inet:{}", bridge.addresses[SMTP]);
    succeeds(Command::new("smtp-source").args(to).args(load).arg(address));
    assert!(daemon.stop(), "{}", bridge.log());
    assert!(bridge.log().contains("accepted=500 refused=0"), "{}", bridge.log());
}

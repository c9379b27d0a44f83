//! Clients that other people wrote.

use std::fs;
use std::process::{Command, Stdio};

use harness::programs::are_built;

use crate::bridge::{Bridge, script};

/// Whether a program is there; says how to get it when not.
fn is_there(program: &str, package: &str) -> bool {
    let tried = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let there = tried.is_ok_and(|output| output.status.code().is_some());
    if !there {
        println!("skipped: there is no `{program}`; the package `{package}` has it");
    }
    there
}

fn succeeds(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn swaks_delivers_a_mail_with_an_attachment() {
    if !are_built() || !is_there("swaks", "swaks") {
        return;
    }
    let bridge = Bridge::new();
    let daemon = bridge.start();
    let csv = bridge.node().join("readings.csv");
    fs::write(&csv, "timestamp,inlet_c,fan_rpm\n1700000000,21.5,4200\n1700000060,22,4300\n").unwrap();
    let said = succeeds(
        Command::new("swaks")
            .args(["--server", &bridge.address.to_string(), "--to", "telemetry@bridge.example.com"])
            .args(["--from", "crac-2@example.com", "--attach-type", "text/csv", "--attach"])
            .arg(format!("@{}", csv.display())),
    );
    assert!(said.contains("250 2.0.0"), "{said}");
    assert!(daemon.stop(), "{}", bridge.log());
    let (inlet, _) = bridge.values("inlet_c");
    assert_eq!(inlet.into_iter().collect::<Vec<_>>(), [(21, 1), (22, 1)]);
}

#[test]
fn smtplib_delivers_what_it_composes_and_is_told_what_is_refused() {
    if !are_built() || !is_there("python3", "python3") {
        return;
    }
    let bridge = Bridge::new();
    let daemon = bridge.start();
    let program = r#"
import smtplib, sys
from email.message import EmailMessage

with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as smtp:
    for number in range(20):
        mail = EmailMessage()
        mail["Subject"] = "Status der Anlage – täglich"
        mail["From"] = "plant@example.com"
        mail["To"] = "telemetry@bridge.example.com"
        mail["Message-ID"] = f"<{number}@example.com>"
        mail.set_content(f"Bericht für heute\n.\n..\nnumber={number}\n")
        mail.add_attachment(f'{{"host": "plc-{number}", "metrics": {{"pressure": {number}}}}}'.encode(),
                            maintype="application", subtype="json", filename="status.json")
        smtp.send_message(mail)
    try:
        smtp.sendmail("plant@example.com", ["elsewhere@example.org"], "Subject: x\r\n\r\nx")
        sys.exit("it relays")
    except smtplib.SMTPRecipientsRefused as refused:
        print(refused.recipients["elsewhere@example.org"][0])
"#;
    let script = script(&bridge.node(), "send.py", program);
    let port = bridge.address.port().to_string();
    assert_eq!(succeeds(Command::new("python3").args([&script, &port])).trim(), "550");
    assert!(daemon.stop(), "{}", bridge.log());
    let (pressures, _) = bridge.values("pressure");
    assert_eq!(pressures, (0..20).map(|number| (number, 1)).collect());
}

#[test]
fn smtp_source_delivers_every_mail_of_many_sessions() {
    if !are_built() || !is_there("smtp-source", "postfix") {
        return;
    }
    let bridge = Bridge::new();
    let daemon = bridge.start();
    let to = ["-f", "load@example.com", "-t", "telemetry@bridge.example.com"];
    let load = ["-s", "20", "-m", "500", "-l", "2000", "-S", "status"];
    succeeds(Command::new("smtp-source").args(to).args(load).arg(format!("inet:{}", bridge.address)));
    assert!(daemon.stop(), "{}", bridge.log());
    assert!(bridge.log().contains("accepted=500 refused=0"), "{}", bridge.log());
}

//! A mail server in front of the bridge: Postfix hands over what it took, now or later, and each mail counts once.

use std::process::Command;

use harness::bridge::Bridge;
use harness::others::{are_here, succeeds};
use harness::programs::wait_until;

use crate::bridge::{CERTIFICATE, LMTP, LOOPBACK, SMTP, mail_bridge};
use crate::postfix::{NEEDS, Postfix};

/// The numbers of the mails that were taken in, in order, each as often as it was.
fn numbers(bridge: &Bridge) -> Vec<u64> {
    let values = bridge.values("number");
    values.into_iter().flat_map(|(number, count)| std::iter::repeat_n(number, count)).collect()
}

fn relayhost(bridge: &Bridge) -> String {
    format!("relayhost = [127.0.0.1]:{}", bridge.addresses[SMTP].port())
}

#[test]
fn a_postfix_relays_every_mail_once_by_smtp_by_smtp_with_tls_and_by_lmtp() {
    if !are_here(&NEEDS) {
        return;
    }
    let bridge = mail_bridge(LOOPBACK);
    let daemon = bridge.start();
    let smtp = relayhost(&bridge);
    // The certificate of the bridge has to be right.
    let tls = format!(
        "{smtp}\nsmtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = bridge.example.com\n\
         smtp_tls_CAfile = {}",
        bridge.file(CERTIFICATE).display()
    );
    let lmtp = format!("default_transport = lmtp:inet:{}", bridge.addresses[LMTP]);
    for (index, route) in (0..).zip([smtp, tls, lmtp]) {
        let postfix = Postfix::start(&route);
        postfix.take(index * 10..index * 10 + 10);
        let to = ["-f", "load@example.com", "-t", "telemetry@bridge.example.com"];
        let address = format!("inet:{}", postfix.address);
        succeeds(Command::new("smtp-source").args(to).args(["-s", "10", "-m", "100"]).arg(address));
        wait_until(|| postfix.queue().is_empty(), || postfix.log());
    }
    assert!(daemon.stop(), "{}", bridge.log());
    assert_eq!(numbers(&bridge), (0..30).collect::<Vec<_>>());
    assert!(bridge.log().contains("accepted=330 refused=0"), "{}", bridge.log());
}

#[test]
fn what_a_postfix_holds_while_the_bridge_is_stopped_or_killed_arrives_once() {
    if !are_here(&NEEDS) {
        return;
    }
    let bridge = mail_bridge(LOOPBACK);
    let postfix = Postfix::start(&relayhost(&bridge));
    let are_deferred = || {
        let queue = postfix.queue();
        !queue.is_empty() && queue.iter().all(|mail| mail["queue_name"] == "deferred")
    };
    // Nobody listens: all wait in the queue.
    postfix.take(0..100);
    wait_until(|| are_deferred() && postfix.queue().len() == 100, || postfix.log());
    // Killed in the middle of taking them: those without an answer come again.
    let daemon = bridge.start();
    postfix.flush();
    wait_until(|| postfix.queue().len() < 100, || postfix.log());
    drop(daemon);
    postfix.take(100..110);
    let daemon = bridge.start();
    let is_delivered = || {
        if are_deferred() {
            postfix.flush();
        }
        postfix.queue().is_empty()
    };
    wait_until(is_delivered, || postfix.log());
    assert!(daemon.stop(), "{}", bridge.log());
    assert_eq!(numbers(&bridge), (0..110).collect::<Vec<_>>());
}

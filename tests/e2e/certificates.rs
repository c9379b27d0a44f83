//! Certificates of nodes: what `openssl` says of them, how they are renewed, and what becomes of one that ended.

use std::fs;
use std::path::Path;
use std::process::Command;

use harness::others::{Need, are_present, succeeds};
use harness::programs::{Daemon, edit};

use crate::fleet::Fleet;
use crate::operator::Operator;

/// The number of the test, which chooses its domain.
const TEST: u16 = 21;

fn openssl(dir: &Path, words: &str) -> String {
    succeeds(Command::new("openssl").args(words.split(' ')).current_dir(dir))
}

#[test]
fn openssl_verifies_a_certificate_it_is_renewed_by_itself_and_who_let_it_end_is_let_in_by_an_operator() {
    let Some(mut fleet) = Fleet::new(TEST, 1) else { return };
    edit(&fleet.at("coordinator/coordinator.toml"), |text| text.replace("604_800", "12"));
    let second = fleet.change_node(|text| format!("{text}\n"));
    let operator = Operator(fleet);
    let _coordinator = operator.0.serve(&[]);
    let folder = operator.0.at("node-1");
    operator.0.until(|| folder.join("certificate.pem").exists());
    operator.0.until(|| operator.0.at("node-2/certificate.pem").exists());

    // The chain, as a program that knows nothing of Starling sees it.
    if are_present(&[Need::Program("openssl", "openssl")]) {
        let verified = openssl(
            &folder,
            "verify -x509_strict -CAfile authority.pem -untrusted certificate.pem certificate.pem",
        );
        assert_eq!(verified.trim(), "certificate.pem: OK");
        let shown = openssl(
            &folder,
            "x509 -in certificate.pem -noout -subject -issuer -nameopt RFC2253 -ext basicConstraints,keyUsage,extendedKeyUsage,subjectAltName",
        );
        for wanted in
            ["CN=node-1", "CN=coordinator ", "CA:FALSE", "Digital Signature", "TLS Web Client", "DNS:node-1"]
        {
            assert!(shown.contains(wanted), "{wanted}: {shown}");
        }
        let key = openssl(&folder, "x509 -in certificate.pem -noout -pubkey");
        assert_eq!(key, openssl(&folder, "pkey -in identity.pem -pubout"));
    }

    // Another one comes before it ends, and the node is there all the time.
    let chain = || fs::read_to_string(folder.join("certificate.pem")).expect("it has one");
    let first = chain();
    operator.0.until(|| chain() != first);
    let said = operator.0.heard("node-1");
    assert_eq!(said.matches("connected to coordinator").count(), 1, "{said}");

    // A node that is away until its certificate has ended.
    assert!(second.stop(), "{}", operator.0.heard("node-2"));
    operator.0.until(|| operator.node("node-2").activity == "expired");
    let (folder, log) = (operator.0.at("node-2").display().to_string(), operator.0.at("node-2.log"));
    let _second = Daemon::start("node", &["--dir", &folder, "run"], &log);
    operator.0.until(|| operator.0.said().contains("is not let in: its certificate ended "));
    operator.0.until(|| operator.0.heard("node-2").contains("the certificate of this node ended "));
    assert!(!operator.node("node-2").present);
    operator.ask(&["node", "renew", "node-2"]);
    operator.0.until(|| operator.node("node-2").present);
    operator.0.until(|| operator.0.heard("node-2").contains("this node has a certificate until "));
}

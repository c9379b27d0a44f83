//! Keys in a TPM 2.0: swtpm, by its socket.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use common::crypto::Label;
use common::crypto::bulk::InputKey;
use custody::Config;
use harness::bridge::free_address;
use harness::others::{Need, are_here};
use harness::programs::{Daemon, wait_until};

use super::fleet::Fleet;

/// A TPM that is there until it is dropped.
struct Swtpm {
    _process: Daemon,
    tcti: String,
}

impl Swtpm {
    /// One whose state is in this folder.
    fn start(dir: &Path) -> Option<Self> {
        if !are_here(&[Need::Program("swtpm", "swtpm")]) {
            return None;
        }
        fs::create_dir_all(dir).unwrap();
        let state = format!("dir={}", dir.display());
        let (port, control) = two_ports();
        let server = |port: u16| format!("type=tcp,bindaddr=127.0.0.1,port={port}");
        let mut command = Command::new("swtpm");
        command.args(["socket", "--tpm2", "--tpmstate", &state, "--flags", "not-need-init,startup-clear"]);
        command.args(["--server", &server(port), "--ctrl", &server(control)]);
        let process = Daemon::foreign(&mut command, &dir.join("log"));
        let log = || fs::read_to_string(dir.join("log")).unwrap();
        wait_until(|| TcpStream::connect(("127.0.0.1", control)).is_ok(), log);
        Some(Self { _process: process, tcti: format!("swtpm:host=127.0.0.1,port={port}") })
    }

    fn config(&self) -> Config {
        Config::Tpm { tcti: self.tcti.clone() }
    }
}

/// Free ones, the second after the first: where the socket's second channel is looked for.
fn two_ports() -> (u16, u16) {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let next = || free_address().port().checked_sub(1).filter(|port| free(*port));
    let first = (0..100).find_map(|_| next()).unwrap();
    (first, first + 1)
}

fn random() -> impl rand_core::CryptoRng {
    edge::entropy().unwrap()
}

#[test]
fn a_key_that_is_made_in_a_tpm_signs_there_and_seals_for_itself_and_its_purpose() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tpm) = Swtpm::start(&dir.path().join("state")) else { return };
    let made = *custody::create(dir.path(), &tpm.config(), &mut random()).unwrap().public();
    let opened = custody::open(dir.path(), &tpm.config(), "").unwrap();
    assert_eq!(*opened.public(), made);
    let began = edge::now();
    for message in 0..100_u8 {
        let signature = opened.sign(Label::Hello, &[message]).unwrap();
        assert!(made.verify(Label::Hello, &[message], &signature).is_ok());
    }
    eprintln!("swtpm: 100 signatures, each verified twice, in {}", edge::now().since(began));

    let secret = InputKey([7; 32]);
    let sealed = opened.seal(b"tenant a", &secret, &mut random()).unwrap();
    assert_eq!(opened.unseal(b"tenant a", &sealed).unwrap().0, secret.0);
    assert!(!sealed.windows(4).any(|bytes| bytes == [7; 4]));
    let said = opened.unseal(b"tenant b", &sealed).unwrap_err().to_string();
    assert!(said.contains("does not open a sealed key"), "{said}");
    for at in (0..sealed.len()).step_by(5) {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(opened.unseal(b"tenant a", &changed).is_err(), "byte {at}");
        assert!(opened.unseal(b"tenant a", &sealed[..at]).is_err(), "cut at {at}");
    }
    assert_eq!(opened.unseal(b"tenant a", &sealed).unwrap().0, secret.0);
}

#[test]
fn what_keeps_a_key_in_a_tpm_from_being_used_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tpm) = Swtpm::start(&dir.path().join("state")) else { return };
    custody::create(dir.path(), &tpm.config(), &mut random()).unwrap();
    let refused =
        |config: &Config| custody::open(dir.path(), config, "`init` makes it").unwrap_err().to_string();
    let says = |config: &Config, words: &str| {
        let said = refused(config);
        assert!(said.contains(words), "{said}");
    };
    let other = Swtpm::start(&dir.path().join("other")).unwrap();
    says(&other.config(), "it is of another machine, altered, or the TPM was cleared");
    let file = dir.path().join("identity.tpm");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, "no key").unwrap();
    says(&tpm.config(), "identity.tpm: is no key of a TPM");
    fs::remove_file(&file).unwrap();
    says(&tpm.config(), "identity.tpm is missing; `init` makes it");
    fs::write(&file, text).unwrap();
    let opened = custody::open(dir.path(), &tpm.config(), "").unwrap();
    let config = tpm.config();
    drop(tpm);
    let said = opened.sign(Label::Hello, b"").unwrap_err().to_string();
    assert!(said.contains("is out of reach"), "{said}");
    says(&config, "is out of reach");
    says(&Config::Tpm { tcti: "carrier pigeon".to_owned() }, "is out of reach");
}

#[test]
fn a_node_whose_key_is_in_a_tpm_takes_part_and_ends_when_the_tpm_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let Some(tpm) = Swtpm::start(dir.path()) else { return };
    let fleet = Fleet::new(4, &[]);
    fleet.join(&["--custody", "tpm", "--tcti", &tpm.tcti]);
    assert!(fleet.kept("identity.tpm").exists() && !fleet.kept("identity.pem").exists());
    let mut node = fleet.run();
    assert!(node.is_running());
    drop(tpm);
    wait_until(|| !node.is_running(), || fleet.said());
    assert!(fleet.said().contains("is out of reach"), "{}", fleet.said());
    let (code, said) = fleet.refusal();
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("is the TPM there, and may this user use it?"), "{said}");
}

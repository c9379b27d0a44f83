//! Keys in files: under a passphrase, and among the credentials of a service.

use std::fs;

use harness::programs::are_built;

use super::fleet::{Fleet, told};

const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

#[test]
fn a_node_whose_key_is_under_a_passphrase_takes_part_and_does_not_start_with_another_one() {
    if !are_built() {
        return;
    }
    // As systemd gives it to a service.
    let credentials = tempfile::tempdir().unwrap();
    let secret = credentials.path().join("passphrase");
    fs::write(&secret, "correct horse\n").unwrap();
    let fleet = Fleet::new(0, &[(CREDENTIALS, credentials.path().to_owned())]);
    fleet.join(&["--custody", "passphrase", "--secret-credential", "passphrase"]);
    let file = fs::read_to_string(fleet.kept("identity.enc")).unwrap();
    assert!(file.starts_with("starling identity 1: argon2id 64 MiB") && !fleet.kept("identity.pem").exists());
    assert!(fleet.run().stop(), "{}", fleet.said());

    fs::write(&secret, "wrong horse\n").unwrap();
    let (code, said) = fleet.refusal();
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("identity.enc: the passphrase is wrong"), "{said}");
    fs::remove_file(&secret).unwrap();
    let (code, said) = fleet.refusal();
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("LoadCredentialEncrypted=passphrase:PATH"), "{said}");
}

#[test]
fn a_key_that_systemd_gives_to_the_service_opens_and_without_it_the_program_says_which_line_is_missing() {
    if !are_built() {
        return;
    }
    let credentials = tempfile::tempdir().unwrap();
    let fleet = Fleet::new(1, &[(CREDENTIALS, credentials.path().to_owned())]);
    fleet.join(&[]);
    fs::rename(fleet.kept("identity.pem"), credentials.path().join("starling-identity")).unwrap();
    let config = fleet.kept("node.toml");
    let text = fs::read_to_string(&config).unwrap();
    let in_credentials = "kind = \"systemd-creds\"\ncredential = \"starling-identity\"\n";
    fs::write(&config, text.replace("kind = \"file\"\n", in_credentials)).unwrap();
    assert!(fleet.run().stop(), "{}", fleet.said());

    fs::remove_file(credentials.path().join("starling-identity")).unwrap();
    let (code, said) = fleet.refusal();
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("LoadCredentialEncrypted=starling-identity:PATH"), "{said}");
}

#[test]
fn a_secret_is_not_asked_for_where_there_is_no_terminal() {
    if !are_built() {
        return;
    }
    let fleet = Fleet::new(2, &[]);
    let made = fleet.init("node-2", &["--custody", "passphrase"]);
    assert_eq!(made.status.code(), Some(7));
    assert!(told(&made).contains("there is no terminal to ask for the passphrase"), "{}", told(&made));
    assert!(!fleet.kept("identity.enc").exists() && !fleet.kept("identity.pub").exists());
}

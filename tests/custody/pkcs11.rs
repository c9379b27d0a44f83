//! Keys in a PKCS#11 token: `SoftHSM2`, with a store of the test's own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::crypto::bulk::InputKey;
use common::crypto::{Identity, Label};
use custody::{Config, Source};
use harness::others::{Need, are_here};

use super::fleet::{Fleet, told};

const CONF: &str = "SOFTHSM2_CONF";

/// Says to the test, run again in a process of its own, where its token is.
const STORE: &str = "STARLING_TEST_STORE";

/// Where packages put the library.
const MODULES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// A token named `starling` with the PIN 1234, in a folder.
struct SoftHsm {
    dir: PathBuf,
    module: String,
}

impl SoftHsm {
    fn new(dir: PathBuf) -> Option<Self> {
        if !are_here(&[Need::Program("softhsm2-util", "softhsm2")]) {
            return None;
        }
        let module = MODULES.into_iter().find(|module| PathBuf::from(module).exists()).unwrap().to_owned();
        fs::create_dir_all(dir.join("tokens")).unwrap();
        let conf =
            format!("directories.tokendir = {}\nobjectstore.backend = file\n", dir.join("tokens").display());
        fs::write(dir.join("conf"), conf).unwrap();
        fs::write(dir.join("pin"), "1234\n").unwrap();
        let made = Self { dir, module };
        let init = ["--init-token", "--free", "--label", "starling", "--pin", "1234", "--so-pin", "12345678"];
        let done = Command::new("softhsm2-util").args(init).env(CONF, made.conf()).output().unwrap();
        assert!(done.status.success(), "{}", told(&done));
        Some(made)
    }

    fn conf(&self) -> PathBuf {
        self.dir.join("conf")
    }

    fn pin(&self) -> String {
        self.dir.join("pin").display().to_string()
    }

    /// Takes the token out.
    fn remove(&self) {
        fs::rename(self.dir.join("tokens"), self.dir.join("drawer")).unwrap();
        fs::create_dir(self.dir.join("tokens")).unwrap();
    }

    fn config(&self, key: &str) -> Config {
        let (module, pin) = (&self.module, self.pin());
        let text = format!(
            "kind = \"pkcs11\"\nmodule = {module:?}\ntoken = \"starling\"\nkey = {key:?}\npin = {{ file = {pin:?} }}"
        );
        toml::from_str(&text).unwrap()
    }
}

/// The library reads where its tokens are from the environment: the test is run again with its own. `None` out here.
fn in_a_process_of_its_own(test: &str) -> Option<SoftHsm> {
    if let Some(dir) = std::env::var_os(STORE) {
        return SoftHsm::new(dir.into());
    }
    let dir = tempfile::tempdir().unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture"]).env(STORE, dir.path()).env(CONF, dir.path().join("conf"));
    assert!(again.status().unwrap().success());
    None
}

fn random() -> impl rand_core::CryptoRng {
    edge::entropy().unwrap()
}

#[test]
fn a_key_that_is_made_in_a_token_signs_there_and_seals_for_itself_and_its_purpose() {
    let test = "pkcs11::a_key_that_is_made_in_a_token_signs_there_and_seals_for_itself_and_its_purpose";
    let Some(token) = in_a_process_of_its_own(test) else { return };
    let (one, other) = (token.dir.join("one"), token.dir.join("other"));
    let make = |dir: &PathBuf, key: &str| custody::create(dir, &token.config(key), &mut random()).unwrap();
    let (made, stranger) = (make(&one, "one"), make(&other, "other"));
    let opened: Identity = custody::open(&one, &token.config("one"), "").unwrap();
    assert_eq!(opened.public(), made.public());
    let files: Vec<_> = fs::read_dir(&one).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["identity.pub"]);

    let began = edge::now();
    for message in 0..100_u8 {
        let signature = opened.sign(Label::Hello, &[message]).unwrap();
        assert!(made.public().verify(Label::Hello, &[message], &signature).is_ok());
    }
    eprintln!("SoftHSM2: 100 signatures, each verified twice, in {}", edge::now().since(began));

    let secret = InputKey([7; 32]);
    let sealed = made.seal(b"tenant a", &secret, &mut random()).unwrap();
    assert_eq!(opened.unseal(b"tenant a", &sealed).unwrap().0, secret.0);
    assert!(opened.unseal(b"tenant b", &sealed).is_err() && stranger.unseal(b"tenant a", &sealed).is_err());
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(opened.unseal(b"tenant a", &changed).is_err(), "byte {at}");
    }
    assert!(opened.unseal(b"tenant a", &sealed[..11]).is_err());
}

#[test]
fn what_keeps_a_key_in_a_token_from_being_used_is_told_with_what_to_do() {
    let test = "pkcs11::what_keeps_a_key_in_a_token_from_being_used_is_told_with_what_to_do";
    let Some(token) = in_a_process_of_its_own(test) else { return };
    let (one, other) = (token.dir.join("one"), token.dir.join("other"));
    custody::create(&one, &token.config("one"), &mut random()).unwrap();
    custody::create(&other, &token.config("other"), &mut random()).unwrap();
    let refused = |config: &Config| custody::open(&one, config, "").unwrap_err().to_string();
    let says = |config: &Config, words: &str| {
        let said = refused(config);
        assert!(said.contains(words) && said.contains("of token `"), "{said}");
    };

    fs::write(token.pin(), "4321\n").unwrap();
    says(&token.config("one"), "the PIN is wrong. It was tried once");
    fs::write(token.pin(), "1234\n").unwrap();
    custody::open(&one, &token.config("one"), "").unwrap();
    says(&token.config("none"), "the token has no such key; `init --custody pkcs11` makes one");
    says(&token.config("other"), "bring back the one that belongs to this folder");
    // The next one has the same label, and is another key.
    let next = *custody::create_next(&one, &token.config("one"), &mut random()).unwrap().public();
    assert_ne!(custody::open(&one, &token.config("one"), "").unwrap().public(), &next);
    custody::succeed(&one).unwrap();
    assert_eq!(custody::open(&one, &token.config("one"), "").unwrap().public(), &next);
    let again = custody::create(&token.dir.join("third"), &token.config("one"), &mut random()).unwrap_err();
    assert!(again.to_string().contains("is there already, and nothing is overwritten"), "{again}");

    let Config::Pkcs11(mut lost) = token.config("one") else { unreachable!("it is a token") };
    lost.token = "lost".to_owned();
    says(
        &Config::Pkcs11(lost.clone()),
        "there is no such token; put it in, or correct [custody]. There are: `starling`",
    );
    lost.module = "nowhere.so".into();
    says(&Config::Pkcs11(lost.clone()), "nowhere.so");
    lost.pin = Source::Credential("pin".into());
    assert!(refused(&Config::Pkcs11(lost)).contains("nowhere.so"), "the library comes first");
}

#[test]
fn a_node_whose_key_is_in_a_token_takes_part_and_does_not_start_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let Some(token) = SoftHsm::new(dir.path().to_owned()) else { return };
    let fleet = Fleet::new(3, &[(CONF, token.conf())]);
    fleet.join(&["--custody", "pkcs11", "--module", &token.module, "--secret-file", &token.pin()]);
    assert!(!fleet.kept("identity.pem").exists());
    assert!(fleet.run().stop(), "{}", fleet.said());

    fs::write(token.pin(), "4321\n").unwrap();
    let (code, said) = fleet.refusal();
    assert_eq!(code, Some(7), "{said}");
    assert!(
        said.contains("key `starling-identity` of token `starling`") && said.contains("the PIN is wrong"),
        "{said}"
    );
    fs::write(token.pin(), "1234\n").unwrap();
    token.remove();
    let (code, said) = fleet.refusal();
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("there is no such token; put it in"), "{said}");
}

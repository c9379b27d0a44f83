use common::crypto::PublicIdentity;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

const REMEDY: &str = "`init` makes it";

fn random(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn passphrase() -> Config {
    Config::Passphrase { passphrase: Source::File("passphrase".into()) }
}

#[test]
fn an_identity_opens_as_it_was_made_and_is_never_overwritten() {
    for config in [Config::File {}, passphrase()] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("passphrase"), "correct horse\n").unwrap();
        let made = create(dir.path(), &config, &mut random(1)).unwrap();
        let opened = open(dir.path(), &config, REMEDY).unwrap();
        assert_eq!(opened.public(), made.public());
        let again = create(dir.path(), &config, &mut random(2)).unwrap_err().to_string();
        assert!(again.ends_with("identity.pub: there is one"), "{again}");
        assert_eq!(open(dir.path(), &config, REMEDY).unwrap().public(), made.public());
    }
}

#[test]
fn a_wrong_passphrase_and_a_missing_file_are_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("passphrase"), "correct horse\n").unwrap();
    create(dir.path(), &passphrase(), &mut random(1)).unwrap();
    let told = || open(dir.path(), &passphrase(), REMEDY).unwrap_err().to_string();
    fs::write(dir.path().join("passphrase"), "correct house\n").unwrap();
    assert!(told().ends_with("identity.enc: the passphrase is wrong, or the file was altered"), "{}", told());
    fs::remove_file(dir.path().join("identity.enc")).unwrap();
    assert!(told().ends_with("identity.enc is missing; `init` makes it"), "{}", told());
}

#[test]
fn a_key_that_is_not_that_of_the_folder_is_refused() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let made = create(dir.path(), &Config::File {}, &mut random(1)).unwrap();
    let stranger: PublicIdentity = *create(other.path(), &Config::File {}, &mut random(2)).unwrap().public();
    fs::copy(other.path().join("identity.pem"), dir.path().join("identity.pem")).unwrap();
    let told = open(dir.path(), &Config::File {}, REMEDY).unwrap_err().to_string();
    let words = [format!("the key {stranger}"), format!("says {}", made.public()), "bring back".to_owned()];
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
    let cause = anyhow::Error::new(CustodyError(told)).context("node.toml");
    assert!(is_cause(&cause) && !is_cause(&anyhow::anyhow!("disk")));
}

#[cfg(not(feature = "pkcs11"))]
#[test]
fn a_build_without_a_kind_of_token_says_which_feature_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::Pkcs11(config::Pkcs11 {
        module: "p11.so".into(),
        token: "t".into(),
        key: "k".into(),
        pin: Source::Terminal,
    });
    let told = create(dir.path(), &config, &mut random(1)).unwrap_err().to_string();
    assert!(told.contains("`--features pkcs11`"), "{told}");
}

#[test]
fn the_next_key_of_a_folder_takes_the_place_of_the_first_wherever_that_stops_on_the_way() {
    for config in [Config::File {}, passphrase()] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        fs::write(dir.join("passphrase"), "correct horse\n").unwrap();
        let first = *create(dir, &config, &mut random(1)).unwrap().public();
        assert_eq!(next(dir), None);
        let second = *create_next(dir, &config, &mut random(2)).unwrap().public();
        assert_eq!(
            create_next(dir, &config, &mut random(3)).unwrap().public(),
            &second,
            "it is there already"
        );
        assert_eq!((next(dir), open(dir, &config, REMEDY).unwrap().public()), (Some(second), &first));

        // Killed after the first of its files was moved.
        fs::rename(dir.join(NEXT), dir.join(MOVING)).unwrap();
        fs::rename(dir.join(MOVING).join(PUBLIC), dir.join(PUBLIC)).unwrap();
        assert_eq!(open(dir, &config, REMEDY).unwrap().public(), &second);
        assert!(next(dir).is_none() && !dir.join(MOVING).exists());

        let third = *create_next(dir, &config, &mut random(4)).unwrap().public();
        succeed(dir).unwrap();
        assert_eq!((next(dir), open(dir, &config, REMEDY).unwrap().public()), (None, &third));
        let told = succeed(dir).unwrap_err().to_string();
        assert!(told.contains("cannot rename") && told.contains("next: No such file"), "{told}");
    }
}

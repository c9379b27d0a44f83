use super::*;

fn config(text: &str) -> MqttConfig {
    let text = format!("host = \"127.0.0.1\"\nclient_id = \"node-1\"\ntenant = \"acme\"\n{text}");
    toml::from_str(&text).unwrap()
}

#[test]
fn a_configuration_that_cannot_be_is_refused_by_key() {
    let fault = |text: &str| config(text).check().unwrap_err().to_string();
    assert_eq!(fault("topics = []"), "`mqtt.topics` is empty");
    let topics = "topics = [\"t/{source}/{metric}\"]";
    assert!(fault(&format!("{topics}\nusername = \"a\"")).starts_with("`mqtt.username` and `password_file`"));
    assert!(fault(&format!("{topics}\nkeep_alive_s = 0")).starts_with("`mqtt.keep_alive_s`"));
    assert!(fault(&format!("{topics}\nmessage_bytes_max = 0")).starts_with("`mqtt.message_bytes_max`"));
    assert_eq!((config(topics).port(), config(&format!("{topics}\nca = \"a\"")).port()), (1883, 8883));
    let bad = "host = \"a\"\nclient_id = \"b\"\ntenant = \"c\"\ntopics = [\"t/#\"]";
    assert!(toml::from_str::<MqttConfig>(bad).unwrap_err().to_string().contains("is no pattern"));
}

#[cfg(not(feature = "mqtt"))]
#[test]
fn a_build_without_it_says_what_to_do() {
    use common::crypto::bulk::InputKey;
    use common::units::Timestamp;
    use rand_chacha::rand_core::SeedableRng;

    let folder = tempfile::tempdir().unwrap();
    let random = ChaCha20Rng::seed_from_u64(1);
    let limits = crate::spool::Config::default();
    let spool = Spool::open(folder.path(), InputKey([1; 32]), limits, random.clone()).unwrap();
    let config = config("topics = [\"t/{source}\"]");
    let (clock, notice, report) = (Clock(Timestamp::default), Notice(|_| ()), Report(|_| ()));
    let made = MqttSubscriber::new(&config, spool, clock, notice, report, random);
    assert_eq!(
        made.unwrap_err().to_string(),
        "`mqtt` is not in this build; it takes one with `--features mqtt`"
    );
}

#[cfg(feature = "mqtt")]
mod broker;

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::crypto::Suite;
use crate::known::label;
use crate::wire::encode;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

struct World {
    rng: ChaCha20Rng,
    seed: PresharedSeed,
    token: Token,
    node: Identity,
}

fn world(number: u64) -> World {
    let mut rng = ChaCha20Rng::seed_from_u64(number);
    let (operator, node) = (Identity::generate(&mut rng), Identity::generate(&mut rng));
    let seed = PresharedSeed::generate(&mut rng);
    let token = Token { key: seed.shared(), operator: *operator.public() };
    World { rng, seed, token, node }
}

fn request(node: &Identity, name: &str, labels: &[&str]) -> Request {
    let labels = labels.iter().map(|word| label(word).unwrap()).collect();
    let peer = Peer { name: name.to_owned(), key: *node.public(), labels };
    Request { tenant: None, at: NOW, peer }
}

fn answer(standing: Standing) -> Answer {
    let text = |text: &str| text.try_into().unwrap();
    Answer {
        at: NOW,
        standing,
        tenant: text("default"),
        domain: 7,
        suite: Suite::XWing,
        roster: "".try_into().unwrap(),
        certificate: vec![0x30, 0].try_into().unwrap(),
    }
}

#[test]
fn a_request_says_who_asks_and_its_answer_is_for_him_alone() {
    let World { mut rng, seed, token, node } = world(1);
    let asked = Request {
        tenant: Some("acme".try_into().unwrap()),
        ..request(&node, "web-1", &["zone=eu", "rack=A"])
    };
    let (bytes, key) = asked.seal(&token, &node, &mut rng).unwrap();
    assert_eq!(Request::claimed(&bytes), Ok(token.id()));
    let (heard, answers) = Request::open(&bytes, &seed, &token.operator).unwrap();
    assert_eq!(heard, asked);
    let said = answer(Standing::Refused(Refusal::OtherName { pattern: "db-*".try_into().unwrap() }));
    let Ok(Reply::Sealed(sealed)) =
        Reply::parse(&Reply::Sealed(answers.seal(&encode(&said), &mut rng)).to_bytes())
    else {
        panic!("a reply is read back");
    };
    assert_eq!(Answer::open(&sealed, &key), Ok(said));
    let (_, other) = asked.seal(&token, &node, &mut rng).unwrap();
    assert!(matches!(Answer::open(&sealed, &other), Err(ReplyError::Closed(_))));
}

#[test]
fn a_request_in_the_name_of_a_key_that_did_not_sign_is_refused() {
    let World { mut rng, seed, token, node } = world(2);
    let thief = world(3).node;
    // Who has the token can ask, but not for a key that is another's.
    let mut question = node.public().to_bytes().to_vec();
    request(&node, "web-1", &[]).put(&mut question).unwrap();
    let context = context(token.id(), &token.operator);
    let signed = thief.sign(Label::Joiner, &[&context[..], &question].concat()).unwrap();
    question.extend_from_slice(&signed.0);
    let (question, _) = token.key.ask(&context, &question, &mut rng).unwrap();
    let bytes = [&MAGIC[..], &[VERSION], &token.id().0, &question].concat();
    assert_eq!(Request::open(&bytes, &seed, &token.operator).unwrap_err(), RequestError::Unsigned);
}

#[test]
fn a_request_of_another_token_or_operator_does_not_open() {
    let World { mut rng, seed, token, node } = world(4);
    let (bytes, _) = request(&node, "web-1", &[]).seal(&token, &node, &mut rng).unwrap();
    let other = world(5);
    for (seed, operator) in [(&other.seed, &token.operator), (&seed, &other.token.operator)] {
        let refused = Request::open(&bytes, seed, operator).unwrap_err();
        assert_eq!(refused, RequestError::Closed(OpenError::WrongKey));
    }
}

#[test]
fn every_byte_of_a_request_that_is_changed_is_refused_for_its_reason() {
    let World { mut rng, seed, token, node } = world(6);
    let (bytes, _) = request(&node, "web-1", &["rack=A"]).seal(&token, &node, &mut rng).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let refused = Request::open(&changed, &seed, &token.operator).unwrap_err();
        let expected = match at {
            // Magic and version.
            ..5 => matches!(refused, RequestError::Malformed(_)),
            _ => refused == RequestError::Closed(OpenError::WrongKey),
        };
        assert!(expected, "byte {at}: {refused}");
        assert!(Request::open(&bytes[..at], &seed, &token.operator).is_err(), "cut at {at}");
    }
    let long = vec![0; JOIN_REQUEST_BYTES_MAX + 1];
    assert_eq!(Request::claimed(&long), Err(RequestError::TooLong(long.len())));
}

#[test]
fn a_name_or_label_that_cannot_stand_on_a_roster_is_neither_asked_nor_heard() {
    let World { mut rng, seed, token, node } = world(7);
    for name in ["", "#1", "two words", "line\nnode evil", "bell\u{7}", &"n".repeat(129)] {
        let refused = request(&node, name, &[]).seal(&token, &node, &mut rng).unwrap_err();
        assert_eq!(refused, AskError::Name(name.to_owned()));
    }
    let refused = request(&node, "web-1", &["rack=A B"]).seal(&token, &node, &mut rng).unwrap_err();
    assert_eq!(refused, AskError::Label("rack=A B".to_owned()));
    let many: Vec<String> = (0..=LABELS_MAX).map(|number| format!("l{number:02}=x")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(matches!(request(&node, "web-1", &many).seal(&token, &node, &mut rng), Err(AskError::Label(_))));

    // Said by a program that does not look first.
    let context = context(token.id(), &token.operator);
    let mut asks = |name: &str, labels: &[(&str, &str)]| {
        let mut question = node.public().to_bytes().to_vec();
        Option::<Name>::None.put(&mut question);
        NOW.put(&mut question);
        let text = |text: &str| Name::try_from(text).unwrap();
        text(name).put(&mut question);
        let labels = labels.iter().map(|(name, value)| Labelled { name: text(name), value: text(value) });
        List::<Labelled, 99>::try_from(labels.collect::<Vec<_>>()).unwrap().put(&mut question);
        let signed = node.sign(Label::Joiner, &[&context[..], &question].concat()).unwrap();
        question.extend_from_slice(&signed.0);
        let (question, _) = token.key.ask(&context, &question, &mut rng).unwrap();
        let bytes = [&MAGIC[..], &[VERSION], &token.id().0, &question].concat();
        Request::open(&bytes, &seed, &token.operator)
    };
    assert!(asks("web-1", &[("rack", "A"), ("zone", "eu")]).is_ok());
    let wrong: [(&str, &[(&str, &str)]); 6] = [
        ("two words", &[]),
        ("#web-1", &[]),
        ("\u{1b}[2J", &[]),
        ("web-1", &[("rack", "A"), ("rack", "B")]),
        ("web-1", &[("zone", "eu"), ("rack", "A")]),
        ("web-1", &[("a=b", "c")]),
    ];
    for (name, labels) in wrong {
        assert!(matches!(asks(name, labels), Err(RequestError::Malformed(_))), "{name} {labels:?}");
    }
}

#[test]
fn every_standing_and_every_reason_is_read_back_and_tells_what_to_do() {
    let pattern = "db-*".try_into().unwrap();
    let refusals = [
        Refusal::Used,
        Refusal::OtherTenant,
        Refusal::Clock,
        Refusal::NameTaken,
        Refusal::OtherName { pattern },
        Refusal::Revoked,
        Refusal::Full,
        Refusal::Dismissed,
        Refusal::Lapsed,
    ];
    let all = refusals.map(Standing::Refused).into_iter().chain([Standing::Admitted, Standing::Waiting]);
    for standing in all {
        let said = answer(standing);
        assert_eq!(decode(&encode(&said)), Ok(said));
    }
    let why = [
        TurnedAway::Unknown,
        TurnedAway::Expired,
        TurnedAway::Revoked,
        TurnedAway::Busy,
        TurnedAway::Unreadable,
    ];
    for why in why {
        let reply = Reply::TurnedAway(why);
        assert_eq!(Reply::parse(&reply.to_bytes()), Ok(reply));
    }
    for garbage in [&b""[..], &[2], &[2, 6], &[2, 1, 1], &[3]] {
        assert!(matches!(Reply::parse(garbage), Err(ReplyError::Malformed(_))), "{garbage:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let World { seed, token, .. } = world(8);
        let framed = [&MAGIC[..], &[VERSION], &bytes].concat();
        prop_assert!(Request::open(&bytes, &seed, &token.operator).is_err());
        prop_assert!(Request::open(&framed, &seed, &token.operator).is_err());
        let _ = Reply::parse(&bytes);
        let _ = decode::<Answer>(&bytes);
    }
}

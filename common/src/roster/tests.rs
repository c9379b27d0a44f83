use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

fn identity(seed: u64) -> Identity {
    Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn peer(name: &str, seed: u64, labels: &[(&str, &str)]) -> (NodeId, Peer) {
    let key = *identity(seed).public();
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    (key.node_id(), Peer { name: name.to_owned(), key, labels })
}

/// Two members and one who was one, signed by number 1.
fn roster() -> Roster {
    let nodes = [
        peer("web-1", 3, &[("rack", "A"), ("zone", "eu")]),
        peer("web-2", 4, &[]),
        peer("db-1", 5, &[("rack", "B")]),
    ];
    let mut roster =
        Roster { version: 7, nodes: nodes.into(), ..Roster::new("default", *identity(2).public()) };
    assert!(roster.revoke(identity(5).node_id(), "its disk\nwas  stolen"));
    assert!(!roster.revoke(identity(6).node_id(), "never a member"));
    roster
}

#[test]
fn what_an_operator_signed_is_read_back_and_tells_what_each_node_is() {
    let (operator, roster) = (identity(1), roster());
    let text = roster.sign(&operator).unwrap();
    let read = Roster::open(&text, operator.public()).unwrap();
    assert_eq!(read, roster);
    assert_eq!(Roster::claimed_version(&text), Some(7));
    assert!(
        matches!(read.membership(identity(3).node_id()), Membership::Member(peer) if peer.name == "web-1")
    );
    let taken_out = read.membership(identity(5).node_id());
    assert!(matches!(taken_out, Membership::Revoked(who) if who.reason == "its disk was stolen"));
    assert_eq!(read.membership(identity(6).node_id()), Membership::Unknown);
    assert_eq!(Roster::read(&text).unwrap(), roster);
}

#[test]
fn a_roster_of_somebody_else_or_with_any_byte_changed_is_refused() {
    let (operator, text) = (identity(1), roster().sign(&identity(1)).unwrap());
    assert_eq!(Roster::open(&text, identity(2).public()), Err(RosterError::WrongSignature));
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(altered) = String::from_utf8(bytes) else { continue };
        let refused = Roster::open(&altered, operator.public());
        assert!(matches!(refused, Err(RosterError::WrongSignature | RosterError::Unsigned)), "byte {at}");
    }
    for lines in 0..text.lines().count() {
        let cut: String = text.split_inclusive('\n').take(lines).collect();
        assert_eq!(Roster::open(&cut, operator.public()), Err(RosterError::Unsigned), "{lines} lines");
    }
}

#[test]
fn a_wrong_line_is_named_though_the_signature_is_right() {
    let (operator, good) = (identity(1), roster().unsigned());
    let fault = |text: String| {
        let Signature(signature) = operator.sign(Label::Roster, text.as_bytes()).unwrap();
        let text = format!("{text}signature {}\n", hex::encode(signature));
        Roster::open(&text, operator.public()).unwrap_err().to_string()
    };
    assert_eq!(fault(good.replace("starling", "sterling")), "line 1: expected `starling roster`");
    assert_eq!(fault(good.replace("tenant default", "tenant ")), "line 2: expected `tenant NAME`");
    assert_eq!(fault(good.replace("version 7", "version 0")), "line 3: expected `version N`");
    assert_eq!(fault(good.replace("coordinator 0", "coordinator 9")), "line 4: expected `coordinator KEY`");
    assert_eq!(fault(good.replace("node web-2", "nude web-2")), "line 6: expected `node NAME KEY`");
    assert_eq!(fault(good.replace("node web-2", "node web-1")), "line 6: the name `web-1` is there twice");
    let node = identity(5);
    let both = format!("{good}node db-1 {}\n", node.public());
    assert_eq!(fault(both), "line 7: this key has a line already");
    let twice = format!("{good}revoked {} again\n", node.public());
    assert_eq!(fault(twice), "line 8: this key has a line already");
}

#[test]
fn what_could_not_be_read_back_is_not_signed() {
    let mut wrong = roster();
    let (node, peer) = peer("two words", 8, &[]);
    wrong.nodes.insert(node, peer);
    assert!(matches!(wrong.sign(&identity(1)), Err(RosterError::Node(KnownError::Key { .. }))));
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,300}", lines in "(node |revoked |signature |tenant |version |coordinator |\\PC{0,20}|\n){0,40}") {
        for text in [text, format!("{TITLE}\ntenant a\nversion 1\n{lines}")] {
            prop_assert!(Roster::open(&text, identity(1).public()).is_err());
            let _ = Roster::read(&text);
            let _ = Roster::claimed_version(&text);
            let _ = Roster::parse(&text);
        }
    }
}

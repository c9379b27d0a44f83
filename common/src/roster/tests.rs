use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::units::Millis;

fn identity(seed: u64) -> Identity {
    Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn peer(name: &str, seed: u64, labels: &[(&str, &str)]) -> (NodeId, Peer) {
    let key = *identity(seed).public();
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    (key.node_id(), Peer { name: name.to_owned(), key, labels })
}

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

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
    let (operator, mut roster) = (identity(1), roster());
    let text = roster.sign(&operator, NOW).unwrap();
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
    let (operator, text) = (identity(1), roster().sign(&identity(1), NOW).unwrap());
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
    let (operator, mut roster) = (identity(1), roster());
    roster.sign(&operator, NOW).unwrap();
    let good = text::write(&roster);
    let fault = |text: String| {
        let Signature(signature) = operator.sign(Label::Roster, text.as_bytes()).unwrap();
        let text = format!("{text}signature {}\n", hex::encode(signature));
        Roster::open(&text, operator.public()).unwrap_err().to_string()
    };
    assert_eq!(fault(good.replace("starling", "sterling")), "line 1: expected `starling roster`");
    assert_eq!(fault(good.replace("tenant default", "tenant ")), "line 2: expected `tenant NAME`");
    assert_eq!(fault(good.replace("version 7", "version 0")), "line 3: expected `version N`");
    assert_eq!(fault(good.replace("coordinator 0", "coordinator 9")), "line 4: expected `coordinator KEY`");
    assert_eq!(fault(good.replace("node web-2", "nude web-2")), "line 8: expected `node NAME KEY`");
    assert_eq!(fault(good.replace("node web-2", "node web-1")), "line 8: the name `web-1` is there twice");
    assert_eq!(
        fault(good.replacen("certificate M", "certificate N", 1)),
        "line 5: expected `certificate BASE64`"
    );
    let node = identity(5);
    let both = format!("{good}node db-1 {}\n", node.public());
    assert_eq!(fault(both), "line 10: this key has a line already");
    let former = format!("{good}former web-3 {}\n", identity(3).public());
    assert_eq!(fault(former), "line 10: this key has a line already");
    let twice = format!("{good}revoked {} again\n", node.public());
    assert_eq!(fault(twice), "line 10: this key has a line already");
}

#[test]
fn what_could_not_be_read_back_is_not_signed() {
    let mut wrong = roster();
    let (node, peer) = peer("two words", 8, &[]);
    wrong.nodes.insert(node, peer);
    assert!(matches!(wrong.sign(&identity(1), NOW), Err(RosterError::Node(KnownError::Key { .. }))));
}

/// A tenant that was handed over from number 1 to 11 and to 12, and what each of them signs.
fn handed_over() -> [(Identity, Roster); 3] {
    let keys = [identity(1), identity(11), identity(12)];
    let first = roster();
    let next = |before: &Roster, from: &Identity, to: &Identity| {
        let mut next = Roster { version: before.version + 1, ..before.clone() };
        next.hand_over(from, to).unwrap();
        next
    };
    let second = next(&first, &keys[0], &keys[1]);
    let third = next(&second, &keys[1], &keys[2]);
    let [one, two, three] = keys;
    [(one, first), (two, second), (three, third)].map(|(operator, mut roster)| {
        roster.sign(&operator, NOW).unwrap();
        (operator, roster)
    })
}

#[test]
fn who_knew_an_operator_before_finds_the_one_that_signs_and_takes_nothing_of_the_others_any_more() {
    let handed_over = handed_over();
    for (known, (operator, _)) in handed_over.iter().enumerate() {
        for (signed, (signer, roster)) in handed_over.iter().enumerate() {
            let read = Roster::open(&roster.clone().sign(signer, NOW).unwrap(), operator.public());
            if signed < known {
                assert_eq!(read, Err(RosterError::WrongSignature), "{signed} by {known}");
                continue;
            }
            assert_eq!(read.as_ref(), Ok(roster), "{signed} by {known}");
            assert_eq!(read.unwrap().operator(operator.public()), *signer.public());
        }
    }
    // Who was succeeded signs no more, whatever he tells of successors.
    let [(first, _), (second, _), (_, newest)] = &handed_over;
    let mut other = Roster { version: 99, operators: Vec::new(), ..newest.clone() };
    let text = other.sign(first, NOW).unwrap();
    assert_eq!(newest.newer(&text, &newest.operator(first.public())), Err(RosterError::WrongSignature));
    other.hand_over(first, &identity(13)).unwrap();
    let text = other.sign(&identity(13), NOW).unwrap();
    assert_eq!(newest.newer(&text, &newest.operator(first.public())), Err(RosterError::WrongSignature));
    assert_eq!(newest.clone().sign(second, NOW), Err(RosterError::WrongSignature));
}

#[test]
fn a_way_from_one_operator_to_another_has_no_gap_and_an_end() {
    let [_, _, (operator, mut newest)] = handed_over();
    newest.operators.swap(0, 1);
    assert_eq!(newest.sign(&operator, NOW), Err(RosterError::NotSuccessor(6)));
    newest.operators.swap(0, 1);
    newest.operators.remove(0);
    let text = newest.sign(&operator, NOW).unwrap();
    assert_eq!(Roster::open(&text, identity(1).public()), Err(RosterError::WrongSignature));
    let before: Vec<Identity> = (20..=40).map(identity).collect();
    let mut roster = roster();
    for pair in before.windows(2) {
        roster.hand_over(&pair[0], &pair[1]).unwrap();
    }
    let text = roster.sign(&before[20], NOW).unwrap();
    assert_eq!(roster.operators.len(), SUCCESSIONS_MAX);
    assert!(Roster::open(&text, before[4].public()).is_ok());
    assert_eq!(Roster::open(&text, before[3].public()), Err(RosterError::WrongSignature));
}

#[test]
fn what_follows_a_roster_is_newer_and_of_its_tenant() {
    let (operator, roster) = (identity(1), roster());
    let next = |tenant: &str, version| {
        let mut next = Roster { tenant: tenant.to_owned(), version, ..roster.clone() };
        roster.newer(&next.sign(&operator, NOW).unwrap(), operator.public())
    };
    assert_eq!(next("default", 9).unwrap().version, 9);
    assert_eq!(next("default", 7), Err(RosterError::Old { found: 7, known: 7 }));
    let (found, wanted) = ("other".to_owned(), "default".to_owned());
    assert_eq!(next("other", 9), Err(RosterError::OtherTenant { found, wanted }));
}

#[test]
fn a_member_with_a_new_key_has_its_name_and_labels_and_is_taken_out_under_both() {
    let mut roster = roster();
    let (old, new) = (identity(3).node_id(), *identity(30).public());
    assert!(roster.succeed(old, new));
    let read = Roster::open(&roster.sign(&identity(1), NOW).unwrap(), identity(1).public()).unwrap();
    assert_eq!(read, roster);
    let [Membership::Former(was), Membership::Member(is)] =
        [old, new.node_id()].map(|key| read.membership(key))
    else {
        panic!("{read:?}");
    };
    assert_eq!((&was.name, &was.labels, is.key), (&is.name, &is.labels, new));
    assert!(read.membership(old).refusal().is_none() && read.peer(old) == Some(was));
    assert_eq!((read.successor(old), read.successor(new.node_id())), (Some(is), None));

    // Neither a key that is gone nor one that is somebody's takes a place.
    assert!(!roster.succeed(old, *identity(31).public()));
    for known in [3, 4, 5, 30] {
        assert!(!roster.succeed(new.node_id(), *identity(known).public()), "{known}");
    }
    assert!(roster.succeed(new.node_id(), *identity(32).public()));
    assert_eq!(roster.membership(old), Membership::Unknown, "it had its time");
    assert!(roster.revoke(identity(32).node_id(), "stolen"));
    for key in [30, 32] {
        let gone = roster.membership(identity(key).node_id());
        assert!(matches!(gone, Membership::Revoked(who) if who.reason == "stolen"), "{key}");
    }
}

#[test]
fn certificates_lead_from_the_coordinator_to_the_operator_and_are_made_again_when_a_key_is_another_one() {
    let (operator, mut roster) = (identity(1), roster());
    let mut signed = |change: &dyn Fn(&mut Roster), operator: &Identity| {
        change(&mut roster);
        let text = roster.sign(operator, NOW + Millis(1000 * roster.version)).unwrap();
        let Authority { operator: root, coordinator } = Roster::read(&text).unwrap().authority.unwrap();
        assert_eq!((root.key(), coordinator.key()), (operator.public(), &roster.coordinator));
        assert_eq!(root.verify(operator.public()).and(coordinator.verify(operator.public())), Ok(()));
        (root, coordinator)
    };
    let first = signed(&|_| (), &operator);
    let same = signed(&|roster| roster.version += 1, &operator);
    assert_eq!(first, same);
    let appointed = signed(&|roster| roster.coordinator = *identity(20).public(), &operator);
    assert_ne!(appointed.1, first.1);

    // Those of other keys are not taken from an operator either.
    let mut other = Roster::new("default", *identity(2).public());
    let text = other.sign(&operator, NOW).unwrap().replace(
        &format!("coordinator {}", identity(2).public()),
        &format!("coordinator {}", identity(21).public()),
    );
    let (unsigned, _) = text::split(&text).unwrap();
    let Signature(signature) = operator.sign(Label::Roster, unsigned.as_bytes()).unwrap();
    let text = format!("{unsigned}signature {}\n", hex::encode(signature));
    assert_eq!(Roster::open(&text, operator.public()), Err(RosterError::Authority));
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,300}", lines in "(node |former |operator |revoked |signature |tenant |version |coordinator |\\PC{0,20}|\n){0,40}") {
        for text in [text, format!("{TITLE}\ntenant a\nversion 1\n{lines}")] {
            prop_assert!(Roster::open(&text, identity(1).public()).is_err());
            let _ = Roster::read(&text);
            let _ = Roster::claimed_version(&text);
            let _ = text::read(&text);
        }
    }
}

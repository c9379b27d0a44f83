use common::crypto::{AgreementKey, KemPublic};
use common::id::EpochId;
use common::known::Peer;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

const BEGAN: Timestamp = Timestamp(1000);
const RUNS: [RunId; 2] = [RunId([1; 16]), RunId([2; 16])];

fn identity() -> Identity {
    Identity::generate(&mut ChaCha20Rng::seed_from_u64(1))
}

fn members() -> Members {
    let key = *identity().public();
    let peer = Peer { name: "node-1".to_owned(), key, labels: Labels::new() };
    let roster = Roster { nodes: [(key.node_id(), peer)].into(), ..Roster::new("test", key) };
    Members::new(roster, Suite::X25519, BEGAN)
}

/// What the node says: its `seq`, what it does for the first runs, and when its package expires.
fn presence(seq: u64, works: &[Activity], expires: u64) -> NodePresence {
    let node = identity().node_id();
    let work = |(activity, run): (&Activity, RunId)| Work {
        run,
        epoch: EpochId(1),
        activity: *activity,
        progress: 200,
    };
    let works: Vec<Work> = works.iter().zip(RUNS).map(work).collect();
    NodePresence {
        session: 5,
        seq,
        answers: BEGAN.0,
        roster: 1,
        acted: None,
        certified: Timestamp::default(),
        package: KeyPackage {
            node,
            public: KemPublic::X25519([0; 32]),
            nonce: [0; 16],
            expires: Timestamp(expires),
        },
        mailbox: Mailbox::default(),
        standing: Standing::Ready,
        works: works.try_into().unwrap(),
        drifted: None,
        version: VERSION,
    }
}

fn say(members: &mut Members, presence: &NodePresence) -> Told {
    members.on_presence(&Signed::seal(&identity(), Label::Presence, presence).unwrap(), BEGAN).unwrap()
}

#[test]
fn a_trainer_that_hangs_hangs_for_the_run_that_trains_alone() {
    let (mut members, node) = (members(), identity().node_id());
    let told_of = |members: &Members, told| RUNS.map(|run| members.told_of(told, run));
    let mut say = |seq, works| {
        let told = say(&mut members, &presence(seq, works, 9));
        told_of(&members, told)
    };
    assert_eq!(say(1, &[Activity::Training, Activity::Waiting]), [Told::Arrived(node); 2]);
    assert_eq!(say(2, &[Activity::Hanging, Activity::Waiting]), [Told::Hangs(node), Told::Goes(node)]);
    assert_eq!(say(3, &[Activity::Hanging, Activity::Waiting]), [Told::Stale, Told::Goes(node)]);
    assert_eq!(say(3, &[]), [Told::Stale; 2], "it was said before");
    assert_eq!(say(4, &[Activity::Uploading, Activity::Training]), [Told::Returned(node), Told::Goes(node)]);
    let member = members.present(node).unwrap();
    assert_eq!(
        member.work(RUNS[1]).map(|work| (work.activity, work.progress)),
        Some((Activity::Training, 100))
    );
}

#[test]
fn a_package_in_an_update_that_waited_does_not_replace_what_presence_told_since() {
    let (mut members, node) = (members(), identity().node_id());
    say(&mut members, &presence(1, &[], 50));
    let package = |expires| presence(0, &[], expires).package;
    members.on_package(node, package(40), BEGAN);
    assert_eq!(members.present(node).unwrap().package.expires, Timestamp(50));
    members.on_package(node, package(60), BEGAN);
    say(&mut members, &presence(2, &[], 50));
    assert_eq!(members.present(node).unwrap().package.expires, Timestamp(60));
    // Another process has other keys, whatever its clock says.
    say(&mut members, &NodePresence { session: 6, ..presence(3, &[], 10) });
    assert_eq!(members.present(node).unwrap().package.expires, Timestamp(10));
}

#[test]
fn a_node_that_drains_or_is_drained_is_there_and_no_candidate() {
    let (mut members, node) = (members(), identity().node_id());
    assert!(!members.is_candidate(node), "it is not there");
    say(&mut members, &presence(1, &[], 9));
    assert!(members.is_candidate(node));
    members.drain(node, true);
    say(&mut members, &presence(2, &[Activity::Training], 9));
    assert!(members.present(node).is_some() && !members.is_candidate(node));
    members.drain(node, false);
    assert!(members.is_candidate(node));
    say(&mut members, &NodePresence { standing: Standing::Draining, ..presence(3, &[], 9) });
    assert!(members.present(node).is_some() && !members.is_candidate(node));
}

#[test]
fn that_telemetry_drifted_is_news_once_and_again_when_it_drifted_from_another_model() {
    let (mut members, node) = (members(), identity().node_id());
    let mut news = |seq, drifted| {
        say(&mut members, &NodePresence { drifted, ..presence(seq, &[], 9) });
        members.present(node).unwrap().drifted_now()
    };
    let [one, other] = RUNS;
    let told = [None, Some(one), Some(one), None, Some(other)];
    let heard: Vec<_> = (1..).zip(told).map(|(seq, drifted)| news(seq, drifted)).collect();
    assert_eq!(heard, [None, Some(one), None, None, Some(other)]);
}

#[test]
fn a_node_of_another_suite_is_refused_once_by_name_and_taken_when_it_has_ours() {
    let (mut members, node) = (members(), identity().node_id());
    let key = AgreementKey::generate(Suite::XWing, node, Timestamp(50), &mut ChaCha20Rng::seed_from_u64(2));
    let other = NodePresence { package: key.package().clone(), ..presence(1, &[], 9) };
    let mut bytes = Signed::seal(&identity(), Label::Presence, &other).unwrap();
    // Nobody looks at the signature.
    *bytes.last_mut().unwrap() ^= 1;
    let error = members.on_presence(&bytes, BEGAN).unwrap_err().to_string();
    assert!(error.starts_with("node node-1: its suite is \"x-wing\" and here it is \"x25519\""), "{error}");
    assert_eq!(members.on_presence(&bytes, BEGAN), Ok(Told::Stale), "it was told");
    assert!(members.present(node).is_none());
    assert_eq!(say(&mut members, &presence(2, &[], 9)), Told::Arrived(node));
}

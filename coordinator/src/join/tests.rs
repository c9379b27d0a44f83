use common::crypto::Identity;
use common::crypto::bulk::InputKey;
use common::known::label;
use common::wire::{decode, encode};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const HOUR: Millis = Millis(3_600_000);
const TOKEN: TokenId = TokenId([1; 8]);

fn key(seed: u64) -> PublicIdentity {
    *Identity::generate(&mut ChaCha20Rng::seed_from_u64(seed)).public()
}

fn labels(words: &[&str]) -> Labels {
    words.iter().map(|word| label(word).unwrap()).collect()
}

fn issued() -> Issued {
    Issued {
        created: NOW,
        expires: NOW + HOUR,
        operator: key(99),
        labels: labels(&["rack=A"]),
        names: None,
        seed: Some(InputKey([7; 32]).into()),
        used_by: None,
        revoked: false,
    }
}

fn request(seed: u64, name: &str) -> Request {
    let peer = Peer { name: name.to_owned(), key: key(seed), labels: labels(&["rack=B", "zone=eu"]) };
    Request { tenant: None, at: NOW, peer }
}

fn roster() -> Roster {
    Roster::new("default", key(98))
}

/// A desk with this token, and what it makes of requests.
struct World {
    desk: Desk,
    roster: Roster,
    is_open: bool,
}

impl World {
    fn with(issued: Issued) -> Self {
        let mut desk = Desk::default();
        desk.apply(desk.issue(TOKEN, issued, NOW).unwrap());
        Self { desk, roster: roster(), is_open: false }
    }

    fn asks(&mut self, request: Request, now: Timestamp) -> Result<Standing, TurnedAway> {
        let setting = Setting { roster: &self.roster, is_open: self.is_open };
        let Decision { standing, changes } = self.desk.decide(TOKEN, request, setting, now)?;
        assert!(!matches!(standing, Standing::Refused(_)) || changes.is_empty(), "a refusal costs nothing");
        self.desk.apply(changes);
        Ok(standing)
    }
}

#[test]
fn a_token_is_used_once_and_its_user_is_answered_the_same_again() {
    let mut world = World::with(issued());
    for _ in 0..2 {
        assert_eq!(world.asks(request(1, "web-1"), NOW), Ok(Standing::Waiting));
        assert_eq!(world.asks(request(2, "web-2"), NOW), Ok(Standing::Refused(Refusal::Used)));
    }
    let waits: Vec<&Applicant> = world.desk.applicants(&world.roster).collect();
    assert_eq!(
        (waits.len(), &waits[0].peer.labels),
        (1, &labels(&["rack=A", "zone=eu"])),
        "the token's labels count"
    );
    world.roster = admitting(roster(), [(key(1).node_id(), waits[0].peer.clone())].into()).unwrap();
    assert_eq!(world.asks(request(1, "web-1"), NOW), Ok(Standing::Admitted));
    assert_eq!(world.asks(request(2, "web-2"), NOW), Ok(Standing::Refused(Refusal::Used)));
    assert_eq!(world.desk.applicants(&world.roster).count(), 0);
}

#[test]
fn who_is_let_in_by_nobodys_approval_has_the_labels_of_the_token_alone() {
    let mut world = World { is_open: true, ..World::with(issued()) };
    assert_eq!(world.asks(request(1, "web-1"), NOW), Ok(Standing::Waiting));
    let applicant = world.desk.applicants(&world.roster).next().unwrap();
    assert_eq!(applicant.peer.labels, labels(&["rack=A"]));
}

#[test]
fn a_token_that_is_unknown_expired_or_revoked_is_turned_away_before_anything_is_opened() {
    let world = World::with(issued());
    assert_eq!(world.desk.look(TokenId([2; 8]), NOW), Err(TurnedAway::Unknown));
    assert!(world.desk.look(TOKEN, NOW + Millis(HOUR.0 - 1)).is_ok());
    assert_eq!(world.desk.look(TOKEN, NOW + HOUR), Err(TurnedAway::Expired));
    let revoked = world.desk.revoke("0101").unwrap().1;
    assert_eq!((revoked.status(NOW), revoked.seed.is_none()), (TokenStatus::Revoked, true));
    let mut world = World::with(revoked);
    assert_eq!(world.asks(request(1, "web-1"), NOW), Err(TurnedAway::Revoked));
    assert_eq!(world.desk.revoke("ff").unwrap_err(), JoinError::Which("ff".to_owned(), 0));
}

#[test]
fn every_refusal_has_its_reason_and_leaves_the_token_open() {
    let mut world = World::with(Issued { names: Some("web-*".to_owned().try_into().unwrap()), ..issued() });
    let taken = Peer { name: "web-9".to_owned(), key: key(9), labels: Labels::new() };
    world.roster.admit(taken);
    world.roster.admit(Peer { name: "web-8".to_owned(), key: key(8), labels: Labels::new() });
    world.roster.revoke(key(8).node_id(), "stolen");
    let tenant = |name: &str| Some(name.try_into().unwrap());
    let far = Millis(CLOCK_MAX.0 + 1);
    let cases = [
        (request(1, "db-1"), Refusal::OtherName { pattern: "web-*".try_into().unwrap() }),
        (request(1, "web-9"), Refusal::NameTaken),
        (request(8, "web-8"), Refusal::Revoked),
        (Request { tenant: tenant("acme"), ..request(1, "web-1") }, Refusal::OtherTenant),
        (Request { at: NOW + far, ..request(1, "web-1") }, Refusal::Clock),
        (Request { at: Timestamp(NOW.0 - far.0 * 1000), ..request(1, "web-1") }, Refusal::Clock),
    ];
    for (request, why) in cases {
        assert_eq!(world.asks(request, NOW), Ok(Standing::Refused(why)));
    }
    let ours = Request { tenant: tenant("default"), at: NOW + CLOCK_MAX, ..request(1, "web-1") };
    assert_eq!(world.asks(ours, NOW), Ok(Standing::Waiting));
}

#[test]
fn who_was_dismissed_does_not_come_back_with_the_same_token() {
    let mut world = World::with(issued());
    assert_eq!(world.asks(request(1, "web-1"), NOW), Ok(Standing::Waiting));
    world.desk.apply(world.desk.dismiss(key(1).node_id()));
    assert_eq!(world.asks(request(1, "web-1"), NOW), Ok(Standing::Refused(Refusal::Dismissed)));
}

#[test]
fn tokens_and_those_who_wait_have_their_limits() {
    let mut desk = Desk::default();
    for number in 0..TOKENS_MAX as u64 {
        desk.apply(desk.issue(TokenId(number.to_be_bytes()), issued(), NOW).unwrap());
    }
    let one_more = TokenId([9; 8]);
    assert_eq!(desk.issue(one_more, issued(), NOW), Err(JoinError::TooMany));
    assert!(desk.issue(one_more, issued(), NOW + HOUR).is_ok(), "what has expired makes room");

    let mut world = World::with(issued());
    for number in 0..APPLICANTS_MAX as u64 {
        let Request { peer, .. } = request(1000 + number, &format!("web-{number}"));
        let (node, since) = (peer.key.node_id(), NOW);
        world.desk.apply(vec![Change::Applicant(node, Some(Applicant { peer, token: one_more, since }))]);
    }
    assert_eq!(world.asks(request(1, "last"), NOW), Ok(Standing::Refused(Refusal::Full)));
}

#[test]
fn what_is_outdated_loses_its_seed_then_is_forgotten() {
    let mut world = World::with(issued());
    assert_eq!(world.asks(request(1, "web-1"), NOW), Ok(Standing::Waiting));
    assert_eq!(world.desk.outdated(&world.roster, NOW), []);
    world.desk.apply(world.desk.outdated(&world.roster, NOW + HOUR));
    let (_, kept) = world.desk.issued().next().unwrap();
    assert!(kept.seed.is_none() && kept.used_by.is_some());
    assert_eq!(world.desk.outdated(&world.roster, NOW + HOUR), [], "once");
    let much_later = NOW + HOUR + REMEMBERED;
    world.desk.apply(world.desk.outdated(&world.roster, much_later));
    assert_eq!(world.desk, Desk::default());
}

#[test]
fn a_next_roster_takes_no_name_twice_and_no_key_that_was_revoked() {
    let Request { peer, .. } = request(1, "web-1");
    let one = |peer: &Peer| Known::from([(peer.key.node_id(), peer.clone())]);
    let first = admitting(roster(), one(&peer)).unwrap();
    assert_eq!((first.version, first.nodes.len()), (2, 1));
    let other = Peer { key: key(2), ..peer.clone() };
    assert_eq!(admitting(first.clone(), one(&other)), Err(JoinError::SameName("web-1".to_owned())));
    let mut revoked = first;
    revoked.revoke(peer.key.node_id(), "");
    assert_eq!(admitting(revoked, one(&peer)), Err(JoinError::Revoked("web-1".to_owned())));
}

#[test]
fn what_is_stored_is_read_back() {
    let names = Some("web-*".to_owned().try_into().unwrap());
    let used_by = Some(key(1).node_id());
    for issued in [issued(), Issued { names, used_by, revoked: true, labels: Labels::new(), ..issued() }] {
        assert_eq!(decode(&encode(&issued)), Ok(issued));
    }
    let Request { peer, .. } = request(1, "web-1");
    let applicant = Applicant { peer, token: TOKEN, since: NOW };
    assert_eq!(decode(&encode(&applicant)), Ok(applicant));
}

/// Who asks, how much later, and whether he changed his name.
fn step() -> impl Strategy<Value = (u64, u64, bool)> {
    (0..4_u64, 0..2_000_000_u64, any::<bool>())
}

proptest! {
    #[test]
    fn whoever_asks_in_any_order_one_key_at_most_joins_with_a_token(steps in proptest::collection::vec(step(), 1..40)) {
        let mut world = World::with(issued());
        let mut now = NOW;
        let mut joined = std::collections::BTreeSet::new();
        for (seed, later_ms, is_renamed) in steps {
            now = now + Millis(later_ms);
            let name = if is_renamed { format!("other-{seed}") } else { format!("web-{seed}") };
            let asked = Request { at: now, ..request(seed, &name) };
            let standing = world.asks(asked, now);
            if matches!(standing, Ok(Standing::Waiting | Standing::Admitted)) {
                prop_assert!(now < NOW + HOUR, "nobody comes late");
                joined.insert(seed);
            }
            let changes = world.desk.outdated(&world.roster, now);
            world.desk.apply(changes);
        }
        prop_assert!(joined.len() <= 1);
        prop_assert!(world.desk.applicants(&world.roster).count() <= 1);
    }
}

use proptest::prelude::*;

use super::*;

const POLICY: AlarmPolicy =
    AlarmPolicy { raise_after: 2, recover_after: 3, critical_factor: 4.0, silence_s: 100, because_max: 2 };

/// The events of a source with a record every ten seconds and a threshold of 1: what happened, when, and how bad it is.
fn events(policy: &AlarmPolicy, scores: &[f64]) -> Vec<Event> {
    let (mut watch, mut next_id) = (Watch::default(), 1);
    let seen =
        |(row, score): (usize, &f64)| Seen { at_ms: row as u64 * 10_000, score: *score, threshold: 1.0 };
    scores
        .iter()
        .enumerate()
        .filter_map(|scored| {
            // Over a restart too.
            let text = serde_json::to_string(&watch).unwrap();
            watch = serde_json::from_str(&text).unwrap();
            watch.observe(seen(scored), policy, &mut next_id)
        })
        .collect()
}

fn told(scores: &[f64]) -> Vec<(u64, Change, Severity, u64)> {
    let short = |event: &Event| (event.id, event.event, event.severity, event.at_ms / 10_000);
    events(&POLICY, scores).iter().map(short).collect()
}

#[test]
fn an_alarm_is_raised_after_some_records_and_over_after_some_that_are_not_above() {
    let scores = [0.0, 2.0, 0.0, 2.0, 3.0, 2.0, 1.0, 0.0, 2.0, 0.0, 0.5, 1.0, 0.0];
    assert_eq!(
        told(&scores),
        [(1, Change::Raised, Severity::Warning, 4), (1, Change::Recovered, Severity::Warning, 11)]
    );
    let events = events(&POLICY, &scores);
    assert_eq!((events[0].since_ms, events[0].until_ms), (30_000, 40_000));
    assert_eq!((events[1].since_ms, events[1].until_ms), (30_000, 80_000));
    assert_eq!(events[1].peak.to_bits(), 3.0_f64.to_bits());
}

#[test]
fn nothing_is_said_again_of_an_alarm_unless_it_gets_more_severe() {
    let scores = [2.0, 2.0, 3.0, 4.0, 5.0, 2.0, 6.0, 9.0, 0.0, 0.0, 0.0];
    assert_eq!(
        told(&scores),
        [
            (1, Change::Raised, Severity::Warning, 1),
            (1, Change::Worsened, Severity::Critical, 4),
            (1, Change::Recovered, Severity::Critical, 10)
        ]
    );
    assert_eq!(told(&[5.0, 5.0, 9.0]), [(1, Change::Raised, Severity::Critical, 1)]);
}

#[test]
fn a_source_that_had_an_alarm_is_quiet_for_a_while_and_then_says_how_much_was_not_told() {
    let over = [0.0, 0.0, 0.0];
    let again = [2.0, 2.0, 0.0];
    let scores = [&[2.0, 2.0][..], &over, &again, &[2.0, 2.0, 2.0, 2.0]].concat();
    // Raised at 10 s, and quiet until 110 s.
    assert_eq!(told(&scores).last(), Some(&(2, Change::Raised, Severity::Warning, 11)));
    let events = events(&POLICY, &scores);
    assert_eq!(events.iter().map(|event| event.suppressed).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(events[2].since_ms, 80_000, "it began while nothing was said");
}

#[test]
fn an_alarm_whose_source_makes_room_is_lost_and_one_that_is_none_is_not() {
    let (mut watch, mut next_id) = (Watch::default(), 1);
    assert_eq!(watch.lose(), None);
    for at_ms in [0, 1] {
        watch.observe(Seen { at_ms, score: 2.0, threshold: 1.0 }, &POLICY, &mut next_id);
    }
    assert!(watch.is_open());
    let lost = watch.lose().unwrap();
    assert_eq!((lost.id, lost.event, lost.at_ms), (1, Change::Lost, 1));
    assert!(!watch.is_open() && watch.lose().is_none());
}

#[test]
fn the_largest_parts_are_named_first_and_those_without_any_not_at_all() {
    let named = |scores: &[f64]| {
        let parts = largest(["cpu", "disk", "net", "idle"].into_iter(), scores, 3);
        let share: f64 = parts.iter().map(|part| part.share).sum();
        assert!(parts.is_empty() || (0.5..1.0 + 1e-9).contains(&share), "{parts:?}");
        parts.into_iter().map(|part| (part.metric, part.score)).collect::<Vec<_>>()
    };
    let of = |metric: &str, score| (metric.to_owned(), score);
    assert_eq!(named(&[0.5, 2.0, 0.5, 0.0]), [of("disk", 2.0), of("cpu", 0.5), of("net", 0.5)]);
    assert_eq!(named(&[1.0, 2.0, 3.0, 4.0]), [of("idle", 4.0), of("net", 3.0), of("disk", 2.0)]);
    assert!(named(&[0.0; 4]).is_empty() && named(&[]).is_empty());
}

#[test]
fn an_event_is_one_line_for_people_and_comes_back_from_its_line_of_json() {
    let reasons = Reasons { contributions: vec![3.0, 1.0], attributions: vec![-1.0, 3.0] };
    let why = |reasons: &Reasons| Why::of(["cpu", "disk"].into_iter(), reasons, 2);
    let event =
        Event { source: "web-1".into(), why: why(&reasons), ..events(&POLICY, &[2.0, 5.0])[0].clone() };
    let text =
        "alarm 1 raised: critical, web-1 at 10000 ms, score 5.000 (threshold 1.000), cpu 75 %, disk 25 %";
    assert_eq!(event.to_string(), format!("{text}; by values disk 150 %"));
    // What is foreseen has no errors: then there is one list.
    let foreseen = why(&Reasons { contributions: Vec::new(), attributions: vec![3.0, 1.0] });
    assert_eq!(Event { why: foreseen, ..event.clone() }.to_string(), text);
    let line = serde_json::to_string(&event).unwrap();
    assert!(
        line.starts_with("{\"id\":1,\"event\":\"raised\",\"severity\":\"critical\",\"source\":\"web-1\"")
    );
    assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
}

#[test]
fn an_alarm_is_what_its_events_tell_though_one_is_told_twice_or_gone() {
    let all = events(&POLICY, &[2.0, 2.0, 5.0, 0.0, 0.0, 0.0]);
    let twice = all.iter().flat_map(|event| [event.clone(), event.clone()]);
    let alarm = &alarms(twice)[&1];
    assert_eq!((alarm.raised_ms, alarm.worsened_ms), (Some(10_000), Some(20_000)));
    assert_eq!((alarm.recovered_ms, alarm.open, alarm.severity), (Some(50_000), false, Severity::Critical));
    assert_eq!(alarms(all.clone())[&1], *alarm);
    let begun = &alarms(all[..1].to_vec())[&1];
    assert!(begun.open && begun.to_string().starts_with("1 raised warning : 0 to 10000 ms"), "{begun}");
    let ended = &alarms(all[2..].to_vec())[&1];
    assert_eq!((ended.raised_ms, ended.open, ended.since_ms), (None, false, 0));
}

proptest! {
    #[test]
    fn whatever_the_scores_alarms_begin_once_end_once_and_are_as_far_apart_as_they_should(
        scores in prop::collection::vec(prop::sample::select(vec![0.0, 0.9, 1.0, 1.1, 2.0, 5.0]), 0..200),
        raise_after in 1_u32..4,
        recover_after in 1_u32..4,
        silence_s in 0_u64..200,
    ) {
        let policy = AlarmPolicy { raise_after, recover_after, silence_s, ..POLICY };
        let events = events(&policy, &scores);
        let raised: Vec<&Event> = events.iter().filter(|event| event.event == Change::Raised).collect();
        for (place, event) in raised.iter().enumerate() {
            prop_assert_eq!(event.id, place as u64 + 1);
            let row = (event.at_ms / 10_000) as usize;
            let before = &scores[row + 1 - raise_after as usize..=row];
            prop_assert!(before.iter().all(|score| *score > 1.0));
        }
        prop_assert!(raised.windows(2).all(|pair| pair[1].at_ms - pair[0].at_ms >= silence_s * 1000));
        for of in events.chunk_by(|one, other| one.id == other.id) {
            let changes: Vec<Change> = of.iter().map(|event| event.event).collect();
            prop_assert_eq!(changes[0], Change::Raised);
            prop_assert!(changes.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", changes);
            prop_assert!(of.windows(2).all(|pair| pair[0].severity <= pair[1].severity));
            if let Some(over) = of.iter().find(|event| event.event == Change::Recovered) {
                let row = (over.at_ms / 10_000) as usize;
                let before = &scores[row + 1 - recover_after as usize..=row];
                prop_assert!(before.iter().all(|score| *score <= 1.0));
            }
        }
    }
}

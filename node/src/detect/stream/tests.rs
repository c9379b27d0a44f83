use common::id::TenantId;
use common::model::{Failure, Forecaster, Foresees, Load, Network, Quantile, Task};
use ingest::record::Origin;
use proptest::prelude::*;

use super::super::{Calibrate, History, Preparation};
use super::*;
use crate::learn::samples::{forecaster, names};

/// A record at a second, with a hole now and then.
fn record(source: &str, second: u64, hole: bool) -> TelemetryRecord {
    let phase = second as f32 * 0.3;
    let y = if hole { f32::NAN } else { 10.0 * phase.cos() };
    let values = vec![y, phase.sin() + (second % 7) as f32, 0.0];
    TelemetryRecord {
        origin: Origin::new(TenantId::default(), source),
        at: Timestamp::from_millis(second * 1000),
        metrics: names(&["y", "x", "down"]),
        values,
    }
}

/// A detector of a model that was not trained.
fn detector(network: Network, past_steps: u32, smoothing_factor: f64) -> Detector {
    detector_of((network, Foresees::Record), past_steps, smoothing_factor)
}

fn detector_of((network, foresees): (Network, Foresees), past_steps: u32, smoothing_factor: f64) -> Detector {
    let task = Forecaster { network, foresees, ..forecaster(&["x", "y"], past_steps, &[5]) };
    let history: Vec<_> = (0..200).map(|second| record("history", second, false)).collect();
    let calibrate = Calibrate { smoothing_factor, ..Calibrate::default() };
    let preparation = Preparation { calibrate, ..Preparation::default() };
    let history = History::prepare(&task, &history, &preparation).unwrap();
    let parameters = Task::Forecaster(task.clone()).initial(3).unwrap();
    Detector::fit(&task, parameters, &history).unwrap()
}

/// The scores of a stream and of all records at once, where a window foresees a row; where none does, the stream has none.
fn check(detector: &Detector, records: &[TelemetryRecord], starts: impl Fn(usize) -> usize) {
    let mut streams = Streams::new(detector.clone()).unwrap();
    let past_steps = detector.task.past_steps as usize;
    let explained = detector.explain(records, |row, _| row % 13 == 0).unwrap();
    for (row, (record, explained)) in records.iter().zip(explained).enumerate() {
        let verdict = streams.score(record).unwrap();
        if row < starts(row) + past_steps {
            assert_eq!(verdict, Verdict::TooEarly, "row {row}");
            continue;
        }
        let (score, explained) = (verdict.score().unwrap(), explained.unwrap());
        let near = |one: f64, other: f64| (one - other).abs() <= 1e-5 * (1.0 + other.abs());
        assert!(near(score, explained.verdict.score), "row {row}: {score} is not {explained:?}");
        if row % 13 > 0 {
            continue;
        }
        let reasons = streams.reasons(record.source()).unwrap();
        let lists = |reasons: Reasons| [reasons.contributions, reasons.attributions];
        for (one, other) in lists(reasons).iter().zip(lists(explained.reasons)) {
            assert_eq!(one.len(), other.len());
            assert!(one.iter().zip(other).all(|(one, other)| near(*one, other)), "row {row}");
        }
    }
}

/// Networks, and what they foresee.
fn kinds() -> Vec<(Network, Foresees)> {
    let networks =
        [Network::Perceptron, Network::Lstm, Network::Convolution, Network::Autoencoder, Network::Pca];
    let quantiles = [0.5, 0.9].map(|quantile| Quantile::try_from(quantile).unwrap()).to_vec();
    let load = Load { metric: "x".try_into().unwrap(), steps: 3, quantiles: quantiles.try_into().unwrap() };
    let failure = Failure { metric: "down".try_into().unwrap(), steps: 3 };
    let others =
        [Foresees::Load(load), Foresees::Failure(failure)].map(|foresees| (Network::Perceptron, foresees));
    networks.map(|network| (network, Foresees::Record)).into_iter().chain(others).collect()
}

proptest! {
    #[test]
    fn a_stream_scores_as_all_records_at_once_and_nothing_that_no_window_foresees(
        past_steps in 1_u32..20,
        factor in 0.05..1.0,
        kind in prop::sample::select(kinds()),
        stretches in prop::collection::vec((20_usize..60, 5_u64..100), 1..4),
        holes in prop::collection::vec(any::<bool>(), 240),
    ) {
        let (mut records, mut starts, mut second) = (Vec::new(), Vec::new(), 0);
        for (rows, gap) in stretches {
            let start = records.len();
            for _ in 0..rows {
                starts.push(start);
                records.push(record("a", second, holes[records.len()]));
                second += 1;
            }
            second += gap;
        }
        check(&detector_of(kind, past_steps, factor), &records, |row| starts[row]);
    }
}

#[test]
fn sources_do_not_disturb_each_other() {
    let detector = detector(Network::Perceptron, 4, 0.25);
    let alone: Vec<_> = (0..40).map(|second| record("a", second, false)).collect();
    let mut streams = Streams::new(detector.clone()).unwrap();
    let expected: Vec<_> = alone.iter().map(|record| streams.score(record).unwrap()).collect();
    let mut both = Streams::new(detector).unwrap();
    for (second, (record_a, expected)) in alone.iter().zip(expected).enumerate() {
        assert_eq!(both.score(record_a).unwrap(), expected);
        both.score(&record("b", 1_000 + 9 * second as u64, false)).unwrap();
    }
}

#[test]
fn a_record_older_than_the_last_one_is_late_and_changes_nothing() {
    let detector = detector(Network::Perceptron, 4, 0.25);
    let (mut with, mut without) = (Streams::new(detector.clone()).unwrap(), Streams::new(detector).unwrap());
    for second in 10..40 {
        let next = record("a", second, false);
        assert_eq!(with.score(&next).unwrap(), without.score(&next).unwrap());
        assert_eq!(with.score(&record("a", second - 1, false)).unwrap(), Verdict::Late);
    }
}

#[test]
fn a_record_without_a_metric_is_refused_by_name_and_its_source_goes_on() {
    let mut streams = Streams::new(detector(Network::Perceptron, 4, 0.25)).unwrap();
    for second in 0..8 {
        streams.score(&record("a", second, false)).unwrap();
    }
    let strange = TelemetryRecord { metrics: names(&["y", "z", "down"]), ..record("a", 8, false) };
    let error = streams.score(&strange).unwrap_err().to_string();
    assert_eq!(error, "source `a` has no metric `x`");
    assert!(streams.score(&record("a", 8, false)).unwrap().score().is_some());
}

#[test]
fn a_source_that_comes_at_another_pace_is_scored_again_after_some_records() {
    let mut streams = Streams::new(detector(Network::Perceptron, 4, 0.25)).unwrap();
    let scored = |verdict: Verdict| verdict.score().is_some();
    assert!((0..40).map(|second| streams.score(&record("a", second, false)).unwrap()).skip(4).all(scored));
    let slow: Vec<Verdict> =
        (1..=40).map(|step| streams.score(&record("a", 40 + 60 * step, false)).unwrap()).collect();
    assert!(!slow[..4].iter().copied().any(scored) && slow[STEPS / 2 + 1..].iter().copied().all(scored));
}

#[test]
fn the_source_that_is_silent_for_longest_makes_room() {
    let mut streams = Streams::new(detector(Network::Perceptron, 4, 0.25)).unwrap();
    streams.sources_max = 2;
    for second in 0..10 {
        for (source, ahead) in [("a", 100), ("b", 50)] {
            streams.score(&record(source, ahead + second, false)).unwrap();
        }
    }
    assert_eq!(streams.score(&record("c", 200, false)).unwrap(), Verdict::TooEarly);
    assert_eq!(streams.of.keys().map(|source| &**source).collect::<Vec<_>>(), ["a", "c"]);
    assert!(streams.score(&record("a", 110, false)).unwrap().score().is_some());
    assert_eq!(streams.reasons("b").unwrap(), Reasons::default());
}

#[test]
fn a_wide_and_long_past_leaves_room_for_fewer_sources() {
    assert_eq!([19 * 38, 2048 * 1024, usize::MAX, 0].map(room), [SOURCES_MAX, 8, 1, SOURCES_MAX]);
}

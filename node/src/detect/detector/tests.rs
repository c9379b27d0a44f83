use std::sync::Arc;

use common::id::TenantId;
use common::model::{Failure, Task};
use common::units::Timestamp;

use super::super::evaluate::{Labelled, Plan, evaluate};
use super::super::{Chosen, choice};
use super::*;
use crate::learn::samples::{forecaster, go_on, names};
use crate::learn::{Training, mean_loss, train};
use ingest::record::Origin;

const FAULT: std::ops::Range<usize> = 200..230;

fn task() -> Forecaster {
    forecaster(&["x", "y"], 6, &[16])
}

/// Two metrics that swing; in the fault the second stands still.
fn records(from: usize, count: usize, faulty: bool) -> Vec<TelemetryRecord> {
    let metrics = names(&["y", "x"]);
    (0..count)
        .map(|row| {
            let phase = (from + row) as f32 * 0.3;
            let y = if faulty && FAULT.contains(&row) { 0.5 } else { phase.cos() };
            TelemetryRecord {
                origin: Origin::new(TenantId::default(), "host"),
                at: Timestamp::from_millis((from + row) as u64 * 1000),
                metrics: Arc::clone(&metrics),
                values: vec![10.0 * y, phase.sin()],
            }
        })
        .collect()
}

fn trained(history: &History, epochs: u32) -> ParameterVector {
    let start = Task::Forecaster(task()).initial(1).unwrap();
    let settings = Training { epochs, ..Training::default() };
    train(&task(), &start, &history.training, &settings, &mut go_on).unwrap().parameters
}

fn detector() -> Detector {
    let preparation = Preparation { stride: 1, ..Preparation::default() };
    let history = History::prepare(&task(), &records(0, 600, false), &preparation).unwrap();
    let parameters = trained(&history, 20);
    Detector::fit(&task(), parameters, &history).unwrap()
}

#[test]
fn a_history_is_split_by_time_and_scaled_by_its_training_part() {
    let history = History::prepare(&task(), &records(0, 100, false), &Preparation::default()).unwrap();
    assert_eq!(history.training.table().rows.len(), 90);
    assert_eq!(history.training.count(), 84_usize.div_ceil(4));
    assert_eq!(history.validation.count(), 10 - 6);
    let mean: f32 = history.training.table().values.iter().sum();
    assert!(mean.abs() < 1e-2, "{mean}");
}

#[test]
fn a_history_is_not_scaled_by_what_was_measured_while_the_machine_was_down() {
    let failure = Failure { metric: MetricName::try_from("y").unwrap(), steps: 2 };
    let task = Forecaster { foresees: Foresees::Failure(failure), ..forecaster(&["x"], 6, &[4]) };
    let scaler = |while_down: f32| {
        let mut records = records(0, 100, false);
        for (row, record) in records.iter_mut().enumerate() {
            let is_down = (40..50).contains(&row);
            record.values[0] = f32::from(u8::from(is_down));
            record.values[1] = if is_down { while_down } else { record.values[1] };
        }
        History::prepare(&task, &records, &Preparation::default()).unwrap().scaler
    };
    assert_eq!(scaler(0.5), scaler(1_000.0));
}

#[test]
fn a_metric_that_stands_still_alarms_and_healthy_telemetry_does_not() {
    let verdicts = detector().score(&records(600, 400, true)).unwrap();
    let alarms = |range: std::ops::Range<usize>| {
        verdicts[range].iter().filter(|verdict| verdict.as_ref().unwrap().alarm).count()
    };
    assert!(alarms(FAULT) >= 25, "{} of 30 in the fault", alarms(FAULT));
    assert!(alarms(0..FAULT.start) <= 4, "{} before the fault", alarms(0..FAULT.start));
}

#[test]
fn an_alarm_is_explained_by_the_metric_that_stood_still_and_what_is_none_by_nothing() {
    let (detector, all) = (detector(), records(600, 400, true));
    let metrics: Vec<&str> = detector.metrics().map(|name| &**name).collect();
    let verdicts = detector.score(&all).unwrap();
    let mut still = records(0, 10, false);
    for record in &mut still {
        record.values = [1, 0].map(|metric| detector.scaler.unscaled(metric, 0.0)).to_vec();
    }
    let at_mean = detector.score(&still).unwrap()[9].unwrap().score;
    let explained = detector.explain(&all, |_, verdict| verdict.alarm).unwrap();
    for (row, (verdict, explained)) in verdicts.iter().zip(&explained).enumerate() {
        let (verdict, Explained { verdict: same, reasons }) = (verdict.unwrap(), explained.as_ref().unwrap());
        let Reasons { contributions, attributions } = reasons;
        assert_eq!((verdict, verdict.alarm), (*same, !contributions.is_empty()), "row {row}");
        let sum: f64 = contributions.iter().sum();
        assert!(
            !verdict.alarm || (sum - verdict.score).abs() < 1e-9 * sum,
            "row {row}: {sum} of {verdict:?}"
        );
        // Of what is more than where all is at its mean, but for rows that count less than a thousandth.
        let sum = at_mean + attributions.iter().sum::<f64>();
        assert!(
            !verdict.alarm || (sum - verdict.score).abs() < 0.02 * verdict.score,
            "row {row}: {sum} of {verdict:?}"
        );
    }
    let of = |metric: &str, parts: fn(&Reasons) -> &Vec<f64>| -> f64 {
        let place = metrics.iter().position(|name| *name == metric).unwrap();
        let reasons = explained[FAULT].iter().flatten().map(|explained| parts(&explained.reasons));
        reasons.filter_map(|parts| parts.get(place)).sum()
    };
    // The other one is foreseen from both, so that it has a part as well.
    let (y, x) = (of("y", |reasons| &reasons.contributions), of("x", |reasons| &reasons.contributions));
    assert!(y > 2.0 * x, "{y} and {x}");
    // It is the one whose values were far from their mean, and by which more was expected of the first.
    let (y, x) = (of("y", |reasons| &reasons.attributions), of("x", |reasons| &reasons.attributions));
    assert!(x > y && y > 0.0, "{y} and {x}");
}

#[test]
fn the_threshold_of_a_short_history_is_set_by_all_of_it() {
    let records = records(0, 100, false);
    let history = History::prepare(&task(), &records, &Preparation::default()).unwrap();
    let detector = Detector::fit(&task(), trained(&history, 1), &history).unwrap();
    let verdicts = detector.score(&records[..90]).unwrap();
    assert!(verdicts.iter().all(|verdict| !verdict.as_ref().unwrap().alarm));
}

#[test]
fn verdicts_are_in_the_order_of_the_records() {
    let detector = detector();
    let mut records = records(600, 60, false);
    let sorted = detector.score(&records).unwrap();
    records.reverse();
    let mut reversed = detector.score(&records).unwrap();
    reversed.reverse();
    assert_eq!(sorted, reversed);
    assert_eq!(sorted.len(), 60);
    assert_eq!(detector.score(&records[..6]).unwrap(), [None; 6]);
    assert_eq!(detector.score(&[]).unwrap(), []);
}

#[test]
fn a_detector_read_back_from_its_profile_scores_the_same_bits() {
    let detector = detector();
    let text = serde_json::to_string(&detector.profile()).unwrap();
    let profile: Profile = serde_json::from_str(&text).unwrap();
    let again = Detector::from_profile(profile, detector.parameters().clone()).unwrap();
    assert_eq!(again, detector);
    let later = records(600, 300, true);
    assert_eq!(again.score(&later), detector.score(&later));
}

#[test]
fn a_profile_that_contradicts_itself_or_its_model_is_refused() {
    let detector = detector();
    let refused = |change: &dyn Fn(&mut Profile)| {
        let mut profile = detector.profile();
        change(&mut profile);
        Detector::from_profile(profile, detector.parameters().clone()).unwrap_err().to_string()
    };
    assert!(refused(&|profile| profile.version = 1).contains("another version"));
    assert!(refused(&|profile| profile.task = forecaster(&["x", "y"], 6, &[17])).contains("another schema"));
    assert!(refused(&|profile| profile.measure = Measure::Load).contains("statistics"));
    let other = Scaler::from_moments(&[], &Scale::default());
    assert!(refused(&|profile| profile.scaler = other.clone()).contains("statistics"));
    assert!(refused(&|profile| profile.threshold = Threshold(f64::INFINITY)).contains("statistics"));
}

#[test]
fn a_history_shorter_than_a_window_fits_no_detector() {
    let history = History::prepare(&task(), &records(0, 6, false), &Preparation::default()).unwrap();
    let parameters = Task::Forecaster(task()).initial(1).unwrap();
    let error = Detector::fit(&task(), parameters, &history).unwrap_err();
    assert_eq!(error, DetectorError::Learn(LearnError::NoExamples));
}

fn plan(usual_records: u64) -> Plan {
    Plan {
        task: task(),
        rounds: 3,
        training: Training::default(),
        initial_seed: 1,
        preparation: Preparation { stride: 1, ..Preparation::default() },
        tune_epochs: 5,
        usual_records,
        tune_share_min: 0.05,
        width: 20,
    }
}

#[test]
fn an_evaluation_compares_alone_together_and_tuned_in_part_or_whole() {
    let (training, test) = (records(0, 600, false), records(600, 400, true));
    let labels: Vec<bool> = (0..400).map(|row| FAULT.contains(&row)).collect();
    let node = Labelled { training: &training, test: &test, labels: &labels };
    let federated = detector().parameters().clone();
    let evaluation = evaluate(&plan(600), &node, &federated, &mut go_on).unwrap();
    assert_eq!(evaluation.train_records, 600);
    assert!(evaluation.federated.vus_pr > 0.7, "{evaluation:?}");
    assert!(evaluation.federated.auc_roc > 0.9, "{evaluation:?}");
    assert_ne!(evaluation.tuned, evaluation.federated);
    assert!(evaluation.head.is_some_and(|head| head != evaluation.federated && head != evaluation.tuned));
    assert_ne!(evaluation.local, evaluation.federated);
    // Trained on with what it is judged by, it is better than before; and the better one of the two is chosen.
    assert_ne!(evaluation.chosen, Chosen::Federated);
    // The same node as one of a fleet with twenty times its history and more is not tuned.
    let newcomer = evaluate(&plan(12_001), &node, &federated, &mut go_on).unwrap();
    assert_eq!((newcomer.head, newcomer.tuned), (None, newcomer.federated));
    assert_eq!(newcomer.federated, evaluation.federated);
    assert_ne!(newcomer.chosen, Chosen::Tuned, "of equal models the first");
}

#[test]
fn a_node_chooses_the_model_with_the_least_loss_on_what_was_kept_and_with_too_little_of_that_the_first() {
    let history = History::prepare(&task(), &records(0, 600, false), &Preparation::default()).unwrap();
    let (poor, good) = (trained(&history, 1), trained(&history, 20));
    let choose = |history: &History, [one, two, three]: [&ParameterVector; 3]| {
        let own = [(Chosen::Tuned, two.clone()), (Chosen::Local, three.clone())];
        choice::choose(&task(), history, one, &own).unwrap()
    };
    assert_eq!(choose(&history, [&poor, &good, &poor]), Chosen::Tuned);
    assert_eq!(choose(&history, [&poor, &poor, &good]), Chosen::Local);
    assert_eq!(choose(&history, [&good, &poor, &good]), Chosen::Federated);
    let short = History::prepare(&task(), &records(0, 90, false), &Preparation::default()).unwrap();
    assert_eq!(choose(&short, [&poor, &good, &good]), Chosen::Federated);
}

#[test]
fn an_evaluation_without_a_label_for_each_record_is_refused() {
    let (training, test) = (records(0, 100, false), records(100, 50, false));
    let node = Labelled { training: &training, test: &test, labels: &[true] };
    let federated = Task::Forecaster(task()).initial(1).unwrap();
    let error = evaluate(&plan(100), &node, &federated, &mut go_on).unwrap_err();
    assert_eq!(error, DetectorError::WrongLabels { labels: 1, records: 50 });
}

#[test]
fn a_better_trained_model_has_a_lower_loss_on_the_part_kept_for_validation() {
    let history = History::prepare(&task(), &records(0, 600, false), &Preparation::default()).unwrap();
    let loss = |epochs| mean_loss(&task(), &trained(&history, epochs), &history.validation).unwrap();
    assert!(loss(20) < loss(1));
}

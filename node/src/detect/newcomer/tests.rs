use std::sync::Arc;

use common::id::TenantId;
use common::model::{EVALUATION_ROUNDS, Task};
use common::units::Timestamp;
use ingest::record::{Origin, TelemetryRecord};
use pipeline::Split;

use super::super::statistics::measured;
use super::*;
use crate::learn::samples::{forecaster, go_on, names};
use crate::learn::{LearnError, Training, train};

fn task() -> Forecaster {
    forecaster(&["x", "y"], 6, &[16])
}

/// Two metrics that swing around a level; from a row on the second stands where it never was.
fn records(from: usize, count: usize, level: f32, still: usize) -> Vec<TelemetryRecord> {
    let metrics = names(&["x", "y"]);
    let record = |row: usize| {
        let phase = row as f32 * 0.3;
        let y = if row >= still { 3.0 } else { phase.cos() };
        TelemetryRecord {
            origin: Origin::new(TenantId::default(), "host"),
            at: Timestamp::from_millis(row as u64 * 1000),
            metrics: Arc::clone(&metrics),
            values: vec![level + phase.sin(), 10.0 * y],
        }
    };
    (from..from + count).map(record).collect()
}

fn divided(records: &[TelemetryRecord]) -> Divided {
    Divided::of(&task(), records, &Preparation::default()).unwrap()
}

/// A model, and what two nodes know of it; one has three times as many records.
fn known() -> (ParameterVector, Statistics) {
    let nodes = [records(0, 600, 50.0, usize::MAX), records(0, 200, 52.0, usize::MAX)];
    let preparation = Preparation::default();
    let history = History::prepare(&task(), &nodes[0], &preparation).unwrap();
    let first = Task::Forecaster(task()).initial(1).unwrap();
    let settings = Training { epochs: 20, ..Training::default() };
    let model = train(&task(), &first, &history.training, &settings, &mut go_on).unwrap().parameters;
    let nothing = Task::Evaluation(task()).initial(1).unwrap();
    let mut all = Statistics::behind(&task(), model.schema(), nothing.values()).unwrap().1;
    for round in 1..=EVALUATION_ROUNDS {
        let told = nodes.each_ref().map(|records| {
            let own = divided(records);
            (own.training().rows.len(), measured(&task(), &model, (&all, round), own, &preparation).unwrap())
        });
        let rows: usize = told.iter().map(|(rows, _)| rows).sum();
        let mean = |index: usize| {
            let weighted = told.iter().map(|(rows, told)| *rows as f32 * told.values()[index]);
            weighted.sum::<f32>() / rows as f32
        };
        let values: Vec<f32> = (0..all.values().len()).map(mean).collect();
        let behind = [model.values(), &values].concat();
        all = Statistics::behind(&task(), model.schema(), &behind).unwrap().1;
    }
    (model, all)
}

#[test]
fn who_has_no_records_measures_by_what_all_nodes_know() {
    let (model, known) = known();
    let preparation = Preparation { split: Split { validation: 0.0 }, ..Preparation::default() };
    let detector =
        detector(&task(), model.clone(), &known, divided(&records(0, 0, 0.0, 0)), &preparation).unwrap();
    assert!((known.usual(0).unwrap().mean - 50.5).abs() < 0.05, "{:?}", known.usual(0));
    let verdicts = detector.score(&records(0, 200, 51.0, 150)).unwrap();
    let alarms =
        |rows: std::ops::Range<usize>| verdicts[rows].iter().filter(|row| row.unwrap().alarm).count();
    assert!(alarms(155..200) >= 40 && alarms(0..150) <= 3, "{} and {}", alarms(155..200), alarms(0..150));
    // It is read back as it was written, with errors that count as no more than so many spreads.
    let profile = serde_json::to_string(&detector.profile()).unwrap();
    assert!(profile.contains("\"excess_max\":10.0"), "{profile}");
    let again = Detector::from_profile(serde_json::from_str(&profile).unwrap(), model).unwrap();
    assert_eq!(again, detector);
}

#[test]
fn own_records_count_as_many_as_they_are() {
    let (_, known) = known();
    let preparation = Preparation::default();
    let own = |count: u64| vec![moments(Usual { mean: 70.0, sd: 1.0 }, count); 2];
    let centre = |count: u64| f64::from(scaler(&known, &own(count), &preparation).unscaled(0, 0.0));
    let all = known.usual(0).unwrap().mean;
    for (count, expected) in [(0, all), (288, f64::midpoint(all, 70.0)), (288_000_000, 70.0)] {
        assert!((centre(count) - expected).abs() < 1e-3, "{count}: {}", centre(count));
    }
    // A metric that hardly varies anywhere may be elsewhere here: its spread is no less than a share of what was seen.
    let spread = |metric: usize| {
        let scaler = scaler(&known, &[Moments::default(); 2], &preparation);
        f64::from(scaler.unscaled(metric, 1.0) - scaler.unscaled(metric, 0.0))
    };
    for metric in 0..2 {
        let least = preparation.newcomer.deviation_share * known.deviation(metric);
        assert!((spread(metric) - known.usual(metric).unwrap().sd.max(least)).abs() < 1e-3, "{metric}");
    }
}

#[test]
fn what_no_whole_evaluation_has_left_is_refused() {
    let (model, _) = known();
    let nothing = Task::Evaluation(task()).initial(1).unwrap();
    let known = Statistics::behind(&task(), model.schema(), nothing.values()).unwrap().1;
    let preparation = Preparation::default();
    let refused = detector(&task(), model.clone(), &known, divided(&[]), &preparation).unwrap_err();
    assert_eq!(refused, DetectorError::Unknown);
    // And who has too few records for one window has nothing to say of errors.
    let few = divided(&records(0, 3, 0.0, usize::MAX));
    let error = measured(&task(), &model, (&known, 5), few, &preparation).unwrap_err();
    assert_eq!(error, DetectorError::Learn(LearnError::NoExamples));
}

#[test]
fn who_has_measured_by_few_records_does_so_again_when_they_have_grown_by_a_quarter() {
    let newcomer = Newcomer::default();
    for (measured, records, is_due) in [
        (0, 11, false),
        (0, 12, true),
        (40, 51, false),
        (40, 52, true),
        (400, 499, false),
        (400, 500, true),
        (2015, 2600, true),
        (2016, 9999, false),
        (300, 20, false),
    ] {
        assert_eq!(newcomer.is_due(measured, records), is_due, "{measured} and {records}");
    }
}

#[test]
fn a_newcomer_that_is_unlike_all_others_measures_by_itself_as_soon_as_it_has_records_enough() {
    let (model, known) = known();
    let preparation = Preparation::default();
    let fitted = |count: usize| {
        let own = records(0, count, 70.0, usize::MAX);
        fit(&task(), model.clone(), Some(&known), &own, &preparation).unwrap()
    };
    let is_newcomer =
        |detector: &Detector| serde_json::to_string(&detector.profile()).unwrap().contains("excess_max");
    assert_eq!([0, 30, 287, 288].map(|count| is_newcomer(&fitted(count))), [true, true, true, false]);
    // Of many sources three records each are not enough for a window.
    let of = |source: u32| {
        let origin = Origin::new(TenantId::default(), &format!("host-{source}"));
        let own = |record| TelemetryRecord { origin: Arc::clone(&origin), ..record };
        records(0, 3, 70.0, usize::MAX).into_iter().map(own).collect::<Vec<_>>()
    };
    let many: Vec<TelemetryRecord> = (0..100).flat_map(of).collect();
    let of_many = fit(&task(), model.clone(), Some(&known), &many, &preparation).unwrap();
    assert!(is_newcomer(&of_many));
    let nothing_known = fit(&task(), model.clone(), None, &many, &preparation).unwrap_err();
    assert_eq!(nothing_known, DetectorError::Learn(LearnError::NoExamples));
    // Its level is an alarm by what is known, and none by what it has seen; where its second metric stands is one by both.
    let alarms = |detector: &Detector| {
        let verdicts = detector.score(&records(400, 100, 70.0, 450)).unwrap();
        [0..50, 55..100].map(|rows| verdicts[rows].iter().filter(|row| row.unwrap().alarm).count())
    };
    let [before, after] = [fitted(0), fitted(300)].map(|detector| alarms(&detector));
    assert!(before[0] >= 45 && before[1] == 45, "{before:?}");
    assert!(after[0] <= 2 && after[1] >= 40, "{after:?}");
    // As it comes to that itself, though all its first records are alarms.
    let mut growing = fitted(0);
    let mut measured = 0;
    for count in 0..400 {
        if preparation.newcomer.is_due(measured, count) {
            let own = records(0, count as usize, 70.0, usize::MAX);
            growing = anew(&growing, Some(&known), &own, &preparation).unwrap();
            measured = count;
        }
    }
    let grown = alarms(&growing);
    assert!(grown[0] <= 5 && grown[1] >= 40, "{grown:?}");
}

#[test]
fn what_was_an_alarm_is_not_measured_by_but_no_more_than_a_tenth_is_left_out() {
    let (model, _) = known();
    let preparation = Preparation::default();
    let healthy = records(0, 600, 50.0, usize::MAX);
    let detector = fit(&task(), model, None, &healthy, &preparation).unwrap();
    let kept = |faulty: usize| {
        let own = records(0, 400, 50.0, 400 - faulty);
        let kept = without_alarms(&detector, &own, 0.1).unwrap().into_owned();
        let is_faulty = |record: &&TelemetryRecord| record.values[1] > 20.0;
        (kept.len(), kept.iter().filter(is_faulty).count())
    };
    let (records, faulty) = kept(20);
    assert!((370..=382).contains(&records) && faulty <= 3, "{records} with {faulty}");
    assert_eq!(kept(200).0, 360);
    assert!(kept(0).0 >= 390);
}

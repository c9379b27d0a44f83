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

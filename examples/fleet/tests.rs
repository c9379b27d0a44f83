use super::*;

#[test]
fn the_same_seed_gives_the_same_telemetry_and_another_seed_another() {
    let shown = |seed| format!("{:?}", generate(seed, 3));
    assert_eq!(shown(1), shown(1));
    assert_ne!(shown(1), shown(2));
}

#[test]
fn a_machine_stays_the_same_when_the_fleet_grows() {
    let shown = |machines| format!("{:?}", generate(1, machines)[0]);
    assert_eq!(shown(2), shown(6));
}

#[test]
fn machines_have_names_of_their_own_and_the_last_is_a_newcomer() {
    let fleet = generate(1, 6);
    let names: Vec<&str> = fleet.iter().map(|machine| machine.name.as_str()).collect();
    assert_eq!(names, ["web-1", "api-1", "database-1", "worker-1", "web-2", "web-3"]);
    let records: Vec<usize> = fleet.iter().map(|machine| machine.training.len()).collect();
    assert_eq!(records, [4032, 4032, 4032, 4032, 4032, 288]);
    assert!(fleet.iter().all(|machine| machine.test.len() == 2016));
}

#[test]
fn every_machine_meets_every_kind_of_fault_and_recovers_between_them() {
    for machine in generate(3, 5) {
        for kind in Kind::ALL {
            assert!(machine.faults.iter().any(|fault| fault.kind == kind), "{kind:?} on {}", machine.name);
        }
        assert!(machine.faults.windows(2).all(|pair| pair[0].end_inclusive + 36 < pair[1].start));
        let anomalous = machine.labels().iter().filter(|label| **label).count();
        assert!((100..500).contains(&anomalous), "{anomalous} of {}", machine.test.len());
    }
}

/// The same machine with and without what went wrong.
fn twins(seed: u64) -> (Vec<Fault>, Vec<Row>, Vec<Row>) {
    let mut random = Random::new(seed, 1);
    let profile = Profile::draw(Role::Api, &mut random);
    let faults = fault::schedule(TEST_DAYS * DAY, &mut random);
    let (mut struck, mut spared) =
        (Model::new(profile.clone(), 0, random.clone()), Model::new(profile, 0, random));
    let rows = 0..TEST_DAYS * DAY;
    let at = |row| faults.iter().find_map(|fault: &Fault| fault.at(row));
    let with = rows.clone().map(|row| struck.step(at(row).as_ref())).collect();
    let without = rows.map(|_| spared.step(None)).collect();
    (faults, with, without)
}

#[test]
fn a_fault_shows_in_each_metric_that_it_names_and_not_before_it_begins() {
    for seed in 1..=5 {
        let (faults, with, without) = twins(seed);
        let apart = |row: usize, metric: usize| {
            let (struck, spared) = (with[row][metric], without[row][metric]);
            if struck.is_nan() { 0.0 } else { (struck - spared).abs() / spared.abs().max(1e-9) }
        };
        let metrics = 0..METRICS.len();
        assert!((0..faults[0].start).all(|row| metrics.clone().all(|metric| apart(row, metric) == 0.0)));
        for fault in &faults {
            for metric in &fault.metrics {
                let most =
                    (fault.start..=fault.end_inclusive).map(|row| apart(row, *metric)).fold(0.0, f64::max);
                assert!(most > 0.05, "{:?} in {}: {most}", fault.kind, METRICS[*metric]);
            }
        }
    }
}

#[test]
fn some_values_are_missing_and_the_others_are_finite() {
    for machine in generate(4, 5) {
        let values: Vec<f64> = machine.training.iter().chain(&machine.test).flatten().copied().collect();
        let missing = values.iter().filter(|value| value.is_nan()).count();
        assert!((1..values.len() / 50).contains(&missing), "{missing} of {}", values.len());
        assert!(values.iter().all(|value| value.is_nan() || (value.is_finite() && *value >= 0.0)));
    }
}

#[test]
fn files_hold_labels_that_match_the_interpretation() {
    let folder = tempfile::tempdir().unwrap();
    let machine = &generate(2, 1)[0];
    write(machine, folder.path()).unwrap();
    let labels = ingest::labels::read_labels(&folder.path().join("test_label.csv.gz")).unwrap();
    let segments = ingest::labels::read_segments(&folder.path().join("interpretation.csv")).unwrap();
    let told = |row| segments.iter().any(|segment| (segment.start..=segment.end_inclusive).contains(&row));
    assert!(labels.iter().enumerate().all(|(row, label)| *label == told(row)));
    assert_eq!(segments.len(), machine.faults.len());
    assert!(segments.iter().flat_map(|segment| &segment.features).all(|metric| *metric < METRICS.len()));
}

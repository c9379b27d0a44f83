//! Expected values are from the reference script (`vus_pr.py`) unless worked out in the test.

use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::*;

struct Case {
    name: &'static str,
    labels: &'static str,
    scores: &'static [f64],
    width: usize,
    roc: f64,
    pr: f64,
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case { name: "one anomaly in the middle", labels: "0000110000", scores: &[0.1, 0.2, 0.1, 0.4, 0.9, 0.7, 0.6, 0.2, 0.3, 0.1], width: 4, roc: 1.0, pr: 1.0 },
    Case { name: "no width", labels: "00110010", scores: &[0.1, 0.5, 0.9, 0.3, 0.2, 0.4, 0.6, 0.7], width: 0, roc: 0.7, pr: 0.666_666_666_666_666_7 },
    Case { name: "anomalies at both ends", labels: "1100000001", scores: &[0.8, 0.2, 0.7, 0.1, 0.3, 0.2, 0.1, 0.4, 0.5, 0.6], width: 6, roc: 0.894_977_269_460_064_3, pr: 0.849_632_809_026_822_4 },
    Case { name: "anomalies that come to touch", labels: "000100100000100", scores: &[0.81, 0.81, 0.52, 0.29, 0.05, 0.38, 0.41, 0.05, 0.05, 1.0, 0.65, 0.23, 0.43, 0.97, 0.9], width: 8, roc: 0.703_905_678_321_804_6, pr: 0.557_548_466_901_947_3 },
    Case { name: "many ties", labels: "010011000100", scores: &[0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0], width: 5, roc: 0.897_454_709_401_276_3, pr: 0.801_338_643_164_601_6 },
    Case { name: "all scores equal", labels: "011000", scores: &[2.0, 2.0, 2.0, 2.0, 2.0, 2.0], width: 3, roc: 0.558_901_825_349_032_5, pr: 0.460_300_280_176_189_4 },
    Case { name: "negative and large scores", labels: "00100010", scores: &[-5.0, -1_000_000.0, 1_000_000.0, 0.0, 3.0, -2.0, -4.0, 2.0], width: 7, roc: 0.832_307_991_118_194, pr: 0.797_535_206_303_901_6 },
    Case { name: "width beyond the rows", labels: "0100010", scores: &[0.3, 0.6, 0.1, 0.9, 0.2, 0.4, 0.5], width: 30, roc: 0.961_845_393_012_787_6, pr: 0.940_341_521_136_080_6 },
];

fn labels(text: &str) -> Vec<bool> {
    text.chars().map(|digit| digit == '1').collect()
}

/// Longer than there are thresholds, with anomalies of 17 rows, and scores that are right in part.
fn long(rows: usize) -> (Vec<bool>, Vec<f64>) {
    let labels: Vec<bool> = (0..rows).map(|row| row % 97 >= 80 && row / 97 % 3 != 1).collect();
    let score = |row: usize| (row * 7919 % 1009) as f64 / 1009.0 + if labels[row] { 0.3 } else { 0.0 };
    let scores = (0..rows).map(score).collect();
    (labels, scores)
}

#[test]
fn volumes_are_those_of_the_reference() {
    for case in CASES {
        let volume = vus(&labels(case.labels), case.scores, case.width).unwrap();
        assert!((volume.roc - case.roc).abs() < 1e-12, "{}: roc {} not {}", case.name, volume.roc, case.roc);
        assert!((volume.pr - case.pr).abs() < 1e-12, "{}: pr {} not {}", case.name, volume.pr, case.pr);
    }
}

#[test]
fn volumes_of_long_series_are_those_of_the_reference() {
    let expected = [
        (600, 20, 0.816_727_580_587_947_7, 0.519_158_861_252_820_8),
        (4320, 20, 0.814_124_142_115_701, 0.520_383_395_498_498_5),
        (1500, 100, 0.910_125_796_023_91, 0.676_804_744_399_725_7),
    ];
    for (rows, width, roc, pr) in expected {
        let (labels, scores) = long(rows);
        let volume = vus(&labels, &scores, width).unwrap();
        assert!((volume.roc - roc).abs() < 1e-12, "{rows} rows: roc {} not {roc}", volume.roc);
        assert!((volume.pr - pr).abs() < 1e-12, "{rows} rows: pr {} not {pr}", volume.pr);
    }
}

#[test]
fn areas_of_four_rows_worked_out_by_hand() {
    // From the highest score: 1, 0, 1, 0. Of 4 pairs 3 are in order; precision is 1 and 2/3, their mean 5/6.
    let (labels, scores) = (labels("0011"), [0.1, 0.4, 0.35, 0.8]);
    assert_eq!(auc_roc(&labels, &scores), Ok(0.75));
    assert!((auc_pr(&labels, &scores).unwrap() - 5.0 / 6.0).abs() < 1e-15);
}

#[test]
fn equal_scores_are_one_point_of_the_curve() {
    let labels = labels("0110");
    assert_eq!(auc_roc(&labels, &[1.0; 4]), Ok(0.5));
    assert_eq!(auc_pr(&labels, &[1.0; 4]), Ok(0.5));
    // -0.0 and 0.0 are the same score, though they sort apart.
    assert_eq!(auc_roc(&labels, &[0.0, -0.0, 0.0, -0.0]), Ok(0.5));
}

#[test]
fn what_cannot_be_ranked_is_refused_by_every_measure() {
    let refused = |labels: &[bool], scores: &[f64], error: MetricError| {
        assert_eq!(auc_roc(labels, scores), Err(error));
        assert_eq!(auc_pr(labels, scores), Err(error));
        assert_eq!(vus(labels, scores, 20), Err(error));
    };
    refused(&[], &[], MetricError::Empty);
    refused(&[false; 2], &[1.0, 2.0], MetricError::NoPositives);
    refused(&[true; 2], &[1.0, 2.0], MetricError::NoNegatives);
    refused(&[true, false], &[1.0, f64::NAN], MetricError::NotFinite { row: 1 });
    refused(&[true], &[1.0, 2.0], MetricError::WrongLength { labels: 1, scores: 2 });
}

/// Writes rows of `label score` and the width into the script, and reads its two figures.
fn reference(oracles: &Path, labels: &[bool], scores: &[f64], width: usize) -> Option<(f64, f64)> {
    let labels: Vec<_> = labels.iter().map(|label| u8::from(*label)).collect();
    let script = format!("from vus_pr import vus; print(*map(float, vus({labels:?}, {scores:?}, {width})))");
    let output = Command::new("python3").current_dir(oracles).args(["-B", "-c", &script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (roc, pr) = text.trim().split_once(' ')?;
    Some((roc.parse().ok()?, pr.parse().ok()?))
}

#[test]
fn volumes_agree_with_the_reference_script_where_it_can_run() {
    let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/oracles");
    if !oracles.join("vus_pr.py").exists() {
        println!("skipped: no {}", oracles.display());
        return;
    }
    for (rows, width) in [(97, 3), (500, 20), (2000, 57)] {
        let (labels, scores) = long(rows);
        let Some((roc, pr)) = reference(&oracles, &labels, &scores, width) else {
            println!("skipped: python3 with numpy is not here");
            return;
        };
        let volume = vus(&labels, &scores, width).unwrap();
        assert!(
            (volume.roc - roc).abs() < 1e-12 && (volume.pr - pr).abs() < 1e-12,
            "{rows} rows: {volume:?}"
        );
    }
}

proptest! {
    #[test]
    fn measures_are_shares_and_depend_on_the_order_of_scores_alone(
        rows in prop::collection::vec((any::<bool>(), 0_u8..20), 2..80),
        width in 0_usize..30,
    ) {
        let (labels, ranks): (Vec<bool>, Vec<u8>) = rows.into_iter().unzip();
        let scores: Vec<f64> = ranks.iter().map(|rank| f64::from(*rank)).collect();
        let stretched: Vec<f64> = scores.iter().map(|score| score.powi(3) - 7.0).collect();
        if let Ok(volume) = vus(&labels, &scores, width) {
            let areas = |scores: &[f64]| (auc_roc(&labels, scores).unwrap(), auc_pr(&labels, scores).unwrap());
            let (roc, pr) = areas(&scores);
            for share in [roc, pr] {
                prop_assert!((0.0..=1.0 + 1e-12).contains(&share));
            }
            prop_assert!(volume.pr >= 0.0 && volume.roc.is_finite());
            prop_assert_eq!(vus(&labels, &stretched, width).unwrap(), volume);
            prop_assert_eq!(areas(&stretched), (roc, pr));
        }
    }
}

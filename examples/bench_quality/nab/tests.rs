use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;

use clap::Parser;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// Five-minute records of two series with a daily rhythm of two hours; in the window of each its value stands still.
fn corpus(dir: &Path) {
    for (name, height) in [("one.csv", 10.0), ("other.csv", 500.0)] {
        let mut text = "timestamp,value\n".to_owned();
        for row in 0..1200_i32 {
            let phase = f64::from(row) / 24.0 * std::f64::consts::TAU;
            let value = if (700..760).contains(&row) { 3.0 * height } else { height * (2.0 + phase.sin()) };
            let (day, minute) = (1 + row / 288, row % 288 * 5);
            let _ = writeln!(text, "2024-01-{day:02} {:02}:{:02}:00,{value}", minute / 60, minute % 60);
        }
        let mut packed =
            GzEncoder::new(File::create(dir.join(format!("{name}.gz"))).unwrap(), Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap();
    }
    // Rows 690 to 770.
    let window = r#"[["2024-01-03 09:30:00.000000", "2024-01-03 16:10:00.000000"]]"#;
    fs::write(
        dir.join("combined_windows.json"),
        format!(r#"{{"one.csv": {window}, "other.csv": {window}}}"#),
    )
    .unwrap();
}

#[test]
fn series_are_read_with_their_windows_and_trained_on_their_first_part_only() {
    let dir = tempfile::tempdir().unwrap();
    corpus(dir.path());
    let dataset = series::read(dir.path()).unwrap();
    let machine = &dataset.machines[0];
    assert_eq!((machine.name.as_str(), machine.training.len(), machine.test.len()), ("one", 180, 1200));
    assert_eq!((machine.faults.len(), machine.faults[0].rows.clone()), (1, 690..771));
    assert_eq!(machine.labels.iter().filter(|label| **label).count(), 81);
    fs::write(
        dir.path().join("combined_windows.json"),
        r#"{"one.csv": [["2023-01-01 00:00:00", "2023-01-02 00:00:00"]]}"#,
    )
    .unwrap();
    let error = format!("{:#}", series::read(dir.path()).unwrap_err());
    assert!(error.contains("no records in the window"), "{error}");
    fs::write(dir.path().join("combined_windows.json"), r#"{"none.csv": []}"#).unwrap();
    assert!(format!("{:#}", series::read(dir.path()).unwrap_err()).contains("none.csv.gz"));
}

#[test]
fn what_stands_still_is_found_in_every_series_and_told_of_each_and_of_all() {
    let dir = tempfile::tempdir().unwrap();
    corpus(dir.path());
    let options = Options::parse_from(["bench-quality", "--nab", "x", "--rounds", "10", "--hidden", "16"]);
    let lines = judged(&series::read(dir.path()).unwrap(), &options, 1).unwrap();
    assert_eq!(lines.len(), METHODS.len() * 3);
    let means = means(&lines);
    let all = |method: &str| {
        let is_of = |mean: &&Mean| mean.line.node.is_none() && mean.line.method == method;
        means.iter().find(is_of).unwrap().line.clone()
    };
    for method in ["local", "federated", "centralised"] {
        let line = all(method);
        assert!(line.nab_score > Some(80.0) && (line.found - 2.0).abs() < 1e-9, "{line:?}");
    }
    // A row for each series and for all, with a head of two lines and two lines more of all.
    assert_eq!(table::table(&means).len(), 2 + 3 + 2);
    let page = crate::report::nab(&options, &means);
    assert_eq!(examples::page::fault(&page), None);
}

#[test]
fn on_shared_series_a_federation_is_better_than_z_scores() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/nab");
    if !folder.is_dir() {
        eprintln!("skipped: no series in {}", folder.display());
        return;
    }
    let options = Options::parse_from(["bench-quality", "--rounds", "10"]);
    let dataset = series::read(&folder).unwrap();
    let lines = judged(&dataset, &options, 1).unwrap();
    let all = |method: &str| {
        let is_of = |line: &&Line| line.node.is_none() && line.method == method;
        lines.iter().find(is_of).unwrap().nab_score.unwrap()
    };
    assert!(all("federated") > 1.2 * all("z-score"), "{} {}", all("federated"), all("z-score"));
    assert!(all("z-score") > all("random"), "{} {}", all("z-score"), all("random"));
}

//! Models leave as safetensors, which PyTorch loads, and as ONNX, which ONNX Runtime runs; both forecast as a node does.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test, in its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::id::RoundId;
use common::model::{Forecaster, Foresees, Network, ParameterVector, Task};
use common::units::Timestamp;
use coordinator::store::About;
use coordinator::store::models::write_plain;
use harness::others::{Need, are_here, script, succeeds};
use harness::programs::{complaint, run};
use node::learn::predict;
use pipeline::{Row, Table, Window, Windows, window};
use serde_json::Value;

/// Where there is Debian, its `python3-torch` is far smaller than what pip brings.
const PYTHON: [Need; 4] = [
    Need::Python("torch", "torch"),
    Need::Python("safetensors", "safetensors"),
    Need::Python("onnx", "onnx"),
    Need::Python("onnxruntime", "onnxruntime"),
];

const WINDOWS: usize = 50;

fn forecaster(hidden: &[u32]) -> Forecaster {
    let metrics = ["load", "heat", "flow"].map(|name| name.try_into().unwrap()).to_vec();
    Forecaster {
        metrics: metrics.try_into().unwrap(),
        past_steps: 7,
        network: Network::default(),
        hidden: hidden.to_vec().try_into().unwrap(),
        foresees: Foresees::default(),
    }
}

/// Values with a rhythm, a row a second.
fn windows(columns: usize, past_steps: u32) -> Windows {
    let rows = WINDOWS + past_steps as usize;
    let row =
        |record| Row { source: 0, at: Timestamp::from_millis(record as u64 * 1000), record, down: false };
    let value = |index: usize| (index as f32 * 0.37).sin() * (1 + index % columns) as f32;
    let table = Table {
        columns,
        rows: (0..rows).map(row).collect(),
        values: (0..rows * columns).map(value).collect(),
    };
    window(table, &Window { past_steps, stride: 1, gap_steps: 3 })
}

/// A coordinator's folder, and what can be done there.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let made = run("coordinator", &["--dir", &folder.at("coordinator"), "init"]);
        assert!(made.status.success());
        folder
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// What `coordinator model` says, with these words.
    fn model(&self, words: &[&str]) -> String {
        let done = self.tried(words);
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    fn tried(&self, words: &[&str]) -> std::process::Output {
        run("coordinator", &[&["--dir", &self.at("coordinator"), "model"][..], words].concat())
    }

    /// A model that came from somewhere else; its file, and its hash.
    fn foreign(&self, task: &Task, parameters: &ParameterVector) -> (String, String) {
        let about = About { round: RoundId(4), task };
        let elsewhere = self.0.path().join("elsewhere");
        let (hash, file) = write_plain(&elsewhere, &about, parameters.schema(), parameters.values()).unwrap();
        (file.display().to_string(), hash.to_string())
    }
}

fn floats(hex: &Value) -> Vec<f32> {
    let bytes = hex::decode(hex.as_str().unwrap()).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

/// The largest difference, as a part of the largest value.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    found.iter().zip(expected).fold(0.0, |most: f32, (found, value)| most.max((found - value).abs()))
        / largest
}

#[test]
fn pytorch_and_onnx_runtime_forecast_as_a_node_does_from_what_was_exported() {
    if !are_here(&PYTHON) {
        return;
    }
    for hidden in [&[64, 16, 64][..], &[5], &[]] {
        let folder = Folder::new();
        let forecaster = forecaster(hidden);
        let task = Task::Forecaster(forecaster.clone());
        let parameters = task.initial(11).unwrap();
        let (file, hash) = folder.foreign(&task, &parameters);
        assert!(folder.model(&["import", &file]).starts_with(&hash));
        let [safetensors, onnx, past, resaved] =
            ["model.safetensors", "model.onnx", "past", "resaved.safetensors"].map(|name| folder.at(name));
        folder.model(&["export", &hash[..8], "--output", &safetensors]);
        folder.model(&["export", &hash[..8], "--as", "onnx", "--output", &onnx]);
        let windows = windows(3, forecaster.past_steps);
        let rows = (0..windows.count()).flat_map(|index| windows.past(index));
        fs::write(&past, rows.flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()).unwrap();

        let mut python = Command::new("python3");
        python.arg(script("models/outputs.py")).args([&safetensors, &onnx, &past, &resaved]);
        let said: Value = serde_json::from_str(&succeeds(&mut python)).unwrap();
        for (tensor, range) in parameters.schema().ranges() {
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            let found = floats(&said["tensors"][tensor.name.as_str()]);
            assert_eq!(bits(&found), bits(&parameters.values()[range]), "{}", tensor.name);
        }
        let expected = predict(&forecaster, &parameters, &windows).unwrap();
        assert_eq!(expected.len(), WINDOWS * 3);
        for (who, expected) in
            [("torch", &expected[..]), ("onnx", &expected[..]), ("onnx_of_one", &expected[..3])]
        {
            let differ = difference(&floats(&said[who]), expected);
            println!("hidden {hidden:?}, {who}: outputs differ by {differ:e} at most");
            assert!(differ <= 1e-6, "{who}: {differ}");
        }
        check_notes(&said, &hash);
        // What PyTorch wrote again is the same model: its tensors lie in another order there.
        assert_eq!(folder.model(&["import", &resaved]), format!("{hash}  was here already"));
    }
}

#[test]
fn onnx_runtime_forecasts_as_a_node_does_whatever_the_network() {
    if !are_here(&PYTHON[2..]) {
        return;
    }
    let networks = [
        (Network::Lstm, &[6][..]),
        (Network::Lstm, &[5, 4]),
        (Network::Convolution, &[4, 3]),
        (Network::Autoencoder, &[8, 2, 8]),
    ];
    for (network, hidden) in networks {
        let folder = Folder::new();
        let forecaster = Forecaster { network, ..forecaster(hidden) };
        let task = Task::Forecaster(forecaster.clone());
        let parameters = task.initial(11).unwrap();
        let (file, hash) = folder.foreign(&task, &parameters);
        folder.model(&["import", &file]);
        let [onnx, past] = ["model.onnx", "past"].map(|name| folder.at(name));
        folder.model(&["export", &hash[..8], "--as", "onnx", "--output", &onnx]);
        let windows = windows(3, forecaster.past_steps);
        let seen = |index| {
            if forecaster.sees_record() { windows.past_and_next(index) } else { windows.past(index) }
        };
        let rows = (0..windows.count()).flat_map(seen);
        fs::write(&past, rows.flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
        let mut python = Command::new("python3");
        python.arg(script("models/graph.py")).args([&onnx, &past]);
        let said: Value = serde_json::from_str(&succeeds(&mut python)).unwrap();
        let expected = predict(&forecaster, &parameters, &windows).unwrap();
        for (who, expected) in [("onnx", &expected[..]), ("onnx_of_one", &expected[..3])] {
            let differ = difference(&floats(&said[who]), expected);
            println!("{network:?} {hidden:?}, {who}: outputs differ by {differ:e} at most");
            assert!(differ <= 1e-6, "{network:?}, {who}: {differ}");
        }
    }
}

/// What an ONNX file says of its model.
fn check_notes(said: &Value, hash: &str) {
    let notes: BTreeMap<&str, &str> = said["notes"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, text)| (key.as_str(), text.as_str().unwrap()))
        .collect();
    assert_eq!((notes["hash"], notes["round"]), (hash, "4"));
    assert_eq!(notes["metrics"], "[\"load\",\"heat\",\"flow\"]");
    assert_eq!(notes["task"], said["metadata"]["task"].as_str().unwrap());
    let shapes = serde_json::json!([["past", ["windows", 21]], ["next", ["windows", 3]]]);
    assert_eq!(said["shapes"], shapes);
}

#[test]
fn a_model_is_imported_promoted_and_rolled_back_in_a_folder_that_nobody_serves() {
    if !are_here(&[]) {
        return;
    }
    let folder = Folder::new();
    let task = Task::Forecaster(forecaster(&[5]));
    let models = [1, 2].map(|seed| folder.foreign(&task, &task.initial(seed).unwrap()));
    let tried = folder.model(&["import", &models[0].0, "--dry-run"]);
    assert_eq!(tried, format!("{}  would be imported", models[0].1));
    assert_eq!(folder.model(&["list"]), "");
    for (file, hash) in &models {
        folder.model(&["import", file]);
        assert_eq!(
            folder.model(&["promote", &hash[..8], "--dry-run"]).split(';').next().unwrap(),
            format!("production would name {hash}")
        );
        folder.model(&["promote", &hash[..8]]);
    }
    let listed = folder.model(&["list"]);
    assert!(listed.lines().nth(1).unwrap().ends_with("round 4  production"), "{listed}");
    let back = folder.model(&["rollback"]);
    assert_eq!(back, format!("production names {}; before: {}", models[0].1, models[1].1));
    let shown: Value =
        serde_json::from_str(&folder.model(&["show", "production", "--format", "json"])).unwrap();
    assert_eq!(
        (&shown["model"], &shown["origin"]["kind"]),
        (&models[0].1.as_str().into(), &"imported".into())
    );
    let text = folder.model(&["show", "production"]);
    assert!(text.contains("parameters  ") && text.contains("round 4, 20"), "{text}");
    let refused = complaint(&folder.tried(&["rollback"]));
    assert!(refused.contains("named no model before this one"), "{refused}");
    let stray = folder.at("stray");
    fs::write(&stray, "not a model").unwrap();
    assert!(complaint(&folder.tried(&["import", &stray])).contains("cannot be imported"));
    assert!(!Path::new(&folder.at("coordinator/models/stray")).exists());
}

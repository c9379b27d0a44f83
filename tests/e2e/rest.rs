//! What lies on the disks: nothing in the clear, altered or gone is said, and so is an older copy that was put back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use coordinator::view::RunStatus;
use harness::programs::{complaint, run};

use crate::fleet::Fleet;
use crate::operator::Operator;
use crate::{METRICS, holds};

/// The files of a folder and below.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).map_or_else(|_| Vec::new(), |entries| entries.flatten().collect());
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.into_iter().flat_map(|entry| below(entry.path())).collect()
}

/// The model, the metrics and the configuration of the run, in what is sealed of all three folders.
fn check_sealed(fleet: &Fleet, model: &[u8]) {
    let sealed = ["models", "state.redb", "tenant.key"].map(|name| fleet.at("coordinator").join(name));
    let nodes = ["node-1", "node-2"].map(|node| fleet.at(node).join("model"));
    let mut looked_at = 0;
    for file in sealed
        .iter()
        .chain(&nodes)
        .flat_map(|path| if path.is_file() { vec![path.clone()] } else { files(path) })
    {
        let bytes = fs::read(&file).expect("it can be read");
        let clear =
            METRICS.iter().map(|metric| metric.as_bytes()).chain([&b"__metadata__"[..], b"past_steps"]);
        for text in clear.chain(model[model.len() - 16 * 40..].chunks_exact(16)) {
            assert!(!holds(&bytes, text), "{} shows {:?}", file.display(), String::from_utf8_lossy(text));
        }
        looked_at += 1;
    }
    assert!(looked_at >= 3 + 2 * 3, "{looked_at} files");
}

#[test]
fn what_was_learned_lies_sealed_an_altered_model_is_named_and_a_shredded_tenant_says_so() {
    let Some(fleet) = Fleet::new(18, 2) else { return };
    let operator = Operator(fleet);
    let coordinator = operator.0.serve(&[]);
    let id = operator.order(&["start", "--config", &operator.0.config.display().to_string()]);
    operator.until(&id, |run| run.status == RunStatus::Finished);
    operator.0.until(|| {
        ["node-1", "node-2"].iter().all(|node| operator.0.at(node).join("model/run.json").exists())
    });
    let output = operator.0.at("exported");
    let export = ["model", "export", &id, "--output", &output.display().to_string()];
    operator.ask(&export);
    check_sealed(&operator.0, &fs::read(&output).expect("it was exported"));
    let folder = operator.0.folder();
    let tried = |words: &[&str]| -> Output { run("coordinator", &[&["--dir", &folder][..], words].concat()) };
    let shred = |more: &[&str]| tried(&[&["tenant", "shred"][..], more].concat());
    let refused = complaint(&shred(&["default", "--yes"]));
    assert!(refused.contains("in use by another process"), "{refused}");
    assert!(coordinator.stop());

    let model = operator.view(&id).model.expect("a finished run has a model");
    let file = operator.0.at(&format!("coordinator/models/{model}.sealed"));
    let mut bytes = fs::read(&file).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("it can be written");
    let damaged = complaint(&tried(&export));
    assert!(damaged.contains(&model) && damaged.contains("is altered, or of another place"), "{damaged}");

    let other = complaint(&shred(&["acme", "--yes"]));
    assert!(other.contains("of the tenant `default`, not of `acme`"), "{other}");
    let dry = shred(&["default", "--dry-run"]);
    assert!(String::from_utf8_lossy(&dry.stdout).contains("nothing was changed"));
    // Nobody types the name.
    assert!(complaint(&shred(&["default"])).contains("nothing was changed"));
    operator.ask(&["tenant", "shred", "default", "--yes"]);
    for words in [&["serve"][..], &["run", "list"], &["model", "list"], &["tenant", "shred", "default"]] {
        let gone = complaint(&tried(words));
        assert!(gone.contains("tenant default was shredded on 2"), "{words:?}: {gone}");
    }
    assert!(
        operator.0.at("coordinator/roster").exists() && !operator.0.at("coordinator/tenant.key").exists()
    );
}

#[test]
fn a_coordinator_whose_older_state_was_put_back_hears_so_from_a_node_and_stops() {
    let Some(fleet) = Fleet::new(19, 1) else { return };
    let operator = Operator(fleet);
    let coordinator = operator.0.serve(&[]);
    let id = operator.start("long", 1_000_000);
    operator.until(&id, |run| run.rounds_done >= 1);
    assert!(coordinator.stop());
    let (state, copy) = (operator.0.at("coordinator/state.redb"), operator.0.at("copy"));
    fs::copy(&state, &copy).expect("it can be copied");
    let before = operator.view(&id).rounds_done;
    let coordinator = operator.0.serve(&[]);
    operator.until(&id, |run| run.rounds_done >= before + 3);
    assert!(coordinator.stop());

    fs::copy(&copy, &state).expect("it can be put back");
    let mut coordinator = operator.0.serve(&[]);
    operator.0.until(|| !coordinator.is_running());
    let said = operator.0.said();
    assert!(
        said.contains("an older copy of the folder was put back") && said.contains("node node-"),
        "{said}"
    );
    assert_eq!(operator.view(&id).rounds_done, before, "nothing was done");
}

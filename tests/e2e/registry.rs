//! Models while a coordinator serves their folder: shown, promoted, exported, begun with.

use coordinator::view::RunStatus;
use coordinator::view::model::{ListedModel, ModelView, OriginView, TrainedView};
use harness::programs::{complaint, edit, run};

use crate::fleet::Fleet;

/// What an operator asks of models and runs.
struct Desk(Fleet);

impl Desk {
    /// What was printed.
    fn ask(&self, words: &[&str]) -> String {
        let done = run("coordinator", &[&["--dir", &self.0.folder()][..], words].concat());
        assert!(
            done.status.success(),
            "{words:?}: {}\n{}",
            String::from_utf8_lossy(&done.stderr),
            self.0.logs()
        );
        String::from_utf8(done.stdout).expect("it is text").trim().to_owned()
    }

    fn refused(&self, words: &[&str]) -> String {
        complaint(&run("coordinator", &[&["--dir", &self.0.folder()][..], words].concat()))
    }

    fn show(&self, model: &str) -> ModelView {
        let shown = self.ask(&["model", "show", model, "--format", "json"]);
        serde_json::from_str(&shown).expect("a model is a line of JSON")
    }

    /// The round that made it.
    fn made(&self, model: &str) -> TrainedView {
        match self.show(model).origin {
            OriginView::Trained(trained) => *trained,
            other => panic!("{other:?}"),
        }
    }

    /// A run to its end; its model.
    fn train(&self, more: &[&str]) -> String {
        let config = self.0.config.display().to_string();
        let id = self.ask(&[&["run", "start", "--config", &config][..], more].concat());
        let find = || self.0.runs().into_iter().find(|run| run.run == id).expect("it is listed");
        self.0.until(|| find().status == RunStatus::Finished);
        find().model.expect("a finished run has a model")
    }
}

#[test]
fn a_model_is_promoted_while_it_is_served_and_the_next_run_begins_with_it() {
    let Some(fleet) = Fleet::new(4, 2) else { return };
    let desk = Desk(fleet);
    let coordinator = desk.0.serve(&[]);
    let first = desk.train(&[]);
    let made = desk.made(&first);
    assert_eq!((made.round, made.rounds, made.code.is_empty()), (2, 2, false));
    let nodes: Vec<&str> = made.cohort.iter().map(|part| part.node.as_str()).collect();
    assert!(nodes.contains(&"node-1") && nodes.contains(&"node-2"), "{nodes:?}");
    assert_eq!(made.samples, made.cohort.iter().map(|part| part.weight).sum::<u64>());
    let before = desk.made(&made.parent);
    assert_eq!(before.round, 1);
    assert!(matches!(desk.show(&before.parent).origin, OriginView::Initial { .. }));

    assert!(desk.ask(&["model", "promote", &first[..8]]).contains(&first));
    edit(&desk.0.config, |text| text.replace("first-run", "second-run"));
    let second = desk.train(&["--from", "production"]);
    let begun = desk.made(&desk.made(&second).parent);
    assert_eq!(
        (begun.name.as_str(), &begun.parent),
        ("second-run", &first),
        "it began with the model promoted"
    );
    desk.ask(&["model", "promote", "second-run"]);
    assert_eq!(desk.show("production").model, second);
    edit(&desk.0.config, |text| text.replace("past_steps = 19", "past_steps = 18"));
    let config = desk.0.config.display().to_string();
    let misfit = desk.refused(&["run", "start", "--config", &config, "--from", "production"]);
    assert!(misfit.contains("which is for another task: its past steps: 19; the run's: 18"), "{misfit}");

    let (file, graph) = (format!("coordinator/models/{first}.safetensors"), desk.0.at("model.onnx"));
    let import = desk.ask(&["model", "import", &desk.0.at(&file).display().to_string()]);
    assert_eq!(import, format!("{first}  was here already"));
    desk.ask(&["model", "export", "production", "--as", "onnx", "--output", &graph.display().to_string()]);
    assert!(graph.exists());
    let examined = desk.ask(&["doctor"]);
    assert!(examined.contains("ok    coordinator") && !examined.contains("fail "), "{examined}");
    assert!(coordinator.stop());
    assert!(desk.ask(&["model", "rollback"]).contains(&format!("production names {first}")));
    let listed = desk.ask(&["model", "list", "--format", "json"]);
    let listed: Vec<ListedModel> =
        listed.lines().map(|line| serde_json::from_str(line).expect("a model is a line of JSON")).collect();
    let named: Vec<&str> = listed
        .iter()
        .filter(|model| model.aliases == ["production"])
        .map(|model| model.model.as_str())
        .collect();
    assert_eq!((listed.len(), named), (4, vec![first.as_str()]));

    std::fs::write(desk.0.at(&format!("coordinator/models/{second}.safetensors")), "damaged")
        .expect("it is there");
    let examined = run("coordinator", &["--dir", &desk.0.folder(), "doctor", "--format", "json"]);
    assert_eq!(examined.status.code(), Some(1));
    let examined = String::from_utf8(examined.stdout).expect("JSON is text");
    let failed: Vec<&str> = examined.lines().filter(|line| line.contains("\"verdict\":\"fail\"")).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].contains(&second), "{failed:?}");
}

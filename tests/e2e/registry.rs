//! Models while a coordinator serves their folder: shown, promoted, exported, begun with.

use coordinator::view::RunStatus;
use coordinator::view::model::{ListedModel, ModelView, OriginView, TrainedView};
use harness::programs::{edit, run};
use serde_json::Value;

use crate::fleet::Fleet;
use crate::operator::Operator;

/// What an operator asks of models and runs.
struct Desk(Operator);

impl Desk {
    fn show(&self, model: &str) -> ModelView {
        let shown = self.0.ask(&["model", "show", model, "--format", "json"]);
        serde_json::from_str(&shown).expect("a model is JSON")
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
        let config = self.0.0.config.display().to_string();
        let id = self.0.order(&[&["start", "--config", &config][..], more].concat());
        self.0.until(&id, |run| run.status == RunStatus::Finished);
        self.0.view(&id).model.expect("a finished run has a model")
    }
}

#[test]
fn a_model_is_promoted_while_it_is_served_and_the_next_run_begins_with_it() {
    let Some(fleet) = Fleet::new(7, 2) else { return };
    let desk = Desk(Operator(fleet));
    let (operator, fleet) = (&desk.0, &desk.0.0);
    let coordinator = fleet.serve(&[]);
    let first = desk.train(&[]);
    let made = desk.made(&first);
    let TrainedView { round, rounds, attempt, .. } = made;
    assert_eq!((round, rounds, attempt.code.is_empty()), (2, 2, false));
    let updates =
        ["node-1", "node-2"].map(|node| attempt.cohort[node].update.as_ref().expect("it took part"));
    assert_eq!(attempt.weight, updates.iter().map(|update| update.weight).sum::<u64>());
    let before = desk.made(&attempt.parent);
    assert_eq!(before.round, 1);
    assert!(matches!(desk.show(&before.attempt.parent).origin, OriginView::Initial { .. }));

    assert!(operator.ask(&["model", "promote", &first[..8]]).contains(&first));
    edit(&fleet.config, |text| text.replace("first-run", "second-run"));
    let second = desk.train(&["--from", "production"]);
    let begun = desk.made(&desk.made(&second).attempt.parent);
    assert_eq!(
        (begun.name.as_str(), &begun.attempt.parent),
        ("second-run", &first),
        "it began with the model promoted"
    );
    operator.ask(&["model", "promote", "second-run"]);
    assert_eq!(desk.show("production").model, second);
    edit(&fleet.config, |text| text.replace("past_steps = 19", "past_steps = 18"));
    let config = fleet.config.display().to_string();
    for more in [&[][..], &["--dry-run"]] {
        let start = ["start", "--config", &config, "--from", "production"];
        let misfit = operator.refused(&[&start[..], more].concat());
        assert!(misfit.contains("which is for another task: its past steps: 19; the run's: 18"), "{misfit}");
    }

    let (file, graph) = (fleet.at("first.safetensors").display().to_string(), fleet.at("model.onnx"));
    operator.ask(&["model", "export", &first, "--output", &file]);
    let import = operator.ask(&["model", "import", &file]);
    assert_eq!(import, format!("{first}  was here already"));
    operator.ask(&[
        "model",
        "export",
        "production",
        "--as",
        "onnx",
        "--output",
        &graph.display().to_string(),
    ]);
    assert!(graph.exists());
    let examined = operator.ask(&["doctor"]);
    assert!(examined.contains("ok    coordinator") && !examined.contains("fail "), "{examined}");
    assert!(coordinator.stop());
    assert!(operator.ask(&["model", "rollback"]).contains(&format!("production names {first}")));
    let listed = operator.ask(&["model", "list", "--format", "json"]);
    let listed: Vec<ListedModel> = serde_json::from_str(&listed).expect("a list is an array");
    let named: Vec<&str> = listed
        .iter()
        .filter(|model| model.aliases == ["production"])
        .map(|model| model.model.as_str())
        .collect();
    assert_eq!((listed.len(), named), (4, vec![first.as_str()]));

    std::fs::write(fleet.at(&format!("coordinator/models/{second}.sealed")), "damaged").expect("it is there");
    let examined = run("coordinator", &["--dir", &fleet.folder(), "doctor", "--format", "json"]);
    assert_eq!(examined.status.code(), Some(1));
    let examined: Vec<Value> = serde_json::from_slice(&examined.stdout).expect("a list is an array");
    let failed: Vec<&Value> = examined.iter().filter(|finding| finding["verdict"] == "fail").collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0]["found"].as_str().is_some_and(|found| found.contains(&second)), "{failed:?}");
}

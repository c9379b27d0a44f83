//! Several runs at once, each as if it were alone.

use coordinator::view::RunStatus;
use harness::programs::edit;

use crate::fleet::Fleet;
use crate::operator::Operator;

/// Runs at once.
const RUNS: usize = 8;

/// Rounds of each.
const ROUNDS: u32 = 10;

/// The configurations of runs that differ in their seeds, so that no model of one is a model of another.
fn configs(operator: &Operator) -> Vec<String> {
    let config = |number: usize| {
        let name = format!("run-{number}");
        let file = operator.config(&name, ROUNDS);
        edit(file.as_ref(), |text| {
            let text = text.replace("seed = 1\n", &format!("seed = {}\n", 100 + number));
            text.replace("minimum = 2", "minimum = 3").replace("goal = 2", "goal = 3")
        });
        file
    };
    (0..RUNS).map(config).collect()
}

#[test]
fn eight_runs_at_once_over_a_kill_of_the_coordinator_end_in_the_models_of_the_same_runs_alone() {
    let Some(fleet) = Fleet::of(&["node-1", "node-2", "node-3"], 12, 1) else { return };
    let operator = Operator(fleet);
    let coordinator = operator.0.serve(&[]);
    let configs = configs(&operator);
    let start = |config: &String| operator.order(&["start", "--config", config]);
    let ended = |run: &String| {
        operator.until(run, |run| run.status != RunStatus::Running);
        let run = operator.view(run);
        assert_eq!((run.status, run.rounds_done), (RunStatus::Finished, ROUNDS), "{}", operator.0.logs());
        assert!(run.history.iter().all(|round| round.updates == 3), "{run:#?}");
        run.model.expect("a finished run has a model")
    };
    let alone: Vec<String> = configs.iter().map(|config| ended(&start(config))).collect();
    assert_eq!(alone.iter().collect::<std::collections::BTreeSet<_>>().len(), RUNS);

    let runs: Vec<String> = configs.iter().map(start).collect();
    let going_on = || operator.0.runs().iter().filter(|run| run.status == RunStatus::Running).count();
    assert!(going_on() >= 2, "some of them go on at the same time");
    operator.until(&runs[RUNS - 1], |run| run.rounds_done >= 1);
    drop(coordinator);
    let _coordinator = operator.0.serve(&[]);
    let at_once: Vec<String> = runs.iter().map(ended).collect();
    assert_eq!(at_once, alone);
}

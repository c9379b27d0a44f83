//! What an operator does with runs that go on: pause, resume, extend, stop, and start another one meanwhile.

use coordinator::view::RunStatus;
use harness::programs::run;

use crate::fleet::Fleet;
use crate::operator::Operator;

#[test]
fn a_run_is_paused_over_a_restart_resumed_beside_others_and_stopped() {
    let Some(fleet) = Fleet::new(3, 1) else { return };
    let operator = Operator(fleet);
    let coordinator = operator.0.serve(&[]);
    let listed = run("coordinator", &["--dir", &operator.0.folder(), "node", "list"]);
    let listed = String::from_utf8(listed.stdout).expect("names are text");
    assert!(listed.contains("node-1 ") && listed.contains("node-2 "), "{listed}");
    let long = operator.start("long", 1_000_000);
    operator.until(&long, |run| run.rounds_done >= 2);
    assert!(operator.refused(&["resume", "long"]).contains("only one that is paused can be resumed"));
    assert_eq!(operator.order(&["pause", "long"]), long);
    let paused = operator.view(&long);
    assert_eq!(paused.status, RunStatus::Paused);
    assert!(operator.refused(&["pause", "long"]).contains("is paused; only one that is going on"));

    assert!(coordinator.stop());
    let _coordinator = operator.0.serve(&[]);
    let short = operator.start("short", 2);
    assert!(operator.refused(&["resume", "long"]).contains("a run is going on"));
    operator.until(&short, |run| run.status == RunStatus::Finished);
    let still = operator.view(&long);
    assert_eq!(
        (still.status, still.rounds_done, still.model),
        (RunStatus::Paused, paused.rounds_done, paused.model)
    );

    operator.order(&["resume", &long[..8]]);
    operator.until(&long, |run| run.rounds_done >= paused.rounds_done + 2);
    let dry = operator.order(&["stop", "long", "--dry-run"]);
    assert!(dry.contains("would end run") && dry.contains("nothing was changed"), "{dry}");
    assert_eq!(operator.view(&long).status, RunStatus::Running);
    operator.order(&["stop", "long"]);
    let stopped = operator.view(&long);
    assert_eq!(stopped.reason.as_deref(), Some("it was stopped by an operator"));
    let watched = run("coordinator", &["--dir", &operator.0.folder(), "run", "watch", "long"]);
    assert_eq!(watched.status.code(), Some(3));
    assert!(operator.refused(&["stop", "long"]).contains("is failed: it was stopped by an operator"));
    assert!(operator.refused(&["stop", "nothing"]).contains("no run `nothing`"));
}

#[test]
fn a_run_is_extended_while_it_goes_on_while_it_is_paused_and_when_it_is_finished() {
    let Some(fleet) = Fleet::new(4, 1) else { return };
    let operator = Operator(fleet);
    let coordinator = operator.0.serve(&[]);
    let extend = |run: &str, rounds: u32| operator.order(&["extend", run, "--rounds", &rounds.to_string()]);

    let long = operator.start("long", 1_000_000);
    operator.until(&long, |run| run.rounds_done >= 1);
    assert_eq!(extend("long", 5), long);
    assert_eq!(operator.view(&long).rounds, 1_000_005);
    operator.order(&["pause", "long"]);
    extend("long", 5);
    let paused = operator.view(&long);
    assert_eq!((paused.status, paused.rounds), (RunStatus::Paused, 1_000_010));

    let short = operator.start("short", 2);
    assert_eq!(operator.run(&["wait", "short", "--timeout", "60"]).status.code(), Some(0));
    let finished = operator.view(&short);
    // Its nodes have the result by now, or are being offered it; both go on with the run.
    extend("short", 2);
    assert_eq!(operator.run(&["wait", "short", "--timeout", "60"]).status.code(), Some(0));
    let extended = operator.view(&short);
    assert_eq!((extended.status, extended.rounds_done, extended.rounds), (RunStatus::Finished, 4, 4));
    assert_eq!(extended.history[..2], finished.history[..]);

    // A coordinator that is started anew knows of it too, and goes on with a run that was finished.
    assert!(coordinator.stop());
    let _coordinator = operator.0.serve(&[]);
    extend("short", 1);
    operator.order(&["wait", "short", "--timeout", "60"]);
    assert_eq!(operator.view(&short).rounds_done, 5);
    operator.order(&["resume", "long"]);
    assert!(operator.refused(&["extend", "short", "--rounds", "1"]).contains("a run is going on"));
    operator.order(&["stop", "long"]);
    assert!(operator.refused(&["extend", "long", "--rounds", "1"]).contains("is failed"));
}

//! What an operator does with runs that go on: pause, resume, extend, stop, and start another one meanwhile.

use coordinator::view::{OrderedRun, RunStatus};
use harness::programs::{edit, run};

use crate::fleet::Fleet;
use crate::operator::Operator;

#[test]
fn a_run_is_paused_over_a_restart_resumed_beside_others_and_stopped() {
    let Some(fleet) = Fleet::new(3, 1) else { return };
    edit(&fleet.at("coordinator/coordinator.toml"), |text| text.replace("at_once = 8", "at_once = 1"));
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
    let refused = operator.refused(&["resume", "long"]);
    let makes_room = format!("pause or stop one of them (short {})", &short[..8]);
    assert!(refused.contains("as `runs.at_once` allows, 1") && refused.contains(&makes_room), "{refused}");
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
    // Both go on side by side, and only a name tells which is meant.
    operator.order(&["resume", "long"]);
    extend("short", 1_000_000);
    let refused = operator.refused(&["status"]);
    assert!(refused.contains("several runs go on; name one") && refused.contains(&long), "{refused}");
    let done = [&long, &short].map(|run| operator.view(run).rounds_done);
    operator.until(&long, |run| run.rounds_done >= done[0] + 2);
    operator.until(&short, |run| run.rounds_done >= done[1] + 2);
    operator.order(&["stop", "short"]);
    assert!(operator.order(&["status"]).starts_with(&long), "the only one that goes on is meant");
    operator.order(&["stop", "long"]);
    assert!(operator.refused(&["extend", "long", "--rounds", "1"]).contains("is failed"));
}

#[test]
fn a_run_that_the_memory_of_all_has_no_room_for_is_refused_with_the_numbers() {
    let Some(fleet) = Fleet::new(20, 1) else { return };
    edit(&fleet.at("coordinator/coordinator.toml"), |text| {
        text.replace("memory_mb = 8_000", "memory_mb = 2")
    });
    let operator = Operator(fleet);
    let _coordinator = operator.0.serve(&[]);
    let config = operator.config("one", 1_000_000);
    let dry = operator.order(&["start", "--config", &config, "--dry-run", "--format", "json"]);
    let dry: OrderedRun = serde_json::from_str(&dry).expect("it is JSON");
    let memory = dry.size.expect("a dry start tells the size").memory_bytes;
    assert!((1_000_000..2_000_000).contains(&memory), "{memory}");
    operator.order(&["start", "--config", &config]);
    for dry in [&["--dry-run"][..], &[]] {
        let refused = operator.refused(&[&["start", "--config", &config][..], dry].concat());
        assert!(refused.contains("of `runs.memory_mb`, 2.0 MB, the runs that go on take 1."), "{refused}");
        assert!(refused.contains("pause or stop some of them (one "), "{refused}");
    }
    operator.order(&["stop", "one"]);
    operator.order(&["start", "--config", &config]);
}

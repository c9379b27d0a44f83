//! Who belongs to a tenant, while its run goes on: nodes that come, nodes that are taken out, and old lists.

use std::fs;

use coordinator::view::InstalledRoster;
use harness::programs::{Daemon, complaint, run};

use crate::domain;
use crate::operator::Operator;

/// The number of the test, which chooses its domain.
const TEST: u16 = 13;

/// Makes the folder of one more node, with the telemetry of the first one; what `init` printed.
fn one_more(operator: &Operator, name: &str) -> String {
    let at = |name: &str| operator.0.at(name).display().to_string();
    let (folder, key) = (at(name), at("coordinator/operator.pub"));
    let made = run("node", &["--dir", &folder, "init", "--operator", &key, "--name", name]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let first = fs::read_to_string(operator.0.at("node-1/node.toml")).expect("it was made");
    let config = first.replace("name = \"node-1\"", &format!("name = \"{name}\""));
    fs::write(operator.0.at(&format!("{name}/node.toml")), config).expect("it can be written");
    String::from_utf8(made.stdout).expect("a line is text").trim().to_owned()
}

fn start(operator: &Operator, name: &str) -> Daemon {
    let folder = operator.0.at(name).display().to_string();
    Daemon::start("node", &["--dir", &folder, "run"], &operator.0.at(&format!("{name}.log")))
}

#[test]
fn a_node_is_let_in_and_another_taken_out_while_a_run_goes_on_and_the_others_are_left_alone() {
    let Some((operator, coordinator)) = Operator::of_two(TEST) else { return };
    let long = operator.start_small("long", 1_000_000, 5);
    operator.until(&long, |run| run.rounds_done >= 1);

    // Who is not let in is told of, and let in without anything being started again.
    let line = one_more(&operator, "node-3");
    let _third = start(&operator, "node-3");
    operator.0.until(|| operator.0.said().contains("it is not on the roster"));
    let said = "this node is in no round: it is not on the roster";
    operator.0.until(|| operator.0.heard("node-3").contains(said));
    let words: Vec<&str> = line.split(' ').collect();
    let approve = [&["node", "approve"], &words[..], &["rack=A", "--format", "json"]].concat();
    let tried: InstalledRoster =
        serde_json::from_str(&operator.ask(&[&approve[..], &["--dry-run"]].concat())).unwrap();
    let done: InstalledRoster = serde_json::from_str(&operator.ask(&approve)).unwrap();
    assert_eq!((tried.dry_run, tried.version, &tried.approved), (true, done.version, &done.approved));
    assert_eq!((done.version, done.nodes, done.approved), (3, 3, vec!["node-3".to_owned()]));
    operator.0.until(|| operator.node("node-3").present);
    assert_eq!(operator.node("node-3").labels["rack"], "A");
    let next = operator.view(&long).rounds_done + 2;
    // Two of three are drawn for a round.
    let takes_part = |round| operator.selected(&long, round).iter().any(|name| name == "node-3");
    assert!((next..next + 30).any(takes_part));

    // A copy of the folder is not what stops who was taken out from being so.
    let roster = operator.0.at("coordinator/roster");
    let old = fs::read(&roster).unwrap();
    operator.ask(&["node", "revoke", "node-2", "--reason", "its disk was stolen"]);
    operator
        .0
        .until(|| operator.0.heard("node-2").contains("in no round: it was revoked: its disk was stolen"));
    let next = operator.view(&long).rounds_done + 2;
    assert_eq!(operator.selected(&long, next), ["node-1", "node-3"]);
    let again = complaint(&run(
        "coordinator",
        &[
            &["--dir", &operator.0.folder(), "node", "approve", "node-2"][..],
            &[fs::read_to_string(operator.0.at("node-2/identity.pub")).unwrap().trim()],
        ]
        .concat(),
    ));
    assert!(again.contains("the key of `node-2` was revoked, and stays so"), "{again}");
    assert!(coordinator.stop());
    fs::write(&roster, old).unwrap();
    let rounds = operator.view(&long).rounds_done;
    let _coordinator = operator.0.serve(&[]);
    operator
        .0
        .until(|| operator.0.said().contains("holds version 4 of the roster, this coordinator version 3"));
    // Nodes look at who is asked: an old list lets nobody in again.
    let declines = |name| operator.0.heard(name).contains("takes part and is not on the roster");
    operator.0.until(|| declines("node-1") || declines("node-3"));
    let done = operator.view(&long).rounds_done;
    for round in rounds + 1..=done {
        assert_eq!(operator.selected(&long, round), ["node-1", "node-3"], "round {round}");
    }
}

#[test]
fn an_operator_who_keeps_his_key_elsewhere_signs_there_and_installs_here() {
    if !harness::programs::are_built() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let ask = |name: &str, words: &[&str]| {
        let done = run("coordinator", &[&["--dir", &at(name)][..], words].concat());
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let refused = |name: &str, words: &[&str]| {
        complaint(&run("coordinator", &[&["--dir", &at(name)][..], words].concat()))
    };
    ask("operator", &["operator-init"]);
    let init = ["init", "--operator", &at("operator/operator.pub"), "--tenant", "acme"];
    ask("coordinator", &[&init[..], &["--domain", &domain(TEST).to_string()]].concat());
    assert!(refused("coordinator", &["serve"]).contains("roster is missing; the operator"));
    let key = fs::read_to_string(at("coordinator/identity.pub")).unwrap();
    let appoint = ["roster", "appoint", key.trim()];
    assert!(refused("operator", &appoint).contains("name the new tenant with --tenant"));
    ask("operator", &[&appoint[..], &["--tenant", "acme"]].concat());
    ask("coordinator", &["roster", "install", &at("operator/roster")]);

    // There is no key to sign with where the coordinator serves.
    let approve = ["node", "approve", "web-1", key.trim()];
    assert!(
        refused("coordinator", &approve).contains("sign where it is"),
        "{}",
        refused("coordinator", &approve)
    );
    ask("operator", &approve);
    let installed = ask("coordinator", &["roster", "install", &at("operator/roster")]);
    assert!(
        installed.contains("version 2 of the roster of `acme` is in force: 1 nodes")
            && installed.contains("web-1")
    );
    assert!(
        refused("coordinator", &["roster", "install", &at("operator/roster")])
            .contains("version 2 counts already")
    );
    assert!(ask("coordinator", &["roster", "show"]).contains("\nnode web-1 "));

    // Another operator's is none.
    ask("other", &["operator-init"]);
    ask("other", &[&appoint[..], &["--tenant", "acme"]].concat());
    ask("other", &["node", "approve", "web-2", key.trim()]);
    ask("other", &["node", "revoke", "web-2"]);
    assert!(
        refused("coordinator", &["roster", "install", &at("other/roster")]).contains("not the operator's")
    );
}

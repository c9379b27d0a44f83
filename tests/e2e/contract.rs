//! What scripts rely on: output that its schema describes, exit codes, keys of starts, the same answers from a folder.

use std::fs;
use std::process::Command;

use common::id::RoundId;
use common::model::Task;
use coordinator::store::About;
use coordinator::store::models::write_plain;
use coordinator::view::model::{ModelView, OriginView};
use coordinator::view::{
    ComparedRuns, ExplainedRound, IssuedToken, OrderedRun, ParticipationOutcome, RunStatus, RunView,
    TokenStatus, TokenView,
};
use harness::others::Need::Python;
use harness::others::{are_here, script, succeeds};
use harness::programs::{complaint, run};
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::join::listen;
use crate::operator::Operator;

/// What commands printed, each with its schema.
#[derive(Default)]
struct Printed(Vec<Value>);

impl Printed {
    /// Runs a command that prints JSON; returns what it printed.
    fn take(&mut self, operator: &Operator, words: &[&str], format: &str) -> Value {
        let folder = operator.0.folder();
        let all = |more: &[&str]| {
            let done =
                run("coordinator", &[&["--dir", &folder], words, &["--format", format], more].concat());
            assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
            String::from_utf8(done.stdout).expect("JSON is text")
        };
        let parse = |text: &str| serde_json::from_str::<Value>(text).expect("it is JSON");
        let schema = parse(&all(&["--schema"]));
        let text = all(&[]);
        let lines: Vec<Value> = match format {
            "jsonl" => text.lines().map(parse).collect(),
            _ => vec![parse(&text)],
        };
        for printed in &lines {
            let what = format!("{} {format}", words.join(" "));
            self.0.push(json!({ "what": what, "schema": schema, "printed": printed }));
        }
        lines.last().cloned().unwrap_or_default()
    }

    /// Another validator than any that made the schemas says whether they hold.
    fn check(&self, operator: &Operator) {
        if !are_here(&[Python("jsonschema", "jsonschema")]) {
            return;
        }
        let file = operator.0.at("printed.jsonl");
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        fs::write(&file, lines.join("\n")).expect("it can be written");
        println!("{}", succeeds(Command::new("python3").arg(script("e2e/validate.py")).arg(file)).trim());
    }
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it is of its type")
}

#[test]
fn what_is_printed_is_what_the_schemas_say_with_a_coordinator_and_without() {
    let Some(fleet) = Fleet::new(5, 1) else { return };
    listen(&fleet, "");
    let (operator, mut printed) = (Operator(fleet), Printed::default());
    let coordinator = operator.0.serve(&[]);
    let config = operator.config("first", 3);
    let dry = printed.take(&operator, &["run", "start", "--config", &config, "--dry-run"], "json");
    let dry: OrderedRun = parsed(dry);
    let size = dry.size.expect("a dry start tells the size");
    assert!(dry.run.is_none() && size.nodes_allowed == 2 && size.round_bytes > 0, "{size:?}");
    assert!(operator.0.runs().is_empty(), "nothing was changed");

    let first: OrderedRun = parsed(printed.take(&operator, &["run", "start", "--config", &config], "json"));
    let first = first.run.expect("it was started");
    let watched: RunView = parsed(printed.take(&operator, &["run", "watch", &first], "jsonl"));
    assert_eq!((watched.status, watched.rounds_done), (RunStatus::Finished, 3));
    let second = operator.start("second", 2);
    operator.order(&["wait", &second]);

    let questions: [&[&str]; 4] = [
        &["run", "list"],
        &["run", "status", "first"],
        &["run", "explain", "first", "2"],
        &["run", "diff", "first", "second"],
    ];
    let served = questions.map(|words| printed.take(&operator, words, "json"));
    printed.take(&operator, &["run", "list"], "jsonl");
    printed.take(&operator, &["node", "list"], "json");
    printed.take(&operator, &["node", "drain", "node-1", "--dry-run"], "json");
    printed.take(&operator, &["node", "undrain", "node-1"], "jsonl");
    printed.take(&operator, &["run", "extend", "first", "--rounds", "1", "--dry-run"], "json");
    assert_eq!(printed.take(&operator, &["run", "watch", "first"], "json"), served[1]);

    let explained: ExplainedRound = parsed(served[2].clone());
    let attempt = explained.attempts.last().expect("it was tried");
    let took_part = attempt.cohort.values().filter(|node| node.outcome == ParticipationOutcome::Reported);
    assert_eq!(took_part.count(), 2);
    assert!(explained.step.is_some_and(|step| step.norm > 0.0 && step.norm < step.model_norm));
    assert!(explained.loss_before.is_some() && explained.loss_after.is_some());
    print_models(&operator, &mut printed);
    print_tokens(&operator, &mut printed);
    let compared: ComparedRuns = parsed(served[3].clone());
    assert_eq!(compared.config.iter().map(|key| &*key.key).collect::<Vec<_>>(), ["name", "rounds"]);

    assert!(coordinator.stop());
    for (words, served) in questions.iter().zip(served) {
        assert_eq!(without_bytes(printed.take(&operator, words, "json")), without_bytes(served), "{words:?}");
    }
    printed.take(&operator, &["tenant", "shred", "default", "--dry-run"], "json");
    printed.check(&operator);
}

/// Every command about tokens.
fn print_tokens(operator: &Operator, printed: &mut Printed) {
    let create = ["token", "create", "--label", "rack=A", "--names", "web-*"];
    printed.take(operator, &[&create[..], &["--dry-run"]].concat(), "json");
    let issued: IssuedToken = parsed(printed.take(operator, &create, "json"));
    printed.take(operator, &["token", "list"], "json");
    let id = issued.id.expect("it was made");
    printed.take(operator, &["token", "revoke", &id[..6]], "json");
    let last: TokenView = parsed(printed.take(operator, &["token", "list"], "jsonl"));
    assert_eq!((last.id, last.status), (id, TokenStatus::Revoked));
}

/// Every command about models, and the look at the folder: with models from a seed, of rounds and from elsewhere.
fn print_models(operator: &Operator, printed: &mut Printed) {
    let first = Task::Flat { parameters: 3 }.initial(1).expect("it is small");
    let about = About { round: RoundId(4), task: &Task::Flat { parameters: 3 } };
    let elsewhere = write_plain(&operator.0.at("elsewhere"), &about, first.schema(), first.values());
    let ((foreign, file), output) = (elsewhere.expect("there is room"), operator.0.at("exported"));
    let (file, output) = (file.display().to_string(), output.display().to_string());
    let mut model = "first".to_owned();
    for round in [3, 2, 1] {
        let shown: ModelView = parsed(printed.take(operator, &["model", "show", &model], "json"));
        let OriginView::Trained(made) = shown.origin else { panic!("{:?}", shown.origin) };
        assert_eq!(made.round, round);
        model = made.attempt.parent;
    }
    let foreign = foreign.to_string();
    let questions: [&[&str]; 10] = [
        &["model", "show", &model],
        &["model", "import", &file, "--dry-run"],
        &["model", "import", &file],
        &["model", "show", &foreign],
        &["model", "promote", "first", "--dry-run"],
        &["model", "promote", "first"],
        &["model", "promote", &model],
        &["model", "rollback"],
        &["model", "export", "--output", &output],
        &["model", "list"],
    ];
    for words in questions {
        printed.take(operator, words, "json");
    }
    printed.take(operator, &["model", "list"], "jsonl");
    printed.take(operator, &["doctor"], "json");
}

/// Only a coordinator that did a round knows its bytes.
fn without_bytes(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|key, _| key != "bytes");
            fields.values_mut().for_each(|inner| *inner = without_bytes(inner.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_bytes(item.take())),
        _ => (),
    }
    value
}

#[test]
fn a_start_with_a_key_is_done_once_and_exit_codes_tell_how_runs_stand() {
    let Some(fleet) = Fleet::new(6, 1) else { return };
    let operator = Operator(fleet);
    let code = |words: &[&str]| operator.run(words).status.code();
    assert_eq!(code(&["wait"]), Some(6), "nobody serves the folder");
    let coordinator = operator.0.serve(&[]);
    let (one, other) = (operator.config("one", 1_000_000), operator.config("other", 2));
    let start = ["start", "--idempotency-key", "k-1", "--config"];
    let id = operator.order(&[&start[..], &[&one]].concat());
    assert_eq!(operator.order(&[&start[..], &[&one]].concat()), id);
    let refused = operator.refused(&[&start[..], &[&other]].concat());
    assert!(refused.contains("another configuration"), "{refused}");
    let long = "k".repeat(129);
    let refused = operator.refused(&["start", "--idempotency-key", &long, "--config", &other]);
    assert!(refused.contains("at most 128 bytes, this one 129"), "{refused}");
    assert_eq!(code(&["wait", "one", "--timeout", "1s"]), Some(4));
    operator.order(&["pause", "one"]);
    assert_eq!(code(&["wait", "one"]), Some(5));

    assert!(coordinator.stop());
    let unserved = operator.run(&["pause", "one"]);
    assert_eq!(unserved.status.code(), Some(6));
    assert!(complaint(&unserved).contains("start `coordinator serve`"));
    let _coordinator = operator.0.serve(&[]);
    let again = operator.order(&[&start[..], &[&one, "--format", "json"]].concat());
    let again: OrderedRun = serde_json::from_str(&again).expect("it is JSON");
    assert_eq!((again.run.as_deref(), again.repeated), (Some(&*id), true));
    assert_eq!(operator.0.runs().len(), 1);
    operator.order(&["stop", "one"]);
    assert_eq!(code(&["wait", "one"]), Some(3));
    assert_eq!(code(&["explain", "one", "9999999"]), Some(1));
    assert_eq!(code(&["explain", "one"]), Some(2));
}

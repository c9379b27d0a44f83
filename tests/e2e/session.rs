//! The session in the manual, run as it stands there: `common/docs/session.md`.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use harness::others::{Need, are_here};
use harness::programs::{Daemon, program, wait_until};

use crate::domain;

const PAGE: &str = include_str!("../../common/docs/session.md");

/// The number of the test, which chooses its domain.
const TEST: u16 = 22;

/// What precedes what a command prints, with its number.
const MARK: &str = "==== command ";

/// What stands for anything that is printed.
const ANYTHING: char = '…';

/// A command, and what the manual says that it prints.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    prints: String,
}

/// The commands in the blocks ```` ```console ````: lines after `$ `, gone on with after `> `. The others are what they
/// print.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let blocks = page.split("```console\n").skip(1).filter_map(|rest| rest.split_once("```\n"));
    for line in blocks.flat_map(|(block, _)| block.lines()) {
        match (line.strip_prefix("$ "), line.strip_prefix("> "), steps.last_mut()) {
            (Some(command), ..) => steps.push(Step { command: command.to_owned(), prints: String::new() }),
            (None, Some(more), Some(step)) => step.command.extend(["\n", more]),
            (None, None, Some(step)) => step.prints.extend([line, "\n"]),
            (None, _, None) => panic!("a block begins with a command, and not with: {line}"),
        }
    }
    steps
}

/// Whether a text is what the manual says, where [`ANYTHING`] stands for any part of it.
fn is_as_said(said: &str, printed: &str) -> bool {
    let mut parts = said.split(ANYTHING);
    let Some(mut rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn what_the_manual_says_of_a_session_is_what_it_prints() {
    let needs = [Need::Program("bash", "bash"), Need::Program("openssl", "openssl")];
    if !are_here(&needs) {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder can be made");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr());
    let port = free.expect("a port is free").port().to_string();
    let domain = format!("--domain {}", domain(TEST));
    let page = PAGE.replace("--domain 7", &domain).replace("7385", &port);
    let steps = steps(&page);
    let numbered = steps.iter().enumerate();
    let commands = numbered.map(|(number, step)| format!("echo '{MARK}{number}'\n{}\n", step.command));
    let script = format!("trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT\n{}", commands.collect::<String>());
    fs::write(dir.path().join("session.sh"), script).expect("it can be written");

    let programs = program("node").expect("it is built");
    let programs = programs.parent().expect("it is in a folder").display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
    let log = dir.path().join("session.log");
    let mut bash = Command::new("bash");
    bash.arg("session.sh").current_dir(&dir).env("PATH", path);
    let mut session = Daemon::foreign(&mut bash, &log);
    let printed = || fs::read_to_string(&log).unwrap_or_default();
    wait_until(|| !session.is_running(), printed);

    let printed = printed();
    let mut answers = printed.split(MARK).skip(1).filter_map(|answer| answer.split_once('\n'));
    for (number, Step { command, prints }) in steps.iter().enumerate() {
        let (told, answer) = answers.next().unwrap_or_else(|| panic!("`{command}` was not run: {printed}"));
        assert_eq!(told, number.to_string());
        assert!(
            is_as_said(prints, answer),
            "$ {command}\n{prints}\nis what the manual says, and not:\n{answer}"
        );
    }
    assert!(steps.len() > 20, "{} commands", steps.len());
}

#[test]
fn a_part_that_differs_each_time_may_be_anything_and_nothing_else_may() {
    assert!(is_as_said("node …: idle\n", "node 4f2a: idle\n"));
    assert!(is_as_said("", "") && is_as_said("…", "a\nb") && is_as_said("a … b … c\n", "a 1 b 2 b 3 c\n"));
    assert!(!is_as_said("node …: idle\n", "node 4f2a: away\n"));
    assert!(!is_as_said("", "a line\n") && !is_as_said("a\n", "a\nb\n") && !is_as_said("… b\n", "a\n"));
    let steps = steps("text\n```console\n$ one \\\n> two\nsays\n$ three\n```\n```text\n$ four\n```\n");
    let step = |command: &str, prints: &str| Step { command: command.to_owned(), prints: prints.to_owned() };
    assert_eq!(steps, [step("one \\\ntwo", "says\n"), step("three", "")]);
}

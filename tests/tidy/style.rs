//! Nothing unfinished, nothing waved through, no clock or machine where it does not belong.

use super::Fault;
use super::source::{Source, is_word};

/// Marks of work that is left for later, in comments or code.
const LATER: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];

/// Macros that stand for code that is not there.
const STUBS: [&str; 2] = ["todo!", "unimplemented!"];

/// The files that read the clock and ask the operating system for randomness. They must say so.
const CLOCKS: [&str; 2] = ["common/edge/src/clock.rs", "common/edge/src/entropy.rs"];

/// The files that wait.
const DRIVERS: [&str; 8] = [
    "coordinator/src/driver.rs",
    "coordinator/src/driver/join/door.rs",
    "coordinator/src/driver/relay/door.rs",
    "node/forward/src/bridge.rs",
    "node/forward/src/receiver.rs",
    "node/src/driver.rs",
    "node/src/driver/join.rs",
    "tests/interop/blob.rs",
];

/// Files that may, if they say so: the demo and the benchmarks measure.
const MAY_MEASURE: &str = "examples/";

/// The lint that bans clocks and randomness of the operating system.
const CLOCK_LINT: &str = "clippy::disallowed_methods";

/// Places on one machine, and hosts of registries. Cut in two, so that this file does not name them.
const PLACES: [(&str, &str); 10] = [
    ("/ho", "me/"),
    ("/ro", "ot/"),
    ("/Us", "ers/"),
    ("/wo", "rk/"),
    ("/tm", "p/"),
    ("/mn", "t/"),
    ("crates", ".io"),
    ("pypi", ".org"),
    ("[sour", "ce."),
    ("regis", "try ="),
];

pub(super) fn faults(source: &Source) -> Vec<Fault> {
    let path = source.path.as_str();
    let mut faults = Vec::new();
    if !source.text.starts_with("//!") && !path.ends_with("/tests.rs") {
        faults.push(Fault::new(path, 1, "begins without a `//!` line that says what it is"));
    }
    for word in LATER {
        let found = positions(&source.prose, word);
        faults
            .extend(found.map(|line| Fault::new(path, line, format!("{word}: finish it, or leave it out"))));
    }
    for stub in STUBS {
        let found = positions(&source.code, stub);
        faults.extend(
            found.map(|line| Fault::new(path, line, format!("{stub} stands for code that is not there"))),
        );
    }
    for (line, attribute) in source.attributes() {
        faults.extend(attribute_fault(&attribute).map(|what| Fault::new(path, line, what)));
    }
    if !DRIVERS.contains(&path) && !path.starts_with(MAY_MEASURE) {
        let sleeps = ["sleep(", "sleep_until("].into_iter().flat_map(|call| positions(&source.code, call));
        faults.extend(sleeps.map(|line| Fault::new(path, line, "nothing sleeps but the drivers' wake-up")));
    }
    faults
}

fn attribute_fault(attribute: &str) -> Option<&'static str> {
    let has =
        |word: &str| attribute.starts_with(&format!("[{word}")) || attribute.contains(&format!(",{word}"));
    if has("allow(") {
        Some("`allow` hides what it allows once that is gone: `expect` it, with a reason")
    } else if has("expect(") && !attribute.contains("reason=") {
        Some("`expect` without a reason")
    } else if has("ignore") {
        Some("an ignored test tests nothing")
    } else {
        None
    }
}

/// Lines on which `word` stands by itself.
fn positions(text: &str, word: &str) -> impl Iterator<Item = usize> {
    text.lines().enumerate().filter(move |(_, line)| stands_in(line, word)).map(|(index, _)| index + 1)
}

fn stands_in(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(is_word);
        let after = word.ends_with(is_word) && line[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

/// The named files expect the lint on clocks; every other file leaves it alone.
pub(super) fn clock_faults(sources: &[Source]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut seen = Vec::new();
    for source in sources {
        let expects = source.attributes().into_iter().filter(|(_, text)| text.contains(CLOCK_LINT));
        for (line, _) in expects {
            let path = source.path.as_str();
            seen.push(path);
            if !CLOCKS.contains(&path) && !path.starts_with(MAY_MEASURE) {
                faults.push(Fault::new(
                    path,
                    line,
                    "time and randomness are arguments: only `edge` fetches them",
                ));
            }
        }
    }
    let silent = CLOCKS.iter().filter(|clock| !seen.contains(clock));
    faults.extend(
        silent.map(|clock| Fault::new(clock, 0, "is named as a reader of the clock, but reads none")),
    );
    faults
}

/// Text that holds on one machine only.
pub(super) fn place_faults(path: &str, text: &str) -> Vec<Fault> {
    let places: Vec<String> = PLACES.iter().map(|(head, tail)| format!("{head}{tail}")).collect();
    let lines = text.lines().enumerate();
    let found = lines.filter_map(|(index, line)| {
        places.iter().find(|place| names_place(line, place)).map(|place| (index, place))
    });
    found.map(|(index, place)| Fault::new(path, index + 1, format!("mentions `{place}`"))).collect()
}

/// A path of a machine begins at its slash: `./tests/home/` is none.
fn names_place(line: &str, place: &str) -> bool {
    let begins = |at: usize| {
        !line[..at].ends_with(|before: char| is_word(before) || matches!(before, '.' | '-' | '}'))
    };
    line.match_indices(place).any(|(at, _)| !place.starts_with('/') || begins(at))
}

#[test]
fn unfinished_and_waved_through_code_is_found() {
    let lines = [
        "//! A room.",
        "// TODO: later",
        "fn a() { todo!() }",
        "#[ignore = \"slow\"]",
        "#[allow(dead_code)]",
        "#[expect(dead_code)]",
        "#[cfg_attr(test, allow(dead_code))]",
        "fn b() { thread::sleep(c) }",
        "fn d() { unimplemented!() }",
    ];
    let found = faults(&Source::new("node/src/a.rs", &lines.join("\n")));
    let mut at: Vec<usize> = found.iter().map(|fault| fault.line).collect();
    at.sort_unstable();
    assert_eq!(at, [2, 3, 4, 5, 6, 7, 8, 9]);
    let fine = "//! A room.\n#[expect(dead_code, reason = \"used in one build only\")]\nfn a() { no_sleep(); \"TODO\" }";
    assert_eq!(faults(&Source::new("node/src/a.rs", fine)), []);
    assert_eq!(faults(&Source::new("a.rs", "fn a() {}"))[0].line, 1);
}

#[test]
fn a_clock_outside_the_named_files_is_found_and_so_is_a_named_file_without_one() {
    let reads = "//! A.\n#[expect(clippy::disallowed_methods, reason = \"b\")]\nfn a() {}";
    let sources = [Source::new(CLOCKS[0], reads), Source::new("node/src/learn.rs", reads)];
    let found: Vec<(String, usize)> =
        clock_faults(&sources).into_iter().map(|fault| (fault.path, fault.line)).collect();
    assert_eq!(found, [("node/src/learn.rs".to_owned(), 2), (CLOCKS[1].to_owned(), 0)]);
}

#[test]
fn a_path_of_one_machine_is_found_and_a_relative_one_is_not() {
    let machine = format!("a\nlet b = \"/ho{}c\";", "me/");
    assert_eq!(place_faults("a.rs", &machine)[0].line, 2);
    assert_eq!(place_faults("a.rs", &format!("../ho{}c and a/ho{}c", "me/", "me/")), []);
}

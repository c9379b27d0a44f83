//! What the pages name is there: files and folders by their path, tests by their names.

use std::collections::BTreeSet;

use super::Fault;
use super::house::House;
use super::source::{Source, is_word};

/// Beginnings of a path in the repository.
const FOLDERS: [&str; 6] = [".ci/", "common/", "coordinator/", "examples/", "node/", "tests/"];

/// Words in a name that is taken for a test's, wherever it stands in code font.
const TEST_WORDS: usize = 5;

pub(super) fn faults(house: &House) -> Vec<Fault> {
    let functions: BTreeSet<&str> = house.sources.iter().flat_map(functions).collect();
    let pages = house.texts.iter().filter(|(path, _)| path.strip_suffix(".md").is_some());
    let broken = |named: &str| {
        let path = FOLDERS.iter().any(|folder| named.starts_with(folder));
        let test = named.split('_').count() >= TEST_WORDS && named.chars().all(is_word);
        path && !house.has(named) || test && !functions.contains(named)
    };
    pages.flat_map(|(path, text)| page_faults(path, text, broken)).collect()
}

fn functions(source: &Source) -> Vec<&str> {
    let words = source.words();
    words.windows(2).filter(|pair| pair[0].text == "fn").map(|pair| pair[1].text).collect()
}

/// What stands in code font outside of code blocks and is broken.
fn page_faults(path: &str, text: &str, broken: impl Fn(&str) -> bool) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut in_block = false;
    for (index, line) in text.lines().enumerate() {
        in_block ^= line.starts_with("```");
        let named = line.split('`').skip(1).step_by(2).filter(|named| !in_block && broken(named));
        faults.extend(named.map(|named| Fault::new(path, index + 1, format!("`{named}` is not there"))));
    }
    faults
}

#[test]
fn what_a_page_names_but_does_not_exist_is_found() {
    let text = "a `gone/a.rs` `here`\n```\n`gone/b.rs`\n```\n`gone/c.rs`";
    let found = page_faults("a.md", text, |named| named.starts_with("gone"));
    assert_eq!(found.iter().map(|fault| fault.line).collect::<Vec<_>>(), [1, 5]);
}

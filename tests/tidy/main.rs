//! The tidiness of the house: rules of size, names, style and imports, each naming file and line when broken.
//!
//! The rules read the source as text, with nothing but the standard library, and each has a test of its own
//! that it can fail. What a compiler or clippy checks already is not checked again.

mod house;
mod imports;
mod manifests;
mod names;
mod pages;
mod size;
mod source;
mod style;

use house::House;

/// A broken rule, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    path: String,
    /// From 1; 0 speaks of the whole file.
    line: usize,
    what: String,
}

impl Fault {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

/// Fails with one line a fault.
fn settle(mut faults: Vec<Fault>) {
    faults.sort();
    faults.dedup();
    let lines: Vec<String> =
        faults.iter().map(|Fault { path, line, what }| format!("{path}:{line}: {what}")).collect();
    assert!(lines.is_empty(), "{} broken rules:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn files_and_functions_are_of_a_size_to_be_read() {
    let house = House::open();
    println!("median of {} files: {} lines", house.sources.len(), size::median(&house.sources));
    settle(house.sources.iter().flat_map(size::faults).collect());
}

#[test]
fn names_say_what_a_thing_is() {
    let house = House::open();
    settle(house.sources.iter().flat_map(names::faults).collect());
}

#[test]
fn nothing_is_left_for_later_and_nothing_is_allowed_without_a_reason() {
    let house = House::open();
    settle(house.sources.iter().flat_map(style::faults).collect());
}

#[test]
fn time_and_randomness_are_read_in_the_named_files_only() {
    let house = House::open();
    settle(style::clock_faults(&house.sources));
}

#[test]
fn no_file_mentions_a_machine_or_a_registry() {
    let house = House::open();
    let locks = ["Cargo.lock", "tests/fuzz/Cargo.lock"];
    let lists = house.texts.iter().filter(|(path, _)| !locks.contains(&path.as_str()));
    settle(lists.flat_map(|(path, text)| style::place_faults(path, text)).collect());
}

#[test]
fn every_room_imports_only_what_its_row_of_the_table_allows() {
    let house = House::open();
    settle(imports::faults(&house.sources));
}

#[test]
fn manifests_agree_and_the_crates_keep_apart() {
    let house = House::open();
    settle(manifests::faults(&house.texts));
}

#[test]
fn files_and_tests_that_the_pages_name_are_there() {
    settle(pages::faults(&House::open()));
}

#[test]
fn the_top_level_holds_the_allowed_entries_only() {
    settle(House::open().top_level_faults());
}

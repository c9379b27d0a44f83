//! The IDL files say what the topics carry: same names, same key lengths, nothing left over.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use dds::topics;

/// The type name in an IDL file, and the bytes of its fields before the body.
fn parse(text: &str) -> (String, usize) {
    let module = text.lines().find_map(|line| line.trim().strip_prefix("module ")).unwrap();
    let name = text.lines().find_map(|line| line.trim().strip_prefix("struct ")).unwrap();
    let bytes = text.lines().map(|line| {
        let field = line.trim().trim_end_matches(';');
        match field.strip_prefix("octet ") {
            Some(array) => array.split(['[', ']']).nth(1).unwrap().parse().unwrap(),
            None if field.starts_with("unsigned long ") => 4,
            None => 0,
        }
    });
    let type_name = format!("{}::{}", module.trim_end_matches(" {"), name.trim_end_matches(" {"));
    (type_name, bytes.sum())
}

#[test]
fn every_topic_has_its_idl_file_with_the_same_name_and_key() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("idl");
    let files: BTreeMap<_, _> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    for (name, text) in &files {
        assert!(text.contains("@final") && text.contains("sequence<octet> body;"), "{name}.idl");
    }
    let said: BTreeMap<_, _> = files.iter().map(|(name, text)| (name.clone(), parse(text))).collect();
    let carried = topics::ALL.map(|t| (t.name().to_owned(), (t.type_name().to_owned(), t.key_bytes())));
    assert_eq!(said, BTreeMap::from(carried));
}

#[test]
fn the_caches_of_the_bulk_topics_stay_within_tens_of_megabytes() {
    for topic in [topics::MODEL_CHUNK, topics::UPDATE_CHUNK, topics::MODEL_RECEIPT, topics::UPDATE_RECEIPT] {
        assert!(topic.reader_cache_bytes_max() < 20_000_000, "{}", topic.name());
    }
}

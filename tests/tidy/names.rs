//! Names that say nothing are not used.

use super::Fault;
use super::source::{Source, Word};

/// Functions of traits of others, who named them.
const OF_OTHERS: [&str; 2] = ["get_issuer", "get_subject"];

/// Words that tell that a thing has no subject of its own.
const EMPTY: [&str; 8] = ["helper", "helpers", "manager", "misc", "util", "utilities", "utility", "utils"];

/// Last words of a type's name that say nothing about it.
const EMPTY_LAST: [&str; 2] = ["data", "service"];

/// Words that declare what follows.
const DECLARING: [&str; 6] = ["enum", "fn", "mod", "struct", "trait", "type"];

/// A test's name is a sentence: it has at least this many words.
const TEST_WORDS: usize = 3;

pub(super) fn faults(source: &Source) -> Vec<Fault> {
    let mut faults = path_faults(&source.path);
    let words = source.words();
    for pair in words.windows(2).filter(|pair| DECLARING.contains(&pair[0].text)) {
        let [kind, name] = pair else { continue };
        faults.extend(item_fault(kind.text, name.text).map(|what| Fault::new(&source.path, name.line, what)));
    }
    faults.extend(test_names(source, &words));
    faults
}

fn path_faults(path: &str) -> Vec<Fault> {
    let inside = path.split_once("/src/").map_or("", |(_, inside)| inside);
    let stem = |part: &str| part.split('.').next().unwrap_or_default().to_owned();
    let empty = path.split('/').map(stem).find(|part| EMPTY.contains(&part.as_str()) || part == "service");
    let common = inside.split('/').map(stem).find(|part| part == "common");
    let found = empty.or(common);
    found.map(|part| Fault::new(path, 0, format!("`{part}` is no name for a room"))).into_iter().collect()
}

fn item_fault(kind: &str, name: &str) -> Option<String> {
    let words = split(name);
    let empty = words.iter().find(|word| EMPTY.contains(&word.as_str()));
    let last = words.last().filter(|word| EMPTY_LAST.contains(&word.as_str()));
    let is_type = matches!(kind, "enum" | "struct" | "trait" | "type");
    match (empty, last) {
        (Some(word), _) => Some(format!("{kind} `{name}`: `{word}` says nothing")),
        (None, Some(word)) if is_type && words.len() > 1 => {
            Some(format!("{kind} `{name}`: `{word}` says nothing"))
        }
        _ if kind == "fn" && name.starts_with("get_") && !OF_OTHERS.contains(&name) => {
            Some(format!("fn `{name}`: name it after what it returns"))
        }
        _ => None,
    }
}

/// `aModelName` and `a_model_name` as lower-case words.
fn split(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    for char in name.chars() {
        let ends = char == '_' || char.is_uppercase();
        if ends && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if char != '_' {
            let word = words.last_mut().expect("there is one");
            word.extend(char.to_lowercase());
        }
    }
    words
}

/// Functions under a `test` attribute whose names are no sentences.
fn test_names<'s>(source: &'s Source, words: &'s [Word<'s>]) -> impl Iterator<Item = Fault> + 's {
    let tests = source
        .attributes()
        .into_iter()
        .filter(|(_, text)| text == "[test]" || text.starts_with("[tokio::test"));
    tests.filter_map(|(line, _)| {
        let after = words.windows(2).find(|pair| pair[0].line >= line && pair[0].text == "fn")?;
        let short = split(after[1].text).len() < TEST_WORDS;
        let what = format!("test `{}`: its name is no sentence", after[1].text);
        short.then(|| Fault::new(&source.path, after[1].line, what))
    })
}

#[test]
fn rooms_and_items_with_empty_names_are_found() {
    for path in ["node/src/utils.rs", "node/src/misc/a.rs", "node/src/common.rs", "node/src/a/service.rs"] {
        assert_eq!(path_faults(path).len(), 1, "{path}");
    }
    for path in ["common/src/id.rs", "common/dds/src/lib.rs", "node/src/futile.rs"] {
        assert_eq!(path_faults(path), [], "{path}");
    }
    let bad = "struct RunManager;\nenum DdsService {}\nfn get_x() {}\nmod helpers {}\nfn with_utils() {}\ntype ModelData = u8;";
    let lines: Vec<usize> = faults(&Source::new("a.rs", bad)).iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 6]);
    let good =
        "struct Managed;\nfn get(a: u8) {}\nfn target() {}\n// fn get_x\nconst A: &str = \"fn get_x\";";
    assert_eq!(faults(&Source::new("a.rs", good)), []);
}

#[test]
fn a_test_whose_name_is_no_sentence_is_found() {
    let text = "#[test]\nfn works() {}\n#[test]\nfn a_thing_holds_here() {}\nfn free() {}";
    let found = faults(&Source::new("a.rs", text));
    assert_eq!(found, [Fault::new("a.rs", 2, "test `works`: its name is no sentence")]);
}

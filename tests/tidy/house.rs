//! The repository as the rules see it: its text files, and its top level.

use std::fs;
use std::path::{Path, PathBuf};

use super::Fault;
use super::source::Source;

/// What may lie at the top level. `target` and `demo-output` are made by building and by the demo.
const TOP_LEVEL: [&str; 18] = [
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".config",
    ".git",
    ".gitignore",
    ".rustfmt.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "common",
    "coordinator",
    "demo-output",
    "examples",
    "node",
    "target",
    "tests",
];

/// Folders whose contents nobody wrote.
const NOT_OURS: [&str; 6] =
    [".git", "demo-output", "target", "tests/fuzz/artifacts", "tests/fuzz/corpus", "tests/fuzz/target"];

/// Names and endings of the text files that people write.
const TEXT_ENDINGS: [&str; 8] = [".c", ".rs", ".md", ".toml", ".idl", ".lock", "/run", ".gitignore"];

/// The whole repository.
pub(super) struct House {
    root: PathBuf,
    /// Path from the root and contents of every text file.
    pub(super) texts: Vec<(String, String)>,
    /// The Rust files among them.
    pub(super) sources: Vec<Source>,
}

impl House {
    pub(super) fn open() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut paths = Vec::new();
        walk(&root, "", &mut paths);
        paths.sort();
        let read = |path: String| {
            let text = fs::read_to_string(root.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            (path, text)
        };
        let texts: Vec<(String, String)> = paths.into_iter().map(read).collect();
        let rust =
            texts.iter().filter(|(path, _)| Path::new(path).extension().is_some_and(|ending| ending == "rs"));
        let sources: Vec<Source> = rust.map(|(path, text)| Source::new(path, text)).collect();
        assert!(sources.len() > 50, "the repository is found from the crate's folder");
        Self { root, texts, sources }
    }

    /// Whether a file or folder is there.
    pub(super) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    pub(super) fn top_level_faults(&self) -> Vec<Fault> {
        unexpected(&entries(&self.root))
    }
}

fn unexpected(names: &[String]) -> Vec<Fault> {
    let strangers = names.iter().filter(|name| !TOP_LEVEL.contains(&name.as_str()));
    strangers.map(|name| Fault::new(name, 0, "does not belong to the top level")).collect()
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a folder entry").file_name().to_string_lossy().into_owned()).collect()
}

fn walk(root: &Path, below: &str, out: &mut Vec<String>) {
    for name in entries(&root.join(below)) {
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if root.join(&path).is_dir() {
            if !NOT_OURS.contains(&path.as_str()) {
                walk(root, &path, out);
            }
        } else if TEXT_ENDINGS.iter().any(|ending| format!("/{path}").ends_with(ending)) {
            out.push(path);
        }
    }
}

#[test]
fn an_unknown_entry_of_the_top_level_is_named() {
    let names = ["Cargo.toml", "scripts"].map(str::to_owned);
    assert_eq!(unexpected(&names), [Fault::new("scripts", 0, "does not belong to the top level")]);
}

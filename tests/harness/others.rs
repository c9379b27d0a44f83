//! Programs and packages of other people: whether they are here, and how to get them when not.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::programs::are_built;

/// The folder below which npm put its packages.
const NPM: &str = "STARLING_TEST_NPM";

/// What a test needs that is not built here. `.ci/run` installs all of it.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A program on the path, and the package of the system that has it.
    Program(&'static str, &'static str),
    /// A module of `python3`, and its package.
    Python(&'static str, &'static str),
    /// A package of npm.
    Npm(&'static str),
    /// The rights of root.
    Root,
}

/// Whether both programs of the workspace are built and everything else is there; says what to do when not.
pub fn are_here(needs: &[Need]) -> bool {
    are_present(needs) && are_built()
}

/// Whether everything is there that is not built here; says what to do when not.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub fn are_present(needs: &[Need]) -> bool {
    let missing: Vec<String> = needs.iter().filter_map(|need| need.missing()).collect();
    for what in &missing {
        println!("skipped: {what}");
    }
    missing.is_empty()
}

impl Need {
    /// What is missing; `None` when it is here.
    fn missing(self) -> Option<String> {
        match self {
            Self::Program(name, package) => {
                let paths = std::env::var_os("PATH").unwrap_or_default();
                let there = std::env::split_paths(&paths).any(|folder| folder.join(name).is_file());
                (!there).then(|| format!("there is no `{name}`; the package `{package}` has it"))
            }
            Self::Python(module, package) => {
                let import = Command::new("python3").args(["-c", &format!("import {module}")]).output();
                let there = import.is_ok_and(|output| output.status.success());
                (!there).then(|| format!("python3 has no `{module}`; `pip install {package}` gets it"))
            }
            Self::Npm(package) => {
                let modules = std::env::var_os(NPM).map(|folder| PathBuf::from(folder).join("node_modules"));
                let there = modules.is_some_and(|modules| modules.join(package).is_dir());
                (!there).then(|| {
                    format!("${NPM} names no folder with `{package}`; `npm install --prefix FOLDER {package}` makes one")
                })
            }
            Self::Root => {
                // What a process makes is its user's.
                let made = tempfile::tempdir().and_then(|folder| fs::metadata(folder.path()));
                let is_root = made.is_ok_and(|made| made.uid() == 0);
                (!is_root).then(|| "it needs the rights of root".to_owned())
            }
        }
    }
}

/// Runs a command to its end; what it said.
///
/// # Panics
///
/// When it fails.
pub fn succeeds(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}\n{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A file of the tests' folder.
pub fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

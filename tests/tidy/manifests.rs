//! The crates' manifests: one version of everything, and who may depend on whom.

use super::Fault;

/// A crate, and the crates of this workspace that it may link. Those not named here may link all.
const MAY_LINK: [(&str, &[&str]); 10] = [
    ("common/Cargo.toml", &[]),
    ("common/custody/Cargo.toml", &["common", "edge"]),
    ("common/dds/Cargo.toml", &["common"]),
    ("common/edge/Cargo.toml", &["common"]),
    ("coordinator/Cargo.toml", &["common", "custody", "dds", "edge"]),
    ("coordinator/simulate/Cargo.toml", &["common", "coordinator", "edge", "ingest", "node", "pipeline"]),
    ("node/forward/Cargo.toml", &["common", "dds", "edge", "ingest"]),
    ("node/Cargo.toml", &["common", "custody", "dds", "edge", "forward", "ingest", "pipeline"]),
    ("node/ingest/Cargo.toml", &["common"]),
    ("node/pipeline/Cargo.toml", &["common", "ingest"]),
];

/// The crates of this workspace.
const OURS: [&str; 12] = [
    "common",
    "coordinator",
    "coordinator-simulate",
    "custody",
    "dds",
    "edge",
    "examples",
    "forward",
    "ingest",
    "node",
    "pipeline",
    "tests",
];

/// The learning library, and the only crate whose manifest names it: the coordinator never links it.
const BURN: (&str, &str) = ("burn", "node/Cargo.toml");

/// Young crates whose every release may change what was measured: pinned to the version that was tested.
const PINNED: [&str; 6] = ["burn", "hpke", "redb", "rustdds", "schemars", "sysinfo"];

/// What every crate takes from the workspace.
const INHERITED: [(&str, &str); 6] = [
    ("package", "edition.workspace = true"),
    ("package", "license.workspace = true"),
    ("package", "publish.workspace = true"),
    ("package", "rust-version.workspace = true"),
    ("package", "version.workspace = true"),
    ("lints", "workspace = true"),
];

/// The manifest of a workspace of its own, what it may link of ours, by path, and that it is one. What every crate
/// takes from the workspace it has to repeat.
const APART: (&str, &[&str]) =
    ("tests/fuzz/Cargo.toml", &["common", "coordinator", "dds", "forward", "ingest", "node"]);

/// One line of a manifest and its section.
struct Entry<'t> {
    section: &'t str,
    line: usize,
    text: &'t str,
}

pub(super) fn faults(texts: &[(String, String)]) -> Vec<Fault> {
    let manifests = texts.iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    let root = texts.iter().find(|(path, _)| path == "Cargo.toml").map_or("", |(_, text)| text);
    manifests
        .flat_map(|(path, text)| match path.as_str() {
            "Cargo.toml" => root_faults(text),
            apart if apart == APART.0 => apart_faults(text, root),
            path => crate_faults(path, text),
        })
        .collect()
}

fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut section = "";
    let mut entries = Vec::new();
    for (index, text) in text.lines().map(str::trim).enumerate() {
        if let Some(name) = text.strip_prefix('[') {
            section = name.trim_matches(['[', ']']);
        } else if !text.is_empty() && !text.starts_with('#') {
            entries.push(Entry { section, line: index + 1, text });
        }
    }
    entries
}

fn root_faults(text: &str) -> Vec<Fault> {
    let entries = entries(text);
    let versions = entries.iter().filter(|entry| entry.section == "workspace.dependencies");
    let loose = versions.filter(|entry| {
        let pinned = PINNED.contains(&name_of(entry.text));
        pinned && !entry.text.contains("\"=")
    });
    let mut faults: Vec<Fault> = loose
        .map(|entry| {
            Fault::new(
                "Cargo.toml",
                entry.line,
                format!("`{}` is young: pin it with `=`", name_of(entry.text)),
            )
        })
        .collect();
    let has = |section: &str, start: &str| {
        entries.iter().any(|entry| entry.section == section && entry.text.starts_with(start))
    };
    for (section, start) in
        [("workspace.package", "rust-version"), ("workspace.lints.rust", "unsafe_code = \"deny\"")]
    {
        if !has(section, start) {
            faults.push(Fault::new("Cargo.toml", 0, format!("[{section}] has no `{start}`")));
        }
    }
    faults
}

fn crate_faults(path: &str, text: &str) -> Vec<Fault> {
    let entries = entries(text);
    let mut faults = Vec::new();
    for (section, wanted) in INHERITED {
        if !entries.iter().any(|entry| entry.section == section && entry.text == wanted) {
            faults.push(Fault::new(path, 0, format!("[{section}] has no `{wanted}`")));
        }
    }
    for Entry { section, line, text } in
        entries.iter().filter(|entry| entry.section.ends_with("dependencies"))
    {
        let name = name_of(text);
        if !text.contains("workspace = true") {
            faults.push(Fault::new(
                path,
                *line,
                format!("`{name}`: versions are set in the workspace's manifest"),
            ));
        }
        let may_link = MAY_LINK.iter().find(|(manifest, _)| *manifest == path).map(|(_, crates)| *crates);
        let ours = *section != "dev-dependencies" && OURS.contains(&name);
        if ours && may_link.is_some_and(|crates| !crates.contains(&name)) {
            faults.push(Fault::new(path, *line, format!("may not link `{name}`")));
        }
        if name == BURN.0 && path != BURN.1 {
            faults.push(Fault::new(path, *line, "only the node links burn"));
        }
    }
    faults
}

/// A workspace of its own: the root leaves it out, its package says what the root's packages say, its versions are the
/// root's, and of ours it links what it may.
fn apart_faults(text: &str, root: &str) -> Vec<Fault> {
    let (path, may_link) = APART;
    let (entries, roots) = (entries(text), entries(root));
    let fault = |line, what: String| Fault::new(path, line, what);
    let mut faults = Vec::new();
    if !text.lines().any(|line| line == "[workspace]") || !root.contains("exclude = [\"tests/fuzz\"]") {
        faults.push(fault(0, "is no workspace of its own that the root's leaves out".to_owned()));
    }
    for wanted in roots.iter().filter(|entry| entry.section == "workspace.package") {
        if !entries.iter().any(|entry| entry.section == "package" && entry.text == wanted.text) {
            faults.push(fault(0, format!("[package] has no `{}`", wanted.text)));
        }
    }
    for Entry { line, text, .. } in entries.iter().filter(|entry| entry.section == "dependencies") {
        let name = name_of(text);
        let is_ours = OURS.contains(&name);
        if is_ours && !(may_link.contains(&name) && text.contains("path = \"../../")) {
            faults.push(fault(*line, format!("may not link `{name}`")));
        }
        let known = roots.iter().find(|entry| {
            entry.section == "workspace.dependencies" && name_of(entry.text) == name && !is_ours
        });
        if known.is_some_and(|known| version_of(known.text) != version_of(text)) {
            faults.push(fault(*line, format!("`{name}` has another version than in the root's manifest")));
        }
    }
    faults
}

/// The first text in quotation marks: of `name = "1"` and of `name = { version = "1", .. }`.
fn version_of(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}

fn name_of(text: &str) -> &str {
    text.split(['.', ' ', '=']).next().unwrap_or_default()
}

#[test]
fn a_crate_that_links_what_it_must_not_or_sets_its_own_versions_is_found() {
    let whole: Vec<String> =
        INHERITED.iter().map(|(section, line)| format!("[{section}]\n{line}\n")).collect();
    let whole = whole.concat();
    let with = |dependency: &str| {
        crate_faults("coordinator/Cargo.toml", &format!("{whole}[dependencies]\n{dependency}\n"))
    };
    assert_eq!(with("common.workspace = true"), []);
    for bad in ["node.workspace = true", "burn.workspace = true", "serde = \"1\""] {
        assert_eq!(with(bad).len(), 1, "{bad}");
    }
    let bare = crate_faults("node/Cargo.toml", "[package]\nname = \"node\"\n");
    assert_eq!(bare.len(), INHERITED.len());
}

#[test]
fn a_young_crate_that_is_not_pinned_is_found() {
    let root = "[workspace.package]\nrust-version = \"1.95\"\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n[workspace.dependencies]\n";
    assert_eq!(root_faults(&format!("{root}rustdds = \"=0.15.1\"\nserde = \"1\"")), []);
    assert_eq!(root_faults(&format!("{root}hpke = {{ version = \"0.15\" }}")).len(), 1);
    assert_eq!(root_faults("[workspace.package]").len(), 2);
}

#[test]
fn a_workspace_apart_that_differs_from_the_root_is_found() {
    let root = "exclude = [\"tests/fuzz\"]\n[workspace.package]\nedition = \"2024\"\n[workspace.dependencies]\ncommon = { path = \"common\" }\nbytes = { version = \"1.12\" }\n";
    let with = |dependency: &str| {
        apart_faults(
            &format!("[workspace]\n[package]\nedition = \"2024\"\n[dependencies]\n{dependency}\n"),
            root,
        )
    };
    for good in ["bytes = \"1.12\"", "common = { path = \"../../common\" }", "libfuzzer-sys = \"0.4\""] {
        assert_eq!(with(good), [], "{good}");
    }
    for bad in ["bytes = \"1.11\"", "tests = { path = \"..\" }", "ingest.workspace = true"] {
        assert_eq!(with(bad).len(), 1, "{bad}");
    }
    assert_eq!(apart_faults("[package]\n", "[workspace.package]\nedition = \"2024\"").len(), 2);
}

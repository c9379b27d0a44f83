//! Who may import whom. A room that is not in the table does not exist yet: give it a row.

use super::Fault;
use super::source::{Source, is_word};

/// One room: where it lies, and the other rooms of its crate that it may name.
struct Row {
    /// A crate's `src` folder and a room in it: the file `room.rs` and the folder `room/`.
    room: (&'static str, &'static str),
    may_import: &'static [&'static str],
    /// Whether bytes, time, randomness and stored state are its arguments: it touches nothing outside.
    pure: bool,
}

const fn pure(source: &'static str, room: &'static str, may_import: &'static [&'static str]) -> Row {
    Row { room: (source, room), may_import, pure: true }
}

const fn edge(source: &'static str, room: &'static str, may_import: &'static [&'static str]) -> Row {
    Row { room: (source, room), may_import, pure: false }
}

const COMMON: &str = "common/src";
const CUSTODY: &str = "common/custody/src";
const DDS: &str = "common/dds/src";
const EDGE: &str = "common/edge/src";
const COORDINATOR: &str = "coordinator/src";
const SIMULATE: &str = "coordinator/simulate/src";
const INGEST: &str = "node/ingest/src";
const FORWARD: &str = "node/forward/src";
const PIPELINE: &str = "node/pipeline/src";
const NODE: &str = "node/src";

/// Every room of its crate.
const ALL: &[&str] = &["*"];

const ROOMS: &[Row] = &[
    pure(COMMON, "lib", &[]),
    pure(COMMON, "units", &[]),
    pure(COMMON, "id", &[]),
    pure(COMMON, "limits", &[]),
    pure(COMMON, "glob", &["limits"]),
    pure(COMMON, "wire", &["id", "limits", "units"]),
    pure(COMMON, "model", &["id", "limits", "units", "wire"]),
    pure(COMMON, "crypto", &["id", "limits", "units", "wire"]),
    pure(COMMON, "blob", &["crypto", "id", "limits", "units", "wire"]),
    pure(COMMON, "message", &["blob", "crypto", "id", "limits", "model", "units", "wire"]),
    pure(COMMON, "known", &["crypto", "id", "limits"]),
    pure(COMMON, "roster", &["crypto", "id", "known", "limits", "units"]),
    pure(COMMON, "token", &["crypto", "id", "limits"]),
    pure(COMMON, "join", &["crypto", "id", "known", "limits", "token", "units", "wire"]),
    pure(COMMON, "upload", &["blob", "crypto", "id", "limits", "message", "units", "wire"]),
    edge(CUSTODY, "", ALL),
    edge(DDS, "", ALL),
    edge(EDGE, "", ALL),
    pure(COORDINATOR, "lib", &[]),
    edge(COORDINATOR, "main", &["cli"]),
    pure(COORDINATOR, "strategy", &[]),
    pure(COORDINATOR, "round", &["strategy"]),
    pure(COORDINATOR, "exchange", &[]),
    pure(COORDINATOR, "members", &[]),
    pure(COORDINATOR, "view", &["round"]),
    pure(COORDINATOR, "quota", &["strategy"]),
    pure(COORDINATOR, "config", &["quota", "round", "strategy"]),
    pure(COORDINATOR, "relay", &[]),
    pure(COORDINATOR, "join", &["view"]),
    pure(COORDINATOR, "engine", &["config", "exchange", "members", "round", "strategy", "view"]),
    edge(COORDINATOR, "folder", &["config", "members"]),
    edge(COORDINATOR, "store", &["join", "round"]),
    edge(
        COORDINATOR,
        "archive",
        &["config", "control", "engine", "registry", "round", "store", "strategy", "view"],
    ),
    edge(COORDINATOR, "served", &["engine", "round", "store"]),
    edge(COORDINATOR, "registry", &["config", "control", "round", "store", "view"]),
    pure(COORDINATOR, "onnx", &[]),
    pure(COORDINATOR, "doctor", &[]),
    edge(COORDINATOR, "control", &["view"]),
    edge(COORDINATOR, "driver", ALL),
    edge(
        COORDINATOR,
        "cli",
        &["config", "control", "doctor", "driver", "folder", "join", "onnx", "registry", "store", "view"],
    ),
    pure(SIMULATE, "lib", &[]),
    edge(SIMULATE, "main", &["cli"]),
    pure(SIMULATE, "partition", &[]),
    pure(SIMULATE, "idx", &[]),
    pure(SIMULATE, "synthetic", &[]),
    pure(SIMULATE, "population", &[]),
    pure(SIMULATE, "federation", &[]),
    edge(SIMULATE, "images", &["idx"]),
    edge(SIMULATE, "telemetry", &["population"]),
    edge(SIMULATE, "crew", &["federation", "population"]),
    edge(SIMULATE, "cli", ALL),
    edge(INGEST, "lib", ALL),
    edge(INGEST, "tests", ALL),
    pure(INGEST, "record", &[]),
    pure(INGEST, "limits", &[]),
    pure(INGEST, "forwarded", &["limits", "record"]),
    pure(INGEST, "error", &["limits"]),
    pure(INGEST, "config", &["host", "limits", "prometheus"]),
    edge(INGEST, "columnar", ALL),
    pure(INGEST, "time", &[]),
    pure(INGEST, "content", &["error"]),
    pure(INGEST, "csv", &["config", "error", "limits", "record", "time"]),
    pure(INGEST, "jsonl", &["config", "csv", "error", "limits", "record", "time"]),
    pure(INGEST, "lines", &["config", "content", "csv", "error", "jsonl", "limits", "record"]),
    pure(INGEST, "adapt", &["content", "error", "limits", "record", "time"]),
    edge(INGEST, "labels", ALL),
    pure(INGEST, "follow", ALL),
    edge(INGEST, "file", ALL),
    edge(INGEST, "directory", ALL),
    edge(INGEST, "import", ALL),
    edge(INGEST, "report", ALL),
    pure(INGEST, "gathered", &["error", "limits", "record"]),
    edge(INGEST, "spool", &["limits"]),
    edge(INGEST, "listen", ALL),
    edge(INGEST, "scrape", ALL),
    pure(INGEST, "intake", ALL),
    edge(INGEST, "host", &["config", "error", "limits", "record"]),
    pure(INGEST, "smtp", &["limits"]),
    pure(INGEST, "otlp", &["error", "gathered", "limits", "record", "time"]),
    pure(INGEST, "prometheus", &["error", "gathered", "limits", "record", "time"]),
    pure(INGEST, "mqtt", &["error", "gathered", "jsonl", "limits", "record", "time"]),
    pure(INGEST, "syslog", &["limits", "record", "time"]),
    pure(FORWARD, "lib", &[]),
    pure(FORWARD, "limits", &[]),
    pure(FORWARD, "batch", &["limits"]),
    pure(FORWARD, "routes", &[]),
    pure(FORWARD, "share", &["limits", "routes"]),
    edge(FORWARD, "feed", &["limits", "routes", "share"]),
    pure(FORWARD, "outbox", &["batch", "feed"]),
    pure(FORWARD, "dispatch", &["feed", "outbox"]),
    pure(FORWARD, "inbox", &["batch", "limits"]),
    edge(FORWARD, "tests", ALL),
    edge(FORWARD, "bridge", ALL),
    edge(FORWARD, "receiver", ALL),
    pure(PIPELINE, "", ALL),
    pure(NODE, "lib", &[]),
    edge(NODE, "main", &["cli"]),
    pure(NODE, "learn", &[]),
    pure(NODE, "detect", &["learn"]),
    pure(NODE, "outgoing", &[]),
    pure(NODE, "participant", &["outgoing"]),
    pure(NODE, "config", &["detect"]),
    edge(NODE, "folder", &["config"]),
    edge(NODE, "controls", &["participant"]),
    edge(NODE, "intake", &["config", "driver", "folder"]),
    edge(NODE, "kept", &["detect", "folder"]),
    edge(NODE, "alarms", &["detect"]),
    edge(NODE, "drift", &["detect", "kept"]),
    edge(NODE, "scoring", &["alarms", "config", "detect", "drift", "kept", "telemetry"]),
    edge(NODE, "telemetry", &["config"]),
    edge(NODE, "trainer", &["participant"]),
    edge(
        NODE,
        "telemetry_trainer",
        &["alarms", "config", "controls", "detect", "kept", "learn", "participant", "telemetry", "trainer"],
    ),
    edge(NODE, "driver", ALL),
    edge(
        NODE,
        "cli",
        &[
            "alarms",
            "config",
            "detect",
            "drift",
            "driver",
            "folder",
            "intake",
            "kept",
            "learn",
            "scoring",
            "telemetry",
            "telemetry_trainer",
        ],
    ),
];

/// Where HTTP is spoken.
const HTTP: &[&str] = &[
    "node/ingest/src/listen/http",
    "node/ingest/src/listen/metrics",
    "node/ingest/src/listen/otlp",
    "node/ingest/src/listen/prometheus",
    "node/ingest/src/scrape",
];

/// Crates that belong to named rooms, by their paths.
const RESERVED: &[(&str, &[&str])] = &[
    ("burn", &["node/src/detect", "node/src/learn", "node/src/telemetry_trainer"]),
    ("nalgebra", &["node/src/learn"]),
    ("chacha20poly1305", &["common/src/crypto"]),
    (
        "clap",
        &[
            "common/custody/src/options",
            "common/edge/src/print",
            "coordinator/simulate/src/cli",
            "coordinator/src/cli",
            "node/src/cli",
        ],
    ),
    ("console", &["common/custody/src/secret", "coordinator/src/cli"]),
    ("cryptoki", &["common/custody/src/pkcs11"]),
    ("csv", &["node/ingest/src/csv", "node/ingest/src/lib"]),
    (
        "dds",
        &[
            "coordinator/src/cli",
            "coordinator/src/config",
            "coordinator/src/driver",
            "coordinator/src/relay",
            "node/forward/src/bridge",
            "node/forward/src/receiver",
            "node/src/cli",
            "node/src/config",
            "node/src/driver",
        ],
    ),
    ("getrandom", &["common/edge/src/entropy"]),
    (
        "flate2",
        &["coordinator/simulate/src/images", "node/ingest/src/adapt/unpack", "node/ingest/src/content"],
    ),
    ("hpke", &["common/src/crypto"]),
    ("http_body_util", HTTP),
    ("hyper", HTTP),
    ("hyper_util", HTTP),
    ("indicatif", &["coordinator/simulate/src/cli", "node/src/cli"]),
    ("lettre", &["node/ingest/src/report"]),
    ("mail_parser", &["node/ingest/src/adapt/mail", "node/ingest/src/import/summary"]),
    ("p256", &["common/src/crypto"]),
    ("quick_xml", &["node/ingest/src/adapt/xml"]),
    ("parquet", &["node/ingest/src/columnar"]),
    ("prost", &["coordinator/src/onnx", "node/ingest/src/otlp", "node/ingest/src/prometheus"]),
    ("redb", &["coordinator/src/store"]),
    ("ring", &["common/src/crypto/identity"]),
    ("rustdds", &["common/dds/src"]),
    ("schemars", &["coordinator/src/cli/schema", "coordinator/src/doctor", "coordinator/src/view"]),
    ("safetensors", &["coordinator/src/store", "node/src/kept"]),
    ("rumqttc", &["node/ingest/src/listen/mqtt"]),
    ("rustls", &["coordinator/src/driver/relay/tls", "node/ingest/src/listen/tls"]),
    ("snap", &["node/ingest/src/prometheus"]),
    ("sysinfo", &["node/ingest/src/host"]),
    ("tss_esapi", &["common/custody/src/tpm"]),
    (
        "tokio",
        &[
            "common/edge/src/stop",
            "common/edge/src/tether",
            "coordinator/src/cli",
            "coordinator/src/control",
            "coordinator/src/driver",
            "node/forward/src/bridge",
            "node/forward/src/receiver",
            "node/ingest/src/listen",
            "node/ingest/src/scrape",
            "node/ingest/src/spool",
            "node/src/cli",
            "node/src/driver",
            "node/src/intake",
            "node/src/trainer",
        ],
    ),
];

/// Parts of the standard library that touch something outside the process.
const OUTSIDE: [&str; 7] = ["env", "fs", "net", "os", "process", "thread", "time"];

/// Macros that a crate exports at its root, and the room they come from.
const MACROS: [(&str, &str); 2] = [("wire_fields", "wire"), ("wire_tags", "wire")];

pub(super) fn faults(sources: &[Source]) -> Vec<Fault> {
    sources.iter().filter(|source| source.path.contains("/src/")).flat_map(room_faults).collect()
}

fn room_faults(source: &Source) -> Vec<Fault> {
    let path = source.path.as_str();
    let Some(row) = ROOMS.iter().find(|row| lies_in(path, row.room)) else {
        return vec![Fault::new(path, 0, "is a room without a row in tests/tidy/imports.rs")];
    };
    let mut faults = Vec::new();
    for (line, named) in rooms_named(source) {
        let allowed =
            named == row.room.1 || row.may_import == ALL || row.may_import.contains(&named.as_str());
        if !allowed {
            faults.push(Fault::new(path, line, format!("`{}` may not import `{named}`", row.room.1)));
        }
    }
    // What a test compares with is its own affair.
    if !path.ends_with("/tests.rs") {
        faults.extend(outside_faults(source, row));
    }
    faults
}

fn outside_faults(source: &Source, row: &Row) -> Vec<Fault> {
    let path = source.path.as_str();
    let mut faults = Vec::new();
    for (at, head) in path_heads(source) {
        let reserved = RESERVED.iter().find(|(name, _)| *name == head);
        if reserved.is_some_and(|(_, rooms)| !rooms.iter().any(|room| path.starts_with(room))) {
            faults.push(Fault::new(
                path,
                source.line_of(at),
                format!("`{}` may not use the crate `{head}`", row.room.1),
            ));
        }
        if row.pure && head == "std" {
            let named = names_after(&source.code[at + "std::".len()..]);
            let outside = named.into_iter().filter(|name| OUTSIDE.contains(&name.as_str()));
            faults.extend(outside.map(|name| {
                let what = format!("`{}` is pure: it may not use `std::{name}`", row.room.1);
                Fault::new(path, source.line_of(at), what)
            }));
        }
    }
    faults
}

fn lies_in(path: &str, (folder, room): (&str, &str)) -> bool {
    let inside = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    inside.is_some_and(|inside| {
        let first = inside.split(['/', '.']).next().unwrap_or_default();
        room.is_empty() || first == room
    })
}

/// The rooms of its own crate that a file names, by `crate::` or by enough `super::`.
fn rooms_named(source: &Source) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for (at, head) in path_heads(source) {
        let rest = &source.code[at..];
        let after = match head {
            "crate" => Some(&rest["crate::".len()..]),
            "super" => above_the_room(source, at),
            _ => None,
        };
        for name in after.map(names_after).unwrap_or_default() {
            let room = MACROS
                .iter()
                .find(|(exported, _)| *exported == name)
                .map_or(name, |(_, room)| (*room).to_owned());
            named.push((source.line_of(at), room));
        }
    }
    named
}

/// What follows a chain of `super::` that leaves the room, as far as a file's path tells.
fn above_the_room(source: &Source, at: usize) -> Option<&str> {
    let mut rest = &source.code[at..];
    let mut chain = 0;
    while let Some(shorter) = rest.strip_prefix("super::") {
        (rest, chain) = (shorter, chain + 1);
    }
    let (_, inside) = source.path.split_once("/src/")?;
    let depth = inside.split('/').count();
    let first = names_after(rest).into_iter().next()?;
    let (folder, _) = ROOMS.iter().map(|row| row.room).find(|room| lies_in(&source.path, *room))?;
    let is_room = ROOMS.iter().any(|row| row.room == (folder, first.as_str()));
    (chain >= depth && is_room).then_some(rest)
}

/// The first words of a path: one, or those between its brackets.
fn names_after(rest: &str) -> Vec<String> {
    let word = |text: &str| text.trim().chars().take_while(|char| is_word(*char)).collect::<String>();
    let Some(list) = rest.strip_prefix('{') else { return vec![word(rest)] };
    let end = super::source::closing(rest, '{', '}').unwrap_or(rest.len());
    let mut depth = 0_usize;
    let parts = list[..end.saturating_sub(2).min(list.len())].split(|char: char| {
        depth = match char {
            '{' => depth + 1,
            '}' => depth.saturating_sub(1),
            _ => depth,
        };
        char == ',' && depth == 0
    });
    parts.map(word).filter(|name| !name.is_empty()).collect()
}

/// Every word that begins a path (`word::`), with its place.
fn path_heads(source: &Source) -> Vec<(usize, &str)> {
    let words = source.words().into_iter();
    let begins = |at: usize| match source.code[..at].strip_suffix("::") {
        // `::word` begins at the root of all crates.
        Some(before) => !before.ends_with(|char: char| is_word(char) || char == '>'),
        None => true,
    };
    let heads =
        words.filter(|word| source.code[word.at + word.text.len()..].starts_with("::") && begins(word.at));
    heads.map(|word| (word.at, word.text)).collect()
}

#[test]
fn an_import_against_the_table_is_found_however_it_is_written() {
    let bad = [
        "use crate::driver;",
        "use crate::{view, store::Store};",
        "fn a() { crate::store::b() }",
        "use super::super::engine::Engine;",
        "use burn::tensor::Tensor;",
        "use ::redb::Database;",
        "use std::{collections::BTreeMap, fs};",
        "fn a() -> std::time::Duration {}",
    ];
    for line in bad {
        let found = faults(&[Source::new("coordinator/src/round/phase.rs", line)]);
        assert!(!found.is_empty(), "{line}");
    }
    let good = "use crate::round::Abort;\nuse crate::strategy::Strategy;\nuse super::Cohort;\n// crate::driver\nuse std::collections::BTreeMap;\nfn a() { x::burn::b() }";
    assert_eq!(faults(&[Source::new("coordinator/src/round/phase.rs", good)]), []);
}

#[test]
fn only_the_command_line_names_the_driver_and_every_room_has_a_row() {
    for room in ["coordinator/src/view.rs", "node/src/trainer.rs", "node/ingest/src/csv.rs"] {
        assert_eq!(faults(&[Source::new(room, "use crate::driver;")]).len(), 1, "{room}");
    }
    assert_eq!(faults(&[Source::new("node/src/cli/run.rs", "use crate::driver;")]), []);
    assert_eq!(faults(&[Source::new("node/src/attic.rs", "")]).len(), 1);
}

#[test]
fn every_room_of_the_table_is_allowed_rooms_of_the_table_only() {
    for Row { room: (folder, room), may_import, .. } in ROOMS {
        let exists = |name: &str| name == "*" || ROOMS.iter().any(|row| row.room == (*folder, name));
        assert!(may_import.iter().all(|name| exists(name)), "{folder}/{room}");
        assert!(may_import.is_sorted(), "{folder}/{room}");
    }
}

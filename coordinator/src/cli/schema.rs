//! `--schema`: what a command prints, as JSON Schema made from its types.

use std::ffi::OsString;

use clap::Command;
use edge::Format;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::doctor::Finding;
use crate::view::model::{AliasView, ExportedModel, ImportedModel, ListedModel, ModelView};
use crate::view::tenant::ShreddedTenant;
use crate::view::{
    ComparedRuns, ExplainedRound, InstalledRoster, IssuedToken, NodeView, OrderedNode, OrderedRun, RunView,
    TokenView,
};

/// A command, and what it prints as one document and as a line.
struct Row {
    command: &'static [&'static str],
    document: fn() -> Schema,
    line: fn() -> Schema,
}

/// A command that prints one object.
const fn one<T: JsonSchema>(command: &'static [&'static str]) -> Row {
    Row { command, document: schema::<T>, line: schema::<T> }
}

/// A command that prints a list.
const fn list<T: JsonSchema>(command: &'static [&'static str]) -> Row {
    Row { command, document: schema::<Vec<T>>, line: schema::<T> }
}

/// Every command that prints for programs.
const ROWS: [Row; 31] = [
    one::<OrderedRun>(&["run", "start"]),
    one::<OrderedRun>(&["run", "pause"]),
    one::<OrderedRun>(&["run", "resume"]),
    one::<OrderedRun>(&["run", "extend"]),
    one::<OrderedRun>(&["run", "stop"]),
    one::<RunView>(&["run", "watch"]),
    one::<RunView>(&["run", "status"]),
    list::<RunView>(&["run", "list"]),
    one::<ExplainedRound>(&["run", "explain"]),
    one::<ComparedRuns>(&["run", "diff"]),
    list::<NodeView>(&["node", "list"]),
    one::<OrderedNode>(&["node", "drain"]),
    one::<OrderedNode>(&["node", "undrain"]),
    one::<OrderedNode>(&["node", "renew"]),
    one::<InstalledRoster>(&["node", "approve"]),
    one::<InstalledRoster>(&["node", "rotate"]),
    one::<InstalledRoster>(&["node", "revoke"]),
    one::<IssuedToken>(&["token", "create"]),
    list::<TokenView>(&["token", "list"]),
    one::<TokenView>(&["token", "revoke"]),
    one::<InstalledRoster>(&["roster", "install"]),
    one::<InstalledRoster>(&["roster", "appoint"]),
    one::<InstalledRoster>(&["roster", "hand-over"]),
    list::<ListedModel>(&["model", "list"]),
    one::<ModelView>(&["model", "show"]),
    one::<AliasView>(&["model", "promote"]),
    one::<AliasView>(&["model", "rollback"]),
    one::<ExportedModel>(&["model", "export"]),
    one::<ImportedModel>(&["model", "import"]),
    one::<ShreddedTenant>(&["tenant", "shred"]),
    list::<Finding>(&["doctor"]),
];

/// The schema of what is written, not of what could be read: nothing that is always there is optional.
fn schema<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// The schema that a command line asks for, if it does. What else is missing on it does not matter.
pub(super) fn asked(cli: Command, args: &[OsString]) -> Option<String> {
    let matches = cli.ignore_errors(true).try_get_matches_from(args).ok()?;
    let (mut words, mut options) = (Vec::new(), &matches);
    while let Some((word, inner)) = options.subcommand() {
        words.push(word);
        options = inner;
    }
    let row = ROWS.iter().find(|row| row.command == words)?;
    if !options.get_flag("schema") {
        return None;
    }
    let is_line = options.get_one::<Format>("format") == Some(&Format::Jsonl);
    let schema = if is_line { (row.line)() } else { (row.document)() };
    Some(format!("{:#}", schema.as_value()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use serde_json::Value;

    use super::*;
    use crate::cli::Cli;

    /// Every command at or below this one that has a schema.
    fn collect(command: &Command, name: &str, found: &mut Vec<String>) {
        if command.get_arguments().any(|arg| arg.get_id() == "schema") {
            found.push(name.to_owned());
        }
        for inner in command.get_subcommands() {
            collect(inner, format!("{name} {}", inner.get_name()).trim_start(), found);
        }
    }

    fn asked_of(words: &[&str]) -> Option<Value> {
        let words: Vec<OsString> = ["coordinator"].iter().chain(words).map(Into::into).collect();
        asked(Cli::command(), &words).map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn every_command_with_a_schema_has_a_row_and_needs_nothing_else_for_it() {
        let mut found = Vec::new();
        collect(&Cli::command(), "", &mut found);
        let mut rows: Vec<String> = ROWS.iter().map(|row| row.command.join(" ")).collect();
        found.sort();
        rows.sort();
        assert_eq!(found, rows);
        for row in ROWS {
            let schema = asked_of(&[row.command, &["--schema"]].concat()).unwrap();
            let draft = "https://json-schema.org/draft/2020-12/schema";
            assert_eq!(schema["$schema"], draft, "{:?}", row.command);
        }
    }

    #[test]
    fn a_list_is_an_array_as_a_document_and_an_object_as_a_line() {
        assert_eq!(asked_of(&["run", "list", "--schema"]).unwrap()["type"], "array");
        let line = asked_of(&["run", "list", "--schema", "--format", "jsonl"]).unwrap();
        assert_eq!((&line["type"], &line["additionalProperties"]), (&"object".into(), &false.into()));
        assert_eq!(asked_of(&["run", "list"]), None);
    }
}

//! `coordinator run diff`: two runs side by side.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use edge::{Format, print_one};
use serde_json::Value;
use toml::Table;

use crate::cli::asked;
use crate::cli::exit::Exit;
use crate::cli::run::text::short;
use crate::control::{Reply, Stored};
use crate::view::{ComparedRuns, RunResult, key_differences};

pub(super) async fn execute(dir: &Path, a: &str, b: &str, format: Format) -> Result<ExitCode> {
    let view = asked::view(dir).await?;
    let (a, b) = (asked::pick(&view, Some(a))?, asked::pick(&view, Some(b))?);
    let config = key_differences(&config(dir, &a.run).await?, &config(dir, &b.run).await?);
    let compared = ComparedRuns { a: RunResult::of(a), b: RunResult::of(b), config };
    print_one(format, &compared, || text(&compared))?;
    Ok(Exit::Done.into())
}

async fn config(dir: &Path, run: &str) -> Result<Table> {
    let Reply::Config { text } = asked::stored(dir, Stored::Config { run: run.to_owned() }).await? else {
        bail!(asked::OTHER_ANSWER)
    };
    text.parse().with_context(|| format!("the configuration of run {run}"))
}

fn text(compared: &ComparedRuns) -> Vec<String> {
    let ComparedRuns { a, b, config } = compared;
    let row = |what: &str, a: String, b: String| format!("{what:<28} {a:<34} {b}");
    let both = |what: &str, of: fn(&RunResult) -> String| row(what, of(a), of(b));
    let loss = |loss: Option<f64>| loss.map_or("-".to_owned(), |loss| format!("{loss:.5}"));
    let mut lines = vec![
        both("run", |run| run.run.clone()),
        both("name", |run| run.name.clone()),
        both("status", |run| run.status.to_string()),
        both("rounds done", |run| run.rounds_done.to_string()),
        row("loss, newest round", loss(a.loss), loss(b.loss)),
        row("loss, best round", loss(a.loss_best), loss(b.loss_best)),
        both("rounds took", |run| format!("{:.1} s", run.wall_ms / 1000.0)),
        both("updates in models", |run| run.updates.to_string()),
        both("updates missing", |run| run.missing.to_string()),
        both("model", |run| run.model.as_deref().map_or("-", short).to_owned()),
    ];
    if config.is_empty() {
        lines.push("their configurations are equal".to_owned());
    }
    let value = |value: &Value| if value.is_null() { "-".to_owned() } else { value.to_string() };
    lines.extend(config.iter().map(|differs| row(&differs.key, value(&differs.a), value(&differs.b))));
    lines
}

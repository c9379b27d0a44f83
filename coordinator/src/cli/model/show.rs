//! `coordinator model show`: where a model comes from, for people and for programs.

use std::path::Path;

use anyhow::{Result, bail};
use edge::Format;
use serde_json::Value;

use super::{ModelAnswer, ModelOrder, OTHER_ANSWER, asked, print_one};
use crate::view::model::{FileView, ModelView, OriginView, TrainedView};

const SECONDS_A_DAY: u64 = 86_400;

pub(super) async fn show(dir: &Path, model: Option<String>, format: Format) -> Result<()> {
    let ModelAnswer::Shown(view) = asked(dir, ModelOrder::Show { model }).await? else { bail!(OTHER_ANSWER) };
    print_one(format, &view, || lines(&view))
}

fn lines(view: &ModelView) -> Vec<String> {
    let mut lines = vec![line("model", &view.model)];
    lines
        .extend(view.aliases.iter().map(|(alias, at)| line("alias", format!("{alias}, since {}", utc(*at)))));
    match &view.origin {
        OriginView::Trained(trained) => lines.extend(trained_lines(trained)),
        OriginView::Initial { run, name, seed, at_ms } => {
            lines.push(line("made", format!("for run {name} ({run}) from seed {seed}, {}", utc(*at_ms))));
        }
        OriginView::Imported { name, round, at_ms } => {
            lines.push(line("imported", format!("from {name}, round {round}, {}", utc(*at_ms))));
        }
    }
    lines.extend(view.also.iter().map(|other| line("also", other)));
    if let Some(FileView { bytes, parameters, task }) = &view.file {
        lines.push(line("task", words(task)));
        lines.push(line("parameters", parameters));
        lines.push(line("file", format!("models/{}.safetensors, {bytes} bytes", view.model)));
    }
    lines.extend(view.problem.iter().map(|problem| line("file", problem)));
    lines
}

fn trained_lines(trained: &TrainedView) -> Vec<String> {
    let TrainedView { run, name, round, rounds, attempt, at_ms, parent, code, samples, loss, .. } = trained;
    let made =
        format!("by run {name} ({run}), round {round} of {rounds}, attempt {attempt}, {}", utc(*at_ms));
    let mut lines = vec![
        line("made", made),
        line("from", format!("model {parent}")),
        line("code", format!("coordinator {code}")),
        line("learned", format!("from {samples} windows, loss {loss:.5}")),
    ];
    lines.extend(trained.cohort.iter().map(|part| {
        let (node, weight, steps) = (&part.node, part.weight, part.steps);
        let (loss, norm) = (part.loss, part.delta_norm);
        format!("  {node:<24} {weight} windows, {steps} steps, loss {loss:.5}, changed by {norm:.5}")
    }));
    lines.extend(trained.missing.iter().map(|(node, why)| format!("  {node:<24} not in it: {why}")));
    lines.push(line("training", format!("{}, seed {}", words(&trained.training), trained.seed)));
    lines.push(line("strategy", words(&trained.strategy)));
    if !trained.select.is_empty() {
        let labels: Vec<String> =
            trained.select.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.push(line("nodes", format!("with {}", labels.join(" "))));
    }
    lines
}

fn line(label: &str, text: impl std::fmt::Display) -> String {
    format!("{label:<11} {text}")
}

/// The fields of a JSON object in one line, as people read them.
fn words(value: &Value) -> String {
    let Value::Object(fields) = value else { return value.to_string() };
    let word = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Object(_) => format!("({})", words(value)),
        other => other.to_string(),
    };
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name} {}", word(value))).collect();
    fields.join(", ")
}

/// Milliseconds since the Unix epoch as date and time (proleptic Gregorian; years of 365.2425 days that begin in March,
/// so that a leap day is a year's last).
fn utc(at_ms: u64) -> String {
    let seconds = at_ms / 1000;
    let (days, second) = (seconds / SECONDS_A_DAY + 719_468, seconds % SECONDS_A_DAY);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year_of_era + next_year;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_709_251_200, "2024-03-01 00:00:00 UTC"),
            (4_107_542_399, "2100-02-28 23:59:59 UTC"),
        ] {
            assert_eq!(utc(seconds * 1000), date);
        }
    }

    #[test]
    fn fields_are_read_as_words() {
        let value = serde_json::json!({ "combine": { "kind": "mean" }, "epochs": 1, "hidden": [5, 4] });
        assert_eq!(words(&value), "combine (kind mean), epochs 1, hidden [5,4]");
    }
}

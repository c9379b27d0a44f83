//! `coordinator model show`: where a model comes from, for people and for programs.

use std::path::Path;

use anyhow::{Result, bail};
use common::units::Timestamp;
use edge::{Format, print_one};
use serde_json::Value;

use crate::cli::asked;
use crate::cli::run::members;
use crate::control::{ModelAnswer, ModelOrder};
use crate::view::AttemptView;
use crate::view::model::{
    EvaluatedView, FileView, MetricView, ModelView, OriginView, QuantileView, TrainedView,
};

pub(super) async fn show(dir: &Path, model: Option<String>, format: Format) -> Result<()> {
    let view = shown(dir, model).await?;
    print_one(format, &view, || lines(&view))
}

pub(super) async fn shown(dir: &Path, model: Option<String>) -> Result<Box<ModelView>> {
    match asked::models(dir, ModelOrder::Show { model }).await? {
        ModelAnswer::Shown(view) => Ok(view),
        _ => bail!(asked::OTHER_ANSWER),
    }
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
    if let Some(FileView { bytes, parameters, task, evaluated }) = &view.file {
        lines.push(line("task", words(task)));
        lines.push(line("parameters", parameters));
        lines.push(line("file", format!("models/{}.sealed, of {bytes} bytes", view.model)));
        lines.extend(evaluated.iter().flat_map(evaluated_lines));
    }
    lines.extend(view.problem.iter().map(|problem| line("file", problem)));
    lines
}

fn trained_lines(trained: &TrainedView) -> Vec<String> {
    let TrainedView { run, name, round, rounds, at_ms, attempt, loss, .. } = trained;
    let AttemptView { attempt: number, parent, code, weight, .. } = attempt;
    let made = format!("by run {name} ({run}), round {round} of {rounds}, attempt {number}, {}", utc(*at_ms));
    let mut lines = vec![
        line("made", made),
        line("from", format!("model {parent}")),
        line("code", format!("coordinator {code}")),
        line("learned", format!("from {weight} samples, loss {loss:.5}")),
    ];
    lines.extend(members(attempt));
    lines.push(line("training", format!("{}, seed {}", words(&trained.training), trained.seed)));
    lines.push(line("strategy", words(&trained.strategy)));
    if !trained.select.is_empty() {
        let labels: Vec<String> =
            trained.select.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.push(line("nodes", format!("with {}", labels.join(" "))));
    }
    lines
}

fn evaluated_lines(EvaluatedView { metrics, scores }: &EvaluatedView) -> Vec<String> {
    let quantile = |QuantileView { quantile, score }: &QuantileView| format!("{quantile}: {score:.3}");
    let quantiles: Vec<String> = scores.iter().map(quantile).collect();
    let mut lines = vec![line("scores", quantiles.join(", "))];
    lines.extend(metrics.iter().map(|MetricView { metric, known, mean, sd, error_mean, error_sd }| {
        let pair = |one: &Option<f64>, other: &Option<f64>| match (one, other) {
            (Some(mean), Some(sd)) => format!("{mean:.4} ± {sd:.4}"),
            _ => "unknown".to_owned(),
        };
        let (usual, errors) = (pair(mean, sd), pair(error_mean, error_sd));
        line("metric", format!("{metric}: {usual}, error {errors}, in {:.1} % of records", known * 100.0))
    }));
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

fn utc(at_ms: u64) -> Timestamp {
    Timestamp::from_millis(at_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_words() {
        let value = serde_json::json!({ "combine": { "kind": "mean" }, "epochs": 1, "hidden": [5, 4] });
        assert_eq!(words(&value), "combine (kind mean), epochs 1, hidden [5,4]");
    }
}

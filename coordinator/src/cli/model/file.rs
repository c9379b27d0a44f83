//! `coordinator model export | import`: models as files for others, and from them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use common::model::{MetricName, Task};
use edge::file::write_replacing;
use edge::{Format, print_lines};

use super::{Kind, ModelAnswer, ModelOrder, OTHER_ANSWER, asked, print_one};
use crate::folder::Folder;
use crate::store::models::{self, Foreign};
use crate::store::{About, Models};
use crate::view::model::{ModelView, OriginView};
use crate::{onnx, registry};

pub(super) async fn export(dir: &Path, model: Option<String>, output: &Path, kind: Kind) -> Result<()> {
    let ModelAnswer::Shown(view) = asked(dir, ModelOrder::Show { model }).await? else { bail!(OTHER_ANSWER) };
    match kind {
        Kind::Safetensors => models::export(dir, view.model.parse()?, output),
        Kind::Onnx => return export_onnx(dir, &view, output),
    }
    .with_context(|| output.display().to_string())?;
    said(&view, output);
    Ok(())
}

fn export_onnx(dir: &Path, view: &ModelView, output: &Path) -> Result<()> {
    let files = Models::of_folder(dir);
    let hash = view.model.parse()?;
    let described = files.describe(hash)?;
    let task = registry::task_of(&described.task)?;
    let schema = task.schema()?;
    let values = files.load(hash, &schema)?;
    let mut notes = vec![
        ("hash", view.model.clone()),
        ("round", described.round.to_string()),
        // Metrics and past steps: what the columns of input and output are.
        ("task", described.task),
    ];
    notes.extend(match &view.origin {
        OriginView::Trained(trained) => Some(("run", trained.run.clone())),
        OriginView::Initial { run, .. } => Some(("run", run.clone())),
        OriginView::Imported { .. } => None,
    });
    if let Task::Forecaster(forecaster) = &task {
        let metrics: Vec<&str> = forecaster.metrics.iter().map(MetricName::as_str).collect();
        notes.push(("metrics", serde_json::to_string(&metrics)?));
    }
    write_replacing(output, &onnx::encode(&task, &schema, &values, &notes)?)?;
    said(view, output);
    Ok(())
}

fn said(view: &ModelView, output: &Path) {
    print_lines(&[format!("{}  {}", view.model, output.display())]);
}

pub(super) async fn import(dir: &Path, file: &Path, dry_run: bool, format: Format) -> Result<()> {
    // Models belong into a coordinator's folder: in another one none is stored.
    Folder::open(dir)?;
    let foreign = Foreign::read(file)?;
    let described = foreign.described()?;
    let task = registry::task_of(&described.task).with_context(|| file.display().to_string())?;
    let schema = task.schema()?;
    let values = foreign.values(&schema)?;
    drop(foreign);
    let about = About { round: described.round, task: &task };
    let model = models::hash_of(&about, &schema, &values);
    let known = if dry_run {
        Models::of_folder(dir).path(model).exists()
    } else {
        let files = Models::of_folder(dir);
        files.make()?;
        files.save(&about, &schema, &values)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let order = ModelOrder::Import { model: model.to_string(), round: described.round.0, file: name };
        let ModelAnswer::Imported { known } = asked(dir, order).await? else { bail!(OTHER_ANSWER) };
        known
    };
    let result = serde_json::json!({ "model": model.to_string(), "known": known });
    let sentence = match (known, dry_run) {
        (true, _) => format!("{model}  was here already"),
        (false, true) => format!("{model}  would be imported"),
        (false, false) => format!("{model}  imported; `coordinator model promote` gives it a name"),
    };
    print_one(format, &result, || vec![sentence])
}

//! `coordinator model export | import`: models as files for others, and from them.

use std::path::Path;

use anyhow::{Context, Result, bail};
use common::model::MetricName;
use edge::file::write_replacing;
use edge::{Format, print_one};

use super::Kind;
use super::show::shown;
use crate::cli::asked;
use crate::cli::printing::How;
use crate::control::{ModelAnswer, ModelOrder};
use crate::folder::Folder;
use crate::store::models::{self, Foreign};
use crate::store::{About, Models};
use crate::view::model::{ExportedModel, ImportedModel, ModelView, OriginView};
use crate::{onnx, registry};

pub(super) async fn export(
    dir: &Path,
    model: Option<String>,
    (output, kind): (&Path, Kind),
    format: Format,
) -> Result<()> {
    let view = shown(dir, model).await?;
    match kind {
        Kind::Safetensors => {
            Models::of_folder(dir, Folder::vault(dir)?).export(view.model.parse()?, output)?;
        }
        Kind::Onnx => export_onnx(dir, &view, output)?,
    }
    let exported = ExportedModel { model: view.model, file: output.display().to_string() };
    print_one(format, &exported, || vec![format!("{}  {}", exported.model, exported.file)])
}

fn export_onnx(dir: &Path, view: &ModelView, output: &Path) -> Result<()> {
    let files = Models::of_folder(dir, Folder::vault(dir)?);
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
    if let Some(forecaster) = task.forecaster() {
        let metrics: Vec<&str> = forecaster.metrics.iter().map(MetricName::as_str).collect();
        notes.push(("metrics", serde_json::to_string(&metrics)?));
    }
    write_replacing(output, &onnx::encode(&task, &schema, &values, &notes)?)
}

pub(super) async fn import(dir: &Path, file: &Path, How { dry_run, printing }: How) -> Result<()> {
    // Models belong into a coordinator's folder: in another one none is stored.
    let vault = Folder::vault(dir)?;
    let foreign = Foreign::read(file)?;
    let described = foreign.described()?;
    let task = registry::task_of(&described.task).with_context(|| file.display().to_string())?;
    let schema = task.schema()?;
    let values = foreign.values(&schema)?;
    drop(foreign);
    let about = About { round: described.round, task: &task };
    let files = Models::of_folder(dir, vault);
    let (model, known) = if dry_run {
        let model = models::hash(&about, &schema, &values);
        (model, files.path(model).exists())
    } else {
        files.make()?;
        let model = files.save(&about, &schema, &values)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let order = ModelOrder::Import { model: model.to_string(), round: described.round.0, file: name };
        let ModelAnswer::Imported { known } = asked::models(dir, order).await? else {
            bail!(asked::OTHER_ANSWER)
        };
        (model, known)
    };
    let imported = ImportedModel { model: model.to_string(), known, dry_run };
    let sentence = match (known, dry_run) {
        (true, _) => format!("{model}  was here already"),
        (false, true) => format!("{model}  would be imported"),
        (false, false) => format!("{model}  imported; `coordinator model promote` gives it a name"),
    };
    print_one(printing.format, &imported, || vec![sentence])
}

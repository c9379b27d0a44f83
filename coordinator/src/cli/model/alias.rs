//! `coordinator model promote | rollback`: which model an alias names.

use std::path::Path;

use anyhow::{Result, bail};

use super::{ModelAnswer, ModelOrder, OTHER_ANSWER, Turn, asked, print_one};
use crate::view::model::AliasView;

pub(super) async fn promote(dir: &Path, model: &str, turn: &Turn) -> Result<()> {
    let (model, alias, dry_run) = (model.to_owned(), turn.alias.clone(), turn.dry_run);
    done(dir, ModelOrder::Promote { model, alias, dry_run }, turn).await
}

pub(super) async fn roll_back(dir: &Path, turn: &Turn) -> Result<()> {
    done(dir, ModelOrder::RollBack { alias: turn.alias.clone(), dry_run: turn.dry_run }, turn).await
}

async fn done(dir: &Path, order: ModelOrder, turn: &Turn) -> Result<()> {
    let ModelAnswer::Turned(view) = asked(dir, order).await? else { bail!(OTHER_ANSWER) };
    print_one(turn.format, &view, || vec![sentence(&view, turn.dry_run)])
}

fn sentence(view: &AliasView, dry_run: bool) -> String {
    let AliasView { alias, model, before, .. } = view;
    if before.as_ref() == Some(model) {
        return format!("{alias} names {model} already");
    }
    let names = if dry_run { "would name" } else { "names" };
    let before = before.as_deref().unwrap_or("nothing");
    format!("{alias} {names} {model}; before: {before}")
}

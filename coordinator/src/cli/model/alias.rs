//! `coordinator model promote | rollback`: which model an alias names.

use std::path::Path;

use anyhow::{Result, bail};
use edge::print_one;

use super::Turn;
use crate::cli::asked;
use crate::control::{ModelAnswer, ModelOrder};
use crate::view::model::AliasView;

pub(super) async fn promote(dir: &Path, model: &str, turn: &Turn) -> Result<()> {
    let (model, alias, dry_run) = (model.to_owned(), turn.alias.clone(), turn.how.dry_run);
    done(dir, ModelOrder::Promote { model, alias, dry_run }, turn).await
}

pub(super) async fn roll_back(dir: &Path, turn: &Turn) -> Result<()> {
    done(dir, ModelOrder::RollBack { alias: turn.alias.clone(), dry_run: turn.how.dry_run }, turn).await
}

async fn done(dir: &Path, order: ModelOrder, turn: &Turn) -> Result<()> {
    let ModelAnswer::Turned(view) = asked::models(dir, order).await? else { bail!(asked::OTHER_ANSWER) };
    print_one(turn.how.printing.format, &view, || vec![sentence(&view)])
}

fn sentence(view: &AliasView) -> String {
    let AliasView { alias, model, before, dry_run } = view;
    if before.as_ref() == Some(model) {
        return format!("{alias} names {model} already");
    }
    let names = if *dry_run { "would name" } else { "names" };
    let before = before.as_deref().unwrap_or("nothing");
    format!("{alias} {names} {model}; before: {before}")
}

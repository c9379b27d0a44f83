//! What can be asked of models, and what is answered.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::view::model::{AliasView, ListedModel, ModelView};

/// What can be done with models. One is named by an alias, its hash or the start of that, or a run's id or name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum ModelOrder {
    /// List all.
    List,
    /// Show one.
    Show {
        /// Which; the newest run's when not given.
        model: Option<String>,
    },
    /// Make an alias name a model.
    Promote {
        /// Which.
        model: String,
        /// The alias.
        alias: String,
        /// Only look whether it could be done.
        dry_run: bool,
    },
    /// Make an alias name the model before.
    RollBack {
        /// The alias.
        alias: String,
        /// Only look whether it could be done.
        dry_run: bool,
    },
    /// Keep where a model came from whose file has been stored.
    Import {
        /// Its hash.
        model: String,
        /// The round that its file says it is of.
        round: u32,
        /// The name of the file.
        file: String,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum ModelAnswer {
    /// All models, the oldest first.
    Listed {
        /// Those.
        models: Vec<ListedModel>,
    },
    /// One.
    Shown(Box<ModelView>),
    /// An alias was turned, or would be.
    Turned(AliasView),
    /// It is known now.
    Imported {
        /// Whether it was before.
        known: bool,
    },
}

/// Whoever answers, beside the driver: what is asked of models may take as long as reading a large file.
pub type ModelDesk = Arc<dyn Fn(&ModelOrder) -> Result<ModelAnswer, String> + Send + Sync>;

//! All models of a store, and which of them a word means.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result, bail};
use common::id::{ModelHash, RoundId};
use common::limits::NAME_BYTES_MAX;
use common::units::Timestamp;
use common::wire::Text;

use crate::round::RoundRecord;
use crate::store::registry::{AliasTurn, HASH_DIGITS_MIN, Imported, standing};
use crate::store::{Alias, RunEntry, Store};
use crate::view::model::OriginKind;

/// A model, and one place that it comes from. A model that comes from several is there several times.
pub(super) struct Known {
    pub(super) model: ModelHash,
    pub(super) origin: Origin,
}

pub(super) enum Origin {
    /// A run began with it.
    Initial(RunEntry),
    /// A file was imported.
    Imported(Imported),
    /// A round made it.
    Trained { entry: RunEntry, record: Box<RoundRecord> },
}

impl Origin {
    pub(super) fn kind(&self) -> OriginKind {
        match self {
            Self::Initial(_) => OriginKind::Initial,
            Self::Imported(_) => OriginKind::Imported,
            Self::Trained { .. } => OriginKind::Trained,
        }
    }

    pub(super) fn at(&self) -> Timestamp {
        match self {
            Self::Initial(entry) => entry.created,
            Self::Imported(imported) => imported.at,
            Self::Trained { record, .. } => record.closed,
        }
    }

    pub(super) fn run(&self) -> Option<&RunEntry> {
        match self {
            Self::Initial(entry) | Self::Trained { entry, .. } => Some(entry),
            Self::Imported(_) => None,
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Initial(entry) | Self::Trained { entry, .. } => entry.name.to_string(),
            Self::Imported(imported) => imported.file.to_string(),
        }
    }

    pub(super) fn round(&self) -> RoundId {
        match self {
            Self::Initial(_) => RoundId(0),
            Self::Imported(imported) => imported.round,
            Self::Trained { record, .. } => record.round,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Initial(entry) => write!(f, "run {} ({}) began with it", entry.run, entry.name),
            Self::Imported(imported) => write!(f, "imported from {}", imported.file),
            Self::Trained { entry, record } => {
                write!(f, "run {} ({}), round {}", entry.run, entry.name, record.round)
            }
        }
    }
}

/// Every model: those that were imported, then those of the runs; the newest run last, its rounds in their order.
pub(super) fn known(store: &Store) -> Result<Vec<Known>> {
    let imported = store.state().imported()?.into_iter();
    let mut all: Vec<Known> =
        imported.map(|(model, entry)| Known { model, origin: Origin::Imported(entry) }).collect();
    for entry in store.state().runs()? {
        let records = store.state().rounds(entry.run)?;
        let first = records.first().map_or(entry.checkpoint.model, |record| record.model);
        all.push(Known { model: first, origin: Origin::Initial(entry.clone()) });
        all.extend(records.into_iter().filter_map(|record| {
            let model = record.made()?.model;
            Some(Known { model, origin: Origin::Trained { entry: entry.clone(), record: Box::new(record) } })
        }));
    }
    Ok(all)
}

/// The model that a word means: an alias, a hash or its start, or a run by its id, the start of that, or its name,
/// whose newest model it is; without a word the newest run's.
pub(super) fn find<'k>(
    all: &'k [Known],
    aliases: &BTreeMap<Alias, Vec<AliasTurn>>,
    wanted: Option<&str>,
) -> Result<&'k Known> {
    let Some(wanted) = wanted else {
        let newest = all.iter().rfind(|known| known.origin.kind() == OriginKind::Trained);
        return newest.context("no run has a model yet; `coordinator run start` starts one");
    };
    let aliased = aliases.iter().find(|(alias, _)| alias.to_string() == wanted);
    if let Some((_, model)) = aliased.and_then(|(_, history)| standing(history).pop()) {
        let gone = || format!("`{wanted}` names model {model}, of which nothing is known");
        return best(all, |known| known == model).with_context(gone);
    }
    if wanted.len() >= HASH_DIGITS_MIN {
        let begins = |model: ModelHash| model.to_string().starts_with(wanted);
        let found: BTreeSet<ModelHash> =
            all.iter().map(|known| known.model).filter(|model| begins(*model)).collect();
        if found.len() > 1 {
            bail!("`{wanted}` is the start of {} hashes: give more digits", found.len());
        }
        if let Some(found) = best(all, begins) {
            return Ok(found);
        }
    }
    let is_named = |entry: &RunEntry| entry.run.to_string().starts_with(wanted) || &*entry.name == wanted;
    let mut runs = all.iter().rev().filter_map(|known| known.origin.run());
    let Some(run) = runs.find(|entry| is_named(entry)).map(|entry| entry.run) else {
        bail!("no model, alias or run `{wanted}`; `coordinator model list` shows them")
    };
    let of_run = |known: &&Known| {
        known.origin.kind() == OriginKind::Trained && known.origin.run().is_some_and(|entry| entry.run == run)
    };
    all.iter().rev().find(of_run).with_context(|| format!("run {run} has no model yet"))
}

/// Of the places that a model comes from the one that says most, and the newest of those.
fn best(all: &[Known], is_wanted: impl Fn(ModelHash) -> bool) -> Option<&Known> {
    all.iter().filter(|known| is_wanted(known.model)).max_by_key(|known| known.origin.kind())
}

/// What names a model now, and since when, in milliseconds since the Unix epoch.
pub(super) fn aliases_of(
    model: ModelHash,
    aliases: &BTreeMap<Alias, Vec<AliasTurn>>,
) -> BTreeMap<String, u64> {
    let naming = |(alias, history): (&Alias, &Vec<AliasTurn>)| {
        let (at, named) = standing(history).pop()?;
        (named == model).then(|| (alias.to_string(), at.millis()))
    };
    aliases.iter().filter_map(naming).collect()
}

/// A file's name as it is kept: its first bytes when it is longer.
pub(super) fn file_name(name: &str) -> Text<NAME_BYTES_MAX> {
    let end = name.floor_char_boundary(NAME_BYTES_MAX);
    Text::try_from(&name[..end]).unwrap_or_else(|_| unreachable!("cut to the limit above"))
}

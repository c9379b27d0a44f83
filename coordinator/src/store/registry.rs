//! What the state knows of models beside the rounds that made them: those that were brought in, and which of all an
//! alias names.
//!
//! An alias keeps its whole history, and what it names follows from that: a promotion puts a model on top, a rollback
//! takes the top away.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use common::id::{ModelHash, RoundId};
use common::limits::NAME_BYTES_MAX;
use common::units::Timestamp;
use common::wire::Text;
use redb::{ReadableTable, TableDefinition};

use super::{State, StoreError};

/// By alias, then number, from 0: the order in which they happened.
pub(super) const TURNS: TableDefinition<'_, (&str, u32), &[u8]> = TableDefinition::new("aliases");
/// By hash.
pub(super) const IMPORTED: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("imported");

/// Bytes in an alias.
const ALIAS_BYTES_MAX: usize = 64;

/// Hex digits from which on a word is the start of a hash.
pub const HASH_DIGITS_MIN: usize = 8;

/// A name for whichever model was promoted last: a lower-case letter, then letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alias(String);

/// The text is no alias.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no alias: a lower-case letter, then letters, digits, - and _, at most {ALIAS_BYTES_MAX} in all; and not \
     what may be a hash"
)]
pub struct ParseAliasError(String);

impl FromStr for Alias {
    type Err = ParseAliasError;

    fn from_str(text: &str) -> Result<Self, ParseAliasError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let like_a_hash = text.len() >= HASH_DIGITS_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_alias = text.len() <= ALIAS_BYTES_MAX
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(allowed)
            && !like_a_hash;
        if is_alias { Ok(Self(text.to_owned())) } else { Err(ParseAliasError(text.to_owned())) }
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One turn in the history of an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasTurn {
    /// When.
    pub at: Timestamp,
    /// The model that it made the alias name; none for a rollback, which goes to the one before.
    pub promoted: Option<ModelHash>,
}

common::wire_fields!(AliasTurn { at, promoted });

/// The promotions that stand after these turns, the oldest first: the alias names the model of the last.
pub fn standing(history: &[AliasTurn]) -> Vec<(Timestamp, ModelHash)> {
    let mut standing = Vec::new();
    for turn in history {
        match turn.promoted {
            Some(model) => standing.push((turn.at, model)),
            None => _ = standing.pop(),
        }
    }
    standing
}

/// A model that was brought in from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// When.
    pub at: Timestamp,
    /// The round that the file says it is of.
    pub round: RoundId,
    /// The name of the file, without its folder.
    pub file: Text<NAME_BYTES_MAX>,
}

common::wire_fields!(Imported { at, round, file });

impl State {
    /// The history of every alias, the oldest turn first.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is damaged.
    pub fn aliases(&self) -> Result<BTreeMap<Alias, Vec<AliasTurn>>, StoreError> {
        let rows = self.read(|transaction| {
            let turns = transaction.open_table(TURNS)?;
            let rows = turns.iter()?.map(|row| {
                row.map(|(key, value)| (key.value().0.to_owned(), key.value().1, value.value().to_vec()))
            });
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        let mut aliases: BTreeMap<Alias, Vec<AliasTurn>> = BTreeMap::new();
        for (alias, number, bytes) in rows {
            let named = || format!("alias {alias}, turn {number}");
            let turn = self.decode(&TURNS, &turn_key(&alias, number), &bytes, named)?;
            aliases.entry(Alias(alias)).or_default().push(turn);
        }
        Ok(aliases)
    }

    /// Makes an alias name a model. That its file is there and whole was looked at before.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn promote(&self, alias: &Alias, model: ModelHash, at: Timestamp) -> Result<(), StoreError> {
        self.turn_alias(alias, |_| Ok(AliasTurn { at, promoted: Some(model) }))
    }

    /// Makes an alias name the model before again.
    ///
    /// # Errors
    ///
    /// [`StoreError::NothingBefore`] unless there is one, or the file cannot be written.
    pub fn roll_back(&self, alias: &Alias, at: Timestamp) -> Result<(), StoreError> {
        self.turn_alias(alias, |history| match standing(history).len() {
            0 | 1 => Err(StoreError::NothingBefore(alias.clone())),
            _ => Ok(AliasTurn { at, promoted: None }),
        })
    }

    fn turn_alias(
        &self,
        alias: &Alias,
        next: impl FnOnce(&[AliasTurn]) -> Result<AliasTurn, StoreError>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut turns = transaction.open_table(TURNS)?;
            let mut history = Vec::new();
            for row in turns.range((alias.0.as_str(), 0)..=(alias.0.as_str(), u32::MAX))? {
                let (key, value) = row?;
                let number = key.value().1;
                let named = || format!("alias {alias}, turn {number}");
                match self.decode(&TURNS, &turn_key(&alias.0, number), value.value(), named) {
                    Ok(turn) => history.push(turn),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(match next(&history) {
                Ok(turn) => {
                    let number = history.len() as u32;
                    let sealed = self.encode(&TURNS, &turn_key(&alias.0, number), &turn);
                    turns.insert((alias.0.as_str(), number), sealed.as_slice())?;
                    Ok(())
                }
                Err(error) => Err(error),
            })
        })
    }

    /// Every model that was brought in, the oldest first.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is damaged.
    pub fn imported(&self) -> Result<Vec<(ModelHash, Imported)>, StoreError> {
        let rows = self.read(|transaction| {
            let imported = transaction.open_table(IMPORTED)?;
            let rows =
                imported.iter()?.map(|row| row.map(|(key, value)| (key.value(), value.value().to_vec())));
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        let mut imported = Vec::new();
        for (model, bytes) in rows {
            let model = ModelHash(model);
            let named = || format!("imported model {model}");
            let entry: Imported = self.decode(&IMPORTED, &model.0, &bytes, named)?;
            imported.push((model, entry));
        }
        imported.sort_by_key(|(model, entry)| (entry.at, *model));
        Ok(imported)
    }

    /// Keeps where a model came from, unless that is known. Its file is stored before.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn keep_imported(&self, model: ModelHash, entry: &Imported) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut imported = transaction.open_table(IMPORTED)?;
            if imported.get(model.0)?.is_none() {
                imported.insert(model.0, self.encode(&IMPORTED, &model.0, entry).as_slice())?;
            }
            Ok(Ok(()))
        })
    }
}

fn turn_key(alias: &str, number: u32) -> Vec<u8> {
    [alias.as_bytes(), &number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &tempfile::TempDir) -> State {
        let path = dir.path().join("state.redb");
        State::open(&crate::store::OsDisk, &path, crate::store::tests::vault()).unwrap()
    }

    fn state() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = open(&dir);
        (dir, state)
    }

    fn model(byte: u8) -> ModelHash {
        ModelHash([byte; 32])
    }

    #[test]
    fn a_rollback_goes_to_the_promotion_before_and_the_history_says_all() {
        let (dir, state) = state();
        let alias: Alias = "production".parse().unwrap();
        let now = |state: &State| {
            let aliases = state.aliases().unwrap();
            aliases.get(&alias).and_then(|history| standing(history).last().copied())
        };
        assert!(matches!(state.roll_back(&alias, Timestamp(1)), Err(StoreError::NothingBefore(_))));
        for (at, byte) in [(1, 1), (2, 2), (3, 3)] {
            state.promote(&alias, model(byte), Timestamp(at)).unwrap();
        }
        state.promote(&"canary".parse().unwrap(), model(9), Timestamp(3)).unwrap();
        state.roll_back(&alias, Timestamp(4)).unwrap();
        assert_eq!(now(&state), Some((Timestamp(2), model(2))));
        state.promote(&alias, model(4), Timestamp(5)).unwrap();
        state.roll_back(&alias, Timestamp(6)).unwrap();
        state.roll_back(&alias, Timestamp(7)).unwrap();
        drop(state);
        let state = open(&dir);
        assert_eq!(now(&state), Some((Timestamp(1), model(1))));
        let error = state.roll_back(&alias, Timestamp(8)).unwrap_err().to_string();
        assert!(error.starts_with("`production` named no model before this one"), "{error}");
        assert_eq!(state.aliases().unwrap()[&alias].len(), 7);
    }

    #[test]
    fn an_alias_cannot_be_taken_for_a_hash() {
        for good in ["production", "a", "canary-2_b", "abcdef"] {
            assert!(good.parse::<Alias>().is_ok(), "{good}");
        }
        for bad in ["", "Production", "1st", "a b", "deadbeef", "abcdef0123", "-a", &"a".repeat(65)] {
            assert!(bad.parse::<Alias>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_model_is_imported_once_and_keeps_its_first_time() {
        let (_dir, state) = state();
        let entry =
            |at| Imported { at: Timestamp(at), round: RoundId(3), file: "a.safetensors".try_into().unwrap() };
        state.keep_imported(model(2), &entry(5)).unwrap();
        state.keep_imported(model(1), &entry(6)).unwrap();
        state.keep_imported(model(2), &entry(7)).unwrap();
        assert_eq!(state.imported().unwrap(), [(model(2), entry(5)), (model(1), entry(6))]);
    }
}

//! `state.redb`: runs, their configuration and their rounds, in tables of canonical bytes, each value sealed for its place.
//!
//! Pages are not sealed: redb's commit counts on which of their parts are written at once.
//!
//! One durable transaction for each change. redb commits in one phase with checksums: one
//! `fdatasync`, and a torn write is found at the next open (redb's `docs/design.md`, "1-phase + checksum").

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::crypto::ValueKey;
use common::id::{EpochId, RoundId, RunId};
use common::message::event::reason;
use common::wire::{self, Wire};
use custody::Vault;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition, TableHandle,
    WriteTransaction,
};

use super::disk::{Disk, OsDisk};
use super::registry::{IMPORTED, TURNS};
use super::{NewRun, RunEntry, RunStatus, STATE, StartKey, StoreError, Turn};
use crate::round::{Checkpoint, EPOCHS_AHEAD, ReservedEpochs, RoundOutcome, RoundRecord, RunPosition};

/// Rises when an older or newer version could not read what this one writes.
const FORMAT: u64 = 5;
const FORMAT_TABLE: TableDefinition<'_, (), u64> = TableDefinition::new("format");
/// The key of all values, wrapped by the tenant's.
const KEY: TableDefinition<'_, (), &[u8]> = TableDefinition::new("key");
const RUNS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("runs");
/// Apart from the runs, so that a commit does not write it again.
const CONFIGS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("configs");
/// By run, round and epoch: the order in which they happened.
const ROUNDS: TableDefinition<'_, ([u8; 16], u32, u64), &[u8]> = TableDefinition::new("rounds");

/// Runs by the idempotency keys that they were started with.
const STARTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("starts");

/// Pages that redb keeps in memory; its own default is a gigabyte.
const CACHE_BYTES: usize = 2 << 20;

/// Runs and rounds.
#[derive(Debug)]
pub struct State {
    database: Database,
    path: PathBuf,
    vault: Arc<Vault>,
    values: ValueKey,
}

/// A state that nobody else can open meanwhile, if there is one.
#[derive(Debug)]
pub struct Held(#[expect(dead_code, reason = "it is held, not used")] Option<Database>);

impl State {
    /// Opens the file; makes it when there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] names the file.
    pub(super) fn open(disk: &dyn Disk, path: &Path, vault: Arc<Vault>) -> Result<Self, StoreError> {
        Self::opened(disk.database(path, Database::builder().set_cache_size(CACHE_BYTES)), path, vault)
    }

    #[cfg(test)]
    pub(super) fn on(backend: impl redb::StorageBackend, vault: Arc<Vault>) -> Result<Self, StoreError> {
        Self::opened(Database::builder().create_with_backend(backend), Path::new(STATE), vault)
    }

    fn opened(
        opened: Result<Database, DatabaseError>,
        path: &Path,
        vault: Arc<Vault>,
    ) -> Result<Self, StoreError> {
        let database = opened.map_err(|error| not_opened(error, path))?;
        let known = || {
            let transaction = database.begin_read()?;
            let format = transaction.open_table(FORMAT_TABLE)?.get(())?.map(|format| format.value());
            let Some(FORMAT) = format else { return Ok((format, None)) };
            Ok((format, transaction.open_table(KEY)?.get(())?.map(|key| key.value().to_vec())))
        };
        let path = path.to_owned();
        match known() {
            Ok((Some(FORMAT), wrapped)) => {
                let values = vault.values(STATE, &wrapped.unwrap_or_default());
                let values = values.map_err(|source| StoreError::Sealed { path: path.clone(), source })?;
                Ok(Self { database, path, vault, values })
            }
            Ok((Some(found), _)) => Err(StoreError::OtherFormat { path, found, expected: FORMAT }),
            // A new file has no table yet: all of them are made at once.
            Ok((None, _)) | Err(redb::Error::TableDoesNotExist(_)) => {
                let (values, wrapped) = vault.new_values(STATE);
                Self { database, path, vault, values }.made(&wrapped)
            }
            Err(error) => Err(state_error(error, path)),
        }
    }

    fn made(self, wrapped: &[u8]) -> Result<Self, StoreError> {
        self.write(|transaction| {
            transaction.open_table(FORMAT_TABLE)?.insert((), FORMAT)?;
            transaction.open_table(KEY)?.insert((), wrapped)?;
            transaction.open_table(RUNS)?;
            transaction.open_table(CONFIGS)?;
            transaction.open_table(ROUNDS)?;
            transaction.open_table(STARTS)?;
            transaction.open_table(TURNS)?;
            transaction.open_table(IMPORTED)?;
            Ok(Ok(()))
        })?;
        Ok(self)
    }

    /// Stores a run and reserves its first epochs.
    ///
    /// # Errors
    ///
    /// [`StoreError::RunExists`], or the file cannot be written.
    pub fn create_run(&self, new: NewRun) -> Result<RunPosition, StoreError> {
        let NewRun { run, name, config, rounds, model, created, key } = new;
        let next = self.epochs_end()?;
        let epochs = ReservedEpochs { next, end: EpochId(next.0.saturating_add(EPOCHS_AHEAD)) };
        let (rounds_done, epochs_end) = (RoundId(0), epochs.end);
        let status = if rounds == 0 { RunStatus::Finished } else { RunStatus::Running };
        let checkpoint = Checkpoint::from(model);
        let position = RunPosition { run, rounds_done, checkpoint: checkpoint.clone(), epochs };
        let entry = RunEntry { run, name, created, rounds, rounds_done, checkpoint, epochs_end, status };
        self.write(|transaction| {
            let mut runs = transaction.open_table(RUNS)?;
            if runs.get(run.0)?.is_some() {
                return Ok(Err(StoreError::RunExists(run)));
            }
            runs.insert(run.0, self.encode(&RUNS, &run.0, &entry).as_slice())?;
            let config = self.seal(&CONFIGS, &run.0, config.as_bytes());
            transaction.open_table(CONFIGS)?.insert(run.0, config.as_slice())?;
            if let Some(key) = &key {
                let start = self.seal(&STARTS, key.as_bytes(), &run.0);
                transaction.open_table(STARTS)?.insert(key.as_str(), start.as_slice())?;
            }
            Ok(Ok(()))
        })?;
        Ok(position)
    }

    /// Reserves new epochs for a run that goes on in this process.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownRun`], or the file cannot be written.
    pub fn resume_run(&self, run: RunId) -> Result<RunPosition, StoreError> {
        let next = self.epochs_end()?;
        self.change_run(run, |entry| {
            entry.epochs_end = EpochId(next.0.saturating_add(EPOCHS_AHEAD));
            let epochs = ReservedEpochs { next, end: entry.epochs_end };
            Ok(RunPosition {
                run,
                rounds_done: entry.rounds_done,
                checkpoint: entry.checkpoint.clone(),
                epochs,
            })
        })
    }

    /// Makes a round durable: its record, the run's new checkpoint, and the next epochs reserved.
    ///
    /// # Errors
    ///
    /// [`StoreError::OutOfOrder`] when the record does not follow what is stored, so that no round
    /// is committed twice; or the file cannot be written.
    pub fn commit(&self, record: &RoundRecord, epochs_end: EpochId) -> Result<(), StoreError> {
        let RoundRecord { run, round, epoch, .. } = *record;
        self.change_run_and(run, Some(record), |entry| {
            let follows = entry.status == RunStatus::Running
                && round.0 == entry.rounds_done.0 + 1
                && record.model == entry.checkpoint.model
                && epoch < entry.epochs_end;
            match &record.outcome {
                RoundOutcome::Committed(made) if follows => {
                    entry.checkpoint = made.clone();
                    entry.rounds_done = round;
                    entry.epochs_end = epochs_end.max(entry.epochs_end);
                    if round.0 == entry.rounds {
                        entry.status = RunStatus::Finished;
                    }
                    Ok(())
                }
                _ => Err(StoreError::OutOfOrder { run, round, epoch }),
            }
        })
    }

    /// Keeps the record of an attempt that ended without a model.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownRun`], [`StoreError::OutOfOrder`] for the record of a commit, or the
    /// file cannot be written.
    pub fn keep_aborted(&self, record: &RoundRecord) -> Result<(), StoreError> {
        let RoundRecord { run, round, epoch, .. } = *record;
        self.change_run_and(run, Some(record), |_| match record.outcome {
            RoundOutcome::Aborted(_) => Ok(()),
            RoundOutcome::Committed(_) => Err(StoreError::OutOfOrder { run, round, epoch }),
        })
    }

    /// Ends a run early.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownRun`], or the file cannot be written.
    pub fn fail_run(&self, run: RunId, why: &str) -> Result<(), StoreError> {
        self.change_run(run, |entry| {
            entry.status = RunStatus::Failed(reason(why));
            Ok(())
        })
    }

    /// Does with a run what an operator wants; returns how it stands then.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownRun`], [`StoreError::OtherStatus`] as [`RunEntry::turned`] says, or the file cannot be
    /// written.
    pub fn turn_run(&self, run: RunId, turn: &Turn) -> Result<RunEntry, StoreError> {
        self.change_run(run, |entry| {
            *entry = entry.turned(turn)?;
            Ok(entry.clone())
        })
    }

    /// All runs, the oldest first.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is damaged.
    pub fn runs(&self) -> Result<Vec<RunEntry>, StoreError> {
        let rows = self.read(|transaction| {
            let runs = transaction.open_table(RUNS)?;
            let rows = runs.iter()?.map(|row| row.map(|(key, value)| (key.value(), value.value().to_vec())));
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        let mut runs: Vec<RunEntry> = rows
            .into_iter()
            .map(|(run, bytes)| self.decode(&RUNS, &run, &bytes, || format!("run {}", RunId(run))))
            .collect::<Result<_, _>>()?;
        runs.sort_by_key(|entry| (entry.created, entry.run));
        Ok(runs)
    }

    /// The text of a run's configuration.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownRun`], or the file cannot be read.
    pub fn config(&self, run: RunId) -> Result<String, StoreError> {
        let config = self.read(|transaction| {
            Ok(transaction.open_table(CONFIGS)?.get(run.0)?.map(|config| config.value().to_vec()))
        })?;
        let sealed = config.ok_or(StoreError::UnknownRun(run))?;
        let key = || format!("the configuration of run {run}");
        let config = self.unseal(&CONFIGS, &run.0, &sealed, key)?;
        String::from_utf8(config).map_err(|error| self.damaged(key(), &error))
    }

    /// The run that was started with this key.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn started(&self, key: &StartKey) -> Result<Option<RunId>, StoreError> {
        let start = self.read(|transaction| {
            Ok(transaction.open_table(STARTS)?.get(key.as_str())?.map(|run| run.value().to_vec()))
        })?;
        let run = |sealed: Vec<u8>| self.decode(&STARTS, key.as_bytes(), &sealed, || format!("start {key}"));
        start.map(run).transpose()
    }

    /// Every attempt at a round of a run, the oldest first.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is damaged.
    pub fn rounds(&self, run: RunId) -> Result<Vec<RoundRecord>, StoreError> {
        self.records(run, RoundId(0)..=RoundId(u32::MAX))
    }

    /// Every attempt at one round of a run, the oldest first.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is damaged.
    pub fn attempts(&self, run: RunId, round: RoundId) -> Result<Vec<RoundRecord>, StoreError> {
        self.records(run, round..=round)
    }

    fn records(&self, run: RunId, wanted: RangeInclusive<RoundId>) -> Result<Vec<RoundRecord>, StoreError> {
        let (first, last) = (wanted.start().0, wanted.end().0);
        let rows = self.read(|transaction| {
            let rounds = transaction.open_table(ROUNDS)?;
            let rows = rounds.range((run.0, first, 0)..=(run.0, last, u64::MAX))?;
            let rows = rows.map(|row| row.map(|(key, value)| (key.value(), value.value().to_vec())));
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        rows.into_iter()
            .map(|((_, round, epoch), bytes)| {
                let key = || format!("run {run}, round {round}, epoch {epoch}");
                self.decode(&ROUNDS, &round_key(run, RoundId(round), EpochId(epoch)), &bytes, key)
            })
            .collect()
    }

    /// The first epoch that no run has reserved: an epoch of one run is never one of another, so that what a node says
    /// of it is of that run. Epoch 0 is no epoch.
    fn epochs_end(&self) -> Result<EpochId, StoreError> {
        let ends = self.runs()?.into_iter().map(|entry| entry.epochs_end);
        Ok(ends.fold(EpochId(1), EpochId::max))
    }

    fn change_run<T>(
        &self,
        run: RunId,
        change: impl FnOnce(&mut RunEntry) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.change_run_and(run, None, change)
    }

    /// Changes a run and keeps a record, both or neither.
    fn change_run_and<T>(
        &self,
        run: RunId,
        record: Option<&RoundRecord>,
        change: impl FnOnce(&mut RunEntry) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.write(|transaction| {
            let mut runs = transaction.open_table(RUNS)?;
            let Some(bytes) = runs.get(run.0)?.map(|bytes| bytes.value().to_vec()) else {
                return Ok(Err(StoreError::UnknownRun(run)));
            };
            let mut entry: RunEntry = match self.decode(&RUNS, &run.0, &bytes, || format!("run {run}")) {
                Ok(entry) => entry,
                Err(error) => return Ok(Err(error)),
            };
            let changed = change(&mut entry);
            if changed.is_ok() {
                runs.insert(run.0, self.encode(&RUNS, &run.0, &entry).as_slice())?;
                if let Some(record) = record {
                    let (round, epoch) = (record.round, record.epoch);
                    let sealed = self.encode(&ROUNDS, &round_key(run, round, epoch), record);
                    transaction.open_table(ROUNDS)?.insert((run.0, round.0, epoch.0), sealed.as_slice())?;
                }
            }
            Ok(changed)
        })
    }

    /// One durable transaction; nothing of it remains when `change` refuses or the disk does.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<Result<T, StoreError>, redb::Error>,
    ) -> Result<T, StoreError> {
        self.write_with(Durability::Immediate, change)
    }

    /// The same, durable with the next one that is: for what may be lost until then.
    pub(super) fn write_soon<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<Result<T, StoreError>, redb::Error>,
    ) -> Result<T, StoreError> {
        self.write_with(Durability::None, change)
    }

    fn write_with<T>(
        &self,
        durability: Durability,
        change: impl FnOnce(&WriteTransaction) -> Result<Result<T, StoreError>, redb::Error>,
    ) -> Result<T, StoreError> {
        let wrong = |error: redb::Error| self.error(error);
        let mut transaction = self.database.begin_write().map_err(|error| wrong(error.into()))?;
        transaction.set_durability(durability).map_err(|error| wrong(error.into()))?;
        let value = change(&transaction).map_err(wrong)??;
        transaction.commit().map_err(|error| wrong(error.into()))?;
        Ok(value)
    }

    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let look = || look(&self.database.begin_read()?);
        look().map_err(|error| self.error(error))
    }

    /// A value as it stands in its place: of this table, under this key.
    pub(super) fn encode(&self, table: &impl TableHandle, key: &[u8], value: &impl Wire) -> Vec<u8> {
        self.seal(table, key, &wire::encode(value))
    }

    /// The value of a place; `named` is what people call that.
    pub(super) fn decode<T: Wire>(
        &self,
        table: &impl TableHandle,
        key: &[u8],
        sealed: &[u8],
        named: impl Fn() -> String,
    ) -> Result<T, StoreError> {
        let plain = self.unseal(table, key, sealed, &named)?;
        wire::decode(&plain).map_err(|error| self.damaged(named(), &error))
    }

    fn seal(&self, table: &impl TableHandle, key: &[u8], plain: &[u8]) -> Vec<u8> {
        self.vault.seal_value(&self.values, &place(table, key), plain)
    }

    fn unseal(
        &self,
        table: &impl TableHandle,
        key: &[u8],
        sealed: &[u8],
        named: impl FnOnce() -> String,
    ) -> Result<Vec<u8>, StoreError> {
        self.values.open_value(&place(table, key), sealed).map_err(|error| self.damaged(named(), &error))
    }

    fn damaged(&self, key: String, reason: &impl ToString) -> StoreError {
        StoreError::EntryDamaged { path: self.path.clone(), key, reason: reason.to_string() }
    }

    fn error(&self, error: redb::Error) -> StoreError {
        state_error(error, self.path.clone())
    }
}

impl Held {
    /// Holds the state of a coordinator's folder, whatever is in it.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] while a process has it open.
    pub fn of_folder(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(STATE);
        if !path.exists() {
            return Ok(Self(None));
        }
        match OsDisk.database(&path, &Database::builder()).map_err(|error| not_opened(error, &path)) {
            Err(error @ StoreError::InUse(_)) => Err(error),
            // One that is damaged nobody has open.
            opened => Ok(Self(opened.ok())),
        }
    }
}

/// What a value is bound to.
fn place(table: &impl TableHandle, key: &[u8]) -> Vec<u8> {
    [table.name().as_bytes(), &[0], key].concat()
}

fn round_key(run: RunId, round: RoundId, epoch: EpochId) -> Vec<u8> {
    [&run.0[..], &round.0.to_be_bytes(), &epoch.0.to_be_bytes()].concat()
}

fn not_opened(error: DatabaseError, path: &Path) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path.to_owned()),
        error => StoreError::State { path: path.to_owned(), source: Box::new(error.into()) },
    }
}

fn state_error(error: redb::Error, path: PathBuf) -> StoreError {
    match error {
        redb::Error::Io(source) => StoreError::Io { action: "read or write", path, source },
        redb::Error::PreviousIo => StoreError::Refused(path),
        other => StoreError::State { path, source: Box::new(other) },
    }
}

//! `state.redb`: runs, their configuration and their rounds, in tables of canonical bytes.
//!
//! One durable transaction for each change. redb commits in one phase with checksums: one
//! `fdatasync`, and a torn write is found at the next open (redb's `docs/design.md`, "1-phase + checksum").

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use common::id::{EpochId, RoundId, RunId};
use common::message::event::reason;
use common::wire::{self, Wire};
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use super::disk::Disk;
use super::registry::{IMPORTED, TURNS};
use super::{NewRun, RunEntry, RunStatus, StartKey, StoreError, Turn};
use crate::round::{Checkpoint, EPOCHS_AHEAD, ReservedEpochs, RoundOutcome, RoundRecord, RunPosition};

/// Rises when an older or newer version could not read what this one writes.
const FORMAT: u64 = 4;
const FORMAT_TABLE: TableDefinition<'_, (), u64> = TableDefinition::new("format");
const RUNS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("runs");
/// Apart from the runs, so that a commit does not write it again.
const CONFIGS: TableDefinition<'_, [u8; 16], &str> = TableDefinition::new("configs");
/// By run, round and epoch: the order in which they happened.
const ROUNDS: TableDefinition<'_, ([u8; 16], u32, u64), &[u8]> = TableDefinition::new("rounds");

/// Runs by the idempotency keys that they were started with.
const STARTS: TableDefinition<'_, &str, [u8; 16]> = TableDefinition::new("starts");

/// Pages that redb keeps in memory; its own default is a gigabyte.
const CACHE_BYTES: usize = 2 << 20;

/// Runs and rounds.
#[derive(Debug)]
pub struct State {
    database: Database,
    path: PathBuf,
}

impl State {
    /// Opens the file; makes it when there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] names the file.
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, StoreError> {
        Self::opened(disk.database(path, Database::builder().set_cache_size(CACHE_BYTES)), path)
    }

    #[cfg(test)]
    pub(super) fn on(backend: impl redb::StorageBackend) -> Result<Self, StoreError> {
        Self::opened(Database::builder().create_with_backend(backend), Path::new("state.redb"))
    }

    fn opened(opened: Result<Database, DatabaseError>, path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let database = match opened {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::InUse(path)),
            Err(error) => return Err(StoreError::State { path, source: Box::new(error.into()) }),
        };
        let state = Self { database, path };
        match state.read(|transaction| {
            Ok(transaction.open_table(FORMAT_TABLE)?.get(())?.map(|format| format.value()))
        }) {
            Ok(Some(FORMAT)) => Ok(state),
            Ok(Some(found)) => Err(StoreError::OtherFormat { path: state.path, found, expected: FORMAT }),
            // A new file has no table yet: all of them are made at once.
            Ok(None) | Err(redb::Error::TableDoesNotExist(_)) => state.made(),
            Err(error) => Err(state.error(error)),
        }
    }

    fn made(self) -> Result<Self, StoreError> {
        self.write(|transaction| {
            transaction.open_table(FORMAT_TABLE)?.insert((), FORMAT)?;
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
            runs.insert(run.0, wire::encode(&entry).as_slice())?;
            transaction.open_table(CONFIGS)?.insert(run.0, config.as_str())?;
            if let Some(key) = &key {
                transaction.open_table(STARTS)?.insert(key.as_str(), run.0)?;
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
        });
        let rows = rows.map_err(|error| self.error(error))?;
        let mut runs: Vec<RunEntry> = rows
            .into_iter()
            .map(|(run, bytes)| self.decode(&bytes, || format!("run {}", RunId(run))))
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
            Ok(transaction.open_table(CONFIGS)?.get(run.0)?.map(|config| config.value().to_owned()))
        });
        config.map_err(|error| self.error(error))?.ok_or(StoreError::UnknownRun(run))
    }

    /// The run that was started with this key.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn started(&self, key: &StartKey) -> Result<Option<RunId>, StoreError> {
        let run = self.read(|transaction| {
            Ok(transaction.open_table(STARTS)?.get(key.as_str())?.map(|run| RunId(run.value())))
        });
        run.map_err(|error| self.error(error))
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
        });
        let rows = rows.map_err(|error| self.error(error))?;
        rows.into_iter()
            .map(|((_, round, epoch), bytes)| {
                self.decode(&bytes, || format!("run {run}, round {round}, epoch {epoch}"))
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
            let mut entry: RunEntry = match self.decode(&bytes, || format!("run {run}")) {
                Ok(entry) => entry,
                Err(error) => return Ok(Err(error)),
            };
            let changed = change(&mut entry);
            if changed.is_ok() {
                runs.insert(run.0, wire::encode(&entry).as_slice())?;
                if let Some(record) = record {
                    let key = (run.0, record.round.0, record.epoch.0);
                    transaction.open_table(ROUNDS)?.insert(key, wire::encode(record).as_slice())?;
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
        let wrong = |error: redb::Error| self.error(error);
        let mut transaction = self.database.begin_write().map_err(|error| wrong(error.into()))?;
        transaction.set_durability(Durability::Immediate).map_err(|error| wrong(error.into()))?;
        let value = change(&transaction).map_err(wrong)??;
        transaction.commit().map_err(|error| wrong(error.into()))?;
        Ok(value)
    }

    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        look(&self.database.begin_read()?)
    }

    pub(super) fn decode<T: Wire>(
        &self,
        bytes: &[u8],
        key: impl FnOnce() -> String,
    ) -> Result<T, StoreError> {
        let damaged = |error: wire::WireError| StoreError::EntryDamaged {
            path: self.path.clone(),
            key: key(),
            reason: error.to_string(),
        };
        wire::decode(bytes).map_err(damaged)
    }

    pub(super) fn error(&self, error: redb::Error) -> StoreError {
        let path = self.path.clone();
        match error {
            redb::Error::Io(source) => StoreError::Io { action: "read or write", path, source },
            redb::Error::PreviousIo => StoreError::Refused(path),
            other => StoreError::State { path, source: Box::new(other) },
        }
    }
}

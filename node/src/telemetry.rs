//! What a running node knows of its machine: the sources it follows, the newest records of each, and what the
//! stages of its configuration make of them.

use std::collections::VecDeque;

use common::id::TenantId;
use common::units::Timestamp;

use crate::config::NodeConfig;
use ingest::adapt::Pins;
use ingest::directory::Follower;
use ingest::follow::Follow;
use ingest::host::Sampler;
use ingest::limits::{ENTRY_IDS_KEPT, LOOK_RECORDS};
use ingest::record::TelemetryRecord;
use ingest::scrape::Scraper;
use ingest::spool::{Cursor, Position, Reader, SpoolError, TenantSpool, Unique};
use ingest::{Format, IngestError, Ingested, Source, Syntax, intake};
use pipeline::Pipeline;

/// What the spool calls us.
const CONSUMER: &str = "pipeline";

/// New records that are handed on at once.
const FRESH_MAX: usize = 10_000;

/// All sources of a node, and the records they gave so far.
pub struct Telemetry {
    sources: Vec<Open>,
    records: VecDeque<TelemetryRecord>,
    records_max: usize,
    /// Records that made room for newer ones.
    dropped: u64,
    /// Counts the looks that found something: what was made of the records is stale when it has changed.
    version: u64,
    stages: Pipeline,
    /// What the stages made of the records of a version.
    staged: Option<(u64, Vec<TelemetryRecord>)>,
}

/// New records, after stages that make of each the same, whatever comes before or after it.
#[derive(Debug)]
pub struct Fresh {
    /// In the order in which they came.
    pub records: Vec<TelemetryRecord>,
    /// From where to go on.
    pub next: u64,
    /// Records that made room for newer ones before they were handed on.
    pub missed: u64,
}

/// One source being read.
enum Open {
    Files(Follower),
    Host { sampler: Box<Sampler>, every_micros: u64, due: Timestamp },
    Exporter { scraper: Box<Scraper>, every_micros: u64, due: Timestamp },
    Spool(Box<Spooled>),
}

/// The spool, read on as it grows; of each entry one is passed on. Records are in memory only, so its cursor
/// stands before the oldest entry that still has one there: a node that starts again reads from it.
struct Spooled {
    pins: Pins,
    reader: Reader,
    unique: Unique,
    cursor: Cursor,
    held: VecDeque<Held>,
}

/// An entry that has records in memory.
struct Held {
    /// Behind it.
    position: Position,
    received: Timestamp,
    /// How many records there were in all, from the start on, when its last one was added.
    records: u64,
}

impl Telemetry {
    /// Opens the sources of a configuration; nothing is read yet.
    ///
    /// # Errors
    ///
    /// [`IngestError`] when this host cannot be measured.
    pub fn open(config: &NodeConfig) -> Result<Self, IngestError> {
        let tenant = TenantId::of_name(&config.tenant);
        let sources: Result<Vec<Open>, IngestError> =
            config.sources.iter().map(|source| open(source, tenant)).collect();
        Ok(Self {
            sources: sources?,
            records: VecDeque::new(),
            records_max: config.telemetry.records_max,
            dropped: 0,
            version: 0,
            stages: config.stages.clone(),
            staged: None,
        })
    }

    /// Reads what is pushed as well, mail as its mailboxes are pinned.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] names the file.
    pub fn follow_spool(&mut self, spool: &TenantSpool, pins: Pins) -> Result<(), SpoolError> {
        self.sources.push(Open::Spool(Box::new(Spooled::open(spool, pins)?)));
        Ok(())
    }

    /// Reads what is new; returns what an operator should know: rows and files that were left out.
    pub fn look(&mut self, now: Timestamp) -> Vec<String> {
        let mut notes = Vec::new();
        for source in &mut self.sources {
            loop {
                let added = self.dropped + self.records.len() as u64;
                let found = match look(source, now, added) {
                    Ok(found) => found,
                    Err(error) => {
                        notes.push(error.to_string());
                        break;
                    }
                };
                notes.extend(found.refused.iter().map(ToString::to_string));
                notes.extend(found.rejected.iter().map(ToString::to_string));
                if found.records.is_empty() {
                    break;
                }
                self.version += 1;
                self.records.extend(found.records);
                let surplus = self.records.len().saturating_sub(self.records_max);
                self.records.drain(..surplus);
                self.dropped += surplus as u64;
            }
            if let Open::Spool(spooled) = source {
                notes.extend(spooled.release(self.dropped).err().map(|error| error.to_string()));
            }
        }
        notes
    }

    /// Changes whenever the records do.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// New records from a place on, 0 for the first there ever was, a bounded number at once; `None` when there is none.
    /// For stages of which [`is_settled`](Self::is_settled) holds.
    pub fn since(&self, place: u64) -> Option<Fresh> {
        let from = (place.max(self.dropped) - self.dropped) as usize;
        let to = from.saturating_add(FRESH_MAX).min(self.records.len());
        (from < to).then(|| Fresh {
            records: self.stages.run(self.records.range(from..to).cloned().collect()),
            next: self.dropped + to as u64,
            missed: self.dropped.saturating_sub(place),
        })
    }

    /// The place behind the newest record.
    pub fn end(&self) -> u64 {
        self.dropped + self.records.len() as u64
    }

    /// Whether no later record can change what the stages make of one.
    pub fn is_settled(&self) -> bool {
        self.stages.stages().iter().all(pipeline::Stage::is_by_record)
    }

    /// The records after the stages, and what an operator should know of them: what each stage left out. All
    /// records that are kept go through the stages again when there are new ones, and only then.
    pub fn records(&mut self) -> (&[TelemetryRecord], Vec<String>) {
        let mut notes = Vec::new();
        if self.stages.stages().is_empty() {
            return (&*self.records.make_contiguous(), notes);
        }
        let version = self.version;
        let fresh = self.staged.take().filter(|(of, _)| *of == version);
        let (_, staged) = self.staged.insert(fresh.unwrap_or_else(|| {
            let records = self.records.iter().cloned().collect();
            let staged = self.stages.run_with(records, |step| {
                if step.applied.left_something() {
                    notes.push(step.to_string());
                }
            });
            (version, staged)
        }));
        (staged.as_slice(), notes)
    }
}

fn open(source: &Source, tenant: TenantId) -> Result<Open, IngestError> {
    let follower = |path, format: Format| Follower::new(path, tenant, format, None, Follow::default());
    let files = |path, format: Format| Open::Files(follower(path, format));
    Ok(match source {
        Source::Csv(csv) => files(&csv.path, csv.format()),
        Source::Directory(directory) => files(&directory.path, directory.format()),
        Source::Jsonl(lines) => Open::Files(follower(&lines.path, lines.format()).of(Syntax::JsonLines)),
        Source::Prometheus(exporter) => Open::Exporter {
            scraper: Box::new(Scraper::new(exporter, tenant)?),
            every_micros: exporter.interval_s.micros(),
            due: Timestamp::default(),
        },
        Source::Host(host) => {
            let every_micros = host.interval_s.micros();
            Open::Host {
                sampler: Box::new(Sampler::new(tenant, None)?),
                every_micros,
                due: Timestamp::default(),
            }
        }
    })
}

fn look(source: &mut Open, now: Timestamp, added: u64) -> Result<Ingested, IngestError> {
    match source {
        Open::Files(follower) => follower.look(),
        Open::Host { due, .. } | Open::Exporter { due, .. } if now < *due => Ok(Ingested::default()),
        Open::Exporter { scraper, every_micros, due } => {
            *due = next_due(now, *every_micros);
            scraper.look(now)
        }
        Open::Host { sampler, every_micros, due } => {
            *due = next_due(now, *every_micros);
            Ok(Ingested { records: vec![sampler.sample(now)], ..Ingested::default() })
        }
        Open::Spool(spooled) => Ok(spooled.look(added)),
    }
}

/// The next sample is due on a grid, so that a late look does not shift all later ones.
fn next_due(now: Timestamp, every_micros: u64) -> Timestamp {
    Timestamp(now.0 - now.0 % every_micros + every_micros)
}

impl Spooled {
    fn open(spool: &TenantSpool, pins: Pins) -> Result<Self, SpoolError> {
        let cursor = spool.cursor(CONSUMER)?;
        let mut unique = Unique::remembering(ENTRY_IDS_KEPT);
        // What was sent twice around a restart lies close together.
        let before = Position { segment: cursor.position().segment.saturating_sub(1), ..Position::default() };
        unique.meet(&mut spool.reader(before), cursor.position())?;
        Ok(Self { pins, reader: spool.reader(cursor.position()), unique, cursor, held: VecDeque::new() })
    }

    /// Reads on, when so many records were added from the start on.
    fn look(&mut self, added: u64) -> Ingested {
        let mut found = Ingested::default();
        while found.records.len() < LOOK_RECORDS {
            let entry = match self.reader.next_entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(error) => {
                    found.refused.push(IngestError::Spool { reason: error.to_string() });
                    break;
                }
            };
            if self.unique.insert(entry.id) {
                let read = intake::read(&entry, &self.pins);
                found.records.extend(read.records);
                found.refused.extend(read.rejects);
            }
            let records = added + found.records.len() as u64;
            self.held.push_back(Held { position: self.reader.position(), received: entry.received, records });
        }
        found
    }

    /// Entries whose records have all been dropped are done with.
    fn release(&mut self, dropped: u64) -> Result<(), SpoolError> {
        let mut done = None;
        while let Some(first) = self.held.pop_front_if(|held| held.records <= dropped) {
            done = Some(first);
        }
        match done {
            Some(held) => self.cursor.advance(held.position, held.received),
            None => Ok(()),
        }
    }
}

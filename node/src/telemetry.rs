//! What a running node knows of its machine: the sources it follows, and the newest records of each.

use std::collections::VecDeque;

use common::id::TenantId;
use common::units::Timestamp;

use crate::config::NodeConfig;
use ingest::directory::Follower;
use ingest::follow::Follow;
use ingest::host::Sampler;
use ingest::limits::{ENTRY_IDS_KEPT, LOOK_RECORDS};
use ingest::record::TelemetryRecord;
use ingest::scrape::Scraper;
use ingest::spool::{Position, Reader, Spool, Unique};
use ingest::{Format, IngestError, Ingested, Source, Syntax, intake};

/// All sources of a node, and the records they gave so far.
pub struct Telemetry {
    sources: Vec<Open>,
    records: VecDeque<TelemetryRecord>,
    records_max: usize,
    /// Counts the looks that found something: what was made of the records is stale when it has changed.
    version: u64,
}

/// One source being read.
enum Open {
    Files(Follower),
    Host { sampler: Box<Sampler>, every_micros: u64, due: Timestamp },
    Exporter { scraper: Box<Scraper>, every_micros: u64, due: Timestamp },
    Spool(Box<Spooled>),
}

/// The spool, read on as it grows. A node that starts reads it from its beginning: its records are in memory
/// only, and one of each is passed on.
struct Spooled {
    spool: Spool,
    reader: Reader,
    unique: Unique,
    tenant: TenantId,
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
        let records_max = config.telemetry.records_max;
        Ok(Self { sources: sources?, records: VecDeque::new(), records_max, version: 0 })
    }

    /// Reads what is pushed as well, as far as it is this tenant's.
    pub fn follow_spool(&mut self, spool: Spool, tenant: TenantId) {
        let reader = spool.reader(Position::default());
        let unique = Unique::remembering(ENTRY_IDS_KEPT);
        self.sources.push(Open::Spool(Box::new(Spooled { spool, reader, unique, tenant })));
    }

    /// Reads what is new; returns what an operator should know: rows and files that were left out.
    pub fn look(&mut self, now: Timestamp) -> Vec<String> {
        let mut notes = Vec::new();
        for source in &mut self.sources {
            loop {
                let found = match look(source, now) {
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
            }
        }
        notes
    }

    /// Changes whenever the records do.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The records, each source's in the order of time.
    pub fn records(&mut self) -> &[TelemetryRecord] {
        self.records.make_contiguous()
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

fn look(source: &mut Open, now: Timestamp) -> Result<Ingested, IngestError> {
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
        Open::Spool(spooled) => Ok(spooled.look()),
    }
}

/// The next sample is due on a grid, so that a late look does not shift all later ones.
fn next_due(now: Timestamp, every_micros: u64) -> Timestamp {
    Timestamp(now.0 - now.0 % every_micros + every_micros)
}

impl Spooled {
    fn look(&mut self) -> Ingested {
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
            if entry.tenant != self.tenant || !self.unique.insert(entry.id) {
                continue;
            }
            let read = intake::read(&entry);
            found.records.extend(read.records);
            found.refused.extend(read.rejects);
        }
        self.spool.release(self.reader.position());
        found
    }
}

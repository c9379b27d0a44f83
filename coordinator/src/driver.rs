//! The one loop that touches DDS, clock, disk and signals: bytes in, [`Output`]s carried out.

mod fault;
mod join;
mod link;
mod nodes;
mod orders;
mod relay;
mod shown;
mod stored;
mod works;

pub use relay::relay;
pub use stored::{stored_answer, stored_applicants, stored_models, stored_view};

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Result, ensure};
use common::crypto::Suite;
use common::id::{BlobId, NodeId, RunId, TenantId};
use common::message::presence::HEARTBEAT;
use common::roster::Roster;
use common::units::{Millis, Timestamp};
use edge::{Stop, entropy, log_ignored, now, tether};
use rand_chacha::ChaCha20Rng;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::archive;
use crate::control::{self, Asked, Desks, ModelDesk, Socket};
use crate::engine::{Answer, End, Engine, Output, Setup};
use crate::folder::{self, Enrolled, Folder};
use crate::members::{self, Leases};
use crate::quota::Quota;
use crate::registry;
use crate::store::Store;
use crate::view::View;
use fault::FaultPoints;
use join::{Channels, Errand, Office};
use link::{Incoming, Link, Readers};
use shown::Shown;
use works::{Done, Works};

/// Time is looked at at least this often, however much there is to read.
const TICK: Millis = Millis(100);

/// How long a coordinator that ends lets conversations end that it is in.
const FAREWELL: Duration = Duration::from_secs(1);

/// Who belongs to the tenant, for who answers beside the loop.
type Members = Arc<RwLock<Arc<Enrolled>>>;

/// Everything the loop holds.
struct Driver {
    dir: PathBuf,
    engine: Engine,
    enrolled: Arc<Enrolled>,
    members: Members,
    link: Link,
    /// Shared with who answers what is asked of models, and with what is done beside the loop.
    store: Arc<Store>,
    works: Works,
    quota: Quota,
    /// What waits until something is done.
    waiting: VecDeque<Asked>,
    shown: Shown,
    random: ChaCha20Rng,
    faults: Arc<FaultPoints>,
    outputs: VecDeque<Output>,
    /// Filled by the engine, moved to `outputs` at once.
    fresh: Vec<Output>,
    /// Set when the loop is to end.
    ended: Option<Result<Ended>>,
}

/// Why a coordinator serves no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its process was asked to end.
    Stopped,
    /// It is to go on under the next key of its folder, which the operator appointed.
    Succeeded,
}

/// A driver whose loop is still to begin, and what goes on around it.
struct Joined {
    driver: Driver,
    readers: Readers,
    desks: Desks,
    office: Arc<Office>,
    errands: mpsc::Receiver<Errand>,
    view: watch::Receiver<View>,
}

/// Serves nodes and the open control socket of a folder until SIGTERM or Ctrl-C, or until the next key of its folder is appointed. For
/// tests it stands still at a fault point.
///
/// # Errors
///
/// When the folder, the store or DDS cannot be opened, nothing can be signed any more, or the folder is an
/// older copy of itself.
pub async fn serve(dir: &Path, socket: &Socket, halt_at: Option<u64>) -> Result<Ended> {
    let folder = Folder::open(dir)?;
    let dds = folder.config.dds.clone();
    let (asked, mut questions) = mpsc::channel(16);
    let Joined { mut driver, mut readers, desks, office, mut errands, view } =
        Driver::join(dir, folder, halt_at, asked.clone())?;
    let mut stop = Stop::listen()?;
    let door = join::at_door(office).await?;
    let answering = tokio::spawn(control::answer_all(socket.listen()?, asked, desks, view));
    driver.tell_roster();
    driver.recall_drained()?;
    driver.resume();
    let mut ends = ends_of_tethers(driver.engine.id());
    let mut ticked = Timestamp::default();
    while driver.ended.is_none() {
        let next_wake = driver.next_wake();
        let idle = tokio::select! {
            biased;
            () = stop.asked() => break,
            Some(question) = questions.recv() => {
                driver.on_asked(question);
                false
            }
            Some(errand) = errands.recv() => {
                driver.on_errand(errand);
                false
            }
            Some(presence) = ends.recv() => {
                driver.on_severed(&presence);
                false
            }
            done = driver.works.next() => {
                driver.on_done(done);
                false
            }
            sample = readers.next() => {
                driver.on_incoming(sample);
                false
            }
            () = wake(next_wake) => true,
        };
        // Whether a transfer stalls is asked when nothing is left to read; under a flood, now and then.
        if idle || now() >= ticked + TICK {
            if now() >= ticked + HEARTBEAT + HEARTBEAT {
                driver.link.on_held_up(now());
            }
            ticked = now();
            driver.tick();
        }
        if driver.link.is_mute(ticked) {
            tracing::warn!("nothing that is sent leaves this process any more: joining the domain anew");
            (driver.link, readers) = driver.link.rejoin(readers, &dds)?;
            driver.tell_roster();
            driver.engine.on_moved(readers.mailbox(), now(), &mut driver.fresh);
            driver.carry_out();
        }
    }
    tracing::info!(fault_points = driver.faults.passed(), "stopping");
    answering.abort();
    door.iter().for_each(JoinHandle::abort);
    let ended = driver.ended.take().unwrap_or(Ok(Ended::Stopped));
    // Whoever follows a run, or waits for an answer of the loop, sees that it ends.
    drop(driver);
    let _ = tokio::time::timeout(FAREWELL, async { while questions.recv().await.is_some() {} }).await;
    ended
}

/// Answers what is asked of models, at any time, beside the loop.
fn desk(store: &Arc<Store>, members: &Members) -> ModelDesk {
    let (store, members) = (Arc::clone(store), Arc::clone(members));
    Arc::new(move |order| {
        let members = || members.read().unwrap_or_else(PoisonError::into_inner);
        let name = |node| members().roster.name(node);
        registry::answer(&store, order, name, now()).map_err(|error| format!("{error:#}"))
    })
}

/// What processes of this host said of themselves, when they end. Without tethers ends are noticed by silence.
fn ends_of_tethers(owner: NodeId) -> mpsc::Receiver<Vec<u8>> {
    let (severed, ends) = mpsc::channel(64);
    match tether::bind(owner) {
        Ok(tethers) => drop(tokio::spawn(tether::accept_all(tethers, severed))),
        Err(error) => tracing::warn!(%error, "no tethers"),
    }
    ends
}

/// Whether an announcement can hold a key for each node of a roster.
fn check_size(roster: &Roster, suite: Suite) -> Result<()> {
    let nodes = roster.nodes.len();
    ensure!(
        nodes <= suite.cohort_max(),
        "the roster names {nodes} nodes, and with `suite = \"{suite}\"` a fleet has at most {}: an announcement holds a \
         key for each; divide it among coordinators, or choose another suite",
        suite.cohort_max()
    );
    Ok(())
}

async fn wake(at: Timestamp) {
    tokio::time::sleep(Duration::from_micros(at.micros_since(now()))).await;
}

impl Driver {
    /// Opens the store and joins the domain.
    fn join(
        dir: &Path,
        folder: Folder,
        halt_at: Option<u64>,
        questions: mpsc::Sender<Asked>,
    ) -> Result<Joined> {
        let Folder { config, identity, enrolled } = folder;
        let suite = config.suite;
        check_size(&enrolled.roster, suite)?;
        let vault = folder::vault(dir, &config.tenant, &identity)?;
        let store = Arc::new(Store::open(dir, vault)?);
        let enrolled = Arc::new(enrolled);
        let members: Members = Arc::new(RwLock::new(Arc::clone(&enrolled)));
        let (errand, errands) = mpsc::channel(16);
        let channels = Channels { questions, errands: errand };
        let office = Arc::new(Office::open(dir, &store, &config, &members, channels)?);
        let desks = Desks { models: desk(&store, &members), joining: office.desk() };
        let (link, readers) = Link::join(&config.dds, identity.node_id())?;
        let mut transfer = config.transfer;
        transfer.window_chunks = transfer.window_chunks.min(link.unread_max());
        tracing::info!(
            id = %identity.node_id(),
            domain = config.dds.domain,
            roster = enrolled.roster.version,
            nodes = enrolled.roster.nodes.len(),
            window_chunks = transfer.window_chunks,
            "serving"
        );
        let tenant = TenantId::of_name(&config.tenant);
        let mailbox = readers.mailbox();
        let setup = Setup { identity, suite, tenant, mailbox, transfer, random: entropy()? };
        let leases = Leases::new(config.certificates.lifetime(), store.state().leases()?);
        let members_now = members::Members::new(enrolled.roster.clone(), suite, now()).leasing(leases);
        let engine = Engine::new(setup, members_now);
        let (shown, view) = Shown::new(archive::view(&store, |node| engine.members().name(node))?);
        let faults = Arc::new(FaultPoints::new(halt_at));
        let driver = Self {
            dir: dir.to_owned(),
            engine,
            enrolled,
            members,
            link,
            works: Works::new(Arc::clone(&store), Arc::clone(&faults)),
            store,
            quota: config.runs.quota(),
            waiting: VecDeque::new(),
            shown,
            random: entropy()?,
            faults,
            outputs: VecDeque::new(),
            fresh: Vec::new(),
            ended: None,
        };
        Ok(Joined { driver, readers, desks, office, errands, view })
    }

    fn tick(&mut self) {
        // While something beside the loop stands still, nothing goes on.
        self.faults.passed();
        self.link.retry();
        self.engine.on_tick(now(), &mut self.fresh);
        self.carry_out();
        self.shown.refresh(&self.engine, now());
        // Whoever installed the roster has his answer by now.
        if self.enrolled.roster.coordinator.node_id() != self.engine.id() {
            self.ended.get_or_insert(Ok(Ended::Succeeded));
        }
    }

    fn next_wake(&self) -> Timestamp {
        self.shown.next_wake().map_or(self.engine.next_wake(), |wake| wake.min(self.engine.next_wake()))
    }

    fn on_incoming(&mut self, incoming: Incoming) {
        let out = &mut self.fresh;
        match incoming {
            Incoming::Presence { body, writer } => {
                if let Some(mailbox) = self.engine.on_presence(&body, now(), out) {
                    self.link.on_hello(mailbox, writer);
                }
            }
            Incoming::Receipt { blob, node, body } => {
                self.engine.on_model_receipt(blob, node, &body, now(), out);
            }
            Incoming::Update { blob, index, body } => self.engine.on_update(blob, index, &body, now(), out),
            Incoming::Echo => self.link.on_echo(now()),
            Incoming::Nothing => (),
        }
        self.carry_out();
    }

    fn on_severed(&mut self, presence: &[u8]) {
        self.engine.on_severed(presence, now(), &mut self.fresh);
        self.carry_out();
    }

    /// Something that took long is done; who waited for that has its turn.
    fn on_done(&mut self, done: Done) {
        match done {
            Done::Answered(run, answer) => {
                if let Answer::Committed(record, Ok(())) = &answer {
                    self.shown.on_committed(run, record, &self.engine);
                }
                self.engine.on_answer(run, answer, now(), &mut self.fresh);
            }
            Done::Prepared(prepared, answer) => self.on_prepared(prepared, answer),
        }
        self.carry_out();
        for asked in std::mem::take(&mut self.waiting) {
            self.on_asked(asked);
        }
    }

    /// Carries outputs out in their order, up to one after which nothing may be said; what takes long goes on beside the
    /// loop.
    fn carry_out(&mut self) {
        while self.ended.is_none() {
            self.outputs.extend(self.fresh.drain(..));
            let Some(output) = self.outputs.pop_front() else { return };
            self.carry_out_one(output);
        }
    }

    fn carry_out_one(&mut self, output: Output) {
        match output {
            Output::Wish(run, wish) => self.works.wish(run, wish),
            Output::Ended { run, end } => {
                self.faults.pass("before the end of the run");
                self.on_end(run, &end);
            }
            Output::Unsigned(error) => self.ended = Some(Err(error.into())),
            Output::Outdated(error) => self.ended = Some(Err((*error).into())),
            Output::Note(note) => tracing::info!("{note}"),
            Output::Ignored(what) => log_ignored(what),
            Output::Certificate { node, until, .. } => {
                if let Err(error) = self.store.state().lease(node, until) {
                    tracing::error!("that a node was issued a certificate is not stored: {error}");
                }
                self.link.send(output);
            }
            Output::Announce { .. } => {
                self.faults.pass("before an announcement");
                self.link.send(output);
                self.faults.pass("after an announcement");
            }
            message => self.link.send(message),
        }
    }

    fn on_end(&mut self, run: RunId, end: &End) {
        match end {
            End::Finished(model) => tracing::info!(%run, %model, "the run is finished"),
            End::Failed(why) => {
                tracing::error!(%run, "the run failed: {why}");
                if let Err(error) = self.store.state().fail_run(run, why) {
                    tracing::error!("that is not stored: {error}");
                }
            }
            End::Halted(why) => tracing::error!(%run, "the run is halted: {why}"),
            End::Paused => tracing::info!(%run, "the run is paused"),
        }
        self.shown.on_end(run, end);
    }
}

/// The key of a chunk: blob, then index, little-endian as CDR has it.
fn chunk_key(key: &[u8]) -> Option<(BlobId, u32)> {
    let (blob, index) = key.split_first_chunk::<32>()?;
    Some((BlobId(*blob), u32::from_le_bytes(index.try_into().ok()?)))
}
